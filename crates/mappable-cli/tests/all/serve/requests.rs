//! Requests and their responses, data sets, and what goes wrong on either side.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use super::server::*;
use crate::support::{Place, guest};

#[test]
fn a_component_of_either_world_is_served() {
    let place = Place::new();
    let body = noise(3_000_000);
    for (component, echo) in [("proxy.wasm", "/echo"), ("service.wasm", "/echo"), ("service.wasm", "/pass")] {
        let server = Server::new(&place, &[], component);
        for length in [0, 1, 65_536, body.len()] {
            server.post(echo, &body[..length]).is(200, &body[..length]);
            server.post_chunked(echo, &body[..length]).is(200, &body[..length]);
        }
        server.get("/no/such").is(404, "no such path");
        server.silent();
    }
}

#[test]
fn a_data_set_is_given_to_each_instance_by_its_name() {
    let place = Place::new();
    place.file("table.bin", table(100_000));
    for component in ["proxy.wasm", "service.wasm"] {
        for mode in ["auto", "remap", "copy"] {
            let options = ["--mapping-mode", mode, "--frozen", "table=table.bin"];
            let server = Server::new(&place, &options, component);
            server.get("/lookup?0").is(200, "0");
            server.get("/lookup?299997").is(200, (99_999_u64 * 99_999).to_string());
            server.get("/lookup?4").is(404, "none");
        }
        let server = Server::new(&place, &["--frozen", "other=table.bin"], component);
        server.get("/lookup?0").is(404, "none");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_data_set_is_held_once() {
    const PAIRS: u64 = 4 << 20;
    let place = Place::new();
    place.file("table.bin", table(PAIRS));
    let server = Server::new(&place, &["--frozen", "table=table.bin"], "proxy.wasm");
    thread::scope(|scope| {
        for client in 0..16 {
            let server = &server;
            scope.spawn(move || {
                for key in (client..PAIRS).step_by(PAIRS as usize / 20) {
                    server.get(&format!("/lookup?{}", 3 * key)).is(200, (key * key).to_string());
                }
            });
        }
    });
    let (has, table) = (server.memory(), PAIRS * 16);
    assert!(has > table && has < 2 * table, "{has} bytes for a table of {table}");
}

#[test]
fn an_instance_that_fails_is_its_own_clients_error() {
    let place = Place::new();
    for component in ["proxy.wasm", "service.wasm"] {
        let server = Server::new(&place, &["--timeout", "1s"], component);
        assert_eq!(server.get("/trap").status, 500);
        server.says(&["error: GET /trap: trapped: ", "unreachable"]);
        // What has begun is cut off, so that nobody takes it for whole.
        let late = server.get("/late-trap");
        assert_eq!((late.status, &late.body[..], late.whole), (200, &b"the beginning"[..], false));
        server.says(&["GET /late-trap: trapped"]);
        assert_eq!(server.get("/spin").status, 504);
        server.says(&["GET /spin: stopped", "1s", "--timeout"]);
        server.post("/echo", b"others go on").is(200, "others go on");
    }
    let server = Server::new(&place, &["--timeout", "1s"], "service.wasm");
    assert_eq!(server.get("/error").status, 500);
    server.says(&["GET /error: it gave an error", "as was asked"]);

    let server = Server::new(&place, &["--timeout", "1s", "--max-memory", "32MiB"], "proxy.wasm");
    assert_eq!(server.get("/wait?60000").status, 504);
    server.says(&["GET /wait: stopped"]);
    assert!(!server.get("/late-spin").whole);
    server.says(&["GET /late-spin: stopped"]);
    assert_eq!(server.get("/nothing").status, 500);
    server.says(&["GET /nothing: it gave no response"]);
    assert_eq!(server.get("/grow").status, 500);
    server.says(&["GET /grow: ran out of memory", "32.00 MiB"]);
    // What was asked for is told without its query, and in one line whatever it is.
    assert!(server.errors.lock().unwrap().iter().all(|line| line.starts_with("error: GET /") && !line.contains('?')));
}

#[test]
fn what_an_instance_does_behind_its_response_is_done() {
    let place = Place::new();
    let mut server = Server::new(&place, &[], "proxy.wasm");
    server.get("/after?one").is(200, "responded");
    let mut line = String::new();
    BufReader::new(server.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
}

#[test]
fn a_body_has_a_limit() {
    let place = Place::new();
    let server = Server::new(&place, &["--max-body", "1MiB"], "proxy.wasm");
    let body = noise((1 << 20) + 1);
    server.post("/count", &body[1..]).is(200, "1048576");
    server.post_chunked("/count", &body[1..]).is(200, "1048576");
    assert_eq!(server.post("/count", &body).status, 413);
    // A chunked body does not state its length: the instance gets an error when it reads past the limit.
    let cut = server.post_chunked("/count", &body);
    assert!(
        cut.status == 200 && String::from_utf8_lossy(&cut.body).contains("body size exceeds limit"),
        "{:?}",
        cut.short()
    );
    let server = Server::new(&place, &["--max-body", "1KiB"], "proxy.wasm");
    assert_eq!(server.post_chunked("/count", &body[..1025]).status, 413);
    server.post_chunked("/count", &body[..1024]).is(200, "1024");
    server.silent();
}

#[test]
fn slow_clients_cost_others_nothing() {
    let place = Place::new();
    // Two instances at once: a slow client that had one would be seen.
    let server = Server::new(&place, &["--max-requests", "2", "--timeout", "60s"], "proxy.wasm");
    let begun = [
        "",
        "G",
        "POST /count HTTP/1.1\r\nHost: h",
        "POST /count HTTP/1.1\r\nHost: here\r\nContent-Length: 60000\r\n\r\nfive!",
    ];
    let clients: Vec<_> = (0..1_200)
        .map(|at| {
            let mut client = server.connect();
            client.write_all(begun[at % begun.len()].as_bytes()).unwrap();
            client
        })
        .collect();
    (0..10).for_each(|_| is_prompt(&server));
    drop(clients);
    is_prompt(&server);
    server.silent();
}

#[test]
fn a_client_that_goes_away_takes_its_instance_with_it() {
    let place = Place::new();
    let server = Server::new(&place, &["--max-requests", "2", "--timeout", "600s"], "proxy.wasm");
    for _ in 0..3 {
        for path in ["/spin", "/late-spin", "/wait?600000"] {
            let mut client = server.connect();
            client.write_all(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(30));
        }
        // In the middle of a body that an instance reads, and of one that it writes.
        for path in ["/count", "/echo"] {
            let mut client = server.connect();
            let head = format!("POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: 50000000\r\n\r\n");
            client.write_all(&[head.as_bytes(), &[7; 200_000]].concat()).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        }
        is_prompt(&server);
    }
    server.silent();
}

#[test]
fn so_many_requests_are_in_instances_at_once_and_others_wait_for_so_long() {
    let place = Place::new();
    let server = Server::new(&place, &["--max-requests", "1", "--timeout", "2s"], "proxy.wasm");
    let ask = |paths: [&str; 3]| {
        thread::scope(|scope| {
            let asked = paths.map(|path| {
                let server = &server;
                scope.spawn(move || server.get(path).status)
            });
            asked.map(|asked| asked.join().unwrap())
        })
    };
    assert_eq!(ask(["/wait?100", "/wait?100", "/wait?100"]), [200; 3]);
    let mut statuses = ask(["/spin"; 3]);
    statuses.sort_unstable();
    assert!(statuses[0] == 503 && statuses[2] == 504, "{statuses:?}");
    server.says(&["GET /spin: no instance in time", "--max-requests"]);
}

#[cfg(unix)]
#[test]
fn a_server_that_is_told_to_stop_lets_requests_finish_that_began() {
    use rustix::process::Signal;

    let place = Place::new();
    for signal in [Signal::INT, Signal::TERM] {
        let mut server = Server::new(&place, &["--grace", "60s"], "proxy.wasm");
        // Who is connected and asks for nothing is not waited for.
        let idle = server.connect();
        let mut client = server.connect();
        client.write_all(b"GET /wait?1000 HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        thread::sleep(Duration::from_millis(300));
        server.signal(signal);
        Response::read(client).is(200, "waited");
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
        assert!(TcpStream::connect(server.addr).is_err());
        server.silent();
        drop(idle);
    }
    let mut server = Server::new(&place, &["--grace", "100ms"], "proxy.wasm");
    let mut client = server.connect();
    client.write_all(b"GET /spin HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    thread::sleep(Duration::from_millis(300));
    server.signal(Signal::TERM);
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    server.says(&["error: cut short", "100ms", "--grace"]);
}

#[test]
fn what_can_not_be_served() {
    let place = Place::new();
    let app = guest("proxy.wasm");
    let app = app.to_str().unwrap();
    let serve = |args: &[&str]| place.mappable([&["serve", "--addr", "127.0.0.1:0"], args].concat());
    serve(&["missing.wasm"]).fails(3, &["missing.wasm", "No such file"]);
    let command = guest("hello-map.wasm");
    serve(&[command.to_str().unwrap()])
        .fails(3, &["hello-map.wasm", "wasi:http/incoming-handler@0.2", "wasi:http/handler@0.3"]);
    serve(&["--frozen", "table=nowhere", app]).fails(1, &["--frozen table=nowhere", "No such file"]);
    place.file("table", "");
    serve(&["--frozen", "a=table", "--frozen", "a=table", app]).fails(2, &["--frozen a", "two"]);
    assert_eq!(serve(&["--frozen", "table", app]).code(), 2);
    serve(&["--dir", "nowhere", app]).fails(1, &["--dir nowhere", "No such file"]);
    let server = Server::new(&place, &[], "proxy.wasm");
    let addr = server.addr.to_string();
    place.mappable(["serve", "--addr", &addr, app]).fails(1, &[&addr, "in use"]);
}

#[test]
fn a_second_start_compiles_nothing() {
    let place = Place::new();
    let kept = || std::fs::read_dir(place.path("kept")).map_or(0, Iterator::count);
    for _ in 0..2 {
        is_prompt(&Server::new(&place, &["--cache", "kept"], "proxy.wasm"));
        assert_eq!(kept(), 1);
    }
}
