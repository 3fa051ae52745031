//! Room for the longest wait: where the unit sets no end (`infinity`), and where its timeout is to be extended.

use std::time::Duration;

use super::Settings;
use crate::budget::{Budget, Source};
use crate::delays::{self, Delay};
use crate::service_manager::Application;

/// How long the load balancers have to tell their delays: nobody is left meanwhile.
const ASKING: Duration = Duration::from_secs(2);

impl Settings {
    /// Makes the budget as long as the load balancers' delays where that is for them to say. Too short a one cuts
    /// requests, or stops the service while they still arrive, though the unit would wait.
    pub async fn make_room(&mut self) {
        let Some(hook) = self.asked.hook() else {
            if self.extend {
                self.remarks
                    .push("--extend-timeout has no effect: no unit runs this".to_owned());
            }
            return;
        };
        // Nobody is left to wait for.
        if hook.restart_waits || hook.application == Application::Gone {
            return;
        }
        let source = match (hook.timeout, &self.budget.source) {
            (None, Source::Default) => Source::Systemd(Box::new(hook.clone())),
            (Some(_), Source::Systemd(_)) if self.extend && hook.may_extend => {
                Source::Extended(Box::new(hook.clone()))
            }
            (Some(_), Source::Systemd(_)) if self.extend => {
                self.remarks.push(format!(
                    "--extend-timeout has no effect: systemd does not listen; write NotifyAccess=all in {}",
                    hook.unit
                ));
                return;
            }
            _ => return,
        };
        let extends = matches!(source, Source::Extended(_));
        // Of a short timeout only a part: what is not known by then is assumed.
        let patience = ASKING.min(self.budget.total / 10);
        let delays = delays::delays(&self.plans, patience).await;
        if extends && !delays.iter().any(Delay::is_said) {
            self.remarks.push(
                "--extend-timeout has no effect: no load balancer has a max_wait to extend it to".to_owned(),
            );
            return;
        }
        let total = delays::need(&delays);
        if !extends || total > self.budget.total {
            self.budget = Budget { total, source };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use lb_drain_api::{
        Error, Finding, Firmness, Found, Identity, LoadBalancer, Result, Schedule, Target, Terms, View,
        async_trait,
    };
    use serde_json::Value;

    use super::*;
    use crate::engine::Plan;
    use crate::service_manager::{Asked, Hook, Setting};

    /// Tells its terms, or never answers.
    #[derive(Debug)]
    struct Terse(Identity, Option<Terms>);

    #[async_trait]
    impl LoadBalancer for Terse {
        fn identity(&self) -> &Identity {
            &self.0
        }
        fn schedule(&self) -> Schedule {
            unreachable!("no run")
        }
        async fn find(&self) -> Result<Vec<Found>> {
            Err(Error::temporary("it", "is not asked for that"))
        }
        async fn look(&self, _: &Target) -> Result<View> {
            unreachable!("no run")
        }
        async fn terms(&self, _: &Target) -> Result<Terms> {
            match &self.1 {
                Some(terms) => Ok(terms.clone()),
                None => std::future::pending().await,
            }
        }
        async fn deregister(&self, _: &Target, _: Firmness, _: Option<&View>) -> Result<Option<View>> {
            unreachable!("no run")
        }
        async fn cut(&self, _: &Target) -> Result<()> {
            unreachable!("no run")
        }
        async fn register(&self, _: &Target, _: Option<&Value>) -> Result<()> {
            unreachable!("no run")
        }
        async fn others_in_service(&self, _: &Target, _: &[Target]) -> Result<Option<u64>> {
            unreachable!("no run")
        }
        async fn check(&self) -> Vec<Finding> {
            unreachable!("no run")
        }
    }

    fn saying(min: Option<u64>, max: Option<u64>) -> Option<Terms> {
        Some(Terms {
            min_wait: min.map(Duration::from_secs),
            max_wait: max.map(Duration::from_secs),
            ..Terms::default()
        })
    }

    fn hook(timeout: Option<u64>) -> Hook {
        Hook {
            unit: "web.service".to_owned(),
            setting: Setting::TimeoutStop,
            timeout: timeout.map(Duration::from_secs),
            head_start: Duration::ZERO,
            reason: None,
            application: Application::Unknown,
            restart_waits: false,
            restart_pause: Duration::ZERO,
            may_extend: true,
        }
    }

    /// The budget in seconds that a unit's line ends up with, and what is said of it.
    async fn room(hook: Hook, extend: bool, terms: &[Option<Terms>]) -> (u64, String, Vec<String>) {
        let plan = |terms: &Option<Terms>| Plan {
            name: "public".to_owned(),
            section: "public".to_owned(),
            balancer: Arc::new(Terse(
                Identity {
                    provider: "terse",
                    endpoint: "it".to_owned(),
                },
                terms.clone(),
            )),
            optional: false,
            min_wait: None,
            max_wait: None,
        };
        let budget = match hook.budget() {
            Some(total) => Budget {
                total,
                source: Source::Systemd(Box::new(hook.clone())),
            },
            None => Budget {
                total: crate::budget::DEFAULT,
                source: Source::Default,
            },
        };
        let mut settings = Settings {
            budget,
            ports: BTreeSet::new(),
            quiet: Duration::ZERO,
            plans: terms.iter().map(plan).collect(),
            asked: Asked::Hook(Box::new(hook)),
            scope: String::new(),
            file: None,
            application: None,
            extend,
            remarks: Vec::new(),
        };
        settings.make_room().await;
        let Budget { total, source } = settings.budget;
        (total.as_secs(), source.to_string(), settings.remarks)
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_unit_sets_no_end_the_longest_delay_does() {
        let endless = "TimeoutStopSec=infinity of web.service".to_owned();
        for (terms, total) in [
            (saying(Some(15), Some(300)), 305),
            (saying(Some(120), Some(60)), 125),
            (saying(None, None), 35),
        ] {
            let with_another = [saying(None, None), terms.clone()];
            let room = room(hook(None), false, &with_another).await;
            assert_eq!(room, (total, endless.clone(), vec![]), "{terms:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_one_that_does_not_answer_the_longest_is_assumed_and_it_is_not_waited_for() {
        let begun = tokio::time::Instant::now();
        let (total, _, _) = room(hook(None), false, &[None]).await;
        assert_eq!(total, 305);
        assert!(begun.elapsed() <= ASKING, "{:?}", begun.elapsed());
        let begun = tokio::time::Instant::now();
        room(hook(Some(2)), true, &[None]).await;
        assert!(
            begun.elapsed() < Duration::from_millis(200),
            "{:?}",
            begun.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_is_extended_only_where_that_is_wanted_and_of_use() {
        let long = [saying(Some(15), Some(300))];
        let extended = "TimeoutStopSec=30s of web.service, extended".to_owned();
        assert_eq!(room(hook(Some(30)), false, &long).await.0, 29);
        assert_eq!(room(hook(Some(30)), true, &long).await, (305, extended, vec![]));
        assert_eq!(room(hook(Some(900)), true, &long).await.0, 899);
        let deaf = Hook {
            may_extend: false,
            ..hook(Some(30))
        };
        let (total, _, remarks) = room(deaf, true, &long).await;
        assert!(
            total == 29 && remarks[0].contains("NotifyAccess=all in web.service"),
            "{remarks:?}"
        );
        let (total, _, remarks) = room(hook(Some(30)), true, &[saying(None, None)]).await;
        assert!(
            total == 29 && remarks[0].contains("no load balancer has a max_wait"),
            "{remarks:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_asked_for_an_application_that_is_gone() {
        let gone = Hook {
            application: Application::Gone,
            ..hook(None)
        };
        let begun = tokio::time::Instant::now();
        assert_eq!(room(gone, false, &[None]).await.0, 30);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
