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

# kselftest NAME LOG...: what programs of the kernel's selftests said, each to a log; fails when a case failed that is not
# among the exceptions, or a program did not say how many cases it has
kselftest() {
    local name=$1 plans failed passed known case status=0
    shift
    plans=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$@")
    [ "$(echo "$plans" | wc -w)" = $# ] || { tail -n 20 "$@"; return 1; }
    passed=$(cat "$@" | grep -c '^ok [0-9]* [^#]*$' || true)
    failed=$(sed -n 's/^not ok [0-9]* \([^ ]*\).*/\1/p' "$@" | sort)
    known=$(awk '!/^#/ { print $1 }' "$clients/exceptions" | sort)

    for case in $(comm -23 <(echo "$failed") <(echo "$known")); do
        sed -n "/ RUN  *$case \.\.\.\$/,/^not ok/p" "$@"
        status=1
    done
    for case in $(comm -12 <(sed -n 's/^ok [0-9]* \([^ ]*\)$/\1/p' "$@" | sort) <(echo "$known")); do
        echo "passes, but is among the exceptions: $case"
    done
    result "$name" "$passed" $((${plans//$'\n'/+})) || status=1
    return $status
}

# qemu_command: sets the array qemu to the QEMU that fetch got, which runs here with its own C library. An array and not
# a script, so that nothing else runs between a launcher and QEMU.
qemu_command() {
    local tree libraries
    tree=$("$clients/fetch" qemu)
    libraries=$tree/usr/lib/x86_64-linux-gnu
    qemu=("$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" --argv0 qemu-system-x86_64
        "$tree/usr/bin/qemu-system-x86_64" -L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios")
}
