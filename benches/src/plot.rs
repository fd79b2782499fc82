//! Plots as SVG: bars side by side, and lines that show how something grows.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 190.0;
const BAR: f64 = 22.0;
const HEIGHT: f64 = 220.0;
const OURS: &str = "#2a6f97";
const OTHERS: &str = "#adb5bd";

/// Bars of one unit.
pub(crate) struct Bars {
    /// What is measured.
    pub(crate) title: String,
    /// Name and value; the first is ours.
    pub(crate) bars: Vec<(String, f64)>,
}

/// A line over a logarithmic axis.
pub(crate) struct Growth {
    /// What is measured.
    pub(crate) title: String,
    /// Of what, and how much.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Groups of bars, one below the other.
pub(crate) fn bars(groups: &[Bars]) -> String {
    let (mut body, mut y) = (String::new(), 10.0);
    for group in groups {
        y += 18.0;
        body += &text(10.0, y, "bold", &group.title);
        let most = group.bars.iter().map(|(_, value)| *value).fold(1.0, f64::max);
        for (index, (name, value)) in group.bars.iter().enumerate() {
            let (color, width) =
                (if index == 0 { OURS } else { OTHERS }, (WIDTH - LEFT - 110.0) * value / most);
            let (top, base, end) = (y + 6.0, y + BAR, LEFT + width + 6.0);
            body += &text(10.0, base, "normal", name);
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{top:.1}" width="{width:.1}" height="18" fill="{color}"/>"#
            );
            body += &text(end, base, "normal", &format!("{value:.0}"));
            y += BAR;
        }
        y += 14.0;
    }
    svg(y, &body)
}

/// Lines, one below the other.
pub(crate) fn growth(lines: &[Growth]) -> String {
    let mut body = String::new();
    for (index, line) in lines.iter().enumerate() {
        let top = index as f64 * HEIGHT;
        body += &text(10.0, top + 20.0, "bold", &line.title);
        let most = line.points.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
        let last = line.points.last().map_or(10.0, |(of, _)| of.max(10.0)).log10();
        let at = |(of, value): &(f64, f64)| {
            let x = 60.0 + (WIDTH - 160.0) * of.max(1.0).log10() / last;
            (x, top + HEIGHT - 40.0 - (HEIGHT - 90.0) * value / most)
        };
        let path: Vec<_> =
            line.points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let path = path.join(" ");
        let _ = writeln!(
            body,
            r#"<polyline points="{path}" fill="none" stroke="{OURS}" stroke-width="2"/>"#
        );
        for point in &line.points {
            let (x, y) = at(point);
            let _ = writeln!(body, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{OURS}"/>"#);
            body += &text(x - 10.0, y - 8.0, "normal", &format!("{:.1}", point.1));
            body += &text(x - 10.0, top + HEIGHT - 18.0, "normal", &point.0.to_string());
        }
    }
    svg(lines.len() as f64 * HEIGHT, &body)
}

fn text(x: f64, y: f64, weight: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" font-weight=\"{weight}\">{text}</text>\n")
}

fn svg(height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}
