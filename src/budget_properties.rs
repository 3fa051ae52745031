//! What holds for every budget.

use proptest::prelude::*;

use super::*;
use crate::service_manager::{Application, Setting};

/// Any budget, from the shortest to a day, and a process of any age.
fn budgets() -> impl Strategy<Value = (Duration, Duration)> {
    let millis = |longest: u64| (0..=longest).prop_map(Duration::from_millis);
    (millis(86_400_000), millis(100_000)).prop_map(|(total, age)| (total + SHORTEST, age))
}

fn of_a_unit(timeout: Duration) -> Budget {
    let hook = Hook {
        unit: "web.service".to_owned(),
        setting: Setting::TimeoutStop,
        timeout: Some(timeout),
        head_start: Duration::ZERO,
        reason: None,
        application: Application::Unknown,
        restart_waits: false,
        restart_pause: Duration::ZERO,
        may_extend: false,
    };
    Budget {
        total: hook.budget().expect("a timeout"),
        source: Source::Systemd(Box::new(hook)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn every_budget_is_cut_then_finished_then_guarded_then_over((total, age) in budgets()) {
        let given = Budget { total, source: Source::Flag };
        for budget in [given, of_a_unit(total)] {
            let deadline = Deadline::of(&budget, age);
            prop_assert!(deadline.cut() < deadline.finish());
            prop_assert!(deadline.finish() < deadline.guard());
            prop_assert!(deadline.guard() < deadline.start() + budget.total);
            prop_assert!(deadline.left() <= budget.total);
        }
    }

    #[test]
    fn of_every_units_timeout_time_is_left_to_end_in_it((total, _) in budgets()) {
        let budget = of_a_unit(total);
        prop_assert!(budget.total < total);
        prop_assert!(Deadline::of(&budget, Duration::ZERO).guard() < Deadline::of(&budget, Duration::ZERO).start() + total);
    }
}
