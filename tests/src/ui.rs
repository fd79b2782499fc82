//! Programs that must not compile, and what the compiler has to say of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::nested::{Cargo, FIXTURES, Result, text_of};

/// What the first lines of a program say of it.
#[derive(Debug, Default)]
pub struct Case {
    /// The file's name.
    pub name: String,
    /// It has neither errors nor warnings.
    pub compiles: bool,
    error: String,
    at: String,
    note: String,
    errors: Option<usize>,
}

impl Case {
    /// What is not as promised.
    pub fn faults(&self, seen: &Seen) -> Vec<String> {
        let messages = seen.messages.get(&self.name).map_or(&[][..], Vec::as_slice);
        let errors: Vec<_> = messages.iter().filter(|message| message.level == "error").collect();
        let mut faults = Vec::new();
        let mut check = |holds: bool, promise: String| {
            if !holds {
                faults.push(format!("{}: {promise}, but {messages:#?}", self.name));
            }
        };
        if self.compiles {
            let clean = messages.is_empty() && seen.built.contains(&self.name);
            check(clean, "compiles without a warning".to_owned());
            return faults;
        }
        let count = self.errors.unwrap_or(1);
        check(errors.len() == count, format!("{count} errors"));
        let Some(first) = errors.first() else { return faults };
        check(first.text.starts_with(&self.error), format!("says `{}`", self.error));
        check(first.at == self.at, format!("points at `{}`", self.at));
        let noted = first.notes.iter().any(|note| note.starts_with(&self.note));
        check(noted || self.note.is_empty(), format!("has the note `{}`", self.note));
        faults
    }

    fn read(name: String, source: &str) -> Result<Self> {
        let mut case = Self { name, ..Self::default() };
        for line in source.lines().map_while(|line| line.strip_prefix("//! ")) {
            match line.split_once(": ") {
                Some(("compiles", _)) => case.compiles = true,
                Some(("error", text)) => text.clone_into(&mut case.error),
                Some(("at", text)) => text.clone_into(&mut case.at),
                Some(("note", text)) => text.clone_into(&mut case.note),
                // `2, because …`
                Some(("errors", text)) => {
                    case.errors = Some(text.split(',').next().unwrap_or(text).parse()?);
                }
                _ => return Err(format!("{}: unknown line `{line}`", case.name).into()),
            }
        }
        if case.compiles || !(case.error.is_empty() || case.at.is_empty()) {
            return Ok(case);
        }
        Err(format!("{} does not say what is expected", case.name).into())
    }
}

/// Every case of the fixture, sorted.
pub fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(format!("{FIXTURES}/ui/src/bin"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        cases.push(Case::read(name, &fs::read_to_string(path)?)?);
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

/// What the compiler said, by program.
#[derive(Debug, Default)]
pub struct Seen {
    messages: BTreeMap<String, Vec<Message>>,
    built: BTreeSet<String>,
}

#[derive(Debug, PartialEq)]
struct Message {
    level: String,
    text: String,
    at: String,
    notes: Vec<String>,
}

impl Seen {
    /// Checks all cases in one run.
    pub fn check(cargo: &Cargo) -> Result<Self> {
        let output = cargo.run("check -p ui --bins --keep-going --message-format=json")?;
        let mut seen = Self::default();
        for line in String::from_utf8(output.stdout.clone())?.lines() {
            let line: Value = serde_json::from_str(line)?;
            let target = text(&line["target"]["name"]);
            match line["reason"].as_str() {
                Some("compiler-artifact") => drop(seen.built.insert(target)),
                Some("compiler-message") => seen.add(target, &line["message"]),
                _ => {}
            }
        }
        if seen.built.contains("ui") { Ok(seen) } else { Err(text_of(&output).into()) }
    }

    fn add(&mut self, target: String, message: &Value) {
        let message = Message::of(message);
        let messages = self.messages.entry(target).or_default();
        let summary = message.text.starts_with("aborting due to")
            || message.text.ends_with("warning emitted")
            || message.text.ends_with("warnings emitted");
        // Cargo shows people a repeated message once.
        if !summary && message.level != "failure-note" && !messages.contains(&message) {
            messages.push(message);
        }
    }
}

impl Message {
    fn of(message: &Value) -> Self {
        let spans = message["spans"].as_array().into_iter().flatten();
        let mut at: Vec<_> =
            spans.filter(|span| span["is_primary"] == true).map(underlined).collect();
        at.dedup();
        let notes = message["children"].as_array().into_iter().flatten();
        Self {
            level: text(&message["level"]),
            text: text(&message["message"]),
            at: at.join(" … "),
            notes: notes.map(|note| text(&note["message"])).collect(),
        }
    }
}

/// The text under a span; its lines joined.
fn underlined(span: &Value) -> String {
    let part = |line: &Value| {
        let column = |name: &str| line[name].as_u64().and_then(|at| usize::try_from(at).ok());
        let (start, end) = (column("highlight_start")?, column("highlight_end")?);
        let text = line["text"].as_str()?.chars();
        Some(text.skip(start - 1).take(end - start).collect::<String>())
    };
    let lines = span["text"].as_array().into_iter().flatten();
    lines.filter_map(part).collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
