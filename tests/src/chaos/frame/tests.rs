use super::*;

const WIRE: &str = "INFO {\"server_id\":\"x\",\"connect_urls\":[\"10.0.0.1:4222\"]}\r\n\
    CONNECT {}\r\nPING\r\nPONG\r\nSUB _INBOX.x.* 1\r\nUNSUB 1 2\r\n\
    PUB $JS.ACK.a reply 4\r\n+ACK\r\nHPUB jobs.due 12 17\r\nNATS/1.0\r\n\r\na\r\nbc\r\n\
    MSG a.b 1 0\r\n\r\nHMSG a.b 1 r 12 12\r\nNATS/1.0\r\n\r\n\r\n+OK\r\n-ERR 'no'\r\n";

fn split(pieces: &[&[u8]]) -> Vec<Frame> {
    let (mut splitter, mut frames) = (Splitter::default(), Vec::new());
    for piece in pieces {
        splitter.push(piece);
        while let Some(frame) = splitter.frame().unwrap() {
            frames.push(frame);
        }
    }
    assert_eq!(splitter.buffer.len(), splitter.from, "nothing is left");
    frames
}

#[test]
fn every_kind_is_known_with_its_subject_and_its_payload() {
    let frames = split(&[WIRE.as_bytes()]);
    let kinds: Vec<_> = frames.iter().map(|frame| frame.kind).collect();
    use Kind::*;
    assert_eq!(kinds, [Info, Connect, Ping, Pong, Sub, Unsub, Pub, HPub, Msg, HMsg, Ok, Err]);
    let subjects: Vec<_> = frames.iter().map(Frame::subject).collect();
    let expected =
        ["", "", "", "", "_INBOX.x.*", "", "$JS.ACK.a", "jobs.due", "a.b", "a.b", "", ""];
    assert_eq!(subjects, expected);
    assert_eq!((&*frames[6].text(), &*frames[7].text()), ("+ACK", "a\r\nbc"));
    assert_eq!(frames[7].headers(), b"NATS/1.0\r\n\r\n");
    assert_eq!((&*frames[8].text(), &*frames[9].text(), &*frames[11].text()), ("", "", "'no'"));
    let bytes: Vec<_> = frames.into_iter().flat_map(Frame::into_bytes).collect();
    assert_eq!(bytes, WIRE.as_bytes(), "nothing is added and nothing is lost");
}

#[test]
fn frames_are_the_same_wherever_the_bytes_are_cut() {
    let (wire, whole) = (WIRE.as_bytes(), split(&[WIRE.as_bytes()]));
    for first in 0..=wire.len() {
        assert_eq!(split(&[&wire[..first], &wire[first..]]), whole, "cut at {first}");
        for second in first..=wire.len() {
            let pieces = [&wire[..first], &wire[first..second], &wire[second..]];
            assert_eq!(split(&pieces), whole, "cut at {first} and {second}");
        }
    }
    let bytes: Vec<_> = wire.chunks(1).collect();
    assert_eq!(split(&bytes), whole);
}

#[test]
fn what_is_no_frame_is_said_and_not_kept() {
    let sizes = ["PUB a 99999999999\r\n", "PUB a x\r\n", "HPUB a 5 2\r\n", "PUB a 1\r\nxyz"];
    for wire in ["GET / HTTP/1.1\r\n", "PING\n", "\r\n", "\n"].into_iter().chain(sizes) {
        let mut splitter = Splitter::default();
        splitter.push(wire.as_bytes());
        assert!(splitter.frame().is_err(), "{wire:?}");
    }
    let mut splitter = Splitter::default();
    splitter.push(&vec![b'x'; LONGEST_LINE]);
    assert!(splitter.frame().is_err(), "a line without an end");
}

#[test]
fn a_corrupted_frame_differs_in_one_byte_of_its_payload() {
    for frame in split(&[WIRE.as_bytes()]) {
        let (before, length) = (frame.clone(), frame.payload().len());
        let after = frame.corrupted();
        let pairs = before.bytes().iter().zip(after.bytes());
        let differ = pairs.filter(|(one, other)| one != other).count();
        assert_eq!(differ, usize::from(length > 0), "{before:?}");
        assert_eq!(before.headers(), after.headers());
    }
}

#[test]
fn a_greeting_names_no_other_server() {
    let info = split(&[WIRE.as_bytes()]).remove(0).without_addresses();
    assert_eq!(info.bytes(), b"INFO {\"server_id\":\"x\"}\r\n");
    assert_eq!(info.text(), "{\"server_id\":\"x\"}");
}

#[test]
fn bytes_that_are_not_looked_into_pass_as_they_are() {
    let mut splitter = Splitter::blind();
    splitter.push(b"\x16\x03\x01");
    let frame = splitter.frame().unwrap().unwrap();
    assert_eq!((frame.kind, frame.payload()), (Kind::Bytes, &b"\x16\x03\x01"[..]));
    assert_eq!(splitter.frame().unwrap(), None);
}
