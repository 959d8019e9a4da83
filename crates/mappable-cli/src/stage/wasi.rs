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

use crate::progress::Notes;

/// How many streams and timers a stage may have at once. Each is the host's memory.
const MOST_RESOURCES: usize = 1_000;

/// How much a stage may print to each of its two outputs.
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

/// Where it goes what a stage prints, and who printed it.
#[derive(Clone)]
pub(super) struct Printing {
    title: Arc<str>,
    notes: Notes,
}

impl Printing {
    pub(super) fn new(title: &str, notes: &Notes) -> Self {
        Self { title: title.into(), notes: notes.clone() }
    }
}

/// An output of a stage. It takes all that is written and shows as much as it may, line by line and with the stage's title in front.
#[derive(Clone)]
struct Printer(Arc<Mutex<Lines>>);

impl Printer {
    fn new(printing: &Printing) -> Self {
        Self(Arc::new(Mutex::new(Lines { printing: printing.clone(), line: vec![], left: MOST_PRINTED })))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Lines {
    printing: Printing,
    /// The last one, whose end has not come yet.
    line: Vec<u8>,
    /// How many more bytes are shown.
    left: usize,
}

impl Lines {
    fn write(&mut self, bytes: &[u8]) {
        if self.left == 0 {
            return;
        }
        let shown = bytes.len().min(self.left);
        for line in bytes[..shown].split_inclusive(|byte| *byte == b'\n') {
            let room = LONGEST_LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&line[..line.len().min(room)]);
            if line.ends_with(b"\n") {
                self.show();
            }
        }
        self.left -= shown;
        if self.left == 0 {
            self.end();
            self.note("(it prints more than is shown)");
        }
    }

    /// Shows the line that is begun.
    fn show(&mut self) {
        let line = mem::take(&mut self.line);
        self.note(&printable(&line));
    }

    /// Shows what has no end.
    fn end(&mut self) {
        if !self.line.is_empty() {
            self.show();
        }
    }

    fn note(&self, line: &str) {
        self.printing.notes.line(format!("{}: {line}", self.printing.title).trim_end());
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end();
    }
}

/// What anybody wrote, so that it changes nothing of a terminal but one line.
fn printable(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let shown = |c: char| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
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
    }

    #[test]
    fn a_stage_that_prints_without_end_is_shown_in_part() {
        let lines = shown(&[&b"0123456789abcde\n".repeat(1 << 20)]);
        assert_eq!(lines.len(), MOST_PRINTED / 16 + 1);
        assert!(lines.last().unwrap().contains("more than is shown"));
        let lines = shown(&[&b"x".repeat(1 << 20), b"y\n"]);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), "stage a: ".len() + LONGEST_LINE);
    }
}
