//! Pictures in SVG, by hand: bars with their smallest and largest run, and percentiles as lines.

use std::fmt::Write as _;

use crate::measure::Measured;
use crate::samples::{Figure, Metric};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 230.0;
const RIGHT: f64 = 150.0;
const BAR: f64 = 16.0;
const TITLE: f64 = 26.0;
const GAP: f64 = 14.0;
const TOP: f64 = 44.0;
/// Of a diagram of percentiles.
const HEIGHT: f64 = 200.0;

fn color(label: &str) -> &'static str {
    match label.split([' ', ',']).next().unwrap_or_default() {
        "kurier" | "1" => "#1b7f5c",
        "2" => "#4fa884",
        "4" => "#93cdb4",
        "librdkafka" => "#c2542d",
        "franz-go" => "#3d7fb8",
        "java" => "#8b6bb1",
        _ => "#777777",
    }
}

fn open(height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height:.0}\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"26\" font-size=\"17\" font-weight=\"600\">{title}</text>\n"
    )
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>").unwrap();
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), style: &str) {
    writeln!(svg, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>").unwrap();
}

/// Bars of one metric, each row with a scale of its own; `None`: no row has it.
pub fn bars(all: &[Measured], metric: Metric, title: &str) -> Option<String> {
    let rows: Vec<(&Measured, Vec<(&str, Figure)>)> = all
        .iter()
        .filter(|measured| measured.row.entries.iter().all(|entry| entry.load.rate == 0 && !entry.load.outstanding))
        .map(|measured| (measured, figures(measured, metric)))
        .filter(|(_, figures)| !figures.is_empty())
        .collect();
    if rows.is_empty() {
        return None;
    }
    let heights = rows.iter().map(|(_, figures)| TITLE + GAP + f64::from(u32::try_from(figures.len()).unwrap()) * BAR);
    let mut svg = open(TOP + heights.sum::<f64>(), title);
    let mut y = TOP;
    for (measured, figures) in rows {
        y += TITLE;
        let name = format!("{}: {}", measured.row.name, measured.row.title);
        writeln!(svg, "<text x=\"12\" y=\"{:.1}\" font-weight=\"600\">{name}</text>", y - 8.0).unwrap();
        let largest = figures.iter().map(|(_, figure)| figure.max).fold(f64::MIN_POSITIVE, f64::max);
        let at = |value: f64| LEFT + value / largest * (WIDTH - LEFT - RIGHT);
        for (label, figure) in figures {
            text(&mut svg, LEFT - 8.0, y + 11.0, "end", label);
            let (width, height) = (at(figure.median) - LEFT, BAR - 4.0);
            let fill = color(label);
            writeln!(svg, "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{fill}\"/>")
                .unwrap();
            let middle = y + height / 2.0;
            line(&mut svg, (at(figure.min), middle), (at(figure.max), middle), "stroke=\"black\"");
            text(&mut svg, at(figure.max) + 6.0, y + 11.0, "start", &metric.text(figure.median));
            y += BAR;
        }
        y += GAP;
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn figures(measured: &Measured, metric: Metric) -> Vec<(&str, Figure)> {
    let pairs = measured.row.entries.iter().zip(&measured.samples);
    pairs.filter_map(|(entry, samples)| Some((entry.label, samples.as_ref()?.figure(metric)?))).collect()
}

/// p50 to max of each row that has them, on a logarithmic scale of microseconds.
pub fn percentiles(all: &[Measured], title: &str) -> Option<String> {
    let rows: Vec<&Measured> = all.iter().filter(|measured| !figures(measured, Metric::P50).is_empty()).collect();
    if rows.is_empty() {
        return None;
    }
    let each = TITLE + HEIGHT + 3.0 * GAP;
    let mut svg = open(TOP + each * f64::from(u32::try_from(rows.len()).unwrap()), title);
    let mut y = TOP;
    for measured in rows {
        let name = format!("{}: {}", measured.row.name, measured.row.title);
        writeln!(svg, "<text x=\"12\" y=\"{:.1}\" font-weight=\"600\">{name}</text>", y + TITLE - 14.0).unwrap();
        diagram(&mut svg, measured, y + TITLE);
        y += each;
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn diagram(svg: &mut String, measured: &Measured, top: f64) {
    let curves: Vec<(&str, Vec<f64>)> = measured
        .row
        .entries
        .iter()
        .zip(&measured.samples)
        .filter_map(|(entry, samples)| {
            let value = |metric| Some(samples.as_ref()?.figure(metric)?.median.max(1.0));
            Some((entry.label, Metric::LATENCIES.into_iter().map(value).collect::<Option<Vec<f64>>>()?))
        })
        .collect();
    let values = || curves.iter().flat_map(|(_, values)| values.iter().copied());
    let low = values().fold(f64::MAX, f64::min).log10().floor();
    let high = values().fold(1.0, f64::max).log10().ceil().max(low + 1.0);
    let left = 90.0;
    let step = (WIDTH - left - RIGHT) / 3.0;
    let at = |value: f64| top + HEIGHT * (1.0 - (value.log10() - low) / (high - low));
    let mut power = low;
    while power <= high {
        let value = 10_f64.powf(power);
        line(svg, (left, at(value)), (WIDTH - RIGHT, at(value)), "stroke=\"#dddddd\"");
        text(svg, left - 8.0, at(value) + 4.0, "end", &Metric::P50.text(value));
        power += 1.0;
    }
    let mut x = left;
    for metric in Metric::LATENCIES {
        text(svg, x, top + HEIGHT + 16.0, "middle", metric.name());
        x += step;
    }
    for (place, (label, values)) in (0..).zip(&curves) {
        let mut x = left - step;
        let points = values.iter().map(|value| {
            x += step;
            format!("{x:.1},{:.1}", at(*value))
        });
        let points: Vec<String> = points.collect();
        let stroke = color(label);
        let points = points.join(" ");
        writeln!(svg, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"2\"/>").unwrap();
        let y = top + 12.0 + f64::from(place) * 18.0;
        let x = WIDTH - RIGHT + 24.0;
        line(svg, (x, y - 4.0), (x + 18.0, y - 4.0), &format!("stroke=\"{stroke}\" stroke-width=\"3\""));
        text(svg, x + 24.0, y, "start", label);
    }
}
