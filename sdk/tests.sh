# What the tests of the packages for C, Zig and Go have in common. It is sourced, by a script that has set `here` to its own folder, and
# leaves it in an empty folder. MAPPABLE is the command.
mappable=$(realpath "${MAPPABLE:-mappable}")
picture=$here/../../../crates/mappable-cli/tests/data/chelsea.png
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

fail() { echo "sdk/${here##*/sdk/}: $*" >&2; exit 1; }

# succeeds COMMAND…
succeeds() { "$@" >out 2>&1 || { cat out; fail "failed: $*"; }; }

# says CODE TEXT COMMAND…: fails with this code and a line that has the text.
says() {
  local code=0
  "${@:3}" >out 2>&1 || code=$?
  [ "$code" = "$1" ] && grep -qF -- "$2" out || { cat out; fail "not $1 with \"$2\", but $code: ${*:3}"; }
}

pipe() { "$mappable" pipe -i "$picture" "$@"; }
