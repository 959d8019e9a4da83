#!/usr/bin/env bash
# Builds what the page loads: built/NAME, built/NAME.portable and built/NAME.copying for each stage, and built/js-host.
#
#   examples/browser/build.sh [STAGE…]     all stages, or these
#
# Needs node and npm, and the command `mappable`: MAPPABLE_COMMAND says where it is, else the workspace's own debug build is taken.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(realpath "$here/../..")
mappable=${MAPPABLE_COMMAND:-${CARGO_TARGET_DIR:-$root/target}/debug/mappable}
[[ -f $mappable && -x $mappable ]] || { echo "build.sh: there is no command $mappable: cargo build -p mappable-cli" >&2; exit 1; }

# jco is a dependency of mappable-js-host's tests too: where that has it, it need not be fetched again.
jco=$root/sdk/js-host/node_modules/.bin/jco
if [[ ! -x $jco ]]; then
  (cd "$here" && npm install --no-audit --no-fund --no-package-lock --silent)
  jco=$here/node_modules/.bin/jco
fi

built=$here/built
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$built"

# transpile COMPONENT FOLDER OPTION…
transpile() {
  "$jco" transpile "$1" -o "$built/$2" --name stage --instantiation async --no-typescript --minify --quiet "${@:3}"
}

stages=("$@")
[[ ${#stages[@]} -gt 0 ]] || stages=(decode grayscale blur sharpen edges resize encode)
for stage in "${stages[@]}"; do
  # Regions by mappable-js-host, which maps where jco gives it the guest's memory.
  transpile "$root/guests/built/$stage.wasm" "$stage" --import-bindings hybrid
  # Regions inside. Without multi-memory jco copies lists byte by byte.
  "$mappable" compose --portable --exact "$stage" -o "$scratch/$stage.wasm"
  transpile "$scratch/$stage.wasm" "$stage.portable" --multi-memory
  transpile "$root/guests/built/$stage.copying.wasm" "$stage.copying"
done
rm -rf "$built/js-host"
cp -R "$root/sdk/js-host/src" "$built/js-host"
cp "$root/crates/mappable-cli/tests/data/rocket.jpg" "$built/sample.jpg"
