#!/bin/bash
# uiommu run: what it refuses, with which words and status, and what it hands over. cli.sh UIOMMU
set -u
uiommu=$(realpath "$1")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
status=0

# check STATUS PATTERN COMMAND...: the exit status, and one line that matches
check() {
    local want=$1 pattern=$2 got out
    shift 2
    out=$("$@" 2>&1)
    got=$?
    [ $got = "$want" ] && [[ $out =~ $pattern ]] && [ "$(wc -l <<<"$out")" = 1 ] && return
    printf 'not ok: %s\nwanted %s, "%s"; got %s, "%s"\n' "$*" "$want" "$pattern" $got "$out"
    status=1
}

run() { "$uiommu" run "$@"; }

check 1 '^uiommu: --device: unknown device "nic"; known: .*dma' run --device nic -- true
check 1 '^uiommu: --device: device dma: unknown key "x"; known: rid, pasid-bits' run -d dma,x=1 -- true
check 1 'rid 0000:01:00.0 is taken' run -d dma,rid=01:00.0 -d dma,rid=01:00.0 -- true
check 1 '^uiommu: --iommu: unknown iommu "x"; known: generic, vtd, smmuv3, mock$' run --iommu x -- true
check 1 '^uiommu: --log: unknown log level "x"; known: none' run --log x -- true
check 1 "^uiommu: --log-file: $dir/no/x: No such file" run --log-file "$dir/no/x" -- true
check 1 'which program' run
check 1 'unknown command "frob' "$uiommu" frob
check 127 '^uiommu: no-such-program: command not found$' run -- no-such-program
check 127 "^uiommu: $dir/x: No such file" run -- "$dir/x"
check 126 "^uiommu: $dir: is a directory$" run -- "$dir"
echo text >"$dir/plain"
check 126 "^uiommu: $dir/plain: permission denied$" run -- "$dir/plain"

# Machine files: file, line, reason.
printf '{\n "devices": [\n  { "type": "dma", "colour": 1 } ] }\n' >"$dir/m.json"
check 1 "^uiommu: --machine: $dir/m.json:3: device dma: unknown key \"colour\"; known: rid, pasid-bits" run -m "$dir/m.json" -- true
printf '{\n "iommu": \n}\n' >"$dir/m.json"
check 1 "^uiommu: --machine: $dir/m.json:3: " run -m "$dir/m.json" -- true
check 1 "^uiommu: --machine: $dir/none.json: No such file" run -m "$dir/none.json" -- true
printf '{ "iommu": "mock", "devices": [ {"type": "dma", "rid": "0000:05:00.0"} ] }' >"$dir/m.json"
check 0 '^iommu=mock;log=fault;device=dma,rid=0000:05:00.0,pasid-bits=16,group=0$' run -m "$dir/m.json" -n
check 0 '^iommu=generic;log=none;device=dma,rid=0000:05:00.0,pasid-bits=16,group=0;device=dma,rid=0000:01:00.0,pasid-bits=3,group=1$' \
    run -i generic -m "$dir/m.json" -l none -d dma,pasid-bits=3 -n
check 0 '^iommu=generic;log=fault;device=dma,rid=0000:01:00.0,pasid-bits=16,group=0$' run -n

# The image of a disk: relative names mean the same in the program; a locked one is refused before anything runs.
check 1 '^uiommu: nvme: file=PATH is missing' run -d nvme -- true
check 1 '^uiommu: --device: device nvme: unknown key "x"; known: rid, pasid-bits, group, file, size, ro$' run -d nvme,x=1 -- true
check 1 "^uiommu: nvme: $dir/d: there is no such file; size=64M, say, would make it$" run -d nvme,file="$dir/d" -- true
check 1 "^uiommu: nvme: $dir/no/d cannot be made: No such file" run -d nvme,file="$dir/no/d",size=1M -- true
check 1 "^uiommu: nvme: $dir is not a regular file$" run -d nvme,file="$dir",ro -- true
check 1 '^uiommu: nvme: size "1X" is not like 64M' run -d nvme,file="$dir/d",size=1X -- true
cd "$dir" || exit 1
check 0 "^iommu=generic;log=fault;device=nvme,rid=0000:01:00.0,pasid-bits=16,group=0,file=$dir/d,size=1M,ro=off$" \
    run -d nvme,file=d,size=1M,ro=off -n
[ "$(stat -c %s d)" = 1048576 ] || { echo 'not ok: the image has another size'; status=1; }
check 1 "^uiommu: nvme: $dir/d is in use already$" run -d nvme,file=d -d nvme,file=d -- true
check 0 '^both$' run -d nvme,file=d,ro -d nvme,file=d,ro -- echo both
cd - >/dev/null || exit 1

# Programs that take no preloaded library.
echo 'int main(void) { return 0; }' >"$dir/p.c"
if gcc -static -o "$dir/static" "$dir/p.c" 2>/dev/null; then
    check 126 "^uiommu: $dir/static: cannot be served: it is statically linked" run -- "$dir/static"
    printf '#!%s\n' "$dir/static" >"$dir/script"
    chmod +x "$dir/script"
    check 126 "^uiommu: $dir/script: its interpreter: $dir/static: cannot be served" run -- "$dir/script"
fi
if gcc -static-pie -o "$dir/pie" "$dir/p.c" 2>/dev/null; then
    check 126 'statically linked' run -- "$dir/pie"
fi
if gcc -m32 -o "$dir/p32" "$dir/p.c" 2>/dev/null; then
    check 126 'another processor' run -- "$dir/p32"
fi
cp /bin/true "$dir/suid"
if [ "$(id -u)" = 0 ] && chown nobody "$dir/suid" && chmod 4755 "$dir/suid"; then
    check 126 "^uiommu: $dir/suid: cannot be served: it is setuid" run -- "$dir/suid"
fi
printf '#!/no/such/interpreter\n' >"$dir/script"
check 126 'its interpreter: /no/such/interpreter: No such file' run -- "$dir/script"
printf '#!/bin/bash\ntest -c /dev/iommu && echo served\n' >"$dir/script"
check 0 '^served$' run -- "$dir/script"
printf 'test -c /dev/iommu && echo served\n' >"$dir/script"
check 0 '^served$' run -- "$dir/script"
check 0 '^served$' env PATH="$dir:$PATH" "$uiommu" run -- script

# The program's status and arguments are its own.
check 7 '^-x a  b$' run -- bash -c 'echo "$0 $1"; exit 7' -x 'a  b'
# The log goes where it was told to, wherever the program is.
(cd "$dir" && "$uiommu" run --log-file log -- bash -c 'cd /; exec 8<>/dev/iommu') && [ -f "$dir/log" ] || { echo "no log file"; status=1; }
# A process that used a device says in the end what it did; one that did not has nothing to say.
run --iommu vtd --log info --log-file "$dir/end" -- od -N 4 /sys/bus/pci/devices/0000:01:00.0/config >/dev/null
grep -q '^uiommu: device 0000:01:00.0: DMA of 0 bytes, 0 TLB hits, 0 walks, 0 of them nested, 0 faults$' "$dir/end" || { echo "no summary"; status=1; }
check 0 '^$' run --log info -- true
"$uiommu" run --help | grep -q -- '--device' || { echo "no help"; status=1; }
exit $status
