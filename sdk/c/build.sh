#!/usr/bin/env bash
# Builds the library: sdk/c/lib/libmappable.a, and the same as one object, lib/mappable.o.   Usage: sdk/c/build.sh   (from anywhere)
#
# Needs clang, llvm-ar and wasm-ld of version 16 or newer, and wasi-libc:
#   apt-get install clang-19 llvm-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32
# CLANG, AR and LD name others, and CFLAGS what they are told besides: --sysroot=… for the libc of wasi-sdk, say.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

clang=${CLANG:-clang-19} ar=${AR:-llvm-ar-19} ld=${LD:-wasm-ld-19}
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
for source in src/*.c; do
  # shellcheck disable=SC2086 # several flags
  (cd src && "$clang" --target=wasm32-wasi -std=c11 -O2 -ffunction-sections -Wall -Wextra -Werror -isystem ../include ${CFLAGS-} \
    -c "../$source" -o "$objects/$(basename "$source" .c).o")
done
mkdir -p lib
rm -f lib/libmappable.a
"$ar" rcs lib/libmappable.a "$objects"/*.o
"$ld" -r "$objects"/*.o -o lib/mappable.o
