//! What holds for every schedule of attempts and pauses.

use proptest::prelude::*;
use tokio::time::advance;

use super::*;

/// More rounds than any schedule has: each takes time, and pauses near the end halve what is left.
const ENDLESS: usize = 20_000;

/// What happens in one round: the part of its time that the attempt takes, and how long it is told to wait.
fn rounds() -> impl Strategy<Value = Vec<(f64, Option<Duration>)>> {
    let told = prop::option::weighted(0.2, (0..5_000_u64).prop_map(Duration::from_millis));
    prop::collection::vec((0.01..=1.0, told), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn no_schedule_ever_passes_its_end(
        total in 0..600_000_u64,
        first in 1..10_000_u64,
        rounds in rounds(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let until = Instant::now() + Duration::from_millis(total);
            let mut retry = Retry::until(until, Duration::from_millis(first));
            for round in 0.. {
                prop_assert!(round < ENDLESS, "it never ends");
                let (part, told) = rounds[round % rounds.len()];
                advance(retry.attempt().mul_f64(part)).await;
                prop_assert!(Instant::now() <= until, "an attempt passes the end");
                let left = until - Instant::now();
                let Some(pause) = retry.pause(told) else {
                    break;
                };
                // A wish is granted, unless there is less time than that.
                let wish = told.unwrap_or_default().min(left / 4 * 3);
                prop_assert!(pause >= wish, "asked again too soon");
                advance(pause).await;
                prop_assert!(Instant::now() < until, "a pause leaves no time for an attempt");
            }
            Ok(())
        })?;
    }
}
