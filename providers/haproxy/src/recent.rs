//! What was seen of a server a moment ago, for the verb that follows at once: an exchange with HAProxy takes a tenth of
//! the time of a whole run in which nothing is in flight.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lb_drain_api::Target;
use tokio::time::Instant;

use crate::entry::Entry;

/// A moment: hardly longer than what always lies between HAProxy's answer and our next command.
const MOMENT: Duration = Duration::from_millis(2);

/// The last sight of each server, to be used once.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<BTreeMap<Target, (Instant, Entry)>>);

impl Recent {
    /// Keeps what has just been seen.
    pub(crate) fn note(&self, target: &Target, entry: Entry) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(target.clone(), (Instant::now(), entry));
    }

    /// What was seen, unless that is no longer a moment ago. The next one to ask gets nothing.
    pub(crate) fn take(&self, target: &Target) -> Option<Entry> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (when, entry) = all.remove(target)?;
        (when.elapsed() < MOMENT).then_some(entry)
    }
}

#[cfg(test)]
mod tests {
    use lb_drain_api::Addresses;

    use super::*;
    use crate::entry::Own;
    use crate::table::StateRow;

    fn entry() -> Entry {
        let own = Own {
            addresses: Addresses::default(),
            loopback: false,
        };
        Entry::new(&StateRow::default(), &own)
    }

    #[tokio::test(start_paused = true)]
    async fn a_sight_is_used_once_and_only_at_once() {
        let (recent, target) = (Recent::default(), Target::new("web/app1"));
        recent.note(&target, entry());
        assert!(recent.take(&Target::new("web/app2")).is_none());
        assert!(recent.take(&target).is_some());
        assert!(recent.take(&target).is_none(), "once");
        recent.note(&target, entry());
        tokio::time::advance(MOMENT).await;
        assert!(recent.take(&target).is_none(), "too late");
    }
}
