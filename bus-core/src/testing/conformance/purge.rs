//! Records can be read one by one and page by page, and removed.

use super::answer::give_up;
use super::bench::Bench;
use crate::operator::{DeadLetter, DeadLetterId, OperatorError, Page};

/// A purged record is in no list, and its event comes to nobody.
pub async fn a_purged_record_is_gone_for_good(bench: Bench) {
    let Some(operator) = bench.operator() else { return };
    let mut member = bench.join("charge").await;
    for text in ["a", "b"] {
        bench.publish(text).await;
        give_up(member.runs(text).await).await;
    }
    let letters = bench.dead_letters("charge").await;
    assert_eq!(operator.purge(&letters[0].id).await, Ok(()));
    let left: Vec<_> = bench.dead_letters("charge").await.into_iter().map(|left| left.id).collect();
    assert_eq!(left, [letters[1].id.clone()]);
    let redriven = operator.redrive(&letters[0].id, None).await;
    assert!(matches!(redriven, Err(OperatorError::NoDeadLetter { .. })), "{redriven:?}");
    member.hears_nothing_for(bench.settings.quiet).await;
}

/// What is not there can not be purged, and that is said.
pub async fn a_purge_of_nothing_is_an_error(bench: Bench) {
    let Some(operator) = bench.operator() else { return };
    let unknown = operator.purge(&DeadLetterId::new("no-such-record")).await;
    assert!(matches!(unknown, Err(OperatorError::NoDeadLetter { .. })), "{unknown:?}");
}

/// Pages follow each other without a gap and without an overlap, oldest first, and say which is
/// the newest of all.
pub async fn dead_letters_are_read_page_by_page(bench: Bench) {
    let Some(operator) = bench.operator() else { return };
    let mut member = bench.join("charge").await;
    for number in 0..5 {
        let text = number.to_string();
        bench.publish(&text).await;
        give_up(member.runs(&text).await).await;
    }
    let mut page = Page::of(Some(bench.group_name("charge")));
    (page.limit, page.payloads) = (2, false);
    let (mut sizes, mut positions, mut newest) = (Vec::new(), Vec::new(), 0);
    // More pages than there can be, lest a transport that goes round is waited for.
    for _ in 0..9 {
        let read = operator.page(&page).await.unwrap_or_default();
        sizes.push(read.letters.len());
        positions.extend(read.letters.iter().map(|letter| letter.position));
        newest = read.newest;
        match read.next {
            Some(next) => page.after = next,
            None => break,
        }
    }
    sizes.retain(|size| *size > 0);
    assert_eq!(sizes, [2, 2, 1]);
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    assert!(positions.last().is_some_and(|last| *last <= newest), "{positions:?}, {newest}");
}

/// A record is the same by its id as in a list.
pub async fn one_dead_letter_is_found_by_its_id(bench: Bench) {
    let Some(operator) = bench.operator() else { return };
    let unknown = operator.dead_letter(&DeadLetterId::new("no-such-record")).await;
    assert!(matches!(unknown, Err(OperatorError::NoDeadLetter { .. })), "{unknown:?}");
    let mut member = bench.join("charge").await;
    bench.publish("rejected").await;
    give_up(member.runs("rejected").await).await;
    for listed in bench.dead_letters("charge").await {
        let parts = |letter: DeadLetter| {
            let DeadLetter { id, group, envelope, reason, failed, redrives, position } = letter;
            (id, group, envelope, reason, failed, redrives, position)
        };
        let found = operator.dead_letter(&listed.id).await;
        assert_eq!(found.map(parts), Ok(parts(listed)));
    }
}
