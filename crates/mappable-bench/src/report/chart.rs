//! Draws charts with kuva, as SVG that needs nothing else.

use kuva::TickFormat;
use kuva::backend::svg::SvgBackend;
use kuva::plot::{BarPlot, LinePlot, ScatterPlot};
use kuva::render::annotations::ReferenceLine;
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;
use kuva::render::render::{Scene, render_multiple};
use kuva::render::theme::Theme;

/// For up to ten methods; the most that a benchmark compares is nine. Told apart by people who see few colors, too.
const COLORS: [&str; 10] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#332288", "#882255", "#777777", "#117733"];

/// What is written around a chart.
pub(crate) struct Frame<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
}

/// A number on an axis, as people read it.
type Format = fn(f64) -> String;

/// The horizontal axis of lines: logarithmic.
#[derive(Clone, Copy)]
pub(crate) enum Across {
    /// Ticks at powers of two.
    Bytes(Format),
    /// Ticks at powers of ten.
    Count(Format),
}

/// What one method says: its place in the order of methods, which gives the color, and its points.
pub(crate) struct Line<'a> {
    pub(crate) method: &'a str,
    pub(crate) at: usize,
    pub(crate) points: Vec<(f64, f64)>,
}

/// One line for each method, both axes logarithmic. All numbers are more than 0.
pub(super) fn lines(frame: &Frame, across: Across, up: Format, lines: &[Line]) -> String {
    part(&lines_scene(frame, across, up, lines))
}

/// The same as a file of its own. It has a ground of its own, too, which is dark for those who want that.
pub(crate) fn standing(frame: &Frame, across: Across, up: Format, lines: &[Line]) -> String {
    let svg = SvgBackend::new().render_scene(&lines_scene(frame, across, up, lines));
    let (head, body) = svg.split_once('>').unwrap_or((&svg, ""));
    format!("{head} role=\"img\">{DARK}{body}\n")
}

/// For whom the colors of [`framed`] are too light.
const DARK: &str = r##"
<style>@media (prefers-color-scheme: dark) {
rect[fill="white"], rect[fill="#ffffff"] { fill: #0d1117 } svg, text { fill: #ccc } line[stroke="#e8e8e8"] { stroke: #30363d }
}</style>"##;

fn lines_scene(frame: &Frame, across: Across, up: Format, lines: &[Line]) -> Scene {
    let mut plots = vec![];
    let places = |x: f64| if matches!(across, Across::Bytes(_)) { x.log2() } else { x };
    for line in lines {
        let points: Vec<_> = line.points.iter().map(|&(x, y)| (places(x), y)).collect();
        let color = COLORS[line.at % COLORS.len()];
        let path = LinePlot::new().with_data(points.clone()).with_color(color).with_stroke_width(1.8);
        plots.push(Plot::Line(path.with_legend(line.method)));
        let says = line.points.iter().map(|&(x, y)| format!("{}: {} at {}", line.method, up(y), across.format()(x)));
        let dots = ScatterPlot::new().with_data(points).with_color(color).with_size(2.6);
        plots.push(Plot::Scatter(dots.with_tooltips().with_tooltip_labels(says)));
    }
    let layout = framed(&plots, frame).with_log_y().with_y_tick_format(TickFormat::Custom(std::sync::Arc::new(up)));
    let all = || lines.iter().flat_map(|line| &line.points).map(|&(x, _)| places(x));
    let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let layout = match across {
        Across::Bytes(format) => {
            // Few enough that their labels have room.
            let step = ((most - least) / 9.0).ceil().max(1.0);
            let label = move |x: f64| format(x.exp2());
            let layout = layout.with_x_tick_format(TickFormat::Custom(std::sync::Arc::new(label)));
            layout.with_x_axis_min(least.floor()).with_x_axis_max(most.ceil().max(least + 1.0)).with_x_tick_step(step)
        }
        Across::Count(format) => {
            layout.with_log_x().with_x_tick_format(TickFormat::Custom(std::sync::Arc::new(format)))
        }
    };
    render_multiple(plots, layout)
}

impl Across {
    fn format(self) -> Format {
        match self {
            Self::Bytes(format) | Self::Count(format) => format,
        }
    }
}

/// One group of bars for each case, and in it one bar for each method, as ratios; a line is at 1.
pub(super) fn bars(frame: &Frame, up: Format, methods: &[&str], cases: &[(&str, Vec<f64>)]) -> String {
    let mut plot = BarPlot::new();
    for (case, values) in cases {
        let bars = values.iter().enumerate().map(|(at, value)| (*value, COLORS[at % COLORS.len()]));
        plot = plot.with_group(*case, bars);
    }
    let says = cases.iter().flat_map(|(case, values)| {
        methods.iter().zip(values).map(move |(method, value)| format!("{case}, {method}: {}", up(*value)))
    });
    let plot = plot.with_tooltips().with_tooltip_labels(says.collect::<Vec<_>>()).with_legend(methods.to_vec());
    let plots = vec![Plot::Bar(plot)];
    let one = ReferenceLine::horizontal(1.0).with_color("#444").with_stroke_width(1.0);
    let layout = framed(&plots, frame).with_reference_line(one);
    let layout = layout.with_y_tick_format(TickFormat::Custom(std::sync::Arc::new(up)));
    part(&render_multiple(plots, layout))
}

fn framed(plots: &[Plot], frame: &Frame) -> Layout {
    let theme = Theme {
        axis_color: "#888".into(),
        tick_color: "#888".into(),
        grid_color: "#e8e8e8".into(),
        text_color: "#222".into(),
        legend_border: "none".into(),
        font_family: Some("system-ui, sans-serif".into()),
        ..Theme::light()
    };
    let layout = Layout::auto_from_plots(plots).with_theme(theme).with_width(760.0).with_height(420.0);
    let layout = layout.with_title(literally(frame.title)).with_title_size(15);
    layout.with_x_label(literally(frame.x)).with_y_label(literally(frame.y)).with_label_size(12).with_tick_size(11)
}

/// A dollar begins a formula.
fn literally(text: &str) -> String {
    text.replace('$', r"\$")
}

/// As a part of a page: in the page's own namespace, and as wide as there is room.
fn part(scene: &Scene) -> String {
    let (width, height) = (scene.width, scene.height);
    let svg = SvgBackend::new().render_scene(scene);
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    format!(
        r#"<svg role="img" viewBox="0 0 {width} {height}" width="{width}" font-family="system-ui, sans-serif">{body}"#
    )
}
