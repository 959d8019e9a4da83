#!/usr/bin/env bash
# Builds programs from elsewhere, unchanged, natively and with the library, and compares what they print and write:
#   SQLite          the crate libsqlite3-sys; sqlite.c is what calls it
#   gzip            that of libdeflate, which maps its input: Debian's source package
#   look            finds the lines of a sorted file that begin with a word, in the file as it maps it: Debian's util-linux
#   cdb             a database of constant keys, which it maps, with its own tests: Debian's source package tinycdb
#
# Usage: MAPPABLE=target/debug/mappable sdk/c/programs/run.sh [--quick]   (after build.sh; --quick tries one mode instead of all)
#
# Sources come from the registries' ordinary clients, into sdk/c/target. Macros stand for functions that wasi-libc lacks.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mappable=$(realpath "${MAPPABLE:-mappable}") clang=${CLANG:-clang-19}
sources=$here/../target
mkdir -p "$sources"
sources=$(cd "$sources" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

wasm=("$clang" --target=wasm32-wasi "--config=$here/../mappable.cfg" -w)
native=("$clang" -w)

settings=()
for mode in auto remap copy off; do
  for tier in baseline ledger; do settings+=("--mapping-mode $mode --tier $tier"); done
done
[ "${1-}" = --quick ] && settings=("--mapping-mode auto --tier auto")

fail() { echo "sdk/c/programs: $*" >&2; exit 1; }

# debian PACKAGE: prints the folder of its source, of the release that this machine has.
debian() {
  local package=$1 apt=$sources/apt folder
  folder=$(find "$sources" -maxdepth 1 -type d -name "$package-*" | head -1)
  if [ -z "$folder" ]; then
    mkdir -p "$apt/parts" "$apt/lists/partial"
    # The machine's own archives, for sources.
    for list in /etc/apt/sources.list.d/*.sources; do
      if grep -q '^Suites:.*bookworm\|^URIs:.*debian' "$list"; then sed 's/^Types: deb$/Types: deb-src/' "$list" >"$apt/parts/$(basename "$list")"; fi
    done
    [ -f /etc/apt/sources.list ] && sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$apt/parts/main.list"
    local options=(-qq -o "Dir::Etc::sourceparts=$apt/parts" -o Dir::Etc::sourcelist=none -o "Dir::State::lists=$apt/lists"
      -o APT::Sandbox::User=root)
    (cd "$sources" && apt-get "${options[@]}" update && apt-get "${options[@]}" source "$package") >"$apt/log" 2>&1 ||
      { cat "$apt/log" >&2; fail "no source of $package"; }
    folder=$(find "$sources" -maxdepth 1 -type d -name "$package-*" | head -1)
  fi
  echo "$folder"
}

# same NAME EXPECTED FOUND: two files with the same bytes.
same() { cmp "$2" "$3" || { diff "$2" "$3" | head -20; fail "$1 is not what the native program makes"; }; }

sqlite() {
  cargo vendor --quiet --locked --versioned-dirs --manifest-path "$here/crates/Cargo.toml" "$sources/vendor" >/dev/null
  local source
  source=$(echo "$sources"/vendor/libsqlite3-sys-*/sqlite3)
  local flags=(-O1 -DSQLITE_MAX_MMAP_SIZE=0x7fff0000 -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -I "$source")
  "${wasm[@]}" "${flags[@]}" -include sys/mman.h "$source/sqlite3.c" "$here/sqlite.c" -o sqlite.wasm &
  "${native[@]}" "${flags[@]}" -O0 -D_GNU_SOURCE "$source/sqlite3.c" "$here/sqlite.c" -lm -o sqlite
  wait $!
  ./sqlite words.db 'create table t(a integer primary key, b text); create index i on t(b);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 30000) insert into t select i, printf("%x", i * 7919) from n' >/dev/null
  local query='pragma mmap_size = 1073741824; select count(*), sum(a), min(b), max(b) from t; select * from t where b like "%face%";
    select substr(b, 1, 2), count(*) from t group by 1 order by 2 desc, 1 limit 20; pragma integrity_check'
  # Without locks: that VFS alone maps files, of those that need none.
  local file='file:words.db?vfs=unix-none'
  ./sqlite "$file" "$query" >sqlite.expected
  grep -qx mapped sqlite.expected || fail "SQLite maps nothing"
  for setting in "${settings[@]}"; do
    for held in snapshot shared; do
      # shellcheck disable=SC2086 # several options
      "$mappable" run $setting --map-files "$held" --dir-ro . sqlite.wasm "$file" "$query" >sqlite.found
      same "SQLite's output ($setting, $held)" sqlite.expected sqlite.found
    done
    # A file that it writes to can't be mapped, and SQLite goes on without.
    cp words.db native.db
    cp words.db found.db
    local change='pragma mmap_size = 1073741824; delete from t where a % 3 = 0; insert into t(b) select b || "!" from t limit 5000; vacuum'
    ./sqlite 'file:native.db?vfs=unix-none' "$change" "$query" | grep -v mapped >sqlite.expected.written
    # shellcheck disable=SC2086
    "$mappable" run $setting --dir . sqlite.wasm 'file:found.db?vfs=unix-none' "$change" "$query" >sqlite.found
    grep -v mapped sqlite.found >sqlite.found.written
    same "what SQLite says of its changes ($setting)" sqlite.expected.written sqlite.found.written
    ./sqlite 'file:found.db?vfs=unix-none' "$query" | grep -v mapped >sqlite.found.written
    ./sqlite 'file:native.db?vfs=unix-none' "$query" | grep -v mapped >sqlite.expected.written
    same "what SQLite wrote ($setting)" sqlite.expected.written sqlite.found.written
  done
}

gzip_of_libdeflate() {
  local source
  source=$(debian libdeflate)
  cp -r "$source" libdeflate
  CC="${wasm[*]}" sh libdeflate/scripts/detect.sh >libdeflate/programs/config.h
  local files=(libdeflate/lib/*.c libdeflate/programs/{prog_util,tgetopt,gzip}.c)
  local flags=(-O2 -DHAVE_CONFIG_H -D_FILE_OFFSET_BITS=64 -D_POSIX_C_SOURCE=200809L -I libdeflate)
  "${wasm[@]}" "${flags[@]}" '-Dfchmod(file, mode)=0' '-Dfchown(file, user, group)=0' "${files[@]}" -o gzip.wasm
  "${native[@]}" "${flags[@]}" "${files[@]}" libdeflate/lib/*/cpu_features.c -o deflate
  printf x >small
  cat "$source"/lib/*.c >text
  head -c 3000000 /dev/urandom >noise
  for file in small text noise; do
    ./deflate -c "$file" >"$file.gz"
    for setting in "${settings[@]}"; do
      for held in snapshot shared; do
        # shellcheck disable=SC2086
        "$mappable" run $setting --map-files "$held" --dir-ro . gzip.wasm -c "$file" >found
        same "$file, compressed ($setting, $held)" "$file.gz" found
        # shellcheck disable=SC2086
        "$mappable" run $setting --map-files "$held" --dir-ro . gzip.wasm -dc "$file.gz" >found
        same "$file.gz, expanded ($setting, $held)" "$file" found
      done
    done
  done
}

look() {
  local source
  source=$(debian util-linux)
  local flags=(-O2 -I "$source/include" -D_GNU_SOURCE '-DPACKAGE_STRING="look"' -DHAVE_NANOSLEEP -DHAVE_FSYNC)
  mkdir -p headers
  : >headers/grp.h
  # It asks whether stdout can be closed, by a copy.
  "${wasm[@]}" "${flags[@]}" -I headers '-Dsetgid(id)=0' '-Dgetgid()=0' '-Dsetuid(id)=0' '-Dgetuid()=0' '-Ddup(file)=open(".", O_RDONLY)' \
    "$source/misc-utils/look.c" -o look.wasm
  "${native[@]}" "${flags[@]}" -DHAVE_ERR_H -DHAVE_PROGRAM_INVOCATION_SHORT_NAME "$source/misc-utils/look.c" -o look
  seq -f 'word%07g' 1 200000 >words
  for setting in "${settings[@]}"; do
    for held in snapshot shared; do
      for word in word0012 word0000001 word0200000 nothing zebra ""; do
        local status=0 expected_status=0
        ./look "$word" words >look.expected || expected_status=$?
        # shellcheck disable=SC2086
        "$mappable" run $setting --map-files "$held" --dir-ro . look.wasm "$word" words >look.found || status=$?
        same "what look finds for '$word' ($setting, $held)" look.expected look.found
        [ "$status" = "$expected_status" ] || fail "look exits with $status and not with $expected_status ($word, $setting, $held)"
      done
    done
  done
}

cdb() {
  local source
  source=$(debian tinycdb)
  "${wasm[@]}" -O2 '-Dumask(mode)=0' "$source"/cdb.c "$source"/cdb_*.c -o cdb.wasm
  # The tests call `cdb`. The last needs a limit on files that a host can't live with, and WASI 0.2 has no exit code above 1.
  sed '/^echo Handling file size limits/,$d' "$source/tests.sh" >cdb.tests
  expected() { sed '/^Handling file size limits/,$d' "$source/tests.ok" | sed -E 's/^(2|100|111)$/1/'; }
  expected >cdb.expected
  for setting in "${settings[@]}"; do
    printf '#!/bin/sh\nexec "%s" run %s --dir . "%s" "$@"\n' "$mappable" "$setting" "$scratch/bin/cdb" >run-cdb
    mkdir -p bin
    cp cdb.wasm bin/cdb
    chmod +x run-cdb
    sh cdb.tests ./run-cdb >cdb.found 2>&1
    same "what the tests of cdb print ($setting)" cdb.expected cdb.found
  done
}

cd "$scratch"
for program in cdb look gzip_of_libdeflate sqlite; do
  begin=$SECONDS
  "$program"
  echo "sdk/c/programs: $program does what it does natively ($((SECONDS - begin)) s)"
done
