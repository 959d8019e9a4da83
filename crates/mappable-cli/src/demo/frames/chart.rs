//! Frames a second as bars, in SVG.

use super::Report;
use crate::table;

const WIDTH: f64 = 720.0;
/// Where bars begin, and the longest one's length.
const BAR: (f64, f64) = (170.0, 430.0);
const LINE: usize = 44;
const TOP: usize = 64;

/// A picture that needs nothing but itself.
pub(super) fn svg(report: &Report) -> String {
    let height = TOP + LINE * report.lanes.len() + 8;
    let most = report.lanes.iter().map(|lane| lane.frames_per_second).fold(0.0, f64::max);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"28\" font-size=\"17\">Frames a second: {}x{}, 8 bits a pixel, through {} components</text>\n\
         <text x=\"16\" y=\"48\" fill=\"#555\">{}</text>\n",
        report.width,
        report.height,
        report.stages.len(),
        report.stages.join(", "),
    );
    for (at, lane) in report.lanes.iter().enumerate() {
        let top = TOP + LINE * at;
        let long = BAR.1 * lane.frames_per_second / most;
        let (rate, middle) = (table::rate(lane.frames_per_second), top + 21);
        let title = lane.lane.title().replace('<', "&lt;").replace('>', "&gt;");
        let color = if at == 0 { "#2a6fdb" } else { "#9aa5b1" };
        svg += &format!(
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{title}</text>\n\
             <rect x=\"{}\" y=\"{}\" width=\"{long:.1}\" height=\"28\" fill=\"{color}\"/>\n\
             <text x=\"{:.1}\" y=\"{middle}\">{rate}</text>\n",
            BAR.0 - 10.0,
            BAR.0,
            top + 2,
            BAR.0 + long + 8.0,
        );
    }
    svg + "</svg>\n"
}
