//! A server that runs, and a client that is its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::{Place, guest};

/// How long a server may take for what takes it no time, where the machine is busy.
pub(super) const PROMPT: Duration = Duration::from_secs(20);

/// A server that runs.
pub(super) struct Server {
    pub(super) child: Child,
    pub(super) addr: SocketAddr,
    /// What it says on stderr, once it is served.
    pub(super) errors: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves a component of `guests/built`.
    pub(super) fn new(place: &Place, options: &[&str], component: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mappable"));
        command.args(["serve", "--addr", "127.0.0.1:0"]).args(options).arg(guest(component));
        command.current_dir(place.path(".")).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let addr = first.strip_prefix("Serving HTTP on http://").and_then(|rest| rest.strip_suffix('/'));
        let addr = addr.unwrap_or_else(|| panic!("{first}")).parse().unwrap();
        let errors = Arc::new(Mutex::new(vec![]));
        let said = Arc::clone(&errors);
        let reader =
            Some(thread::spawn(move || lines.map_while(Result::ok).for_each(|line| said.lock().unwrap().push(line))));
        Self { child, addr, errors, reader }
    }

    pub(super) fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.addr).unwrap();
        client.set_read_timeout(Some(3 * PROMPT)).unwrap();
        client
    }

    /// Sends this, and reads until the server has no more to say.
    pub(super) fn ask(&self, request: impl AsRef<[u8]>) -> Response {
        let mut client = self.connect();
        // It may have heard enough before all is sent.
        let _ = client.write_all(request.as_ref());
        Response::read(client)
    }

    pub(super) fn get(&self, path: &str) -> Response {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"))
    }

    pub(super) fn post(&self, path: &str, body: &[u8]) -> Response {
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        self.ask([head.as_bytes(), body].concat())
    }

    /// The same in chunks.
    pub(super) fn post_chunked(&self, path: &str, body: &[u8]) -> Response {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut request = head.into_bytes();
        for chunk in body.chunks(10_000) {
            request.extend(format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
        }
        self.ask([&request[..], b"0\r\n\r\n"].concat())
    }

    /// Waits until it has said a line with all of these.
    #[track_caller]
    pub(super) fn says(&self, words: &[&str]) {
        let start = Instant::now();
        while !self.errors.lock().unwrap().iter().any(|line| words.iter().all(|word| line.contains(word))) {
            assert!(start.elapsed() < PROMPT, "{words:?} is not in {:?}", self.errors.lock().unwrap());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What its process has, each shared page by halves: anonymous, and of regions and heaps.
    #[cfg(target_os = "linux")]
    pub(super) fn memory(&self) -> u64 {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).unwrap();
        let field = |name: &str| -> u64 {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
        };
        field("Pss_Anon:") + field("Pss_Shmem:")
    }

    /// What its regions and heaps have of the file that they are in, in bytes.
    #[cfg(target_os = "linux")]
    pub(super) fn held(&self) -> u64 {
        use std::os::unix::fs::MetadataExt as _;
        let files =
            std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().map(|file| file.unwrap().path());
        let is_ours = |path: &std::path::PathBuf| {
            std::fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("/memfd:mappable"))
        };
        files.filter(is_ours).map(|path| std::fs::metadata(path).unwrap().blocks() * 512).sum()
    }

    pub(super) fn silent(&self) {
        assert_eq!(*self.errors.lock().unwrap(), [""; 0]);
    }

    #[cfg(unix)]
    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// A response as it came.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// That its head says.
    pub(super) length: Option<usize>,
    /// It came to its end, and was not cut off.
    pub(super) whole: bool,
}

impl Response {
    pub(super) fn read(mut from: TcpStream) -> Self {
        let mut bytes = vec![];
        // A connection may be reset behind the response.
        let _ = from.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        let Some(end) = text.find("\r\n\r\n") else { panic!("no response: {text:?}") };
        let (head, mut rest) = (text[..end].to_ascii_lowercase(), &bytes[end + 4..]);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if !head.contains("transfer-encoding: chunked") {
            let length =
                head.split("content-length: ").nth(1).map(|rest| rest.lines().next().unwrap().parse().unwrap());
            let whole = length.is_none_or(|length: usize| length == rest.len());
            return Self { status, body: rest.to_vec(), length, whole };
        }
        let mut body = vec![];
        while let Some(end) = rest.windows(2).position(|end| end == b"\r\n") {
            let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            if length == 0 {
                return Self { status, body, length: None, whole: true };
            }
            let chunk = &rest[end + 2..];
            body.extend(&chunk[..length.min(chunk.len())]);
            rest = chunk.get(length + 2..).unwrap_or_default();
        }
        Self { status, body, length: None, whole: false }
    }

    #[track_caller]
    pub(super) fn is(&self, status: u16, body: impl AsRef<[u8]>) {
        assert!(self.status == status && self.whole && self.body == body.as_ref(), "{:?}", self.short());
    }

    pub(super) fn short(&self) -> (u16, bool, usize, String) {
        (self.status, self.whole, self.body.len(), String::from_utf8_lossy(&self.body).chars().take(100).collect())
    }
}

/// Keys 0, 3, 6, … with their squares.
pub(super) fn table(pairs: u64) -> Vec<u8> {
    (0..pairs).flat_map(|at| [3 * at, at * at]).flat_map(u64::to_le_bytes).collect()
}

pub(super) fn noise(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Asks for something small, and expects it at once.
#[track_caller]
pub(super) fn is_prompt(server: &Server) {
    let start = Instant::now();
    server.post("/count", b"five!").is(200, "5");
    assert!(start.elapsed() < PROMPT, "{:?}", start.elapsed());
}
