//! The numbers that keep the house in order: how long files and functions may be, and how many
//! crates a service's author pays for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the figures belong into the log")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const FILE: usize = 250;
const FUNCTION: usize = 40;

/// Crates in `cargo tree -e normal`, our own included.
const CRATES: [(&str, usize); 3] = [("bus-core", 42), ("bus-nats", 110), ("bus-otel", 124)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = ["bus-core/src", "bus-macros/src", "bus-nats/src", "bus-otel/src"]
        .map(|f| root().join(f))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every function with its lines, signature and closing brace included.
#[derive(Default)]
struct Functions(Vec<(usize, String)>);

impl Functions {
    fn add(&mut self, name: &syn::Ident, whole: impl Spanned) {
        let span = whole.span();
        self.0.push((span.end().line + 1 - span.start().line, name.to_string()));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig.ident, item);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig.ident, item);
        visit::visit_impl_item_fn(self, item);
    }
}

#[test]
fn files_and_functions_are_short() {
    let (mut long, mut files, mut functions) = (Vec::new(), Vec::new(), Vec::new());
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let lines = text.lines().count();
        files.push((lines, name.clone()));
        if lines > FILE {
            long.push(format!("{name} has {lines} lines"));
        }
        let mut found = Functions::default();
        found.visit_file(&syn::parse_file(&text).unwrap());
        for (lines, function) in found.0 {
            if lines > FUNCTION {
                long.push(format!("{name}: `{function}` has {lines} lines"));
            }
            functions.push((lines, format!("{name}: {function}")));
        }
    }
    assert!(long.is_empty(), "split along a real seam:\n{}", long.join("\n"));
    for (what, mut all) in [("file", files), ("function", functions)] {
        all.sort();
        println!(
            "{} {what}s, median {}, longest {:?}",
            all.len(),
            all[all.len() / 2].0,
            all.last().unwrap()
        );
    }
}

#[test]
fn a_service_pays_for_few_crates() {
    for (package, allowed) in CRATES {
        let arguments =
            ["tree", "-e", "normal", "-p", package, "--prefix", "none", "--locked", "--offline"];
        let output =
            Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let crates: BTreeSet<_> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
        println!("{package}: {} crates", crates.len());
        assert!(
            crates.len() > 10,
            "cargo said nothing: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            crates.len() <= allowed,
            "{package} has {} crates, {allowed} are allowed",
            crates.len()
        );
    }
}
