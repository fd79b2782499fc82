//! The table, and the page of documentation with it.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::figure::Figure;
use crate::plot::{Bars, Growth};
use crate::{machine, plot};

/// As Markdown.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut lines = vec![
        "| figure | ours | beside | to reach | reached | met |".to_owned(),
        "| --- | --- | --- | --- | --- | --- |".to_owned(),
    ];
    lines.extend(figures.iter().map(|line| {
        let beside: Vec<_> = line.against.keys().map(|name| measured(line, name)).collect();
        let reached: Vec<_> = line.demands.iter().map(|demand| number(demand.value)).collect();
        let met = if line.met { "yes" } else { "**no**" };
        format!(
            "| `{}`, {} | {} | {} | {} | {} | {met} |",
            line.figure,
            line.unit,
            number(line.ours) + &spread(line, "ours"),
            beside.join("<br>"),
            line.target.replace("; ", "<br>"),
            reached.join("<br>"),
        )
    }));
    lines.join("\n")
}

fn measured(line: &Figure, name: &str) -> String {
    let value = line.against.get(name).copied().unwrap_or(f64::NAN);
    format!("{name} {}{}", number(value), spread(line, name))
}

fn spread(line: &Figure, name: &str) -> String {
    line.spread.get(name).map_or_else(String::new, |(least, most)| {
        format!(" ({}–{})", number(*least), number(*most))
    })
}

/// Three digits that say something, or thousands.
fn number(value: f64) -> String {
    match value {
        value if value >= 10_000.0 => format!("{:.0} k", value / 1000.0),
        value if value >= 100.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    }
}

/// What a reader has to know before a figure.
const CAVEATS: &str = "\
* Ratios count, and not rates: servers, contestants and their events share the processors of one machine.
* Each value is the median of its rounds, with the least and the most in parentheses. Contestants take
  turns, and another one is first in each round. A contestant that does not finish all events, or whose
  acks do not all reach the server, fails the run.
* Ours run with default guarantees: a lease that is renewed, a time-out, a guard against panics, a retry
  policy, a circuit breaker and a stop that loses nothing. The loops have none of these; those of the
  peers differ.
* All read the same events of 200 bytes with the same eleven headers, and may have 200,000 unacked. The
  peers' code says which advice of their documentation it follows: `benches/src/contestants`. Their
  versions are pinned in `Cargo.lock`.
* apalis does not stand beside `publish_all`: its sink does not wait for the server's acks.";

/// Writes the page, and its plots beside it.
pub(crate) fn write(file: &Path, figures: &[Figure], quick: bool) -> Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let (table, machine) = (table(figures), machine::describe());
    let notes: Vec<_> = figures
        .iter()
        .filter(|line| !line.note.is_empty())
        .map(|line| format!("* `{}`: {}", line.figure, line.note))
        .collect();
    let notes = notes.join("\n");
    let page = format!(
        "# Performance\n\nWritten by `cargo run --release -p benches -- {}--report {}`{}.\n\n\
         {machine}\n\n{table}\n\n{notes}\n\n\
         ![Throughput side by side](throughput.svg)\n\n\
         ![Cost as handlers and backlog grow](growth.svg)\n\n## To be known\n\n{CAVEATS}\n",
        if quick { "--quick " } else { "" },
        file.display(),
        if quick { ", which leaves out what takes minutes" } else { "" },
    );
    fs::write(file, page)?;
    let throughput = figures.iter().filter(|line| line.unit == "events/s").map(|line| {
        let others = line.against.iter().map(|(name, value)| ((*name).to_owned(), *value));
        let bars = std::iter::once(("ours".to_owned(), line.ours)).chain(others).collect();
        Bars { title: format!("{}, events/s", line.figure), bars }
    });
    fs::write(folder.join("throughput.svg"), plot::bars(&throughput.collect::<Vec<_>>()))?;
    let growing = figures.iter().filter(|line| !line.series.is_empty()).map(|line| {
        let title = format!("{}: {}", line.figure, line.unit);
        Growth { title, points: line.series.clone() }
    });
    fs::write(folder.join("growth.svg"), plot::growth(&growing.collect::<Vec<_>>()))?;
    Ok(())
}
