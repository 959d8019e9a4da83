#!/usr/bin/env bash
# Runs what is made with mappable.h: programs and stages, in every mode and tier, as they should be and with each mistake.
# Usage: MAPPABLE=target/debug/mappable sdk/c/tests/guests.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../tests.sh"
clang=${CLANG:-clang-19}

warnings=(-Wall -Wextra -Werror)
libc=(--target=wasm32-wasi -O2 -I "$here/../include")
stage=("${libc[@]}" -mexec-model=reactor)
# Nothing but the header: no libc, no start files, no builtins.
none=(--target=wasm32 -nostdlib -Wl,--no-entry -DMAPPABLE_NO_LIBC -O2 -I "$here/../include")

# make_stage NAME FLAG…
make_stage() {
  "$clang" "${@:2}" -o "$1.core.wasm"
  succeeds "$mappable" component --world mappable:stage/stage "$1.core.wasm" -o "$1.wasm"
}

"$clang" "${libc[@]}" "${warnings[@]}" -Wpedantic -std=c11 -D_POSIX_C_SOURCE=200809L "$here/regions.c" -o regions.wasm
"$clang" "${libc[@]}" "${warnings[@]}" -DNDEBUG "$here/regions.c" -o release.wasm
"$clang" "${libc[@]}" "${warnings[@]}" -Wno-missing-field-initializers -x c++ -std=c++17 "$here/regions.c" -o cpp.wasm
make_stage misbehave "${stage[@]}" "${warnings[@]}" "$here/stage.c"
make_stage lists-alone "${none[@]}" "${warnings[@]}" "$here/alone.c"
make_stage misbehave-release "${stage[@]}" -DNDEBUG "${warnings[@]}" "$here/stage.c"
cpp=("${clang/clang/clang++}" --target=wasm32-wasi -std=c++20 -stdlib=libc++ -fno-exceptions -O2 -I "$here/../include" "${warnings[@]}")
"${cpp[@]}" "$here/regions.cpp" -o regions++.wasm
"${cpp[@]}" -DNDEBUG "$here/regions.cpp" -o release++.wasm
"${cpp[@]}" -mexec-model=reactor "$here/../examples/contrast.cpp" -o contrast.core.wasm
succeeds "$mappable" component --world mappable:stage/stage contrast.core.wasm -o contrast.wasm
# In another order: the definitions of the header that are kept are those of the C file.
"$clang" "${libc[@]}" -c -Dmain=in_c "$here/regions.c" -o in_c.o
"${cpp[@]}" in_c.o "$here/regions.cpp" -o mixed.wasm
for name in invert threshold; do
  make_stage $name "${stage[@]}" "${warnings[@]}" -Wpedantic -std=c11 "$here/../examples/$name.c"
  make_stage $name-alone "${none[@]}" "${warnings[@]}" "$here/../examples/$name.c"
done
# Bindings have a cabi_realloc, too, and either may be the one that is kept; and they say what world they are of.
for order in bound.c:bindings/stage.c bindings/stage.c:bound.c; do
  "$clang" "${stage[@]}" "$here/${order%:*}" "$here/${order#*:}" "$here/bindings/stage_component_type.o" -o bound.core.wasm
  succeeds "$mappable" component bound.core.wasm -o "bound-${order%%[./]*}.wasm"
done

succeeds pipe -o whole.png decode
succeeds pipe -o black.png ./threshold.wasm:100
succeeds pipe -o white.png ./threshold.wasm:0
succeeds pipe -o gray.png grayscale ./invert.wasm
cmp -s black.png white.png && fail "a threshold makes no difference"
for mode in auto remap copy off; do
  for tier in baseline ledger; do
    options=(--mapping-mode "$mode" --tier "$tier")
    succeeds "$mappable" run "${options[@]}" --env MODE="$mode" regions.wasm
    succeeds "$mappable" run "${options[@]}" --env MODE="$mode" release.wasm
    succeeds "$mappable" run "${options[@]}" regions++.wasm
    succeeds "$mappable" run "${options[@]}" release++.wasm
    succeeds pipe "${options[@]}" -o out.png ./contrast.wasm:100
    cmp out.png whole.png
    for kind in '' -alone; do
      # Between stages in Rust, in sandboxes of their own and in one.
      for fused in '' --fused; do
        succeeds pipe "${options[@]}" $fused -o out.png decode ./invert$kind.wasm ./invert$kind.wasm encode
        cmp out.png whole.png
        succeeds pipe "${options[@]}" $fused -o out.png ./threshold$kind.wasm:100 ./threshold$kind.wasm
        cmp out.png black.png
      done
    done
    for name in bound-bound bound-bindings; do
      succeeds pipe "${options[@]}" -o out.png grayscale ./$name.wasm
      cmp out.png gray.png
    done
    succeeds pipe "${options[@]}" -o out.png ./misbehave.wasm
    cmp out.png whole.png
  done
done
succeeds "$mappable" run --env MODE=auto cpp.wasm
succeeds "$mappable" run mixed.wasm
succeeds pipe -o out.png ./lists-alone.wasm:abc,d
cmp out.png whole.png
says 1 'the words are wrong' pipe -o bad.png ./lists-alone.wasm:abc
succeeds pipe -o out.png ./contrast.wasm:0 ./threshold.wasm:128
cmp out.png white.png
says 1 'the contrast is a number of 0 to 1000' pipe -o bad.png ./contrast.wasm:more
says 1 'mapped.is_by_copy != can_map' "$mappable" run --env MODE=off regions.wasm
for mode in auto copy; do succeeds "$mappable" run --mapping-mode $mode --max-regions 4MiB regions.wasm quota; done

# What a mistake ends in: a sentence of the header's, or where that is left out one of the host's, in either tier.
gone='this region is gone: it was mapped, frozen, split, joined, given away or dropped before'
unknown=': unknown handle '
while IFS='|' read -r mistake sentence baseline ledger; do
  says 134 "trapped: $sentence" "$mappable" run regions.wasm misuse "$mistake"
  [ -z "$baseline" ] || says 134 "$baseline" "$mappable" run --tier baseline release.wasm misuse "$mistake"
  [ -z "$ledger" ] || says 134 "$ledger" "$mappable" run --tier ledger release.wasm misuse "$mistake"
done <<END
use-after-give|$gone|$unknown|$unknown
map-twice|$gone|$unknown|$unknown
give-while-mapped|$gone||
map-over-the-stack|this placement holds the stack: take one from mappable_placement_take||
unmap-twice|nothing is mapped here: it was unmapped or dropped before|$unknown|$unknown
free-a-placement-twice|this placement is not taken: it was given back before, or is none of mappable_placement_take||
join-with-itself|a region can't be joined with itself|$unknown|$unknown
use-frozen-after-thaw|this frozen reference is gone: it was mapped, thawed, given away or dropped before|$unknown|$unknown
END
while IFS='|' read -r mistake sentence host; do
  says 134 "trapped: $sentence" "$mappable" run regions++.wasm misuse "$mistake"
  [ -z "$host" ] || says 134 "$host" "$mappable" run release++.wasm misuse "$mistake"
done <<END
use-after-move|$gone|$unknown
map-twice|$gone|$unknown
unmap-twice|nothing is mapped here: it was unmapped or dropped before|$unknown
no-value|there is no value, but an error: look at has_value() before|
END
# A copy of an owner has the number still, so the host alone can tell.
says 134 "$unknown" "$mappable" run regions.wasm misuse use-a-copy-after-drop
says 134 'used with the wrong type' "$mappable" run --tier baseline regions.wasm misuse map-a-copy-twice
says 134 'lifted while mapped' "$mappable" run --tier ledger regions.wasm misuse map-a-copy-twice
says 134 'trapped: ' "$mappable" run regions.wasm misuse write-to-frozen

leaks='trapped: the stage still has something mapped, or a region that it neither returns nor drops'
says 4 "$leaks" pipe -o bad.png ./misbehave.wasm:leak
says 4 "$leaks" pipe -o bad.png ./misbehave.wasm:leave-mapped
says 4 "trapped: $gone" pipe -o bad.png ./misbehave.wasm:return-while-mapped
says 4 "trapped: $gone" pipe -o bad.png ./misbehave.wasm:drop-and-return
for tier in baseline ledger; do
  says 4 "trapped: unknown handle " pipe --tier $tier -o bad.png ./misbehave-release.wasm:return-while-mapped
  says 1 'it is mapped' pipe --tier $tier -o bad.png ./misbehave-release.wasm:leave-mapped
done
says 1 'it was dropped, and that is all right' pipe -o bad.png ./misbehave.wasm:drop
says 1 'its header is wrong' pipe -o bad.png ./misbehave.wasm:lie
succeeds pipe -o out.png ./misbehave.wasm:another
says 1 'the level is a number of 0 to 255' pipe -o bad.png ./threshold.wasm:256
says 1 'decode it first' pipe --exact -o bad.png ./invert-alone.wasm
[ ! -e bad.png ] || fail "a stage that failed left a picture"
echo "sdk/c/tests: what mappable.h makes runs in every mode and tier"
