#!/usr/bin/env bash
# Runs mman.c natively and in components: in every mode and tier, with files that are copied and files that are shared.
# Usage: MAPPABLE=target/debug/mappable [ZIG=zig] sdk/c/tests/run.sh   (after build.sh; with ZIG, that compiler's programs, too)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mappable=$(realpath "${MAPPABLE:-mappable}") clang=${CLANG:-clang-19}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

flags=(-D_GNU_SOURCE -O1 -Wall -Wextra -Werror)
"$clang" "${flags[@]}" "$here/mman.c" -o native
"$clang" --target=wasm32-wasi --config="$here/../mappable.cfg" "${flags[@]}" "$here/mman.c" -o mman.wasm
"$clang" --target=wasm32-wasi --config="$here/../mappable.cfg" -Werror -x c++ - -o cpp.wasm <<'END'
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
int main() {
    int fd = open("five", O_RDONLY);
    void *bytes = mmap(nullptr, getpagesize(), PROT_READ, MAP_PRIVATE, fd, 0);
    return bytes == MAP_FAILED || static_cast<char *>(bytes)[2] != 2 || munmap(bytes, 1) != 0;
}
END
# What is printed first is printed, and what is constructed is constructed once.
"${clang/clang/clang++}" --target=wasm32-wasi --config="$here/../mappable.cfg" -Werror -fno-exceptions -x c++ - -o first.wasm <<'END'
#include <cstdio>
struct Global {
    Global() { std::puts("constructed"); }
    ~Global() { std::puts("destroyed"); }
} global;
int main() { std::puts("main"); }
END
# Flags for linking are no mistake where nothing is linked.
"$clang" --target=wasm32-wasi --config="$here/../mappable.cfg" "${flags[@]}" -c "$here/mman.c" -o mman.o
"$mappable" component mman.wasm -o component.wasm
"$clang" --target=wasm32-wasi --config="$here/../mappable.cfg" "${flags[@]}" "$here/heap.c" -o heap.wasm
"$clang" --target=wasm32-wasi -isystem "$here/../include" "${flags[@]}" "$here/mman.c" "$here/../lib/mappable.o" -o object.wasm

run() { # run NAME COMMAND…
  local name=$1
  shift
  mkdir -p files
  (cd files && "$@") >out 2>&1 || { cat out; echo "sdk/c/tests: $name failed" >&2; exit 1; }
}

run native ../native
run heap "$mappable" run --env VALUE=value ../heap.wasm argument
# What it leaves is only read then.
for mode in auto remap copy off; do
  for tier in baseline ledger; do
    options=(--mapping-mode "$mode" --tier "$tier")
    [ "$mode" = off ] && options+=(--env READS=all)
    run "${options[*]}" "$mappable" run "${options[@]}" --dir . ../component.wasm
    # Of a folder that may not be written to, files are shown as they are.
    run "${options[*]}, shared" "$mappable" run "${options[@]}" --map-files shared --dir-ro . ../component.wasm read-only
  done
done
run "C++" "$mappable" run --dir-ro . ../cpp.wasm
run "C++ that prints" "$mappable" run ../first.wasm
printf 'constructed\nmain\ndestroyed\n' | cmp - out
run "linked as an object" "$mappable" run --dir . ../object.wasm
if [ -n "${ZIG-}" ]; then
  for program in mman heap; do
    "$ZIG" cc --target=wasm32-wasi -I "$here/../include" "${flags[@]}" "$here/$program.c" "$here/../lib/mappable.o" -o "zig-$program.wasm"
  done
  run "by Zig" "$mappable" run --dir . ../zig-mman.wasm
  run "heap by Zig" "$mappable" run --env VALUE=value ../zig-heap.wasm argument
fi
for mode in auto copy; do
  run "little room, $mode" "$mappable" run --mapping-mode "$mode" --max-memory 16MiB --max-regions 64KiB --dir . ../component.wasm little room
done
echo "sdk/c/tests: all passed"
