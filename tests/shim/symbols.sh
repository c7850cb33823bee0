#!/bin/bash
# The preloaded library is one self-contained object: it needs nothing but the C library and its loader, shows nothing but the
# functions it stands before, and keeps its own names to itself. symbols.sh LIBRARY
set -eu
status=0

needed=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v -e '^libc\.so\.6$' -e '^ld-linux' || true)
[ -z "$needed" ] || { echo "needs: $needed"; status=1; }

# Every visible symbol is also one of libc's.
libc=$(ldd "$1" | sed -n 's/.*libc\.so\.6 => \([^ ]*\).*/\1/p')
names() { nm -D --defined-only "$1" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u; }
strange=$(comm -23 <(names "$1") <(names "$libc"))
[ -z "$strange" ] || { echo "visible, but not libc's:" $strange; status=1; }

# Both of each pair of names.
for name in open openat fopen stat lstat fstat fstatat pread pwrite preadv pwritev mmap readdir fcntl ftruncate; do
    for form in "$name" "${name}64"; do
        names "$1" | grep -qx "$form" || { echo "missing: $form"; status=1; }
    done
done

# Text that may be written would need the loader to patch it; the stack is not executable.
! readelf -d "$1" | grep -q TEXTREL || { echo "has text relocations"; status=1; }
! readelf -lW "$1" | grep -q 'GNU_STACK.*RWE' || { echo "wants an executable stack"; status=1; }
exit $status
