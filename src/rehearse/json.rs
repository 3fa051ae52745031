//! The report as one object, for machines.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::load::Failure;
use super::{LastArrival, Latency, Rehearsal};

/// The object of `--output json`, without the outcome. Times are milliseconds.
#[must_use]
pub fn object(rehearsal: &Rehearsal) -> Map<String, Value> {
    let Rehearsal {
        aim,
        rate,
        recorded,
        deeds,
        figures,
        advice,
        ..
    } = rehearsal;
    let (last, still_coming) = match &figures.last_arrival {
        LastArrival::After(last) => (Some(*last), false),
        LastArrival::StillComing(last) => (Some(*last), true),
        LastArrival::Unknown(_) => (None, false),
    };
    let phases: Vec<Value> = figures
        .spells
        .iter()
        .map(|spell| {
            json!({
                "phase": spell.phase.word(),
                "from_ms": millis(spell.from),
                "to_ms": millis(spell.to),
                "sent": spell.sent,
                "failed": spell.failures.values().sum::<usize>(),
                "failures": failures(&spell.failures),
                "latency_ms": latency(&spell.latency),
            })
        })
        .collect();
    let lines: Vec<Value> = advice
        .iter()
        .map(|line| json!({ "line": line.text, "where": line.place, "reason": line.reason }))
        .collect();
    let object = json!({
        "url": aim,
        "rate": rate,
        "sent": figures.sent,
        "failed": figures.failed(),
        "failures": failures(&figures.failures),
        "unanswered": recorded.unanswered,
        "unsent": recorded.unsent,
        "latency_ms": latency(&figures.latency),
        "phases": phases,
        "out_of_rotation_ms": figures.leaving.map(millis),
        "last_new_request_ms": last.map(millis),
        "still_arriving": still_coming,
        "came_after_leaving": figures.came.map(|came| json!({
            "requests": came.requests,
            "connections": came.connections,
        })),
        "longest_request_ms": millis(figures.latency.max),
        "drained_ms": figures.drain.map(millis),
        "evidence": deeds.evidence,
        "back_ms": figures.back.map(millis),
        "load_balancers": deeds.load_balancers,
        "troubles": deeds.troubles,
        "advice": lines,
    });
    match object {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn failures(failures: &BTreeMap<Failure, usize>) -> Value {
    let each = failures
        .iter()
        .map(|(failure, count)| (failure.to_string(), Value::from(*count)));
    Value::Object(each.collect())
}

fn latency(latency: &Latency) -> Value {
    json!({ "p50": millis(latency.p50), "p99": millis(latency.p99), "max": millis(latency.max) })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
