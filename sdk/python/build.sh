#!/usr/bin/env bash
# Builds the package's extension, mappable/_mapped.abi3.so, which is committed, and the package's copies of the WIT packages.
#
#   sdk/python/build.sh           build
#   sdk/python/build.sh --check   fail if what is there is not what the sources make
#
# Needs clang, wasm-ld and wasi-libc: apt-get install clang-19 lld-19 wasi-libc
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
for source in native/*.c; do
  # Its own folder in paths: what is built doesn't depend on where this is.
  (cd native && clang-19 --target=wasm32-wasi -std=c11 -fPIC -O2 -fvisibility=hidden -ffile-prefix-map="$PWD=." -Wall -Wextra -Werror \
    -c "$(basename "$source")" -o "$objects/$(basename "$source" .c).o")
done
# A library in the sense of dynamic linking: componentize-py links it with CPython and libc when it makes a component.
wasm-ld-19 --experimental-pic -shared --unresolved-symbols=import-dynamic --strip-debug "$objects"/*.o -o "$objects/_mapped.abi3.so"

declare -A made=(
  [mappable/_mapped.abi3.so]=$objects/_mapped.abi3.so
  [mappable/wit/stage.wit]=../../guests/wit/stage.wit
  [mappable/wit/deps/mappable-memory/mappable.wit]=../../wit/mappable.wit
)
for file in "${!made[@]}"; do
  if [[ ${1-} == --check ]]; then
    cmp "$file" "${made[$file]}" || { echo "sdk/python/$file is stale: run sdk/python/build.sh" >&2; exit 1; }
  else
    mkdir -p "$(dirname "$file")"
    cp "${made[$file]}" "$file"
  fi
done
