//! Against a server that says everything back.

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::time::{Instant, timeout};

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(20);

/// What there was up to the end of the connection, or up to `length` bytes.
async fn read(stream: &mut TcpStream, length: usize) -> String {
    let mut read = vec![0; length];
    let mut filled = 0;
    while filled < length {
        let more = timeout(PATIENCE, stream.read(&mut read[filled..])).await.unwrap();
        match more.unwrap_or(0) {
            0 => break,
            more => filled += more,
        }
    }
    read.truncate(filled);
    String::from_utf8(read).unwrap()
}

struct Setup {
    proxy: Proxy,
    client: TcpStream,
    _echo: JoinSet<()>,
}

async fn setup() -> Setup {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap().port()).await.unwrap();
    let mut echo = JoinSet::new();
    echo.spawn(async move {
        let mut all = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (mut from, mut to) = stream.into_split();
            all.spawn(async move { copy(&mut from, &mut to).await });
        }
    });
    let client = connect(&proxy).await;
    Setup { proxy, client, _echo: echo }
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap()
}

fn publish(subject: &str, payload: &str) -> String {
    format!("PUB {subject} {}\r\n{payload}\r\n", payload.len())
}

/// What comes back of three messages.
async fn after(when: When, action: Action) -> (String, usize) {
    let Setup { proxy, mut client, _echo } = setup().await;
    let rule = proxy.rule(when, action);
    let sent: String =
        ["one", "two", "three"].map(|text| publish("a.b", text)).concat() + "PING\r\n";
    client.write_all(sent.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let back = read(&mut client, 1000).await;
    let words = back.lines().filter(|line| !line.starts_with("PUB"));
    (words.collect::<Vec<_>>().join(" "), rule.count())
}

#[tokio::test]
async fn what_a_rule_says_is_done_to_its_frames_and_to_no_other() {
    let all = || When::to_server().subject("a.").kind(crate::chaos::frame::Kind::Pub);
    let done = [
        (all(), Action::Pass, "one two three PING", 3),
        (all(), Action::Drop, "PING", 3),
        (all().payload("t"), Action::Drop, "one PING", 2),
        (all().nth(2), Action::Drop, "one three PING", 1),
        (all().first(2), Action::Drop, "three PING", 2),
        (all().every(2), Action::Duplicate, "one two two three PING", 1),
        (all().payload("one"), Action::Corrupt, "ooe two three PING", 1),
        (all().subject_has("x"), Action::Drop, "one two three PING", 0),
        (When::to_client().payload("two"), Action::CutBefore, "one", 1),
        (all().is(|frame| frame.text() == "two"), Action::CutAfter, "one two", 1),
        (all().nth(1), Action::Delay(50 * MILLISECOND), "one two three PING", 1),
        (all().nth(1), Action::Late(50 * MILLISECOND), "two three PING one", 1),
    ];
    for (when, action, expected, count) in done {
        let (back, counted) = after(when, action).await;
        // A connection that is cut may take along what is on its way back.
        let cut = matches!(action, Action::CutBefore | Action::CutAfter);
        assert!(back == expected || cut && expected.starts_with(&back), "{action:?}: {back}");
        assert_eq!(counted, count, "{action:?}");
    }
}

#[tokio::test]
async fn a_frame_is_told_and_held_until_the_thaw() {
    let Setup { proxy, mut client, _echo } = setup().await;
    let mut rule = proxy.rule(When::to_server().payload("+TERM"), Action::Freeze);
    let (ack, term) = (publish("x", "+ACK"), publish("x", "+TERM"));
    client.write_all([&*ack, &term, &ack].concat().as_bytes()).await.unwrap();
    assert_eq!(timeout(PATIENCE, rule.next()).await.unwrap().unwrap().text(), "+TERM");
    assert_eq!(read(&mut client, ack.len()).await, ack);
    let more = timeout(50 * MILLISECOND, client.read_u8()).await;
    assert!(more.is_err(), "the frame is held, and what follows");
    drop(rule);
    proxy.thaw();
    assert_eq!(read(&mut client, term.len() + ack.len()).await, term + &ack);
}

#[tokio::test]
async fn latency_costs_time_and_no_throughput() {
    let Setup { proxy, mut client, _echo } = setup().await;
    proxy.latency(20 * MILLISECOND);
    let begun = Instant::now();
    client.write_all(b"PING\r\n").await.unwrap();
    assert_eq!(read(&mut client, 6).await, "PING\r\n");
    assert!(begun.elapsed() >= 40 * MILLISECOND, "{:?}", begun.elapsed());
    // As many as would take a minute if each waited for the one before.
    let (message, count) = (publish("a", &"x".repeat(1000)), 3000);
    let (mut from, mut to) = client.into_split();
    let begun = Instant::now();
    let mut all = vec![0; message.len() * count];
    let sent = message.repeat(count);
    let (_, back) = tokio::join!(to.write_all(sent.as_bytes()), from.read_exact(&mut all));
    back.unwrap();
    assert!(all == sent.as_bytes() && begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_narrow_link_takes_its_time() {
    let Setup { proxy, mut client, _echo } = setup().await;
    proxy.throttle(20_000);
    let (sent, begun) = (publish("a", &"x".repeat(4000)), Instant::now());
    client.write_all(sent.as_bytes()).await.unwrap();
    assert_eq!(read(&mut client, sent.len()).await, sent);
    assert!(begun.elapsed() >= 150 * MILLISECOND, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_black_hole_one_way_keeps_the_connection() {
    let Setup { proxy, mut client, _echo } = setup().await;
    client.write_all(b"PING\r\n").await.unwrap();
    assert_eq!(read(&mut client, 6).await, "PING\r\n");
    for way in [Way::ToServer, Way::ToClient] {
        proxy.freeze_way(way);
        client.write_all(b"PONG\r\n").await.unwrap();
        assert!(timeout(50 * MILLISECOND, client.read_u8()).await.is_err());
        proxy.thaw();
        assert_eq!(read(&mut client, 6).await, "PONG\r\n");
    }
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_client_that_was_cut_or_refused_comes_back_on_the_same_port() {
    let Setup { proxy, mut client, _echo } = setup().await;
    client.write_all(b"PING\r\n").await.unwrap();
    assert_eq!(read(&mut client, 6).await, "PING\r\n");
    proxy.cut();
    assert_eq!(read(&mut client, 1).await, "");
    proxy.refuse(true);
    assert_eq!(read(&mut connect(&proxy).await, 1).await, "");
    proxy.refuse(false);
    let mut client = connect(&proxy).await;
    client.write_all(b"PING\r\n").await.unwrap();
    assert_eq!(read(&mut client, 6).await, "PING\r\n");
}

/// A server that does not read: what is kept for it is bounded, and then the client waits.
#[tokio::test]
async fn what_waits_in_the_proxy_is_bounded() {
    let Setup { proxy, client, _echo } = setup().await;
    proxy.freeze();
    let (_from, mut to) = client.into_split();
    let message = publish("a", &"x".repeat(1_000_000));
    let mut sent = 0;
    while timeout(SECOND / 2, to.write_all(message.as_bytes())).await.is_ok() {
        sent += 1;
        assert!(sent < 200, "{sent} MB are kept");
    }
}

const SECOND: Duration = Duration::from_secs(1);
