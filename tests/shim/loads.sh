#!/bin/bash
# The preloaded library loads into programs of all sorts and serves them. loads.sh UIOMMU SOURCE_DIR
set -u
uiommu=$(realpath "$1") source=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
status=0

# check WHAT WANTED COMMAND...: its output, errors too, is exactly that
check() {
    local what=$1 want=$2 got
    shift 2
    got=$("$@" 2>&1)
    [ "$got" = "$want" ] && { echo "ok $what"; return; }
    printf 'not ok %s\nwanted: %s\ngot: %s\n' "$what" "$want" "$got"
    status=1
}

probe='import fcntl, os
fd = os.open("/dev/iommu", os.O_RDWR)
buf = bytearray(b"\x0c" + b"\0" * 11)
fcntl.ioctl(fd, 0x3b81, buf)
print(os.listdir("/dev/vfio/devices"), buf[8], open("/sys/bus/pci/devices/0000:01:00.0/vendor").read().strip())'

check true '' "$uiommu" run -- /bin/true
check cat 0x6975 "$uiommu" run -- cat /sys/bus/pci/devices/0000:01:00.0/vendor
check bash "char 0 vfio0" "$uiommu" run -- bash -c \
    'test -c /dev/iommu && echo -n "char "; exec 8<>/dev/iommu; echo -n "$? "; cd /; echo $(ls /dev/vfio/devices)'
check ls '/dev/iommu
/dev/vfio/devices/vfio0' "$uiommu" run -- ls /dev/iommu /dev/vfio/devices/vfio0
check "a pipeline's children" 1 "$uiommu" run -- bash -c 'ls /dev/vfio/devices | grep -c vfio'
if command -v python3 >/dev/null; then
    check python3 "['vfio0'] 1 0x6975" "$uiommu" run -- python3 -c "$probe"
    check "a child of python3 without our descriptors" "['vfio0'] 1 0x6975" "$uiommu" run -- python3 -c \
        'import subprocess, sys; subprocess.run([sys.executable, "-c", sys.argv[1]], close_fds=True)' "$probe"
fi
if command -v gdb >/dev/null; then
    check "gdb's child" "1" bash -c "'$uiommu' run -- gdb -nx -batch -ex run --args ls /dev/iommu 2>/dev/null | grep -cx /dev/iommu"
fi
for cc in gcc clang; do
    command -v $cc >/dev/null || continue
    for sanitizer in address undefined thread; do
        $cc -D_GNU_SOURCE -fsanitize=$sanitizer -g -o "$dir/asan" "$source/sanitized.c" 2>/dev/null || continue
        check "built by $cc -fsanitize=$sanitizer" "served, checked" "$uiommu" run -- "$dir/asan"
    done
    $cc -D_GNU_SOURCE -fsanitize=address -g -o "$dir/asan" "$source/sanitized.c" 2>/dev/null || continue
    check "errors are still found" 1 bash -c "ASAN_OPTIONS=symbolize=0 '$uiommu' run -- '$dir/asan' overflow 2>&1 | grep -c 'ERROR: AddressSanitizer: heap-buffer-overflow'"
    check "a child of bash built with a sanitizer" "served, checked" "$uiommu" run -- bash -c "'$dir/asan'"
done
check "an empty environment serves nothing" 2 bash -c "'$uiommu' run -- env -i ls /dev/iommu >/dev/null 2>&1; echo \$?"
check "the user's own preloads stay" yes bash -c "LD_PRELOAD= '$uiommu' run -- true && LD_PRELOAD=libc.so.6 '$uiommu' run -- bash -c '[[ \$LD_PRELOAD == *shim.so:libc.so.6 ]] && echo yes'"
exit $status
