//! Draws the times of a hop as one picture: a region, the bytes as a list, and memcpy.

use super::summary::Case;
use super::{Args, Kind, Row};
use crate::report::{Across, Frame, Line, html, standing};

/// What is drawn, and how people who know nothing of the methods read it.
const DRAWN: [(Kind, &str); 4] = [
    (Kind::ListU8, "list<u8>, stock Wasmtime"),
    (Kind::Memcpy, "memcpy in the host"),
    (Kind::Swap, "region, baseline tier"),
    (Kind::Ledger, "region, ledger tier"),
];

/// The first of the cases that were measured.
pub(super) fn draw(rows: &[Row], args: &Args) -> Option<String> {
    let case = Case { rows, case: args.concurrency.first()?.case() };
    let line = |(at, (kind, method)): (usize, (Kind, &'static str))| {
        let points = args.sizes.iter().filter_map(|&bytes| Some((bytes as f64, case.at(kind, bytes)?)));
        Line { method, at, points: points.collect() }
    };
    let lines: Vec<_> = DRAWN.into_iter().enumerate().map(line).filter(|line| !line.points.is_empty()).collect();
    let title = "Handing bytes from one component to another";
    let frame = Frame { title, x: "bytes handed over", y: "time a hand-over" };
    Some(standing(&frame, Across::Bytes(html::bytes), html::tick, &lines))
}
