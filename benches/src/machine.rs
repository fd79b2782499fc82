//! What the figures were measured on.

use std::fs::read_to_string;
use std::process::Command;

use anyhow::{Context as _, Result};

/// Processors, memory, system, compiler and load, in a line.
pub(crate) fn describe() -> String {
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "a processor".to_owned());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
    let compiler = Command::new("rustc").arg("--version").output();
    let compiler = compiler.map_or_else(|_| String::new(), |said| text(&said.stdout));
    let server = bus_nats::dev_server::VERSION;
    let kernel = kernel.trim();
    format!(
        "{cores} × {model}, {memory}, Linux {kernel}; load {load}; {compiler}; nats-server {server}"
    )
}

/// A line `name: value` of a file of the kernel's.
fn field(file: &str, name: &str) -> Option<String> {
    let text = read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// A line of this process's memory, in KiB: `VmRSS` or `VmHWM`.
pub(crate) fn memory(name: &str) -> Result<f64> {
    let line = field("/proc/self/status", name).context("no such line")?;
    Ok(line.trim_end_matches(" kB").trim().parse()?)
}

/// The processor's seconds of all processes that this one waited for.
pub(crate) fn children() -> Result<f64> {
    let stat = read_to_string("/proc/self/stat")?;
    // Behind the name, which may have blanks in it.
    let rest = stat.rsplit_once(')').context("no name")?.1;
    let ticks = rest.split_whitespace().skip(13).take(2).map(str::parse::<f64>);
    // Linux counts them in hundredths, whatever the kernel's own clock.
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}
