//! The bodies of a request and of its response as regions.
//!
//! | path | does |
//! | --- | --- |
//! | `/whole` | takes the body as one region, and tells its length and the sum of its bytes |
//! | `/return` | takes the body as one region, and gives it back as the response |
//! | `/regions?LEN` | takes the body as regions of so many bytes, and gives each back before it takes the next |
//! | `/regions-then-bytes?LEN` | takes a region of so many bytes, and counts what is left by `wasi:http` |
//! | `/table` | gives the data set `table` as the response |
//! | `/too-late` | responds with no body, tries to give a piece of it, and prints what came of it |

use mappable_guest::{Frozen, Mappable};
use wasip2::http::types::{Fields, IncomingRequest, OutgoingResponse, ResponseOutparam};

use crate::bindings::mappable::data::{bodies, shared};
use crate::{count, finish, open, println, respond, text};

pub(crate) fn handle(path: &str, len: u64, request: &IncomingRequest, answer: ResponseOutparam) {
    match path {
        "/whole" => match read(len) {
            Ok(whole) => text(answer, 200, &whole.map_or_else(|| "nothing".to_owned(), looked_at)),
            Err(error) => text(answer, 200, &error),
        },
        "/return" => send_back(answer),
        "/regions" => echo(answer, len),
        "/regions-then-bytes" => {
            let first = read(len).map(|region| region.map_or(0, |region| region.len()));
            let (_body, input) = open(request);
            text(answer, 200, &format!("{first:?} {}", count(&input)));
        }
        "/table" => {
            if let Some(table) = shared::get("table") {
                let _ = bodies::write(table);
            }
            ResponseOutparam::set(answer, Ok(OutgoingResponse::new(Fields::new())));
        }
        "/too-late" => {
            ResponseOutparam::set(answer, Ok(OutgoingResponse::new(Fields::new())));
            let piece = Mappable::allocate(5).expect("there is room").freeze();
            let came = bodies::write(piece.into()).map_err(|piece| Frozen::from(piece).len());
            println(&format!("{came:?}"));
        }
        _ => text(answer, 404, "no such path"),
    }
}

fn read(len: u64) -> Result<Option<Mappable>, String> {
    bodies::read(len).map(|region| region.map(Mappable::from)).map_err(|error| error.to_string())
}

fn looked_at(region: Mappable) -> String {
    let bytes = region.map().expect("the memory has room for a placement");
    format!("{} {}", bytes.len(), bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>())
}

// ANCHOR: send-back
/// The whole body is one region, which is the response's body: it has a known length.
fn send_back(answer: ResponseOutparam) {
    if let Ok(Some(body)) = bodies::read(u64::MAX) {
        let body = Mappable::from(body).freeze();
        let _ = bodies::write(body.into());
    }
    ResponseOutparam::set(answer, Ok(OutgoingResponse::new(Fields::new())));
}
// ANCHOR_END: send-back

// ANCHOR: echo
/// The body comes and goes region by region. It ends with the body of `wasi:http`.
fn echo(answer: ResponseOutparam, len: u64) {
    let (body, output) = respond(answer, 200);
    while let Ok(Some(region)) = bodies::read(len) {
        let piece = Mappable::from(region).freeze();
        if bodies::write(piece.into()).is_err() {
            return; // The client is gone.
        }
    }
    finish(body, output);
}
// ANCHOR_END: echo
