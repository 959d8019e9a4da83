//! A command of WASI 0.3, made with the crate `wasip3`, that writes its arguments into a mapped region and prints them from
//! there.

use std::io::Write as _;

use mappable_guest::Mappable;
use wasip3::cli::{environment, stdout};
use wasip3::wit_bindgen::spawn_local;
use wasip3::wit_stream;

wasip3::cli::command::export!(Command);

struct Command;

impl wasip3::exports::cli::run::Guest for Command {
    async fn run() -> Result<(), ()> {
        let mut mapped = Mappable::allocate(1 << 20).map_err(drop)?.map().map_err(drop)?;
        let room = mapped.len();
        let mut rest = &mut mapped[..];
        writeln!(rest, "hello later: {}", environment::get_arguments()[1..].join(" ")).map_err(drop)?;
        let length = room - rest.len();
        let (mut output, text) = wit_stream::new();
        spawn_local(async move {
            output.write_all(mapped[..length].to_vec()).await;
        });
        stdout::write_via_stream(text).await.map_err(drop)
    }
}
