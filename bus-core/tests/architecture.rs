//! A module names only what stands above it: checked over every `crate::` path.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

/// The reading order of `src/lib.rs`. `testing` may look into all.
const ORDER: &[&str] = &[
    "sabotage",
    "subject",
    "codec",
    "event",
    "envelope",
    "clock",
    "answer",
    "settle",
    "delivery",
    "group",
    "operator",
    "transport",
    "telemetry",
    "dead_letters",
    "middleware",
    "publish",
    "failure",
    "retry",
    "breaker",
    "state",
    "context",
    "parameter",
    "handler",
    "registry",
    "dispatch",
    "service",
    "memory",
    "testing",
];

/// Pairs that would break the design even where the order allows them.
const NEVER: &[(&str, &str)] = &[
    ("memory", "handler"),
    ("memory", "dispatch"),
    ("memory", "retry"),
    ("memory", "failure"),
    ("memory", "service"),
    ("handler", "settle"),
    ("handler", "delivery"),
    ("registry", "transport"),
];

#[test]
fn a_module_names_only_what_stands_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for file in files(&src) {
        let relative = file.strip_prefix(&src).unwrap();
        let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let tokens: TokenStream = text.parse().unwrap();
        for name in crate_paths(tokens) {
            seen += 1;
            if let Some(why) = fault(module, &name) {
                wrong.push(format!(
                    "{}: `{module}` must not import `{name}`: {why}",
                    relative.display()
                ));
            }
        }
    }
    assert!(seen > 100, "only {seen} paths were found: the test looks at the wrong thing");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_transport_crate_knows_no_events_and_no_handlers() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bus-nats/src");
    for file in files(&src) {
        let text = fs::read_to_string(&file).unwrap();
        for word in
            ["bus_core::Event", "bus_core::event", "Handler<", "bus_core::retry", "bus_core::Retry"]
        {
            assert!(!text.contains(word), "{}: a transport must not name `{word}`", file.display());
        }
    }
}

#[test]
fn the_core_does_not_name_the_broker() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in files(&src) {
        let tokens: TokenStream = fs::read_to_string(&file).unwrap().parse().unwrap();
        for name in idents(tokens) {
            let name = name.to_lowercase();
            for word in ["nats", "jetstream", "ackwait", "ack_wait"] {
                assert!(!name.contains(word), "{}: the core names `{name}`", file.display());
            }
        }
    }
}

#[test]
fn only_telemetry_names_opentelemetry() {
    let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let nats = core.join("../../bus-nats/src");
    let mut named = 0;
    for file in files(&core).into_iter().chain(files(&nats)) {
        let tokens: TokenStream = fs::read_to_string(&file).unwrap().parse().unwrap();
        if idents(tokens).iter().any(|name| name == "opentelemetry") {
            let telemetry =
                file.starts_with(core.join("telemetry")) || file == core.join("telemetry.rs");
            assert!(telemetry, "{} names the crate `opentelemetry`", file.display());
            named += 1;
        }
    }
    assert!(named > 5, "only {named} files were found: the test looks at the wrong thing");
}

fn fault(module: &str, name: &str) -> Option<&'static str> {
    let place = |name| ORDER.iter().position(|other| *other == name);
    if module == name {
        return None;
    }
    if NEVER.contains(&(module, name)) {
        return Some("ARCHITECTURE.md says never");
    }
    match (place(module), place(name)) {
        (Some(here), Some(there)) if there < here => None,
        (Some(_), Some(_)) => Some("it stands below"),
        _ => Some("it is not in the reading order"),
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The first names behind `crate::`, also inside macros; doc comments are not code.
fn crate_paths(tokens: TokenStream) -> Vec<String> {
    let (mut found, mut trail) = (Vec::new(), Vec::new());
    for token in tokens {
        match &token {
            TokenTree::Group(group) => {
                let inside = group.stream();
                if trail == ["crate", ":", ":"] {
                    // `use crate::{a, b::c}` would hide names from this test.
                    found.extend(inside.clone().into_iter().next().map(|token| token.to_string()));
                }
                found.extend(crate_paths(inside));
                trail.clear();
            }
            TokenTree::Ident(name) if trail == ["crate", ":", ":"] => found.push(name.to_string()),
            // `$crate` stands in what a macro emits elsewhere.
            TokenTree::Ident(name) if name == "crate" && trail != ["$"] => trail = vec!["crate"],
            TokenTree::Punct(punct) if punct.as_char() == ':' => trail.push(":"),
            TokenTree::Punct(punct) if punct.as_char() == '$' => trail = vec!["$"],
            _ => trail.clear(),
        }
        if matches!(&token, TokenTree::Ident(name) if name != "crate") {
            trail.clear();
        }
    }
    found
}

fn idents(tokens: TokenStream) -> Vec<String> {
    let names = tokens.into_iter().map(|token| match token {
        TokenTree::Group(group) => idents(group.stream()),
        TokenTree::Ident(name) => vec![name.to_string()],
        _ => Vec::new(),
    });
    names.flatten().collect()
}
