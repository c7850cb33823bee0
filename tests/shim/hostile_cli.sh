#!/bin/bash
# Malformed --device options and machine files: one line each, with the file, the line and the reason; status 1. hostile_cli.sh UIOMMU
set -u
uiommu=$(realpath "$1")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
status=0

# check PATTERN OPTIONS...: refused with one line that matches
check() {
    local pattern=$1 got out
    shift
    out=$("$uiommu" run "$@" -n 2>&1 </dev/null)
    got=$?
    [ $got = 1 ] && [[ $out =~ $pattern ]] && [ "$(wc -l <<<"$out")" = 1 ] && return
    printf 'not ok: %s\nwanted 1, "%s"; got %s, "%s"\n' "${*@Q}" "$pattern" $got "${out:0:600}"
    status=1
}

# file PATTERN LINE TEXT: the text as a machine file; the reason and the line it is told for
file() {
    printf "$3" >"$dir/m.json"
    check "^uiommu: --machine: $dir/m.json:$2: .*$1" -m "$dir/m.json"
}

long=$(head -c 3000 /dev/zero | tr '\0' a)
for spec in '' , =, rid=1 DMA 'dma ' ' dma' "$long" 'dma;' $'dma\n'; do
    check '^uiommu: --device: (unknown device|device description)' -d "$spec"
done
for spec in dma, dma,, dma,=1 dma,RID=1 dma,x dma,rid,x=1 "dma, rid=01:00.0" "dma,pasid_bits=3" $'dma,\e[31m=1'; do
    check '(unknown key .*known: rid, pasid-bits|needs a value)' -d "$spec"
done
for rid in '' 1 01:00 01:00.8 01:20.0 100:00.0 01:00.0.0 0000:01:00.0x -1:00.0 0x1:00.0 10000:01:00.0 00000:01:00.0 '01:00.0 ' :01:00.0 +1:00.0; do
    check 'rid ".*" is not like 0000:01:00.0' -d "dma,rid=$rid"
done
for bits in '' 21 -1 99999999999999999999 4294967296 1.5 0x10 '1 ' a 016; do
    check 'pasid-bits ".*" is not a number from 0 to 20' -d "dma,pasid-bits=$bits"
done
for group in '' -1 10000 99999999999999999999 0x1 '1 ' a 1,; do
    check '(group ".*" is not a number from 0 to 9999|unknown key ".*")' -d "dma,group=$group"
done
check 'more than [0-9]* devices' $(for i in $(seq 300); do echo "-d dma"; done)
check 'unknown iommu ""; known:' -i ''
check "unknown iommu" -i "$long"
check 'unknown log level ""; known:' -l ''
check 'log file' --log-file "/$long$long"

file '' 1 ''
file '' 1 '{'
file '' 2 '{\n"iommu": }'
file '' 3 '{\n"devices": [\n{ "type": "dma" ]\n}'
file '' 1 '{} {}'
file '' 2 '{\n"iommu": "generic",}'
file '' 2 "{\n'iommu': 'generic'}"
file '' 1 '\xff\xfe{}'
file 'does not hold an object' 1 '[]'
file 'does not hold an object' 1 '"x"'
file 'does not hold an object' 1 'null'
file 'does not hold an object' 1 '1e999'
file 'unknown key "x"; known: iommu, log, devices' 3 '{\n\n"x": 1}'
file 'unknown key ""; known' 1 '{"": 1}'
file 'not a string' 2 '{\n"iommu": 1}'
file 'not a string' 2 '{\n"iommu": null}'
file 'unknown iommu "x"; known' 2 '{\n"iommu": "x"}'
file 'not an array' 2 '{\n"devices": {}}'
file 'not an array' 2 '{\n"devices": "dma"}'
file 'a device is an object' 3 '{"devices": [\n{"type": "dma"},\n"dma"]}'
file 'no "type"' 3 '{"devices": [\n{"type": "dma"},\n{"rid": "02:00.0"}]}'
file 'no "type"' 1 '{"devices": [{"type": 1}]}'
file 'unknown device "nic"; known' 2 '{"devices": [\n{"type": "nic"}]}'
file 'unknown key "x"; known: rid, pasid-bits' 2 '{"devices": [\n{"type": "dma",\n"x": 1}]}' # where the device begins
file 'not a string or a whole number' 2 '{"devices": [{"type": "dma",\n"rid": []}]}'
file 'not a string or a whole number' 2 '{"devices": [{"type": "dma",\n"pasid-bits": true}]}'
file 'is not a number from 0 to 20' 1 '{"devices": [{"type": "dma", "pasid-bits": 21}]}'
file 'is not a number from 0 to 20' 1 '{"devices": [{"type": "dma", "pasid-bits": -99999999999999999999}]}'
file 'comma' 1 '{"devices": [{"type": "dma", "rid": "01:00.0,pasid-bits=3"}]}'
file 'is taken' 3 '{"devices": [{"type": "dma", "rid": "01:00.0"},\n\n{"type": "dma", "rid": "01:00.0"}]}'
file 'too long|longer' 1 "{\"devices\": [{\"type\": \"dma\", \"rid\": \"$long\"}]}"
file 'too long' 1 "{\"devices\": [{\"type\": \"$long\"}]}"
file 'comma' 1 '{"devices": [{"type": "dma,rid=01:00.0"}]}'
file 'not an object like' 1 '{"log": "fault"}'
file 'unknown key "x"; known: level, file' 2 '{"log": {\n"x": 1}}'
file 'unknown log level' 1 '{"log": {"level": "loud"}}'
file 'longer than' 1 "{\"log\": {\"file\": \"/$long$long\"}}"
file '' 1 "$(printf '[%.0s' $(seq 5000))"
check "^uiommu: --machine: $dir: " -m "$dir"
check '^uiommu: --machine: /dev/zero: ' -m /dev/zero
check '^uiommu: --machine: /dev/null:1: ' -m /dev/null
check '^uiommu: --machine: : ' -m ''
printf '{}\0{}' >"$dir/m.json"
check "^uiommu: --machine: $dir/m.json: " -m "$dir/m.json"

# The library by itself, with a description that no command has checked: one line, and the program runs without devices.
shim=$(dirname "$uiommu")/src/shim/libuiommu-shim.so
for text in 'x' 'iommu=x' 'device=dma,rid=99' 'iommu=%' 'iommu=%00' 'device=' "$long" ';;;;' 'iommu=generic;iommu=generic;device=dma;device=dma,rid=01:00.0'; do
    [ -f "$shim" ] || break
    out=$(UIOMMU_MACHINE=$text LD_PRELOAD=$shim bash -c 'test -c /dev/iommu; echo $?' 2>&1 | tail -1)
    [[ $out = [01] ]] || { echo "not ok: UIOMMU_MACHINE=$text: $out"; status=1; }
done
exit $status
