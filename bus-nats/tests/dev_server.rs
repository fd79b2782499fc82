//! The server for tests: found or installed, started, restarted, gone with its guard.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a test tells itself in another process")]

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, thread};

use bus_nats::dev_server::{DevServer, DevServerError, VERSION};

/// The line with which a server greets.
fn greeting(server: &DevServer) -> String {
    let mut line = String::new();
    let stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn many_may_find_or_install_it_at_once() {
    let started: Vec<_> =
        (0..4).map(|_| thread::spawn(|| DevServer::start_version(VERSION).unwrap())).collect();
    let servers: Vec<_> = started.into_iter().map(|thread| thread.join().unwrap()).collect();
    for server in &servers {
        let line = greeting(server);
        assert!(line.starts_with("INFO ") && line.contains("\"jetstream\":true"), "{line}");
        assert!(line.contains(&format!("\"version\":\"{VERSION}\"")), "{line}");
    }
}

#[test]
fn it_comes_back_on_its_port_with_its_store() {
    let mut server = DevServer::start().unwrap();
    let (port, marker) = (server.port(), server.folder().join("store/marker"));
    std::fs::write(&marker, "kept").unwrap();
    server.kill().unwrap();
    assert!(server.pid().is_none() && TcpStream::connect(("127.0.0.1", port)).is_err());
    server.restart().unwrap();
    assert_eq!((server.port(), std::fs::read_to_string(&marker).unwrap().as_str()), (port, "kept"));
    assert!(greeting(&server).starts_with("INFO "));
}

#[test]
fn it_ends_with_its_guard_also_when_a_test_panics() {
    let server = DevServer::start().unwrap();
    let (port, folder) = (server.port(), server.folder().to_owned());
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _server = server;
        panic!("as a test does");
    }));
    assert!(panicked.is_err());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err() && !folder.exists());
}

/// Says in the test below that it is the owner, which is killed.
const OWNER: &str = "BUS_NATS_TEST_OWNER";

#[test]
#[cfg(unix)]
fn it_ends_also_when_its_owner_is_killed() {
    if env::var_os(OWNER).is_some() {
        let server = DevServer::start().unwrap();
        println!("\nserver {} {}", server.port(), server.folder().display());
        return drop(io::stdin().read_line(&mut String::new()));
    }
    let mut owner = Command::new(env::current_exe().unwrap());
    owner.args(["--exact", "it_ends_also_when_its_owner_is_killed", "--nocapture"]);
    owner.env(OWNER, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut owner = owner.spawn().unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with("server ")).unwrap();
    let [_, port, folder] = line.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    // It ends with the server's connection; how, is for the system to say.
    let _ = stream.read_to_end(&mut Vec::new());
    while Path::new(folder).exists() {
        thread::yield_now();
    }
}

#[test]
fn a_configuration_that_is_wrong_is_told_in_the_servers_words() {
    let error = DevServer::start_with("no_such_thing: 1\n").unwrap_err();
    let DevServerError::NotReady { output } = &error else { panic!("{error}") };
    assert!(output.contains("no_such_thing"), "{output}");
}
