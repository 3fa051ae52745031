//! What a run has to come to.

use lb_drain_test_support::gate;

use crate::fault::{Fault, Kind, RECOVERY};
use crate::run::Outcome;

/// From the recovery to the next try: the longest pause of the engine is 2 s, and then there is work to do.
const ASKED_AGAIN: std::time::Duration = std::time::Duration::from_millis(2700);

/// In KiB.
pub(crate) const MEMORY: u64 = 32 * 1024;

/// The exit code.
pub(crate) fn code(kind: Kind, fault: Fault) -> i32 {
    let http = matches!(kind, Kind::Http | Kind::Https);
    match fault {
        // What dies while it drains has been left before.
        Fault::NONE | Fault::Recovers(_) | Fault::Flaps | Fault::DiesMidDrain => 0,
        Fault::Lossy | Fault::Partition => 0,
        // The status says it all.
        Fault::Wire(gate::Fault::Endless) if http => 0,
        _ => 1,
    }
}

/// The cause, in one of these words.
fn causes(fault: Fault) -> &'static [&'static str] {
    match fault {
        Fault::Wire(gate::Fault::Refuses) => &["Connection refused"],
        Fault::Wire(gate::Fault::Silence | gate::Fault::HandshakeStalls | gate::Fault::Trickles)
        | Fault::Dropped
        | Fault::ResolverHangs => &["nothing within", "timeout", "timed out"],
        Fault::Wire(gate::Fault::ResetsMidAnswer) => {
            &["reset", "closed the connection", "ends in the middle"]
        }
        Fault::Wire(gate::Fault::Endless) => &["it goes on after", "more than", "longer than", "timed out"],
        Fault::Wire(gate::Fault::Garbage | gate::Fault::WrongProtocol) => {
            &["invalid HTTP", "unexpected message", "TLS", "as expected"]
        }
        Fault::NoSuchName => &["Name or service not known"],
        Fault::Expired => &["has expired"],
        Fault::Stranger => &["nobody whom this host trusts"],
        Fault::WrongName => &["is for another name"],
        Fault::Status(401) => &["401", "IncompleteSignature"],
        Fault::Status(403) => &["403", "AccessDenied", "Permission denied"],
        Fault::Status(404) => &["404", "TargetGroupNotFound", "No such server"],
        Fault::Status(409) => &["409", "Conflict"],
        Fault::Status(429) => &["429", "Throttling"],
        Fault::Status(500) => &["500", "InternalFailure"],
        Fault::Status(_) => &["503", "ServiceUnavailable"],
        _ => &[],
    }
}

/// Whether there is something for the operator to do: not about what AWS itself is down with.
fn is_ours_to_mend(kind: Kind, fault: Fault) -> bool {
    kind != Kind::Elbv2 || !matches!(fault, Fault::Status(409 | 500 | 503))
}

/// What was tried, in one of these words: a question of the protocol, or the verb where none got through.
fn operations(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::HaproxyUnix | Kind::HaproxyTcp => &[
            r#""show info;show servers state web"#,
            r#""set server web/app1 state drain""#,
            "(find)",
            "cannot be reached",
            "does not know web/app1",
        ],
        Kind::Elbv2 => &["DescribeTargetHealth", "DeregisterTargets", "(find)"],
        Kind::Http | Kind::Https => &[r#""PUT /out""#, "(deregister)"],
    }
}

/// What is wrong with this run, in words.
pub(crate) fn wrongs(outcome: &Outcome) -> Vec<String> {
    let cell = outcome.cell;
    let mut wrongs = Vec::new();
    let mut claim = |holds: bool, what: &str| {
        if !holds {
            wrongs.push(what.to_owned());
        }
    };
    let wanted = code(cell.kind, cell.fault);
    claim(outcome.ended.elapsed < cell.budget, "the budget is overrun");
    claim(outcome.ended.code == Some(wanted), "wrong exit code");
    let unproven = cell.fault == Fault::Wire(gate::Fault::Endless);
    claim(
        wanted != 0 || unproven || outcome.out,
        "exit code 0, and still in rotation",
    );
    claim(outcome.healthy_out, "a healthy one is not left");
    if matches!(cell.fault, Fault::Recovers(_)) {
        let done = outcome.ended.elapsed < RECOVERY + ASKED_AGAIN;
        claim(done, "it recovered long before the end");
    }
    if cell.fault == Fault::Partition {
        let drained = outcome.sick()["outcome"] == "drained";
        claim(drained, "the end of the drain is missed behind the partition");
    }
    claim(outcome.memory < MEMORY, "more than 32 MiB of memory");
    if wanted == 0 {
        return wrongs;
    }
    let error = outcome.sick()["error"].as_str().unwrap_or_default();
    let reported = outcome.sick()["endpoint"].as_str().unwrap_or("?");
    claim(
        error.contains(reported),
        "the error does not name the load balancer",
    );
    let operations = operations(cell.kind);
    claim(
        operations.iter().any(|operation| error.contains(operation)),
        "the error does not name the operation",
    );
    let causes = causes(cell.fault);
    claim(
        causes.iter().any(|cause| error.contains(cause)),
        "the error does not name the cause",
    );
    let mends = error.contains("; ") || !is_ours_to_mend(cell.kind, cell.fault);
    claim(mends, "the error does not say what to do");
    let verdict = outcome.ended.stderr.lines().last().unwrap_or_default();
    claim(
        verdict.contains("may still route here: sick"),
        "the verdict does not name it",
    );
    let told = outcome
        .ended
        .stderr
        .lines()
        .any(|line| line.contains("still in rotation") && line.contains(error));
    claim(told, "the journal does not have the error");
    wrongs
}
