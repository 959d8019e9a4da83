//! An HTTP component of WASI 0.3, made with the crate `wasip3`. What it does is in the path of the request.
//!
//! | path | does |
//! | --- | --- |
//! | `/echo` | sends the body of the request back, as it comes |
//! | `/pass` | gives the body of the request back unread |
//! | `/lookup?KEY` | looks a number up in the data set `table`, pairs of 64-bit numbers sorted by the first; tells the second or `none` |
//! | `/trap`, `/late-trap`, `/spin` | does that, the late one in the middle of a body |
//! | `/whole` | takes the body as one region, and tells its length and the sum of its bytes |
//! | `/return` | takes the body as one region, and gives it back as the response |
//! | `/regions?LEN` | takes the body as regions of so many bytes, and gives each back before it takes the next |
//! | `/both-ways?LEN` | reads the body by `wasi:http`, takes a region of so many bytes when that waits, and tells both lengths |
//! | `/table` | gives the data set `table` as the response |
//! | `/error` | returns an error in place of a response |

use core::future::{Future as _, poll_fn};
use core::pin::pin;
use core::task::Poll;

use bindings::mappable::data::{bodies, shared};
use mappable_guest::Mappable;
use wasip3::clocks::monotonic_clock;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::{StreamReader, StreamResult, spawn_local};
use wasip3::{wit_future, wit_stream};

#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../../../crates/mappable-cli/wit", "wit"],
        world: "mappable:service/table",
        with: { "mappable:memory/types@0.1.0": mappable_guest::bindings::types },
        generate_all,
    });
}

wasip3::http::service::export!(Service);

struct Service;

impl wasip3::exports::http::handler::Guest for Service {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        match path {
            "/pass" => Ok(respond(200, open(request))),
            "/echo" => {
                let mut input = open(request);
                let (mut output, body) = wit_stream::new();
                spawn_local(async move {
                    loop {
                        let (result, piece) = input.read(Vec::with_capacity(64 << 10)).await;
                        if !matches!(result, StreamResult::Complete(_)) || !output.write_all(piece).await.is_empty() {
                            break;
                        }
                    }
                });
                Ok(respond(200, body))
            }
            "/lookup" => Ok(match query.parse().ok().and_then(lookup) {
                Some(value) => text(200, value.to_string()),
                None => text(404, "none".to_owned()),
            }),
            "/whole" => Ok(match bodies::read(u64::MAX) {
                Ok(whole) => text(200, whole.map_or_else(|| "nothing".to_owned(), |whole| looked_at(whole.into()))),
                Err(error) => text(200, error.to_string()),
            }),
            "/return" => {
                if let Ok(Some(body)) = bodies::read(u64::MAX) {
                    let _ = bodies::write(Mappable::from(body).freeze().into());
                }
                Ok(response(200, None))
            }
            "/regions" => {
                let (output, body) = wit_stream::new();
                let len = query.parse().unwrap_or(u64::MAX);
                spawn_local(async move {
                    while let Ok(Some(region)) = bodies::read(len) {
                        if bodies::write(Mappable::from(region).freeze().into()).is_err() {
                            break;
                        }
                    }
                    drop(output);
                });
                Ok(respond(200, body))
            }
            "/both-ways" => {
                let (region, bytes) = both_ways(open(request), query.parse().unwrap_or(1)).await;
                Ok(text(200, format!("{region} {bytes}")))
            }
            "/table" => {
                if let Some(table) = shared::get("table") {
                    let _ = bodies::write(table);
                }
                Ok(response(200, None))
            }
            "/trap" => panic!("as was asked"),
            "/late-trap" => {
                let (mut output, body) = wit_stream::new();
                spawn_local(async move {
                    output.write_all(b"the beginning".to_vec()).await;
                    panic!("as was asked");
                });
                Ok(respond(200, body))
            }
            "/spin" => loop {
                core::hint::black_box(0);
            },
            "/error" => Err(ErrorCode::InternalError(Some("as was asked".to_owned()))),
            _ => Ok(text(404, "no such path".to_owned())),
        }
    }
}

// ANCHOR: lookup
fn lookup(key: u64) -> Option<u64> {
    let table = mappable_guest::Frozen::from(shared::get("table")?);
    let table = table.map().ok()?;
    let pairs = table.as_pod::<[u64; 2]>();
    pairs.binary_search_by_key(&key, |pair| pair[0]).ok().map(|at| pairs[at][1])
}
// ANCHOR_END: lookup

fn open(request: Request) -> StreamReader<u8> {
    let (_, done) = wit_future::new(|| Ok(()));
    Request::consume_body(request, done).0
}

/// How many bytes come as a region, and how many by the stream.
async fn both_ways(mut input: StreamReader<u8>, len: u64) -> (u64, usize) {
    let (mut region, mut bytes) = (0, 0);
    loop {
        let mut reading = pin!(input.read(Vec::with_capacity(64 << 10)));
        let mut waits = poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await;
        if waits.is_pending() && region == 0 {
            // Long enough for what is there to come.
            monotonic_clock::wait_for(100_000_000).await;
            waits = poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await;
            if waits.is_pending() {
                region = bodies::read(len).ok().flatten().map_or(0, |taken| Mappable::from(taken).len());
            }
        }
        let (result, piece) = match waits {
            Poll::Ready(read) => read,
            Poll::Pending => reading.await,
        };
        bytes += piece.len();
        if !matches!(result, StreamResult::Complete(_)) {
            return (region, bytes);
        }
    }
}

fn looked_at(region: Mappable) -> String {
    let bytes = region.map().expect("the memory has room for a placement");
    format!("{} {}", bytes.len(), bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>())
}

fn respond(status: u16, body: StreamReader<u8>) -> Response {
    response(status, Some(body))
}

fn response(status: u16, body: Option<StreamReader<u8>>) -> Response {
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _) = Response::new(Fields::new(), body, trailers);
    response.set_status_code(status).unwrap();
    response
}

fn text(status: u16, text: String) -> Response {
    let (mut output, body) = wit_stream::new();
    spawn_local(async move {
        output.write_all(text.into_bytes()).await;
    });
    respond(status, body)
}
