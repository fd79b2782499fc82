//! Stops at any moment, and what stands in their way.

use std::env;
use std::time::Duration;

use bus_core::prelude::*;
use tests::chaos::injected::{Injected, Random};
use tests::jobs::{Does, Job, Then};
use tests::manner::Manner;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::ledger::Ledger;
use crate::process::Process;
use crate::raw::Tap;
use crate::{
    MILLISECOND, PATIENCE, consumer, dead_letters, injects, is_settled, kill, publish, restart,
    server, stop,
};

const GRACE: Duration = Duration::from_secs(5);

/// What the last line of a log says is finished, handed back and abandoned.
pub(crate) fn report(log: &str) -> (u64, u64, u64) {
    let line = log.lines().last().and_then(|line| line.split_once("running: ")).unwrap().1;
    let words: Vec<_> = line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    let [finished, handed_back, abandoned] = words[..] else { panic!("{line}") };
    (finished, handed_back, abandoned)
}

/// One worker's end.
struct Stopped {
    took: Duration,
    finished: u64,
    handed_back: u64,
    /// How many runs ended after it was told to stop.
    ended: u64,
}

/// Workers one after the other, each stopped at a moment of its own.
async fn stop_some(
    url: String,
    slot: usize,
    count: usize,
    random: Random,
    ledger: Ledger,
) -> Vec<Stopped> {
    let (mut stopped, manner) = (Vec::new(), Manner { grace: GRACE, ..Manner::default() });
    for nth in 0..count {
        let who = format!("{slot}.{nth}");
        let worker = Process::ready(&url, &who, manner, &ledger).await;
        sleep(random.time(400 * MILLISECOND)).await;
        let begun = Instant::now();
        let (code, log) = worker.stop().await;
        let took = begun.elapsed();
        let (finished, handed_back, abandoned) = report(&log);
        assert!(code == Some(0) && abandoned == 0, "{code:?}: {log}");
        let told = log.lines().find_map(|line| line.split_once(" runs ended before this"));
        let before = told.and_then(|(line, _)| line.rsplit_once(' ')).unwrap().1;
        let ended = ledger.ended(&who) - before.parse::<u64>().unwrap();
        stopped.push(Stopped { took, finished, handed_back, ended });
    }
    stopped
}

/// So many stops of loaded workers, `slots` at work at once.
async fn stops(test: &str, count: usize, slots: usize) {
    let injected = Injected::begin(test);
    let (server, transport, bus) = server().await;
    let tap = Tap::of(&server, "$JS.ACK.>").await;
    let (ledger, (enough, enough_told)) = (Ledger::default(), watch::channel(false));
    let mut load = JoinSet::new();
    load.spawn(stop::publish(bus, ledger.clone(), enough_told));
    let (mut all, each) = (JoinSet::new(), count.div_ceil(slots));
    for slot in 0..slots {
        all.spawn(stop_some(server.url(), slot, each, injected.random(), ledger.clone()));
    }
    let stopped: Vec<_> = all.join_all().await.into_iter().flatten().collect();
    injected.add("SIGTERM", stopped.len());
    let last = Process::ready(&server.url(), "last", Manner::default(), &ledger).await;
    enough.send_replace(true);
    let sent = load.join_next().await.unwrap().unwrap();
    ledger.has_done(&(0..sent.len() as u32).collect::<Vec<_>>(), PATIENCE).await;
    is_settled(&transport).await;
    let handed_back_last = report(&last.stop().await.1).1;
    let reported = handed_back_last + stopped.iter().map(|one| one.handed_back).sum::<u64>();
    let delivered = consumer(&transport).await["delivered"]["consumer_seq"].as_u64().unwrap();
    let (runs, beyond) = ledger.with(|runs| (runs.all.len() as u64, runs.beyond_the_first()));
    assert_eq!(beyond, 0, "finished work was done again");
    // Each delivery was run or handed back. What came behind a stop stands in no report.
    let handed_back = tap.counts(delivered - runs, |heard| heard.text() == "-NAK").await;
    println!("{delivered} deliveries, {runs} runs, {handed_back} handed back, {reported} reported");
    assert_eq!(delivered, runs + handed_back);
    assert!(0 < reported && reported <= handed_back);
    are_exact(&stopped);
}

fn are_exact(stopped: &[Stopped]) {
    let sum = |of: fn(&Stopped) -> u64| stopped.iter().map(of).sum::<u64>();
    let (finished, ended) = (sum(|one| one.finished), sum(|one| one.ended));
    let (count, longest) = (stopped.len(), stopped.iter().map(|one| one.took).max().unwrap());
    println!(
        "{count} stops, the longest {longest:?}; {finished} finished of {ended} that ended then"
    );
    assert!(longest < GRACE + SECOND, "{longest:?}");
    // What ended in the instant of the stop stands in the log alone.
    for one in stopped {
        assert!(one.finished <= one.ended && one.ended <= one.finished + 4);
    }
    assert!(finished > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_f1_stops_at_any_moment_do_nothing_twice_and_report_what_was() {
    stops("fault_f1_stops_at_any_moment", 20, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: a thousand stops, or as many as $STOPS says"]
async fn fault_f1_a_thousand_stops_do_nothing_twice_and_report_what_was() {
    let count = env::var("STOPS").map_or(1000, |count| count.parse().unwrap());
    stops("fault_f1_a_thousand_stops", count, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_f2_a_second_signal_ends_a_worker_that_hangs_and_its_event_comes_again() {
    let (server, transport, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    let manner = Manner { lease: SECOND, ..Manner::default() };
    let hangs = Manner { instead: Some(Does::Hang), ..manner };
    let hangs = Process::ready(&url, "hangs", hangs, &ledger).await;
    bus.publish(&Job { number: 7, does: Does::Sleep(1) }).await.unwrap();
    ledger.until("it runs", PATIENCE, |runs| runs.count("hangs") == 1).await;
    let begun = Instant::now();
    hangs.signal("TERM").await;
    sleep(300 * MILLISECOND).await;
    let (code, log) = hangs.stop().await;
    println!("ended after {:?} with {code:?}", begun.elapsed());
    assert!(code == Some(143) && begun.elapsed() < SECOND * 3, "{code:?}: {log}");
    let next = Process::ready(&url, "next", manner, &ledger).await;
    ledger.has_done(&[7], PATIENCE).await;
    is_settled(&transport).await;
    assert_eq!(ledger.runs().of(7).len(), 2);
    assert!(dead_letters(&transport).await.is_empty());
    assert_eq!(next.stop().await.0, Some(0));
    injects("fault_f2", &[("SIGTERM", 2)]);
}

/// While it starts, while it publishes, while its handlers block its thread: whenever it is told.
#[tokio::test(flavor = "multi_thread")]
async fn fault_f3_a_stop_at_any_moment_of_a_start_ends() {
    let injected = Injected::begin("fault_f3_a_stop_at_any_moment_of_a_start_ends");
    let (server, _, bus) = server().await;
    let (url, ledger, random) = (server.url(), Ledger::default(), injected.random());
    let does = |number| match number % 3 {
        0 => Does::Echo(Then::FailFirst),
        1 => Does::Block(5),
        _ => Does::FailFirst,
    };
    publish(&bus, 3000, does).await;
    let (mut longest, mut codes) = (Duration::ZERO, Vec::new());
    for _ in 0..20 {
        let manner = Manner { grace: GRACE, ..Manner::default() };
        let worker = Process::start(&url, "one", manner, &ledger);
        sleep(random.time(500 * MILLISECOND)).await;
        let begun = Instant::now();
        let (code, log) = worker.stop().await;
        longest = longest.max(begun.elapsed());
        // Before it listens the signal ends it as any other program.
        assert!(matches!(code, Some(0) | None), "{code:?}: {log}");
        codes.push(code);
    }
    let stopped = codes.iter().filter(|code| **code == Some(0)).count();
    println!("{stopped} of {} were at work, the longest took {longest:?}", codes.len());
    assert!(longest < GRACE + SECOND && stopped > 0, "{longest:?}, {codes:?}");
    injected.add("SIGTERM", codes.len());
}

/// What was done and not yet acked is run again; it is said, and it is not waited for without end.
#[tokio::test(flavor = "multi_thread")]
async fn fault_f4_a_stop_without_a_server_is_bounded_says_so_and_loses_nothing() {
    let injected = Injected::begin("fault_f4_a_stop_without_a_server");
    for frozen in [false, true] {
        let (mut server, transport, bus) = server().await;
        let (url, ledger) = (server.url(), Ledger::default());
        let manner = Manner { lease: SECOND * 2, grace: SECOND, ..Manner::default() };
        let worker = Process::ready(&url, "first", manner, &ledger).await;
        let numbers = publish(&bus, 200, |_| Does::Sleep(100)).await;
        ledger.until("it works", PATIENCE, |runs| runs.count("first") > 8).await;
        if frozen {
            server.signal("STOP").unwrap();
        } else {
            kill(&mut server);
        }
        injected.note(if frozen { "server frozen" } else { "server killed" });
        let begun = Instant::now();
        let (code, log) = worker.stop().await;
        let took = begun.elapsed();
        println!("frozen {frozen}: ended with {code:?} after {took:?}: {:?}", report(&log));
        assert!(took < manner.grace + SECOND * 5, "{took:?}");
        assert!(log.contains("answers may be lost"), "{log}");
        if frozen {
            server.signal("CONT").unwrap();
        } else {
            restart(&mut server);
        }
        let next = Process::ready(&url, "next", manner, &ledger).await;
        ledger.has_done(&numbers, PATIENCE).await;
        is_settled(&transport).await;
        let beyond = ledger.runs().beyond_the_first();
        println!("{beyond} ran again");
        assert!(beyond <= 40 && dead_letters(&transport).await.is_empty());
        assert_eq!(next.stop().await.0, Some(0));
    }
}
