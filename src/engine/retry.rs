//! When to ask again. The only module that knows the `backoff` crate.

use std::time::Duration;

use backoff::backoff::Backoff;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use tokio::time::Instant;

/// The mean of the first pause. Short: a load balancer that just reloads is back in milliseconds.
const FIRST: Duration = Duration::from_millis(50);
/// The mean of the longest pause, so that one which recovers is asked soon after.
const LONGEST: Duration = Duration::from_secs(1);
/// An attempt that gets less than this is not worth making.
const LAST: Duration = Duration::from_millis(20);

/// The pauses between attempts: exponential with full jitter (each uniform between nothing and twice its
/// mean), so that a fleet that stops together does not ask together.
#[derive(Debug)]
pub struct Retry {
    pauses: ExponentialBackoff,
    attempts: u32,
    first: Duration,
    until: Instant,
}

impl Retry {
    /// Attempts until `until`, the first of which may take `first`; each further one twice as long.
    #[must_use]
    pub fn until(until: Instant, first: Duration) -> Self {
        Self {
            pauses: ExponentialBackoffBuilder::new()
                .with_initial_interval(FIRST)
                .with_max_interval(LONGEST)
                .with_multiplier(2.0)
                .with_randomization_factor(1.0)
                .with_max_elapsed_time(None) // `until` decides, on the engine's clock
                .build(),
            attempts: 0,
            first,
            until,
        }
    }

    /// How long the next attempt may take.
    pub fn attempt(&mut self) -> Duration {
        let limit = self
            .first
            .saturating_mul(2_u32.saturating_pow(self.attempts.min(16)));
        self.attempts += 1;
        limit.min(self.until.saturating_duration_since(Instant::now()))
    }

    /// How long to pause before the next attempt; `None` when it would come too late. Near the end, pauses
    /// halve what is left rather than pass it.
    ///
    /// `at_least` is what the load balancer wishes. Where it wishes more than there is, it is asked again late, for
    /// it may be well by then.
    pub fn pause(&mut self, at_least: Option<Duration>) -> Option<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        // All that were told the same are not to ask together.
        let wish = at_least.unwrap_or_default().mul_f64(1.0 + fastrand::f64() / 4.0);
        let pause = self
            .pauses
            .next_backoff()?
            .min(left / 2)
            .max(wish.min(left / 4 * 3));
        (left > LAST).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use lb_drain_api::ATTEMPT;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_with_full_jitter_and_stay_bounded() {
        let mut firsts = Vec::new();
        for _ in 0..200 {
            let mut retry = Retry::until(Instant::now() + Duration::from_secs(3600), ATTEMPT);
            firsts.push(retry.pause(None).expect("there is time"));
            for _ in 0..20 {
                assert!(retry.pause(None).expect("there is time") <= LONGEST * 2);
            }
        }
        assert!(firsts.iter().all(|pause| *pause <= FIRST * 2));
        assert!(
            firsts.iter().any(|pause| *pause < FIRST / 4),
            "full jitter reaches down to nothing"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn ends_when_the_next_attempt_would_come_too_late() {
        let mut retry = Retry::until(Instant::now() + Duration::from_secs(5), ATTEMPT);
        let wish = retry.pause(Some(Duration::from_secs(3))).expect("there is time");
        assert!(
            wish >= Duration::from_secs(3) && wish <= Duration::from_millis(3_750),
            "{wish:?}"
        );
        let late = retry.pause(Some(Duration::from_secs(60))).expect("there is time");
        assert_eq!(
            late,
            Duration::from_millis(3_750),
            "one that wishes too much is asked late"
        );
        tokio::time::advance(Duration::from_millis(4_990)).await;
        assert_eq!(retry.pause(None), None);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_get_longer_within_what_is_left() {
        let mut retry = Retry::until(Instant::now() + Duration::from_secs(5), ATTEMPT);
        assert_eq!(retry.attempt(), Duration::from_secs(2));
        assert_eq!(retry.attempt(), Duration::from_secs(4));
        assert_eq!(retry.attempt(), Duration::from_secs(5));
    }
}

#[cfg(test)]
#[path = "retry_properties.rs"]
mod properties;
