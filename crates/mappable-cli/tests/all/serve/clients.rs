//! Clients that go away, send too slowly or read too slowly: others are served meanwhile, and nothing is held afterwards.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::server::*;
use crate::support::Place;

/// What is kept for later requests: of regions 32 MiB, and what instances' memories touched.
#[cfg(target_os = "linux")]
const KEPT: u64 = 64 << 20;

/// Begins a request with a body of 50 MB, of which it sends so many bytes.
fn begins(server: &Server, path: &str, bytes: usize) -> TcpStream {
    let mut client = server.connect();
    client.set_write_timeout(Some(PROMPT)).unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: 50000000\r\n\r\n");
    client.write_all(&[head.as_bytes(), &vec![7; bytes]].concat()).unwrap();
    client
}

/// Asks for something, and reads no more of it than so many bytes.
fn asks(server: &Server, path: &str, bytes: usize) -> TcpStream {
    let mut client = server.connect();
    client.write_all(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes()).unwrap();
    client.read_exact(&mut vec![0; bytes]).unwrap();
    client
}

/// Asks for something small of either component, and expects it in time.
#[track_caller]
fn others_are_served(server: &Server) {
    let start = Instant::now();
    server.post("/echo", b"five!").is(200, "five!");
    assert!(start.elapsed() < PROMPT, "{:?}", start.elapsed());
}

/// Waits until no more is held than what is kept.
#[cfg(target_os = "linux")]
#[track_caller]
fn nothing_is_held(server: &Server, besides: u64) {
    let start = Instant::now();
    loop {
        let (held, most) = (server.held(), KEPT + besides);
        if held < most {
            return;
        }
        assert!(start.elapsed() < PROMPT, "{held} bytes are held, and {most} may be");
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn clients_that_go_away_in_the_middle_of_a_body_leave_nothing() {
    const TABLE: u64 = 8 << 20;
    let place = Place::new();
    place.file("table.bin", table(TABLE / 16));
    for component in ["proxy.wasm", "service.wasm"] {
        // As few instances at once as a wave has clients: each must come to its end, or the next would wait for long.
        let options = ["--max-requests", "8", "--timeout", "600s", "--frozen", "table=table.bin"];
        let server = Server::new(&place, &options, component);
        for _ in 0..12 {
            let mut clients = vec![];
            // A region is filled, and pieces come and go.
            for path in ["/whole", "/whole", "/return", "/regions?1000000"] {
                clients.push(begins(&server, path, 6_000_000));
            }
            for _ in 0..4 {
                clients.push(asks(&server, "/table", 100_000));
            }
            drop(clients);
            others_are_served(&server);
        }
        // Each wave had 18 MB in regions.
        nothing_is_held(&server, TABLE);
        server.silent();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn hundreds_of_slow_clients_in_instances_cost_others_nothing() {
    const TABLE: u64 = 8 << 20;
    let place = Place::new();
    place.file("table.bin", table(TABLE / 16));
    for component in ["proxy.wasm", "service.wasm"] {
        let options = ["--max-requests", "400", "--timeout", "600s", "--frozen", "table=table.bin"];
        let server = Server::new(&place, &options, component);
        let mut clients = vec![];
        for _ in 0..100 {
            clients.push(begins(&server, "/regions?70000", 200_000));
            clients.push(begins(&server, "/echo", 200_000));
            clients.push(asks(&server, "/table", 1));
        }
        (0..5).for_each(|_| others_are_served(&server));
        drop(clients);
        others_are_served(&server);
        nothing_is_held(&server, TABLE);
        server.silent();
    }
}

#[test]
fn a_client_that_sends_nothing_for_long_loses_its_instance() {
    let place = Place::new();
    let server = Server::new(&place, &["--max-requests", "2", "--timeout", "600s"], "proxy.wasm");
    let mut clients = [begins(&server, "/whole", 200_000), begins(&server, "/whole", 200_000)];
    thread::sleep(Duration::from_millis(300));
    // Both instances wait for more, for 10 seconds at the most.
    others_are_served(&server);
    for client in &mut clients {
        let mut told = String::new();
        while !told.ends_with("ReadError::CutOff\r\n0\r\n\r\n") {
            let mut piece = [0; 4096];
            let length = client.read(&mut piece).unwrap();
            assert!(length > 0, "{told}");
            told += std::str::from_utf8(&piece[..length]).unwrap();
        }
    }
    server.silent();
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_reads_too_slowly_is_cut_off_when_time_is_up() {
    let place = Place::new();
    for component in ["proxy.wasm", "service.wasm"] {
        let server = Server::new(&place, &["--max-requests", "4", "--timeout", "2s"], component);
        let body = noise(30_000_000);
        let head = "POST /return HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 30000000\r\n\r\n";
        let mut clients: Vec<_> = (0..4)
            .map(|_| {
                let mut client = server.connect();
                client.write_all(&[head.as_bytes(), &body].concat()).unwrap();
                client
            })
            .collect();
        server.says(&["POST /return: stopped", "2s", "--timeout"]);
        nothing_is_held(&server, 0);
        let cut = Response::read(clients.remove(0));
        assert!(cut.status == 200 && !cut.whole && cut.body.len() < body.len(), "{:?}", cut.short());
        others_are_served(&server);
    }
}
