//! Bodies that come and go as regions.

use std::io::{BufRead as _, BufReader};

use super::server::*;
use crate::support::Place;

const BOTH: [&str; 2] = ["proxy.wasm", "service.wasm"];

fn looked_at(body: &[u8]) -> String {
    format!("{} {}", body.len(), body.iter().map(|byte| u64::from(*byte)).sum::<u64>())
}

#[test]
fn a_body_comes_as_one_region_of_its_length() {
    let place = Place::new();
    let body = noise(3_000_000);
    for component in BOTH {
        for mode in ["auto", "remap", "copy"] {
            let server = Server::new(&place, &["--mapping-mode", mode], component);
            for length in [1, 65_535, 65_536, 65_537, body.len()] {
                let body = &body[..length];
                server.post("/whole", body).is(200, looked_at(body));
                server.post_chunked("/whole", body).is(200, looked_at(body));
            }
            server.post("/whole", b"").is(200, "nothing");
            server.post_chunked("/whole", b"").is(200, "nothing");
            server.get("/whole").is(200, "nothing");
            server.silent();
        }
    }
}

#[test]
fn a_region_goes_back_as_the_body_of_a_response() {
    let place = Place::new();
    let body = noise(3_000_000);
    for component in BOTH {
        for mode in ["auto", "copy"] {
            let server = Server::new(&place, &["--mapping-mode", mode], component);
            for length in [0, 1, 65_536, body.len()] {
                let body = &body[..length];
                server.post("/return", body).is(200, body);
                server.post_chunked("/return", body).is(200, body);
                for piece in [1_000_000, 65_536, 70_000] {
                    server.post_chunked(&format!("/regions?{piece}"), body).is(200, body);
                    server.post(&format!("/regions?{piece}"), body).is(200, body);
                }
            }
            server.silent();
        }
    }
}

#[test]
fn a_response_of_regions_alone_says_how_long_it_is() {
    let place = Place::new();
    let server = Server::new(&place, &[], "proxy.wasm");
    let body = noise(100_000);
    assert_eq!(server.post("/return", &body).length, Some(body.len()));
    assert_eq!(server.post("/return", b"").length, Some(0));
    assert_eq!(server.post("/regions?10000", &body).length, None);
}

#[test]
fn each_byte_is_given_once_by_either_way() {
    let place = Place::new();
    let server = Server::new(&place, &[], "proxy.wasm");
    let body = noise(300_000);
    for first in [1, 65_536, 200_000] {
        let told = format!("Ok({first}) {}", body.len() - first);
        server.post(&format!("/regions-then-bytes?{first}"), &body).is(200, &told);
        server.post_chunked(&format!("/regions-then-bytes?{first}"), &body).is(200, &told);
    }
    server.post("/regions-then-bytes?300001", &body).is(200, "Ok(300000) 0");
}

#[test]
fn who_waits_for_bytes_by_wasi_gets_those_that_come_after_a_region() {
    use std::io::Write as _;

    let place = Place::new();
    let server = Server::new(&place, &[], "service.wasm");
    for _ in 0..3 {
        let mut client = server.connect();
        let head =
            "POST /both-ways?50000 HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 200000\r\n\r\n";
        client.write_all(head.as_bytes()).unwrap();
        for length in [100_000, 50_000, 50_000] {
            client.write_all(&noise(length)).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        Response::read(client).is(200, "50000 150000");
    }
}

#[test]
fn a_body_over_the_limit_is_an_error_of_the_read() {
    let place = Place::new();
    let body = noise((1 << 20) + 1);
    for component in BOTH {
        let server = Server::new(&place, &["--max-body", "1MiB"], component);
        server.post_chunked("/whole", &body[1..]).is(200, looked_at(&body[1..]));
        server.post_chunked("/whole", &body).is(200, "ReadError::TooLarge");
        assert_eq!(server.post("/whole", &body).status, 413);
        server.silent();
    }
}

#[test]
fn a_region_that_there_is_no_room_for_is_an_error_and_costs_no_byte() {
    let place = Place::new();
    let server = Server::new(&place, &["--max-regions", "128KiB"], "proxy.wasm");
    let body = noise(200_000);
    let says = |path: &str, words: &[&str]| {
        let told = String::from_utf8(server.post(path, &body).body).unwrap();
        assert!(words.iter().all(|word| told.contains(word)), "{words:?} are not all in {told}");
    };
    says("/whole", &["ReadError::NoRegion", "region-over-quota"]);
    server.post("/whole", &body[..131_072]).is(200, looked_at(&body[..131_072]));
    // All is left for who reads on.
    says("/regions-then-bytes?150000", &["ReadError::NoRegion", "region-over-quota", " 200000"]);
    says("/regions-then-bytes?0", &["ReadError::NoRegion", "invalid-region-size", " 200000"]);
    // One is on its way while the next is read: there is room for both, and for no third.
    server.post("/regions?65536", &body).is(200, &body);
}

#[test]
fn a_piece_that_comes_too_late_is_returned() {
    let place = Place::new();
    let mut server = Server::new(&place, &[], "proxy.wasm");
    server.get("/too-late").is(200, "");
    let mut line = String::new();
    BufReader::new(server.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "Err(5)\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_data_set_is_sent_to_many_and_copied_for_none() {
    use std::io::{Read as _, Write as _};

    const PAIRS: u64 = 2 << 20;
    let place = Place::new();
    place.file("table.bin", table(PAIRS));
    for component in BOTH {
        let server = Server::new(&place, &["--frozen", "table=table.bin"], component);
        let mut clients: Vec<_> = (0..16)
            .map(|_| {
                let mut client = server.connect();
                client.write_all(b"GET /table HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
                client
            })
            .collect();
        // Each has begun.
        for client in &mut clients {
            let mut begun = [0; 8192];
            client.peek(&mut begun[..1]).unwrap();
        }
        let (has, table_size) = (server.memory(), PAIRS * 16);
        assert!(has > table_size && has < 2 * table_size, "{component}: {has} bytes for a table of {table_size}");
        let mut rest = vec![];
        clients.swap_remove(3).read_to_end(&mut rest).unwrap();
        assert!(rest.ends_with(&table(PAIRS)[..]) || component == "service.wasm");
        drop(clients);
        server.get("/table").is(200, table(PAIRS));
        server.silent();
    }
}
