//! A WASI 0.2 command that writes its arguments into a mapped region and prints them from there.
//!
//! It prints one line, straight from the region, and fails if the region lost what was written.

#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../../wit/deps-wasi/io", "../../wit/deps-wasi/cli", "wit"],
        world: "mappable:hello-map/hello-map",
        with: { "mappable:memory/types@0.1.0": mappable_guest::bindings::types },
        generate_all,
    });

    use super::HelloMap;
    export!(HelloMap);
}

use std::io::Write;

use bindings::wasi::cli::{environment, stdout};
use mappable_guest::Mappable;

struct HelloMap;

impl bindings::exports::wasi::cli::run::Guest for HelloMap {
    fn run() -> Result<(), ()> {
        let region = Mappable::allocate(1 << 20).map_err(drop)?;
        let mut mapped = region.map().map_err(drop)?;
        let room = mapped.len();
        let mut rest = &mut mapped[..];
        write!(rest, "hello from a mapped region:").map_err(drop)?;
        for argument in environment::get_arguments().iter().skip(1) {
            write!(rest, " {argument}").map_err(drop)?;
        }
        writeln!(rest).map_err(drop)?;
        let length = room - rest.len();

        // After it is unmapped and mapped again, the region still has the text, and no more.
        let mut region = mapped.unmap();
        region.set_len(length as u64).map_err(drop)?;
        let mapped = region.map().map_err(drop)?;
        let stdout = stdout::get_stdout();
        // A write takes 4,096 bytes at most.
        for piece in mapped.chunks(4096) {
            stdout.blocking_write_and_flush(piece).map_err(drop)?;
        }
        Ok(())
    }
}
