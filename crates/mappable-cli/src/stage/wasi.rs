//! What stages are given of WASI, since the runtimes of many languages import it: clocks, random numbers, and somewhere to print to.
//! All else is empty or refused: there are no files, no variables, no arguments, no input and no network.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView};

use crate::failure::harmless;
use crate::progress::Notes;

/// How many streams and timers a stage may have at once. Each is the host's memory.
const MOST_RESOURCES: usize = 1_000;

/// How many bytes of what a stage prints are shown: of all its instances and both outputs, with the title in front of each line.
const MOST_PRINTED: usize = 64 << 10;

/// A line is cut where it is longer.
const LONGEST_LINE: usize = 1_000;

/// WASI for one instance. It is made when the instance first asks for something of it, so that it costs the others nothing.
pub(super) struct StageWasi {
    printing: Printing,
    made: Option<(WasiCtx, ResourceTable)>,
}

impl StageWasi {
    pub(super) fn new(printing: Printing) -> Self {
        Self { printing, made: None }
    }

    pub(super) fn view(&mut self) -> WasiCtxView<'_> {
        let (ctx, table) = self.made.get_or_insert_with(|| {
            let mut table = ResourceTable::new();
            table.set_max_capacity(MOST_RESOURCES);
            let mut wasi = WasiCtxBuilder::new();
            wasi.stdout(Printer::new(&self.printing)).stderr(Printer::new(&self.printing));
            // Refused before a socket is made.
            wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
            (wasi.build(), table)
        });
        WasiCtxView { ctx, table }
    }
}

/// Where it goes what a stage prints, and who printed it. All its instances have one.
#[derive(Clone)]
pub(super) struct Printing {
    title: Arc<str>,
    notes: Notes,
    /// How many more bytes are shown.
    left: Arc<Mutex<usize>>,
}

impl Printing {
    pub(super) fn new(title: &str, notes: &Notes) -> Self {
        Self { title: title.into(), notes: notes.clone(), left: Arc::new(Mutex::new(MOST_PRINTED)) }
    }

    fn left(&self) -> MutexGuard<'_, usize> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a line, if there is room, and says once if there is none.
    fn show(&self, line: &str) {
        let line = format!("{}: {line}", self.title);
        let mut left = self.left();
        match left.checked_sub(line.len() + 1) {
            Some(rest) => {
                *left = rest;
                self.notes.line(line.trim_end());
            }
            None if *left > 0 => {
                *left = 0;
                self.notes.line(&format!("{}: (it prints more than is shown)", self.title));
            }
            None => {}
        }
    }
}

/// An output of a stage. It takes all that is written and shows as much as it may, line by line and with the stage's title in front.
#[derive(Clone)]
struct Printer(Arc<Mutex<Lines>>);

impl Printer {
    fn new(printing: &Printing) -> Self {
        Self(Arc::new(Mutex::new(Lines { printing: printing.clone(), line: vec![] })))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Lines {
    printing: Printing,
    /// The last one, whose end has not come yet.
    line: Vec<u8>,
}

impl Lines {
    fn write(&mut self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if *self.printing.left() == 0 {
                return;
            }
            let room = LONGEST_LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&line[..line.len().min(room)]);
            if line.ends_with(b"\n") {
                self.show();
            }
        }
    }

    /// Shows the line that is begun.
    fn show(&mut self) {
        let line = mem::take(&mut self.line);
        self.printing.show(&printable(&line));
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.show();
        }
    }
}

/// What anybody wrote, so that it changes nothing of a terminal but one line.
fn printable(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let shown = |c| if c == '\t' { c } else { harmless(c) };
    line.trim_end_matches(['\r', '\n']).chars().map(shown).collect()
}

impl IsTerminal for Printer {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printer {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// Stages are not given the WASI that asks for this.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        StdoutStream::async_stream(&std::io::empty())
    }
}

impl OutputStream for Printer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.lines().write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MOST_PRINTED)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Printer {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of these writes.
    fn shown(writes: &[&[u8]]) -> Vec<String> {
        let (notes, shown) = Notes::kept();
        let mut printer = Printer::new(&Printing::new("stage a", &notes));
        for bytes in writes {
            printer.write(Bytes::copy_from_slice(bytes)).unwrap();
        }
        drop(printer);
        let shown = shown.lock().unwrap();
        shown.clone()
    }

    #[test]
    fn what_is_printed_comes_line_by_line_with_a_title() {
        assert_eq!(shown(&[b"one\ntw", b"o\n\nlast"]), ["stage a: one", "stage a: two", "stage a:", "stage a: last"]);
        assert_eq!(shown(&[b"\t a\r\n"]), ["stage a: \t a"]);
        assert_eq!(shown(&[]), [""; 0]);
    }

    #[test]
    fn what_is_printed_can_do_nothing_to_a_terminal() {
        assert_eq!(shown(&[b"\x1b[2J\rerror: b\x07\xff\n"]), ["stage a: \u{fffd}[2J\u{fffd}error: b\u{fffd}\u{fffd}"]);
        assert_eq!(shown(&["a\u{202e}b\u{2066}\n".as_bytes()]), ["stage a: a\u{fffd}b\u{fffd}"]);
    }

    #[test]
    fn a_stage_that_prints_without_end_is_shown_in_part() {
        for line in ["0123456789abcde\n", "\n"] {
            let lines = shown(&[&line.repeat(1 << 20).into_bytes(), b"more\n"]);
            assert_eq!(lines.len(), MOST_PRINTED / ("stage a: ".len() + line.len()) + 1);
            assert!(lines.last().unwrap().contains("more than is shown"));
        }
        let lines = shown(&[&b"x".repeat(1 << 20), b"y\n"]);
        assert_eq!(lines, [format!("stage a: {}", "x".repeat(LONGEST_LINE))]);
    }

    #[test]
    fn instances_and_outputs_of_a_stage_have_one_bound_together() {
        let (notes, shown) = Notes::kept();
        let printing = Printing::new(&"a".repeat(1_000), &notes);
        for _ in 0..4 {
            Printer::new(&printing).write(Bytes::from(vec![b'\n'; 1 << 16])).unwrap();
        }
        let bytes: usize = shown.lock().unwrap().iter().map(|line| line.len() + 1).sum();
        assert!((MOST_PRINTED - 2_000..MOST_PRINTED + 2_000).contains(&bytes), "{bytes}");
    }
}
