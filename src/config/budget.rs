//! The budget by whoever speaks first: option, environment, file; `auto` and nothing mean the unit's timeout,
//! which also bounds the others.

use std::time::Duration;

use lb_drain_api::duration::human;

use crate::budget::{self, Budget, Source};
use crate::cli::{BudgetFlag, Origin};
use crate::service_manager::Asked;

/// Who may say what the budget is.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) option: Option<BudgetFlag>,
    pub(super) origin: Option<Origin>,
    pub(super) file: Option<BudgetFlag>,
}

impl Claims {
    /// The budget that somebody gave.
    pub(super) fn given(&self) -> Option<Duration> {
        match self.option.or(self.file) {
            Some(BudgetFlag::Fixed(total)) => Some(total),
            Some(BudgetFlag::Auto) | None => None,
        }
    }

    /// The budget, before the load balancers are known.
    pub(super) fn resolve(&self, asked: &Asked, remarks: &mut Vec<String>) -> Budget {
        let source = match self.origin {
            Some(Origin::Env) => Source::Env,
            _ if self.option.is_some() => Source::Flag,
            _ => Source::Config,
        };
        let limit = asked.hook().and_then(|hook| {
            // Less than this cannot be kept anyway; then at least everybody is told.
            let total = hook.budget()?.max(budget::SHORTEST);
            Some((total, Source::Systemd(Box::new(hook.clone()))))
        });
        match (self.given(), limit) {
            (Some(given), Some((total, unit))) if given > total => {
                let crashed = asked.hook().is_some_and(|hook| hook.restart_waits);
                // Of that the run's first line tells, and no setting would change it.
                let remark = (!crashed).then(|| {
                    format!(
                        "a budget of {} ({source}) is more than {unit} leaves; it is cut to {}",
                        human(given),
                        human(total)
                    )
                });
                remarks.extend(remark);
                Budget { total, source: unit }
            }
            (Some(total), _) => Budget { total, source },
            (None, Some((total, source))) => Budget { total, source },
            (None, None) => {
                if let Asked::Silent(reason) = asked {
                    remarks.push(format!(
                        "the timeout of this unit is not known ({reason}); the budget is {} (set budget to less than TimeoutStopSec=)",
                        human(budget::DEFAULT)
                    ));
                }
                Budget {
                    total: budget::DEFAULT,
                    source: Source::Default,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_manager::{Application, Hook, Setting};

    fn unit(timeout: Option<u64>) -> Asked {
        Asked::Hook(Box::new(Hook {
            unit: "web.service".to_owned(),
            setting: Setting::TimeoutStop,
            timeout: timeout.map(Duration::from_secs),
            head_start: Duration::ZERO,
            reason: None,
            application: Application::Unknown,
            restart_waits: false,
            restart_pause: Duration::ZERO,
            may_extend: false,
        }))
    }

    fn budget_of(given: Option<u64>, asked: &Asked) -> (u64, &'static str, Vec<String>) {
        let claims = Claims {
            option: given.map(|seconds| BudgetFlag::Fixed(Duration::from_secs(seconds))),
            origin: None,
            file: Some(BudgetFlag::Auto),
        };
        let mut remarks = Vec::new();
        let budget = claims.resolve(asked, &mut remarks);
        (budget.total.as_secs(), budget.source.word(), remarks)
    }

    #[test]
    fn auto_is_the_units_timeout_less_a_reserve() {
        assert_eq!(budget_of(None, &unit(Some(30))), (29, "systemd", vec![]));
    }

    #[test]
    fn a_smaller_budget_stands_and_a_larger_one_is_cut_with_a_warning() {
        assert_eq!(budget_of(Some(20), &unit(Some(30))), (20, "flag", vec![]));
        let (total, source, remarks) = budget_of(Some(60), &unit(Some(30)));
        assert_eq!((total, source), (29, "systemd"));
        assert_eq!(
            remarks,
            [
                "a budget of 60 s (--budget) is more than TimeoutStopSec=30s of web.service leaves; it is cut to 29 s"
            ]
        );
    }

    #[test]
    fn a_silent_systemd_is_told_and_none_is_not() {
        let (total, source, remarks) = budget_of(None, &Asked::Silent("no bus".to_owned()));
        assert_eq!((total, source), (30, "default"));
        assert!(
            remarks[0].contains("not known (no bus); the budget is 30 s"),
            "{remarks:?}"
        );
        assert_eq!(
            budget_of(None, &Asked::NotInUnit(Application::Unknown)),
            (30, "default", vec![])
        );
    }

    #[test]
    fn infinity_leaves_what_was_given() {
        assert_eq!(budget_of(Some(60), &unit(None)), (60, "flag", vec![]));
        assert_eq!(budget_of(None, &unit(None)), (30, "default", vec![]));
    }

    #[test]
    fn that_a_crash_cuts_a_given_budget_is_told_once() {
        let mut asked = unit(Some(30));
        let Asked::Hook(hook) = &mut asked else {
            unreachable!("it is one");
        };
        hook.restart_waits = true;
        assert_eq!(budget_of(Some(60), &asked), (0, "systemd", vec![]));
    }
}
