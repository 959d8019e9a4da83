//! The stages that are part of the command, as `guests/build.sh` builds them. `stages/` has links to them, which a
//! package has as files.

/// A stage of both worlds.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    /// What it does and takes, for the help.
    pub(crate) about: &'static str,
    /// Of world `stage`.
    pub(crate) regions: &'static [u8],
    /// Of world `copying-stage`.
    pub(crate) copying: &'static [u8],
}

macro_rules! guest {
    ($($file:tt)*) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/stages/", $($file)*))
    };
}

macro_rules! builtins {
    ($($name:literal $about:literal,)*) => {
        &[$(Builtin {
            name: $name,
            about: $about,
            regions: guest!(concat!($name, ".wasm")),
            copying: guest!(concat!($name, ".copying.wasm")),
        }),*]
    };
}

/// All of them, in the order of the help.
pub(crate) const BUILTINS: &[Builtin] = builtins! {
    "decode" "PNG or JPEG to pixels; put first when it is missing",
    "invert" "the negative",
    "grayscale" "to luminance",
    "blur" "Gaussian; RADIUS in pixels, 0 to 100",
    "sharpen" "AMOUNT, 0 to 10",
    "edges" "Sobel's operator, on luminance",
    "resize" "WIDTHxHEIGHT, WIDTH, xHEIGHT or PERCENT%",
    "encode" "to PNG; fast, default or best; put last when it is missing",
};

/// Two stages in one (world `pair`), to compose stages with.
pub(crate) const PAIR: &[u8] = guest!("pair.wasm");

/// Regions in plain WebAssembly, for compositions that run on any host.
pub(crate) const PORTABLE: &[u8] = guest!("portable.wasm");

/// A step on regions as one on lists (world `lists`).
pub(crate) const LISTS: &[u8] = guest!("lists.wasm");

/// The stage that does no work, by which handing over is measured. Not offered to users.
pub(crate) const IDLE: Builtin = Builtin {
    name: "idle",
    about: "",
    regions: include_bytes!("idle.wat"),
    copying: include_bytes!("idle.copying.wat"),
};
