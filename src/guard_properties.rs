//! What holds for every exit code, however the entries of a run stand.

use proptest::prelude::*;

use super::*;
use crate::engine::{Member, Standing};

fn members() -> impl Strategy<Value = Vec<(Standing, bool)>> {
    let standing = prop::sample::select(vec![
        Standing::In,
        Standing::Out,
        Standing::Drained,
        Standing::Failed,
        Standing::Back,
        Standing::LeftOut,
        Standing::KeptOut,
    ]);
    prop::collection::vec((standing, any::<bool>()), 0..6)
}

fn exit(members: &[(Standing, bool)], strict: bool) -> Exit {
    let ledger = Ledger::default();
    for (number, &(standing, optional)) in members.iter().enumerate() {
        ledger.add(Member {
            name: number.to_string(),
            balancer: number,
            provider: "haproxy",
            endpoint: "/run/a.sock".to_owned(),
            target: None,
            optional,
            standing,
            evidence: None,
            deregistered: None,
            drained: None,
            attempts: 0,
            in_flight: None,
            cut: None,
            ports: [].into(),
            state: None,
            asked: None,
            error: None,
        });
    }
    verdict(&ledger, strict)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn the_exit_code_is_0_only_where_nobody_who_matters_is_in(
        members in members(),
        strict in any::<bool>(),
        other in any::<(bool, bool)>(),
    ) {
        let any = |wanted: &[Standing]| {
            members.iter().any(|(standing, optional)| !optional && wanted.contains(standing))
        };
        let nobody = members.is_empty();
        let wanted = match (nobody || any(&[Standing::In, Standing::Failed]), any(&[Standing::Out])) {
            (true, _) => Exit::Failed,
            (false, true) if strict => Exit::Undrained,
            (false, _) => Exit::Done,
        };
        prop_assert_eq!(exit(&members, strict), wanted);

        let reversed: Vec<_> = members.iter().rev().copied().collect();
        prop_assert_eq!(exit(&reversed, strict), wanted, "the order says something");

        // Whoever joins, no failure becomes a success.
        let mut more = members.clone();
        more.push((if other.0 { Standing::Drained } else { Standing::Back }, other.1));
        prop_assert!(nobody || exit(&more, strict) == wanted);
        more.push((Standing::Failed, false));
        prop_assert_eq!(exit(&more, strict), Exit::Failed);
    }
}
