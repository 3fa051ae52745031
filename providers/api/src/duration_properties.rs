//! What holds for every duration, and for every text that should be one.

use proptest::prelude::*;

use super::*;

/// As systemd writes it: each unit at most once, the largest first.
fn written(parts: &[u64; 5]) -> String {
    let units = ["d", "h", "min", "s", "ms"];
    let words = parts.iter().zip(units).filter(|(number, _)| **number > 0);
    words
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect::<Vec<_>>()
        .join(" ")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn what_systemd_writes_is_read_back(
        parts in [0..100_u64, 0..24_u64, 0..60_u64, 0..60_u64, 1..1000_u64],
        spaces in "[ \t]{0,3}",
    ) {
        let [days, hours, minutes, seconds, millis] = parts;
        let seconds = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
        let wanted = Duration::from_millis(seconds * 1000 + millis);
        prop_assert_eq!(parse(&format!("{spaces}{}{spaces}", written(&parts))), Ok(wanted));
    }

    #[test]
    fn no_text_is_too_odd_to_be_refused_in_a_sentence(text in "\\PC{0,20}|[0-9]{1,40}(s|ms|min|h|d|us|y)?|-?[0-9. ]{1,9}s") {
        if let Err(sentence) = parse(&text) {
            prop_assert!(sentence.contains(text.trim()), "{sentence}");
            prop_assert!(sentence.contains("write "), "{sentence}");
        }
    }

    #[test]
    fn what_people_read_is_short_and_right(millis in 0..100_000_000_u64) {
        let duration = Duration::from_millis(millis);
        let text = human(duration);
        prop_assert!(text.len() <= 8, "{text}");
        let (number, unit) = text.split_once(' ').expect("a number and a unit");
        let scale = if unit == "s" { 1.0 } else { 0.001 };
        let read = number.parse::<f64>().expect("a number") * scale;
        let off = (read - duration.as_secs_f64()).abs();
        prop_assert!(off <= 0.05 || off <= read / 100.0, "{text} for {duration:?}");
    }
}

#[test]
fn the_longest_of_all_can_be_shown_too() {
    assert!(human(Duration::MAX).ends_with(" s"));
}
