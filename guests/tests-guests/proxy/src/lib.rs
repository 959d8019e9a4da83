//! An HTTP component of WASI 0.2, made with the crate `wasip2`. What it does is in the path of the request.
//!
//! | path | does |
//! | --- | --- |
//! | `/echo` | sends the body of the request back, as it comes |
//! | `/count` | reads the body, and tells how many bytes it has or why it ended |
//! | `/lookup?KEY` | looks a number up in the table, and tells its value or `none` |
//! | `/wait?MS` | waits, and responds |
//! | `/trap`, `/late-trap`, `/spin`, `/late-spin`, `/nothing` | does that, the late ones in the middle of a body |
//! | `/grow` | takes memory until there is none, and traps |
//! | `/whole`, `/return`, `/regions?LEN`, `/regions-then-bytes?LEN`, `/table`, `/too-late` | takes and gives bodies as regions: see `bodies.rs` |
//! | `/after?NAME` | responds, and prints a line after a while |
//!
//! The table is a file or data set `table`: pairs of 64-bit numbers, keys and values, sorted by key. With the feature
//! `regions` it is mapped, with `copying` it is read piece by piece from `table` in the first folder that is given.

use std::io::Write as _;

use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

#[cfg(feature = "regions")]
mod bodies;
mod table;

#[cfg(feature = "regions")]
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../../../crates/mappable-cli/wit", "wit"],
        world: "mappable:proxy/table",
        with: { "mappable:memory/types@0.1.0": mappable_guest::bindings::types },
        generate_all,
    });
}

wasip2::http::proxy::export!(Proxy);

struct Proxy;

impl wasip2::exports::http::incoming_handler::Guest for Proxy {
    fn handle(request: IncomingRequest, answer: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        match path {
            "/echo" => {
                let (body, input) = open(&request);
                let (response, output) = respond(answer, 200);
                copy(&input, &output);
                drop((input, body));
                finish(response, output);
            }
            "/count" => {
                let (body, input) = open(&request);
                let counted = count(&input);
                drop((input, body));
                text(answer, 200, &counted);
            }
            "/lookup" => match query.parse().map(table::lookup) {
                Ok(Some(value)) => text(answer, 200, &value.to_string()),
                Ok(None) => text(answer, 404, "none"),
                Err(error) => text(answer, 400, &error.to_string()),
            },
            "/wait" => {
                wait(query.parse().unwrap_or(0));
                text(answer, 200, "waited");
            }
            "/trap" => panic!("as was asked"),
            "/late-trap" | "/late-spin" => {
                let (_response, output) = respond(answer, 200);
                output.blocking_write_and_flush(b"the beginning").unwrap();
                assert_eq!(path, "/late-spin", "as was asked");
                spin();
            }
            "/spin" => spin(),
            "/nothing" => {}
            "/grow" => {
                let mut all = Vec::new();
                while all.len() < 1 << 20 {
                    all.push(vec![1_u8; 1 << 20]);
                }
            }
            "/after" => {
                text(answer, 200, "responded");
                wait(100);
                println(query);
            }
            #[cfg(feature = "regions")]
            _ => bodies::handle(path, query.parse().unwrap_or(u64::MAX), &request, answer),
            #[cfg(not(feature = "regions"))]
            _ => text(answer, 404, "no such path"),
        }
    }
}

fn open(request: &IncomingRequest) -> (IncomingBody, InputStream) {
    let body = request.consume().unwrap();
    let input = body.stream().unwrap();
    (body, input)
}

/// Begins a response.
fn respond(answer: ResponseOutparam, status: u16) -> (OutgoingBody, OutputStream) {
    let response = OutgoingResponse::new(Fields::new());
    response.set_status_code(status).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(answer, Ok(response));
    let output = body.write().unwrap();
    (body, output)
}

fn finish(body: OutgoingBody, output: OutputStream) {
    drop(output);
    // A client that is gone has no use for it.
    let _ = OutgoingBody::finish(body, None);
}

fn text(answer: ResponseOutparam, status: u16, text: &str) {
    let (body, mut output) = respond(answer, status);
    let _ = output.write_all(text.as_bytes());
    finish(body, output);
}

/// Until the input ends, or nobody takes the output.
fn copy(input: &InputStream, output: &OutputStream) {
    while let Ok(piece) = input.blocking_read(64 << 10) {
        let mut rest = &piece[..];
        while !rest.is_empty() {
            match output.check_write() {
                Ok(0) => output.subscribe().block(),
                Ok(room) => {
                    let (now, later) = rest.split_at(rest.len().min(room as usize));
                    if output.write(now).is_err() {
                        return;
                    }
                    rest = later;
                }
                Err(_) => return,
            }
        }
    }
}

fn count(input: &InputStream) -> String {
    let mut bytes = 0;
    loop {
        match input.blocking_read(64 << 10) {
            Ok(piece) => bytes += piece.len(),
            Err(StreamError::Closed) => return bytes.to_string(),
            Err(StreamError::LastOperationFailed(error)) => return error.to_debug_string(),
        }
    }
}

fn wait(milliseconds: u64) {
    monotonic_clock::subscribe_duration(milliseconds * 1_000_000).block();
}

fn spin() -> ! {
    loop {
        core::hint::black_box(0);
    }
}

fn println(line: &str) {
    let _ = writeln!(wasip2::cli::stdout::get_stdout(), "{line}");
}
