# shellcheck shell=bash
# Sourced by the client tests. $UIOMMU is the uiommu command, $BUILD the build folder, $LIMIT a time limit in seconds.

clients=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$clients/../.." && pwd)
build=$(cd "$top" && mkdir -p "${BUILD:-build}/clients" && cd "${BUILD:-build}" && pwd)
uiommu=${UIOMMU:-$build/uiommu}

# result NAME PASSED TOTAL: says it, and fails when fewer passed than are expected to
result() {
    local expected
    echo "$1: $2/$3"
    expected=$(awk -v name="$1" '$1 == name { print $2 }' "$clients/expected")
    [ -n "$expected" ] || { echo "$1: not in $clients/expected"; return 1; }
    [ "$2" -ge "$expected" ] || { echo "$1: $expected are expected to pass"; return 1; }
}

# limited LOG COMMAND...: its output goes to LOG; says so when it did not end well
limited() {
    local log=$1 status=0
    shift
    timeout -k 5 "${LIMIT:-120}" "$@" </dev/null >"$log" 2>&1 || status=$?
    case $status in
    0) return 0 ;;
    124 | 137) echo "not done in ${LIMIT:-120} s, see $log" ;;
    *) echo "exit status $status, see $log" ;;
    esac
    return 1
}

# kselftest [OPTION]... NAME LOG...: what programs of the kernel's selftests said, each to a log; fails when that is not as
# expected (see judge)
kselftest() {
    local has=()
    ! huge_pages || has=(--has hugepages)
    ! gigantic_page || has+=(--has gigantic)
    "$clients/judge" "${has[@]}" "$@"
}

pools=/sys/kernel/mm/hugepages

# huge_pages: true when there are enough of 2 MiB for the selftests' largest buffers
huge_pages() {
    [ "$(cat $pools/hugepages-2048kB/free_hugepages 2>/dev/null || echo 0)" -ge 64 ]
}

# gigantic_page: true when there is one of 1 GiB
gigantic_page() {
    [ "$(cat $pools/hugepages-1048576kB/free_hugepages 2>/dev/null || echo 0)" -ge 1 ]
}

# borrow_huge_pages [gigantic]: gets as many as the selftests want, if the machine gives them, until this shell ends. One shell at a
# time: the lock ends with it, too.
borrow_huge_pages() {
    local undo='' size old
    local -A wanted=([2048kB]=128)
    [ $# = 0 ] || wanted[1048576kB]=1
    [ -w $pools/hugepages-2048kB/nr_hugepages ] || return 0
    exec 8>"${TMPDIR:-/tmp}/uiommu-hugepages.lock"
    flock -w 300 8 || return 0
    for size in "${!wanted[@]}"; do
        old=$(cat $pools/hugepages-$size/nr_hugepages 2>/dev/null) || continue
        [ "$old" -lt "${wanted[$size]}" ] || continue
        undo="$undo echo $old >$pools/hugepages-$size/nr_hugepages;"
        # shellcheck disable=SC2064 # as they are now
        trap "$undo" EXIT
        trap 'exit 1' HUP INT TERM
        echo "${wanted[$size]}" >$pools/hugepages-$size/nr_hugepages 2>/dev/null || true
    done
}

# qemu_command [x86_64|aarch64]: sets the array qemu to the QEMU that fetch got for such a machine, which runs here with its own C
# library. An array and not a script, so that nothing else runs between a launcher and QEMU.
qemu_command() {
    local tree libraries machine=${1:-x86_64} name=qemu
    [ "$machine" = x86_64 ] || name=qemu-arm
    tree=$("$clients/fetch" $name)
    libraries=$tree/usr/lib/x86_64-linux-gnu
    qemu=("$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" --argv0 "qemu-system-$machine"
        "$tree/usr/bin/qemu-system-$machine" -L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios")
    # Its accelerators are modules, which it would look for beside the loader.
    [ "$machine" = x86_64 ] || export QEMU_MODULE_DIR="$libraries/qemu"
}
