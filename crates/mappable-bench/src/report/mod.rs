//! `--report DIR`: a benchmark's figures as a page that needs nothing but itself, made from the JSON that all of them
//! share.

mod chart;
pub(crate) mod html;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

pub(crate) use self::chart::{Across, Frame, Line, standing};
use self::html::Figures;

/// What a benchmark's page says that its figures don't.
#[derive(Debug)]
pub(super) struct Page {
    /// The benchmark's, and the file's.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// What its times are of: `a hop`.
    pub(super) each: &'static str,
    pub(super) charts: Charts,
}

/// Which charts show figures best. There is one for each case, or one for all cases.
#[derive(Clone, Copy, Debug)]
pub(super) enum Charts {
    /// Lines over `bytes`.
    OverBytes,
    /// Lines over `bytes`, of instructions: figures that are counts, not times.
    CountsOverBytes,
    /// Lines over how many there are: the number of this name. Of what, by case, where the name does not tell.
    OverCount(&'static str, &'static [(&'static str, &'static str)]),
    /// Bars of times over this method's, for each number of bytes.
    RatioTo(&'static str),
}

impl Charts {
    /// The number that is on the horizontal axis.
    fn key(self) -> &'static str {
        match self {
            Self::OverCount(key, _) => key,
            Self::OverBytes | Self::CountsOverBytes | Self::RatioTo(_) => "bytes",
        }
    }
}

impl Page {
    /// Writes it into a folder, which is made if it is not there.
    pub(super) fn write(&self, report: &Value, folder: &Path) -> Result<()> {
        let path = folder.join(self.name).with_extension("html");
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(folder)?;
            fs::write(&path, self.html(report))
        };
        write().with_context(|| format!("report {}", path.display()))
    }

    fn html(&self, report: &Value) -> String {
        let rows: Vec<_> = report["rows"].as_array().into_iter().flatten().filter_map(Row::new).collect();
        let figures = Figures { page: self, methods: &methods(&rows), rows: &rows };
        let sections = [
            ("Charts", self.draw(&figures)),
            ("Summary", html::value(&report["summary"])),
            ("Figures", html::table(&figures)),
            ("Taken with", html::taken_with(report)),
        ];
        html::page(self, report, &sections)
    }

    fn draw(&self, figures: &Figures) -> String {
        let charts = match self.charts {
            Charts::RatioTo(method) => self.bars(figures, method),
            Charts::CountsOverBytes => figures
                .cases()
                .into_iter()
                .filter_map(|case| self.lines(figures, &case, Measure::Instructions))
                .collect(),
            Charts::OverBytes | Charts::OverCount(..) => {
                let times = figures.cases().into_iter().filter_map(|case| self.lines(figures, &case, Measure::Time));
                let memory = figures.cases().into_iter().filter_map(|case| self.lines(figures, &case, Measure::Memory));
                times.chain(memory).collect()
            }
        };
        charts.into_iter().map(|chart| format!("<figure>{chart}</figure>\n")).collect()
    }

    /// A line for each method; `None` if nothing of the case was measured.
    fn lines(&self, figures: &Figures, case: &str, measure: Measure) -> Option<String> {
        let line = |at: usize| {
            let method = figures.methods[at];
            let rows = figures.rows.iter().filter(|row| row.case == case && row.method == method);
            let points = rows.filter_map(|row| Some((self.across(row)?, measure.of(row)?)));
            let mut points: Vec<_> = points.filter(|(x, y)| *x > 0.0 && *y > 0.0).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            (!points.is_empty()).then_some(chart::Line { method, at, points })
        };
        let lines: Vec<_> = (0..figures.methods.len()).filter_map(line).collect();
        if lines.is_empty() {
            return None;
        }
        let (x, across) = match self.charts {
            Charts::OverCount(key, names) => {
                let name = names.iter().find(|(of, _)| *of == case).map_or(key, |(_, name)| name);
                (name, chart::Across::Count(html::count))
            }
            _ => ("bytes", chart::Across::Bytes(html::bytes)),
        };
        let (y, up): (_, fn(f64) -> String) = match measure {
            Measure::Time => (format!("time {}", self.each), html::tick),
            Measure::Memory => ("memory an instance".to_owned(), html::decimal_bytes),
            Measure::Instructions => (format!("instructions {}", self.each), html::count),
        };
        let title = format!("{case}: {y}");
        Some(chart::lines(&chart::Frame { title: &title, x, y: &y }, across, up, &lines))
    }

    /// Groups of bars for cases, in a chart for each number of bytes, or in one if no case has several.
    fn bars(&self, figures: &Figures, base: &str) -> Vec<String> {
        let mut sizes: Vec<_> = figures.rows.iter().map(|row| row.bytes()).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let several = figures.cases().iter().any(|case| figures.places(case).len() > 1);
        let sizes: Vec<_> = if several { sizes.into_iter().map(Some).collect() } else { vec![None] };
        let chart = |size: Option<u64>| {
            let rows = || figures.rows.iter().filter(|row| size.is_none_or(|size| row.bytes() == size));
            let cases = figures.cases().into_iter().filter_map(|case| {
                let time =
                    |method: &str| rows().find(|row| row.case == case && row.method == method).map(|row| row.ns());
                let base = time(base).filter(|ns| *ns > 0.0)?;
                let ratios = figures.methods.iter().map(|method| time(method).map_or(0.0, |ns| ns / base)).collect();
                Some((case.clone(), ratios))
            });
            let cases: Vec<(String, Vec<f64>)> = cases.collect();
            let cases: Vec<_> = cases.iter().map(|(case, ratios)| (case.as_str(), ratios.clone())).collect();
            let y = format!("time {} ÷ {base}", self.each);
            let title = size.map_or_else(|| y.clone(), |size| format!("{}: {y}", html::bytes(size as f64)));
            let frame = chart::Frame { title: &title, x: "case", y: &y };
            (!cases.is_empty()).then(|| chart::bars(&frame, html::ratio, figures.methods, &cases))
        };
        sizes.into_iter().filter_map(chart).collect()
    }

    /// Where a row is on the horizontal axis.
    fn across(&self, row: &Row) -> Option<f64> {
        row.all.get(self.charts.key())?.as_f64()
    }
}

/// What is on the vertical axis.
#[derive(Clone, Copy)]
enum Measure {
    Time,
    Memory,
    Instructions,
}

impl Measure {
    fn of(self, row: &Row) -> Option<f64> {
        row.all
            .get(match self {
                Self::Time => "ns",
                Self::Memory => "resident_bytes",
                Self::Instructions => "instructions",
            })?
            .as_f64()
    }
}

/// A row of any benchmark.
struct Row<'a> {
    method: &'a str,
    /// All that it says in words but the method: `u8, concurrency off, argument`.
    case: String,
    all: &'a Map<String, Value>,
}

impl<'a> Row<'a> {
    fn new(row: &'a Value) -> Option<Self> {
        let all = row.as_object()?;
        let words = all.iter().filter(|(name, _)| *name != "method").filter_map(|(_, value)| value.as_str());
        Some(Self { method: all.get("method")?.as_str()?, case: words.collect::<Vec<_>>().join(", "), all })
    }

    fn ns(&self) -> f64 {
        self.all.get("ns").and_then(Value::as_f64).unwrap_or(0.0)
    }

    fn bytes(&self) -> u64 {
        self.all.get("bytes").and_then(Value::as_u64).unwrap_or(0)
    }
}

/// Each once, in the order of the rows.
fn methods<'a>(rows: &[Row<'a>]) -> Vec<&'a str> {
    let mut methods = vec![];
    for row in rows {
        if !methods.contains(&row.method) {
            methods.push(row.method);
        }
    }
    methods
}
