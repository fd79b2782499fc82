//! `assert_manifest!`, in a package whose second handler stands behind a feature.

use std::fs;
use std::time::SystemTime;

use super::cargo;
use tests::nested::{FIXTURES, text_of};

const TEST: &str = "test -p listed --test manifest";

fn changed() -> SystemTime {
    let file = format!("{FIXTURES}/registry/listed/handlers.txt");
    fs::metadata(file).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

// One test, since its last step writes the file that the first ones read.
#[test]
fn a_manifest_passes_fails_and_is_written() {
    let cargo = cargo().unwrap();
    let output = cargo.run(TEST).unwrap();
    assert!(output.status.success(), "{}", text_of(&output));

    let text = text_of(&cargo.run(&format!("{TEST} --no-default-features")).unwrap());
    let lost = "lost: listed: refund handles orders.placed v2 on orders.{region}.placed";
    assert!(text.contains(&format!("`BUS_UPDATE_MANIFEST=1` writes it anew\n{lost}\n")), "{text}");

    let before = changed();
    let output = cargo.command(FIXTURES, TEST).env("BUS_UPDATE_MANIFEST", "1").output().unwrap();
    assert!(output.status.success() && changed() > before, "{}", text_of(&output));
    let output = cargo.run(TEST).unwrap();
    assert!(output.status.success(), "{}", text_of(&output));
}
