//! A value that is made once for everybody who needs it.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// A value made by the first who asks; the others wait for it.
///
/// It differs from `tokio::sync::OnceCell` in what a failure does: an attempt that fails, fails for all who
/// were waiting for it. With one target group after the other trying for itself, a metadata service that
/// does not answer would cost two hundred target groups two hundred time-outs in a row. Who asks after the
/// failure starts the next attempt, so a repeated verb does try again. A dropped attempt counts as none.
#[derive(Debug)]
pub(crate) struct Once<T, E> {
    attempts: AtomicU64,
    outcome: Mutex<Option<Result<T, E>>>,
}

impl<T, E> Default for Once<T, E> {
    fn default() -> Self {
        Self {
            attempts: AtomicU64::new(0),
            outcome: Mutex::new(None),
        }
    }
}

impl<T: Clone, E: Clone> Once<T, E> {
    /// The value, made by `make` if there is none yet.
    pub(crate) async fn get(&self, make: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let before = self.attempts.load(Ordering::SeqCst);
        let mut outcome = self.outcome.lock().await;
        match &*outcome {
            Some(Ok(value)) => Ok(value.clone()),
            Some(Err(error)) if self.attempts.load(Ordering::SeqCst) > before => Err(error.clone()),
            _ => {
                let made = make.await;
                *outcome = Some(made.clone());
                self.attempts.fetch_add(1, Ordering::SeqCst);
                made
            }
        }
    }

    /// The value, where it has been made already and nobody is at it now.
    pub(crate) fn made(&self) -> Option<T> {
        match &*self.outcome.try_lock().ok()? {
            Some(Ok(value)) => Some(value.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failed_attempt_fails_for_all_who_waited_for_it_and_for_nobody_later() {
        let once = Arc::new(Once::<u32, &str>::default());
        let tries = Arc::new(AtomicU64::new(0));
        let ask = |once: Arc<Once<_, _>>, tries: Arc<AtomicU64>| async move {
            once.get(async {
                let attempt = tries.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(1)).await;
                if attempt == 0 { Err("dead") } else { Ok(7) }
            })
            .await
        };
        let waiting: Vec<_> = (0..200)
            .map(|_| tokio::spawn(ask(once.clone(), tries.clone())))
            .collect();
        for one in waiting {
            assert_eq!(one.await.expect("no panic"), Err("dead"));
        }
        assert_eq!(tries.load(Ordering::SeqCst), 1);
        assert_eq!(once.made(), None);
        assert_eq!(ask(once.clone(), tries.clone()).await, Ok(7));
        assert_eq!(ask(once.clone(), tries.clone()).await, Ok(7));
        assert_eq!(tries.load(Ordering::SeqCst), 2);
        assert_eq!(once.made(), Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_attempt_leaves_the_next_one_free_to_start() {
        let once = Once::<u32, &str>::default();
        let dropped = tokio::time::timeout(Duration::from_secs(1), once.get(std::future::pending())).await;
        assert!(dropped.is_err());
        assert_eq!(once.get(async { Ok(1) }).await, Ok(1));
    }
}
