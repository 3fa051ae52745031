//! Token buckets: how AWS limits an account's calls per region.

use std::time::Instant;

/// A bucket of tokens, full at first.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    size: f64,
    per_second: f64,
    left: f64,
    last: Option<Instant>,
}

impl Bucket {
    /// A bucket of `size` tokens, refilled at `per_second`.
    #[must_use]
    pub fn new(size: u32, per_second: u32) -> Self {
        Self {
            size: size.into(),
            per_second: per_second.into(),
            left: size.into(),
            last: None,
        }
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        if let Some(last) = self.last {
            let refill = now.saturating_duration_since(last).as_secs_f64() * self.per_second;
            self.left = (self.left + refill).min(self.size);
        }
        self.last = Some(now);
        let there = self.left >= 1.0;
        if there {
            self.left -= 1.0;
        }
        there
    }
}

/// The limits of an account.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// All Describe actions together.
    pub describe: Bucket,
    /// DeregisterTargets and RegisterTargets.
    pub change: Bucket,
}

impl Default for Limits {
    /// As observed: 40 Describe calls at once and 10 a second, 20 changes at once and 4 a second.
    fn default() -> Self {
        Self {
            describe: Bucket::new(40, 10),
            change: Bucket::new(20, 4),
        }
    }
}

impl Limits {
    pub(super) fn admit(&mut self, action: &str, now: Instant) -> bool {
        if action.starts_with("Describe") {
            self.describe.take(now)
        } else {
            self.change.take(now)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(40, 10);
        let start = Instant::now();
        assert_eq!((0..100).filter(|_| bucket.take(start)).count(), 40);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| bucket.take(later)).count(), 10);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!((0..100).filter(|_| bucket.take(much_later)).count(), 40);
    }
}
