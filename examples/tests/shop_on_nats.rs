//! The shop on a real server: in one process, in three, and in three that are killed.
#![expect(clippy::expect_used, reason = "a test has to fail here")]

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use bus_nats::dev_server::DevServer;

use self::common::{mended, number, report, sum};

mod common;

/// A process that does not outlive its test.
struct Shop(Option<Child>);

impl Shop {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Some(command.spawn().expect("the shop is built")))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it was not waited for")
    }

    fn kill(mut self) {
        self.child().kill().expect("it can be killed");
    }

    fn terminate(mut self) -> Output {
        let pid = self.child().id().to_string();
        let status = Command::new("kill").args(["-s", "TERM", &pid]).status();
        assert!(status.expect("there is a `kill`").success());
        self.output()
    }

    fn output(mut self) -> Output {
        let child = self.0.take().expect("it was not waited for");
        child.wait_with_output().expect("it can be waited for")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The lines that say how far `orders` is, one a second.
struct Progress(Lines<BufReader<ChildStderr>>);

impl Progress {
    fn of(shop: &mut Shop) -> Self {
        Self(BufReader::new(shop.child().stderr.take().expect("it is piped")).lines())
    }

    fn until(&mut self, placed: u64) {
        let line = self.0.by_ref().map_while(Result::ok).find(|line| {
            let number = line.split(' ').next().and_then(|number| number.parse::<u64>().ok());
            number.is_some_and(|number| number >= placed)
        });
        line.expect("`orders` says how far it is until it is done");
    }

    fn end(self) {
        for _ in self.0 {}
    }
}

/// What a run of `orders` orders comes to where nothing is killed.
fn adds_up(output: &Output, orders: u64) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.stderr.is_empty(), "{errors}");
    let report = report(output);
    assert!(output.status.success(), "{report}");
    assert_eq!(number(&report, "lost"), 0, "{report}");
    let (handled, dead) = (number(&report, "handled"), number(&report, "dead_lettered"));
    // An order has two handlers that listen to it, and a payment; every other event has one.
    let taken = number(&report["handlers"]["complete"], "handled");
    assert_eq!(number(&report, "published") + orders + taken, handled + dead, "{report}");
    for name in ["handled", "retried", "dead_lettered", "lost"] {
        assert_eq!(number(&report, name), sum(&report, name), "{name} of {report}");
    }
    // Each 50th order is rejected, and for each 75th, from the 74th on, the gateway stays away.
    let given_up = orders / 50 + (orders + 1) / 75;
    assert_eq!(number(&report["handlers"]["charge"], "dead_lettered"), given_up, "{report}");
    assert_eq!(number(&report["handlers"]["close"], "handled"), orders - given_up, "{report}");
}

#[test]
fn a_server_and_three_processes_lose_nothing() {
    adds_up(&Shop::start(&["--nats", "auto", "--json", "--orders", "1000"]).output(), 1000);
}

#[test]
fn what_failed_in_another_process_is_redriven_once_it_is_mended() {
    let arguments = ["--nats", "auto", "--json", "--orders", "500", "--redrive", "100"];
    mended(&Shop::start(&arguments).output());
}

/// Each run counts its own orders, whatever the server holds of others.
#[test]
fn runs_on_one_server_do_not_disturb_each_other() {
    let server = DevServer::start().expect("there is a server");
    for orders in [300, 150] {
        let number = orders.to_string();
        let arguments = ["--nats", &server.url(), "--json", "--orders", &number];
        adds_up(&Shop::start(&arguments).output(), orders);
    }
}

#[test]
fn killed_services_and_a_killed_server_lose_nothing() {
    let mut server = DevServer::start().expect("there is a server");
    let url = server.url();
    let start = |role: &str, more: &[&str]| {
        Shop::start(&[&["--nats", url.as_str(), "--role", role], more].concat())
    };
    let (billing, mailer) = (start("billing", &["--json"]), start("mailer", &["--json"]));
    let mut orders = start("orders", &["--orders", "4000", "--rate", "800"]);
    let mut progress = Progress::of(&mut orders);
    progress.until(800);
    billing.kill();
    progress.until(1600);
    let billing = start("billing", &["--json"]);
    progress.until(2400);
    server.kill().expect("the server can be killed");
    // A second without a server: the number stands still.
    progress.until(1);
    server.restart().expect("the server starts again");
    progress.end();

    let output = orders.output();
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{table}");
    assert!(table.contains(" 0 lost"), "{table}");
    for service in [billing, mailer] {
        let output = service.terminate();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = report(&output);
        assert!(number(&report, "handled") > 0, "{report}");
        assert!(report.get("lost").is_none(), "only `orders` can know: {report}");
    }
}

/// `auto` starts again what is killed.
#[test]
#[cfg(target_os = "linux")]
fn what_is_killed_under_auto_comes_back_and_nothing_is_lost() {
    let mut shop = Shop::start(&["--nats", "auto", "--orders", "4000", "--rate", "800"]);
    let parent = shop.child().id();
    let mut progress = Progress::of(&mut shop);
    for (placed, word) in [(800, "billing"), (1600, "nats-server"), (2400, "mailer")] {
        progress.until(placed);
        let pid = child_of(parent, word).expect("it runs").to_string();
        let status = Command::new("kill").args(["-s", "KILL", &pid]).status();
        assert!(status.expect("there is a `kill`").success());
    }
    progress.end();
    let output = shop.output();
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{table}");
    assert!(table.contains(" 0 lost"), "{table}");
}

/// The process whose parent is `parent`, and whose command line holds `word`.
#[cfg(target_os = "linux")]
fn child_of(parent: u32, word: &str) -> Option<u32> {
    use std::fs::{read_dir, read_to_string};

    let is_it = |pid: &u32| {
        let read = |name| read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let is_child = read("status").lines().any(|line| line == format!("PPid:\t{parent}"));
        is_child && read("cmdline").contains(word)
    };
    let numbers = read_dir("/proc")
        .expect("it is Linux")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.into_iter().find(is_it)
}

#[test]
fn a_child_hands_its_numbers_in_when_it_is_told_and_ends_with_its_parent() {
    let server = DevServer::start().expect("there is a server");
    let start = || Shop::start(&["--nats", &server.url(), "--role", "billing", "--child"]);
    let mut told = start();
    let mut input = told.child().stdin.take().expect("it is piped");
    input.write_all(b"stop\n").expect("it reads");
    drop(input);
    let output = told.output();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(report(&output)["runs"]["charge"]["handled"], 0);

    // Its input ends without a word.
    let output = start().output();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}
