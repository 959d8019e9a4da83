//! The page around the charts. All text that comes from figures is escaped.

use serde_json::Value;

use super::{Charts, Page, Row};
use crate::size;
use crate::table;

/// Nothing may be loaded: not by mistake either.
const HEAD: &str = r#"<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 1580px; margin: 2em auto; padding: 0 1.5em; }
h1 { font-size: 1.5em; margin-bottom: 0; }
h2 { font-size: 1.1em; margin-top: 2em; border-bottom: 1px solid #ddd; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 600px), 1fr)); gap: 1em; }
figure { margin: 0; }
svg { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15em .8em; border-bottom: 1px solid #eee; text-align: left; vertical-align: top; }
th { color: #555; font-weight: 600; }
td.n, th.n { text-align: right; white-space: nowrap; }
.note { color: #666; }
</style>
"#;

/// All rows, and in which order methods come.
pub(super) struct Figures<'a> {
    pub(super) page: &'a Page,
    pub(super) methods: &'a [&'a str],
    pub(super) rows: &'a [Row<'a>],
}

impl Figures<'_> {
    /// Each case once, in the order of the rows.
    pub(super) fn cases(&self) -> Vec<String> {
        let mut cases: Vec<String> = vec![];
        for row in self.rows {
            if !cases.contains(&row.case) {
                cases.push(row.case.clone());
            }
        }
        cases
    }

    /// Where a case has figures, ascending.
    pub(super) fn places(&self, case: &str) -> Vec<f64> {
        let rows = self.rows.iter().filter(|row| row.case == case);
        let mut places: Vec<_> = rows.filter_map(|row| self.page.across(row)).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        places
    }
}

pub(super) fn page(page: &Page, report: &Value, sections: &[(&str, String)]) -> String {
    let mut html = format!("<!DOCTYPE html>\n<html lang=\"en\">\n<title>mappable-bench {}</title>\n{HEAD}", page.name);
    html += &format!("<h1>{}</h1>\n<p class=\"note\">mappable-bench {}</p>\n", escaped(page.title), page.name);
    for (title, body) in sections {
        let class = if *title == "Charts" { "charts" } else { "scroll" };
        html += &format!("<h2>{title}</h2>\n<div class=\"{class}\">\n{body}</div>\n");
    }
    // For machines. What could end the element is escaped in JSON's own way.
    let figures = report.to_string().replace('<', "\\u003c");
    html + &format!("<script type=\"application/json\" id=\"figures\">{figures}</script>\n</html>\n")
}

/// A line for each case and place, a column for each method: medians, with the spread for those who point at one.
pub(super) fn table(figures: &Figures) -> String {
    let across = figures.page.charts.key();
    let mut html = format!("<table>\n<tr><th>case</th><th class=\"n\">{across}</th>");
    html.extend(figures.methods.iter().map(|method| format!("<th class=\"n\">{}</th>", escaped(method))));
    html += "</tr>\n";
    for case in figures.cases() {
        for place in figures.places(&case) {
            let text = if across == "bytes" { bytes(place) } else { count(place) };
            html += &format!("<tr><td>{}</td><td class=\"n\">{text}</td>", escaped(&case));
            for method in figures.methods {
                let mut rows = figures.rows.iter().filter(|row| row.method == *method && row.case == case);
                let row = rows.find(|row| figures.page.across(row) == Some(place));
                html += &row.map_or_else(|| "<td class=\"n\">-</td>".to_owned(), |row| cell(figures.page, row));
            }
            html += "</tr>\n";
        }
    }
    let note = match figures.page.charts {
        Charts::CountsOverBytes => format!("Instructions / system calls {}.", figures.page.each),
        _ => format!(
            "Time {}: medians. The least and the greatest sample are in each figure's title.",
            figures.page.each
        ),
    };
    format!("{html}</table>\n<p class=\"note\">{}</p>\n", escaped(&note))
}

fn cell(page: &Page, row: &Row) -> String {
    let figure = |name: &str| row.all.get(name).and_then(Value::as_f64);
    if let Charts::CountsOverBytes = page.charts {
        let [instructions, calls] = [
            figure("instructions").map_or_else(|| "-".to_owned(), table::count),
            figure("system_calls").map_or_else(|| "-".to_owned(), |calls| format!("{calls:.2}")),
        ];
        return format!("<td class=\"n\">{instructions} / {calls}</td>");
    }
    let spread = figure("ns_min").zip(figure("ns_max"));
    let title =
        spread.map_or_else(String::new, |(least, most)| format!("{} to {}", table::time(least), table::time(most)));
    format!("<td class=\"n\" title=\"{title}\">{}</td>", table::time(row.ns()))
}

pub(super) fn taken_with(report: &Value) -> String {
    let all = ["machine", "compiler", "profile", "commit"].map(|name| (name.to_owned(), report[name].clone()));
    value(&Value::Object(all.into_iter().collect()))
}

/// Any JSON: objects as a line for each name, lists of objects as a table.
pub(super) fn value(json: &Value) -> String {
    match json {
        Value::Null => "-".to_owned(),
        Value::String(text) => escaped(text),
        Value::Number(number) if number.is_f64() => ratio(number.as_f64().unwrap_or(0.0)),
        Value::Bool(_) | Value::Number(_) => json.to_string(),
        Value::Object(all) => {
            let line = |(name, json): (&String, &Value)| {
                format!("<tr><th>{}</th><td>{}</td></tr>\n", escaped(name), value(json))
            };
            format!("<table>\n{}</table>\n", all.iter().map(line).collect::<String>())
        }
        Value::Array(all) => {
            let Some(first) = all.first().and_then(Value::as_object) else {
                return all.iter().map(value).collect::<Vec<_>>().join(", ");
            };
            let titles: String = first.keys().map(|name| format!("<th>{}</th>", escaped(name))).collect();
            let line = |json: &Value| {
                let cells = first.keys().map(|name| format!("<td class=\"n\">{}</td>", value(&json[name])));
                format!("<tr>{}</tr>\n", cells.collect::<String>())
            };
            format!("<table>\n<tr>{titles}</tr>\n{}</table>\n", all.iter().map(line).collect::<String>())
        }
    }
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A round time, on an axis.
pub(crate) fn tick(ns: f64) -> String {
    let time = table::time(ns);
    let (figure, unit) = time.split_once(' ').unwrap_or((&time, ""));
    format!("{} {unit}", figure.trim_end_matches(".00").trim_end_matches(".0"))
}

pub(crate) fn bytes(bytes: f64) -> String {
    size::human(bytes.round() as u64)
}

/// With decimal units, for an axis with ticks at powers of ten.
pub(super) fn decimal_bytes(bytes: f64) -> String {
    let (value, unit) = match bytes {
        n if n < 1e3 => (n, "B"),
        n if n < 1e6 => (n / 1e3, "kB"),
        n if n < 1e9 => (n / 1e6, "MB"),
        n => (n / 1e9, "GB"),
    };
    // Those who point at a figure don't want all its digits.
    let value = (value * 100.0).round() / 100.0;
    format!("{value} {unit}")
}

pub(super) fn count(count: f64) -> String {
    table::ratio(count.round()).trim_end_matches(".00").trim_end_matches(".0").to_owned()
}

pub(super) fn ratio(ratio: f64) -> String {
    table::ratio(ratio)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_of_figures_end_no_element() {
        let evil = "</script><script>\"&";
        let row = json!({"method": evil, "case": evil, "bytes": 1024, "instructions": 1.0, "ns": 1.0, "ns_min": 1.0, "ns_max": 2.0});
        let report = json!({"rows": [row], "summary": {evil: [{evil: evil}]}, "machine": evil, "compiler": evil});
        for charts in [
            Charts::OverBytes,
            Charts::CountsOverBytes,
            Charts::OverCount("bytes", &[]),
            Charts::RatioTo("</script><script>\"&"),
        ] {
            let html = Page { name: "test", title: "Title", each: "each", charts }.html(&report);
            assert!(html.contains("<svg"), "{html}");
            assert_eq!(html.matches("<script").count(), 1, "{html}");
            assert_eq!(html.matches("</script").count(), 1, "{html}");
        }
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!([1.0, 10.0, 500.0, 2e4, 1e9].map(tick), ["1 ns", "10 ns", "500 ns", "20 µs", "1 s"]);
        assert_eq!([500.0, 2e4, 1e9, 1.2345e6].map(decimal_bytes), ["500 B", "20 kB", "1 GB", "1.23 MB"]);
        assert_eq!([1.0, 100.0, 10_000.0].map(count), ["1", "100", "10,000"]);
    }
}
