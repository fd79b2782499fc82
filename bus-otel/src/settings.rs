use std::time::Duration;

use crate::error::SetupError;
use crate::export::{Pace, Signal};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_PACE: Pace = Pace { batch: 512, delay: Duration::from_secs(5) };
/// The SDK's 2,048 lost 40 % of a burst of 100,000.
const DEFAULT_QUEUE: usize = 65_536;

const SAMPLERS: &str =
    "always_on, always_off or traceidratio, with or without parentbased_ in front";

/// What the environment says; what is not here is read by the SDK.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) disabled: bool,
    pub(crate) service_name: Option<String>,
    pub(crate) log_filter: Option<String>,
    pub(crate) spans: Option<Target>,
    pub(crate) metrics: Option<Target>,
    pub(crate) logs: Option<Target>,
    pub(crate) pace: Pace,
    pub(crate) span_queue: usize,
    pub(crate) log_queue: usize,
}

/// Where one signal goes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) timeout: Duration,
}

impl Settings {
    pub(crate) fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, SetupError> {
        let env = Env(lookup);
        let disabled = env.get("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let target = |signal| if disabled { Ok(None) } else { env.target(signal) };
        env.sampler()?;
        let mut pace = env.pace()?;
        let span_queue = env.number("OTEL_BSP_MAX_QUEUE_SIZE")?.unwrap_or(DEFAULT_QUEUE);
        // A batch that is never full would wait for its time, before a queue that is.
        pace.batch = pace.batch.min(span_queue);
        Ok(Self {
            disabled,
            service_name: env.service_name(),
            log_filter: env.get("RUST_LOG"),
            spans: target(Signal::Spans)?,
            metrics: target(Signal::Metrics)?,
            logs: target(Signal::Logs)?,
            pace,
            span_queue,
            log_queue: env.number("OTEL_BLRP_MAX_QUEUE_SIZE")?.unwrap_or(DEFAULT_QUEUE),
        })
    }
}

struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Env<'_> {
    /// An empty variable is one that is not set.
    fn get(&self, variable: &str) -> Option<String> {
        (self.0)(variable).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
    }

    /// The variable of the signal, else the one of all signals, and what it holds.
    fn otlp(&self, signal: Signal, what: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.variable());
        let all = format!("OTEL_EXPORTER_OTLP_{what}");
        [own, all].into_iter().find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    fn target(&self, signal: Signal) -> Result<Option<Target>, SetupError> {
        let variable = format!("OTEL_{}_EXPORTER", signal.variable());
        match self.get(&variable) {
            Some(value) if value == "none" => return Ok(None),
            Some(value) if value != "otlp" => return Err(SetupError::Exporter { variable, value }),
            _ => {}
        }
        if let Some((variable, value)) = self.otlp(signal, "PROTOCOL")
            && value != "http/protobuf"
        {
            return Err(SetupError::Protocol { variable, value });
        }
        if let Some((variable, value)) = self.otlp(signal, "COMPRESSION")
            && value != "none"
        {
            return Err(SetupError::Unknown { variable, value, known: "none" });
        }
        let Some((variable, value)) = self.otlp(signal, "ENDPOINT") else { return Ok(None) };
        let shown = without_user(&value);
        if shown != value || !value.starts_with("http://") {
            return Err(SetupError::Endpoint { variable, value: shown });
        }
        // Only the address of all signals is a base.
        let url = match variable == "OTEL_EXPORTER_OTLP_ENDPOINT" {
            true => format!("{}{}", value.trim_end_matches('/'), signal.path()),
            false => value,
        };
        Ok(Some(Target { url, timeout: self.timeout(signal)? }))
    }

    fn timeout(&self, signal: Signal) -> Result<Duration, SetupError> {
        match self.otlp(signal, "TIMEOUT") {
            Some((variable, value)) => number(variable, value).map(Duration::from_millis),
            None => Ok(DEFAULT_TIMEOUT),
        }
    }

    fn pace(&self) -> Result<Pace, SetupError> {
        let batch = self.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")?;
        let delay = self.number("OTEL_BSP_SCHEDULE_DELAY")?.map(Duration::from_millis);
        Ok(Pace {
            batch: batch.unwrap_or(DEFAULT_PACE.batch),
            delay: delay.unwrap_or(DEFAULT_PACE.delay),
        })
    }

    /// The SDK reads it, and takes every span where it does not understand it.
    fn sampler(&self) -> Result<(), SetupError> {
        let variable = "OTEL_TRACES_SAMPLER".to_owned();
        let Some(value) = self.get(&variable) else { return Ok(()) };
        let kind = value.strip_prefix("parentbased_").unwrap_or(&value);
        match kind {
            "always_on" | "always_off" => Ok(()),
            "traceidratio" => self.ratio(),
            _ => Err(SetupError::Unknown { variable, value, known: SAMPLERS }),
        }
    }

    fn ratio(&self) -> Result<(), SetupError> {
        let variable = "OTEL_TRACES_SAMPLER_ARG".to_owned();
        let Some(value) = self.get(&variable) else { return Ok(()) };
        match value.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(()),
            _ => Err(SetupError::Unknown { variable, value, known: "a number from 0 to 1" }),
        }
    }

    fn number<N: Number>(&self, variable: &str) -> Result<Option<N>, SetupError> {
        self.get(variable).map(|value| number(variable.to_owned(), value)).transpose()
    }

    fn service_name(&self) -> Option<String> {
        let attributes = self.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let mut named = attributes.split(',').filter_map(|pair| pair.split_once('='));
        let named = named.rfind(|(key, _)| key.trim() == "service.name");
        self.get("OTEL_SERVICE_NAME").or(named.map(|(_, name)| name.trim().to_owned()))
    }
}

/// An address as it may be shown: a password in it would be in every log of a failure.
fn without_user(address: &str) -> String {
    let start = address.find("://").map_or(0, |at| at + 3);
    let end = address[start..].find('/').map_or(address.len(), |at| start + at);
    match address[start..end].rfind('@') {
        Some(at) => format!("{}…{}", &address[..start], &address[start + at..]),
        None => address.to_owned(),
    }
}

trait Number: std::str::FromStr + Default + PartialEq {}

impl Number for usize {}

impl Number for u64 {}

fn number<N: Number>(variable: String, value: String) -> Result<N, SetupError> {
    match value.parse() {
        Ok(number) if number != N::default() => Ok(number),
        _ => Err(SetupError::Number { variable, value }),
    }
}

#[cfg(test)]
mod tests;
