#!/usr/bin/env bash
# Runs stages by the package for Zig in every mode and tier: its rules, the example, and each mistake.
# Usage: MAPPABLE=target/debug/mappable ZIG="python3 -m ziglang" sdk/zig/tests/run.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../tests.sh"
read -ra zig <<<"${ZIG:-zig}"

# make_stage NAME SOURCE MODE FLAG…
make_stage() {
  succeeds "${zig[@]}" build-exe -target wasm32-freestanding -fno-entry -rdynamic "-O$3" "${@:4}" --dep mappable "-Mroot=$2" \
    "-Mmappable=$here/../src/mappable.zig" "-femit-bin=$1.core.wasm"
  succeeds "$mappable" component --world mappable:stage/stage "$1.core.wasm" -o "$1.wasm"
}

make_stage rules "$here/rules.zig" ReleaseSafe
make_stage rules-small "$here/rules.zig" ReleaseSmall
make_stage posterize "$here/../examples/posterize/src/posterize.zig" ReleaseSmall
make_stage misbehave "$here/stage.zig" Debug
make_stage misbehave-small "$here/stage.zig" ReleaseSmall

succeeds pipe -o whole.png decode
succeeds pipe -o few.png ./posterize.wasm:3
cmp -s few.png whole.png && fail "fewer levels make no difference"
for mode in auto remap copy off; do
  argument=$([ $mode = off ] && echo :off || true)
  for tier in baseline ledger; do
    options=(--mapping-mode "$mode" --tier "$tier")
    succeeds pipe "${options[@]}" -o out.png "./rules.wasm$argument" "./rules-small.wasm$argument"
    cmp out.png whole.png
    for fused in '' --fused; do
      # What has few levels has them still.
      succeeds pipe "${options[@]}" $fused -o out.png ./posterize.wasm:3 ./posterize.wasm:3
      cmp out.png few.png
    done
    succeeds pipe "${options[@]}" -o out.png ./posterize.wasm:256
    cmp out.png whole.png
  done
done
says 1 'rules.zig:' pipe -o bad.png ./rules-small.wasm:off

gone='trapped: this region is gone: it was mapped, frozen, split, joined, given away or dropped before'
leaks='trapped: the stage still has something mapped, or a region that it neither returns nor drops'
unknown='trapped: unknown handle '
while IFS='|' read -r mistake sentence host; do
  says 4 "$sentence" pipe -o bad.png "./misbehave.wasm:$mistake"
  [ -z "$host" ] || for tier in baseline ledger; do says 4 "$host" pipe --tier $tier -o bad.png "./misbehave-small.wasm:$mistake"; done
done <<END
use_after_give|$gone|$unknown
map_twice|$gone|$unknown
return_while_mapped|$gone|$unknown
drop_and_return|$gone|$unknown
unmap_twice|trapped: nothing is mapped here: it was unmapped or dropped before|$unknown
map_over_the_stack|trapped: this placement holds the stack: take one from mappable.placement.take|
join_with_itself|trapped: a region can't be joined with itself|$unknown
leak|$leaks|
leave_mapped|$leaks|
write_to_frozen|trapped: |trapped: 
END
says 1 'it is mapped' pipe -o bad.png ./misbehave-small.wasm:leave_mapped
says 1 'it was dropped, and that is all right' pipe -o bad.png ./misbehave.wasm:drop
says 1 'its header is wrong' pipe -o bad.png ./misbehave.wasm:lie
succeeds pipe -o out.png ./misbehave.wasm:another
says 1 'there are 2 to 256 levels' pipe -o bad.png ./posterize.wasm:1
[ ! -e bad.png ] || fail "a stage that failed left a picture"
echo "sdk/zig/tests: all passed"
