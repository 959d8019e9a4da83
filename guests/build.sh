#!/usr/bin/env bash
# Builds the guests: guests/built/NAME.wasm (and NAME.copying.wasm, NAME.streams.wasm), and guests/built/SOURCES, the
# record of what they were made from.
#
#   guests/build.sh                   build, and replace what is in guests/built
#   guests/build.sh --check           fail when guests/built is not what the sources make: the sources' hashes differ
#                                     from the record or, when the record's compiler is the one here, a build does
#   guests/build.sh --check-sources   the first half of --check, which needs no compiler for WebAssembly
#   guests/build.sh --standalone PACKAGE OUT ARG…
#                                     build a guest that is a package of its own, in the folder PACKAGE, to the component
#                                     OUT (in a folder that is there), and pass ARG… to cargo
#
# Needs a compiler for wasm32-unknown-unknown. That is, in this order:
#   - a rustup toolchain with the target (`rustup target add wasm32-unknown-unknown`);
#   - Debian's, which builds its own standard library (`apt-get install rustc-web cargo-web rust-web-src lld-19`).
# GUESTS_TOOLCHAIN=rustup or =debian takes that one. (wasm32-wasip2 would do for the language, but its standard library
# makes every stage import WASI, and a stage is to import nothing but regions.)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(dirname "$here")
target=wasm32-unknown-unknown
built=$here/built

fail() { echo "guests/build.sh: $*" >&2; exit 1; }
say() { echo "guests/build.sh: $*" >&2; }

mode=build
case "${1-}" in
    '') ;;
    --check) mode=check ;;
    --check-sources) mode=check-sources ;;
    --standalone) mode=standalone ;;
    *) fail "unknown argument $1: --check, --check-sources, --standalone or none" ;;
esac

# What the components come from, relative to the project's root.
sources=(
    wit
    crates/mappable-guest/Cargo.toml crates/mappable-guest/src crates/mappable-guest/wit
    crates/mappable-cli/wit
    guests/Cargo.toml guests/Cargo.lock guests/build.sh guests/wit
    guests/image-ops/Cargo.toml guests/image-ops/src
    guests/stage-kit/Cargo.toml guests/stage-kit/src
    guests/componentize/Cargo.toml guests/componentize/src
    guests/frames guests/stages guests/portable guests/tests-guests
)

# Settings of the caller's own build have no say in this one.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR
unset RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER CARGO_INCREMENTAL RUSTC CARGO RUSTDOC

# Sets `rustc` and `cargo`, commands, and `extra`, arguments of cargo's, to those that build for the target.
rustc='' cargo='' extra=() linker=()
find_toolchain() {
    local sysroot wanted=${GUESTS_TOOLCHAIN-}
    if [[ $wanted != debian ]] && command -v rustup >/dev/null; then
        rustc=$(rustup which rustc 2>/dev/null) || rustc=''
        cargo=$(rustup which cargo 2>/dev/null) || cargo=''
        if [[ -n $rustc && -n $cargo ]]; then
            sysroot=$("$rustc" --print sysroot)
            [[ -d $sysroot/lib/rustlib/$target ]] && return
        fi
    fi
    if [[ $wanted != rustup && -x /usr/bin/rustc && -x /usr/bin/cargo ]]; then
        rustc=/usr/bin/rustc cargo=/usr/bin/cargo
        sysroot=$("$rustc" --print sysroot)
        local ld
        ld=$(compgen -c wasm-ld | grep -E '^wasm-ld(-[0-9]+)?$' | sort -V | tail -1) || ld=''
        if [[ -n $ld && -f $sysroot/lib/rustlib/src/rust/library/std/Cargo.toml ]]; then
            extra=(-Z build-std=std,panic_abort)
            linker=(-C "linker=$ld")
            export RUSTC_BOOTSTRAP=1
            return
        fi
    fi
    fail "no compiler for $target: run 'rustup target add $target', or on Debian" \
        "'apt-get install rustc-web cargo-web rust-web-src lld-19'"
}

# The tool that makes components, built natively with whichever cargo is in the PATH.
componentize=''
build_componentize() {
    cargo build --quiet --locked --release --manifest-path "$here/Cargo.toml" --package componentize \
        --target-dir "$here/target/native"
    componentize=$here/target/native/release/componentize
}

# cargo, for the guests.
cargo_guests() {
    local command=$1
    shift
    RUSTC=$rustc "$cargo" "$command" --locked --manifest-path "$here/Cargo.toml" "$@"
}

# The guests that have a feature, by directory.
guests_with() {
    local manifest
    for manifest in "$here"/stages/*/Cargo.toml "$here"/frames/stages/*/Cargo.toml "$here"/portable/Cargo.toml "$here"/tests-guests/*/Cargo.toml; do
        if grep -q "^$1 = " "$manifest"; then basename "$(dirname "$manifest")"; fi
    done
}

# build_variant OUT FEATURE SUFFIX: builds what has FEATURE to OUT/NAMESUFFIX.wasm.
build_variant() {
    local out=$1 feature=$2 suffix=$3 name packages=()
    for name in $(guests_with "$feature"); do packages+=(--package "$name"); done
    # One directory for all variants, so that the standard library is built once. Each overwrites the one before.
    local target_dir=$here/target/guests
    cargo_guests build --quiet --release --target "$target" --target-dir "$target_dir" "${extra[@]}" \
        "${packages[@]}" --features "$feature"
    for name in $(guests_with "$feature"); do
        "$componentize" component "$target_dir/$target/release/${name//-/_}.wasm" "$out/$name$suffix.wasm"
    done
}

# Sets the compiler's flags and wrapper, for all crates that are built from here on.
set_flags() {
    local sysroot home directory
    # What is downloaded is there from here on, so that its paths can be mapped.
    cargo_guests fetch --quiet
    sysroot=$("$rustc" --print sysroot)
    home=$(cd "${CARGO_HOME:-$HOME/.cargo}" && pwd -P)
    local flags=(-C "target-feature=+simd128,+bulk-memory" "${linker[@]}")
    # No path of this machine goes into the components. The last that matches counts.
    flags+=(--remap-path-prefix "$root=/mappable" --remap-path-prefix "$sysroot/lib/rustlib/src/rust=/rust")
    for directory in "$home"/registry/src/*; do
        flags+=(--remap-path-prefix "$directory=/crates")
    done
    make_wrapper
    CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}")
    export CARGO_ENCODED_RUSTFLAGS
}

# build_all OUT: builds all guests to OUT.
build_all() {
    local out=$1
    set_flags
    build_variant "$out" regions ''
    build_variant "$out" copying .copying
    build_variant "$out" streams .streams
    unset CARGO_ENCODED_RUSTFLAGS RUSTC_WRAPPER
}

# build_standalone PACKAGE OUT ARG…: builds one guest, by the guests' profile: so the standard library is built once.
build_standalone() {
    local package=$1 out=$2 name line
    name=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$package/Cargo.toml" | head -1)
    [[ -n $name ]] || fail "no name in $package/Cargo.toml"
    # Of guests/Cargo.toml: each line of its release profile as a setting.
    local profile=()
    while read -r line; do profile+=(--config "profile.release.$line"); done \
        < <(sed -n '/^\[profile.release\]$/,$ { /=/p }' "$here/Cargo.toml")
    set_flags
    RUSTC=$rustc "$cargo" build --quiet --release --manifest-path "$package/Cargo.toml" --target "$target" \
        --target-dir "$here/target/guests" "${extra[@]}" "${profile[@]}" "${@:3}"
    "$componentize" component "$here/target/guests/$target/release/${name//-/_}.wasm" "$out"
}

# cargo tells crates apart by their paths, absolute ones outside the workspace (mappable-guest's), and the compiler
# orders what it makes by that. For the guests' own crates, which have a name each, the name will do.
make_wrapper() {
    export RUSTC_WRAPPER=$here/target/rustc-by-name
    export GUESTS_ROOT=$root
    mkdir -p "$here/target"
    cat >"$RUSTC_WRAPPER" <<'END'
#!/usr/bin/env bash
arguments=() name=''
for argument in "$@"; do
    [[ $previous == --crate-name ]] && name=$argument
    if [[ $argument == metadata=* && ${CARGO_MANIFEST_DIR-} == "$GUESTS_ROOT"/* ]]; then argument=metadata=$name; fi
    arguments+=("$argument")
    previous=$argument
done
exec "${arguments[@]}"
END
    chmod +x "$RUSTC_WRAPPER"
}

# record OUT: prints the record of the components in OUT.
record() {
    "$componentize" record "$root" "$1" "${sources[@]}" -- "${@:2}"
}

build_componentize

if [[ $mode == standalone ]]; then
    [[ $# -ge 3 ]] || fail "--standalone takes a package's folder and the component to write"
    find_toolchain
    build_standalone "${@:2}"
    exit
fi

if [[ $mode == build ]]; then
    find_toolchain
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    say "building with $("$rustc" --version)"
    build_all "$fresh"
    mkdir -p "$built"
    rm -f "$built"/*.wasm
    mv "$fresh"/*.wasm "$built"
    record "$("$rustc" --version)" "$built"/*.wasm >"$built/SOURCES"
    say "built $(ls "$built"/*.wasm | wc -l) components"
    exit
fi

[[ -f $built/SOURCES ]] || fail "there is no guests/built/SOURCES: run guests/build.sh"
recorded=$(sed -n 's/^compiler //p' "$built/SOURCES")
if ! difference=$(diff "$built/SOURCES" <(record "$recorded" "$built"/*.wasm)); then
    echo "$difference" >&2
    fail "guests/built is stale: run guests/build.sh (< is what it was made from, > what is there)"
fi
if [[ $mode == check-sources ]]; then
    say "guests/built is made from these sources, says its record"
    exit
fi
find_toolchain
if [[ $("$rustc" --version) != "$recorded" ]]; then
    say "compared the sources only: guests/built was made by $recorded, and here is $("$rustc" --version)"
    exit
fi
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
build_all "$fresh"
for component in "$fresh"/*.wasm "$built"/*.wasm; do
    name=$(basename "$component")
    cmp -s "$fresh/$name" "$built/$name" || fail "guests/built/$name is not what the sources make: run guests/build.sh"
done
say "guests/built is what the sources make"
