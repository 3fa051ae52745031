//! What reads the bytes of others, without the rest: for `fuzz/`, and for the test that replays its corpus.

use lb_drain_api::{Addresses, Rotation};

use crate::answer::{self, Answer, Refusal};
use crate::entry::{Entry, Own, Stat};
use crate::restore::{self, Before};

/// Reads bytes as HAProxy's answer, and judges every server in it.
pub fn answer(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // As the answer to a change.
    answer::refusal(&text);
    // As the answer to questions.
    let Ok(answer) = Answer::parse(&text) else {
        return;
    };
    for text in answer.texts {
        Refusal::parse(text);
        let short = answer::excerpt(text);
        assert!(short.chars().count() <= 101, "fits into a line: {short}");
        assert!(!short.contains(char::is_control), "is one line: {short:?}");
    }
    let own = Own {
        addresses: Addresses::from(vec![[10, 0, 0, 7].into()]),
        loopback: true,
    };
    for row in answer.states.unwrap_or_default() {
        let mut entry = Entry::new(&row, &own);
        entry.stat = answer
            .stats
            .iter()
            .find(|stat| stat.backend == row.backend && stat.server == row.server)
            .map(Stat::new);
        let view = entry.view();
        assert!(
            !entry.admin.is_out() || !view.rotation.may_route(),
            "what was taken out is out: {view:?}"
        );
        assert!(
            view.rotation != Rotation::InService || entry.weight > 0,
            "without a weight there is no traffic: {view:?}"
        );
        let before = Before::from_value(&view.before, String::new).expect("what was written is read");
        let _ = restore::plan(Some(before), &entry, false);
    }
}

#[cfg(test)]
mod tests {
    use lb_drain_test_support::corpus;

    #[test]
    fn the_corpus_of_haproxy_answers_is_read_without_a_finding() {
        corpus::replay("haproxy_answer", super::answer);
    }
}
