//! How many are still leaving: whoever has drained looks after its entry until all have.

use tokio::sync::watch;

/// The count of those that are still leaving.
#[derive(Debug, Clone, Default)]
pub(super) struct Leaving(watch::Sender<usize>);

/// One of them, until it is dropped: however its task ends, nobody waits for it in vain.
#[derive(Debug)]
pub(super) struct StillLeaving(Leaving);

impl Leaving {
    /// One more.
    pub(super) fn one(&self) -> StillLeaving {
        self.0.send_modify(|count| *count += 1);
        StillLeaving(self.clone())
    }

    /// Returns once none is left.
    pub(super) async fn all_have_left(&self) {
        // The sender is ours, so this cannot fail.
        drop(self.0.subscribe().wait_for(|count| *count == 0).await);
    }
}

impl StillLeaving {
    /// The count that it is part of.
    pub(super) fn leaving(&self) -> &Leaving {
        &self.0
    }
}

impl Drop for StillLeaving {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
