#!/usr/bin/env bash
# Runs stages by the package for Go in every mode and tier: its rules, the example, and each mistake.
# Usage: MAPPABLE=target/debug/mappable sdk/go/tests/run.sh   (`go` is in the PATH)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../tests.sh"

# make_stage FOLDER NAME
make_stage() {
  succeeds env GOOS=wasip1 GOARCH=wasm go build -C "$here/.." -buildmode=c-shared -o "$scratch/$2.core.wasm" "./$1/$2"
  succeeds "$mappable" component --world mappable:stage/stage "$2.core.wasm" -o "$2.wasm"
}

make_stage tests rules
make_stage tests misbehave
make_stage examples invert

succeeds pipe -o whole.png decode
succeeds pipe -o once.png ./invert.wasm
cmp -s once.png whole.png && fail "an inversion makes no difference"
# Each mode with each tier would compile 2 MB eight times.
for how in auto:ledger auto:baseline remap:ledger copy:baseline off:ledger; do
  mode=${how%:*}
  argument=$([ $mode = off ] && echo :off || true)
  options=(--mapping-mode "$mode" --tier "${how#*:}")
  succeeds pipe "${options[@]}" -o out.png "./rules.wasm$argument" ./invert.wasm "./rules.wasm$argument" ./invert.wasm
  cmp out.png whole.png
done
succeeds pipe -o gray.png ./invert.wasm grayscale ./invert.wasm
succeeds pipe --fused -o out.png ./invert.wasm grayscale ./invert.wasm
cmp out.png gray.png
says 1 'rules.go:' pipe -o bad.png ./rules.wasm:off

gone='panic: mappable: this region is gone: it was mapped, frozen, split, joined, given away or dropped before'
frozen='panic: mappable: this frozen reference is gone: it was mapped, thawed, given away or dropped before'
unmapped='panic: mappable: nothing is mapped here: it was unmapped or dropped before'
leaks='panic: mappable: the stage still has something mapped, or a region that it neither returns nor drops'
placement='panic: mappable: this placement is not taken: it was given back before, or is none of TakePlacement'
while IFS='|' read -r mistake sentence; do
  says 4 "stage ./misbehave.wasm: $sentence" pipe -o bad.png "./misbehave.wasm:$mistake"
  grep -qF 'stage ./misbehave.wasm: trapped: wasm `unreachable`' out || { cat out; fail "$mistake did not end it"; }
  # With the line of the mistake.
  grep -q 'misbehave.go:[0-9]\|stage.go:[0-9]' out || { cat out; fail "$mistake is in no line"; }
done <<END
use_after_give|$gone
map_twice|$gone
return_while_mapped|$gone
drop_and_return|$gone
freeze_twice|$frozen
unmap_twice|$unmapped
use_after_unmap|$unmapped
join_with_itself|panic: mappable: a region can't be joined with itself
leak|$leaks
leave_mapped|$leaks
fail_while_mapped|$leaks
give_a_placement_twice|$placement
give_a_part_of_a_placement_twice|$placement
give_what_is_no_placement|$placement
END
says 4 'trapped: ' pipe -o bad.png ./misbehave.wasm:write_to_frozen
says 1 'over the quota that the host has set: drop others' pipe -o bad.png ./misbehave.wasm:too_much
says 1 'it was dropped, and that is all right' pipe -o bad.png ./misbehave.wasm:drop
says 1 'its header is wrong' pipe -o bad.png ./misbehave.wasm:lie
succeeds pipe -o out.png ./misbehave.wasm:another
says 4 'trapped: the host passes longer lists than there is room for so call ReserveLists in init' \
  pipe -o bad.png "./invert.wasm:$(head -c 70000 /dev/zero | tr '\0' x)"
[ ! -e bad.png ] || fail "a stage that failed left a picture"
echo "sdk/go/tests: all passed"
