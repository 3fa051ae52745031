//! Conditions on an answer, and what it counts as in flight.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use lb_drain_api::SettingsError;
use serde_json::Value;

use crate::answer::Answer;
use crate::pick::Pick;
use crate::settings::{self, Op};
use crate::statuses::Statuses;
use crate::template::{Place, Scope, Template};
use crate::values::{Name, Values, text};

/// A condition on an answer.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    statuses: Option<Statuses>,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    /// Any answer (with the right status).
    Any,
    Json {
        pick: Pick,
        op: Op,
        value: Option<Template>,
        or_absent: bool,
    },
    Text {
        text: Template,
        present: bool,
    },
}

/// What an answer says of a condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    pub holds: bool,
    /// Requests in flight: the number that was compared with 0.
    pub in_flight: Option<u64>,
    /// What was seen, for people.
    pub seen: String,
}

impl Condition {
    /// # Errors
    ///
    /// Keys that do not go together, an unknown placeholder, a pointer that is none.
    pub(crate) fn read(keys: &settings::Condition, scope: &Scope) -> Result<Self, SettingsError> {
        let json = keys.pointer.is_some() || !keys.matching.is_empty() || keys.array.is_some();
        let wrong = |key, message: &str| Err(SettingsError::new(key, message));
        let test = match (&keys.text, json) {
            (Some(_), true) => {
                return wrong(
                    "text",
                    "does not go with pointer, where and array: those read JSON",
                );
            }
            (Some(_), false) if keys.value.is_some() || keys.or_absent => {
                return wrong(
                    "text",
                    "is the whole condition: value and or_absent do not go with it",
                );
            }
            (Some(text), false) => Test::Text {
                text: Template::read("text", text, scope)?,
                present: match keys.op {
                    None | Some(Op::Exists) => true,
                    Some(Op::Absent) => false,
                    Some(_) => return wrong("op", r#"a text "exists" (the default) or is "absent""#),
                },
            },
            (None, true) => json_test(keys, scope)?,
            (None, false) if keys.op.is_some() || keys.value.is_some() || keys.or_absent => {
                return wrong("op", "needs a pointer: which value of the answer is meant");
            }
            (None, false) => Test::Any,
        };
        Ok(Self {
            statuses: keys.status.clone(),
            test,
        })
    }

    /// Whether the answer itself has to be read, beside its status.
    pub(crate) fn reads_answer(&self) -> bool {
        !matches!(self.test, Test::Any)
    }

    /// The statuses for which it can hold, where it names any.
    pub(crate) fn statuses(&self) -> Option<&Statuses> {
        self.statuses.as_ref()
    }

    /// Whether it says anything at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.statuses.is_none() && !self.reads_answer()
    }

    pub(crate) fn names(&self) -> BTreeSet<Name> {
        match &self.test {
            Test::Any => BTreeSet::new(),
            Test::Json { pick, value, .. } => pick
                .names()
                .into_iter()
                .chain(value.iter().flat_map(Template::names))
                .collect(),
            Test::Text { text, .. } => text.names(),
        }
    }

    /// Whether an answer meets the condition.
    ///
    /// # Errors
    ///
    /// A sentence where the answer cannot be read that way.
    pub(crate) fn judge(&self, answer: &Answer, values: &Values) -> Result<Reading, String> {
        let status = answer.status.as_u16();
        let plain = |holds, seen| Reading {
            holds,
            in_flight: None,
            seen,
        };
        if self
            .statuses
            .as_ref()
            .is_some_and(|statuses| !statuses.contains(status))
        {
            return Ok(plain(false, answer.status.to_string()));
        }
        match &self.test {
            Test::Any => Ok(plain(true, answer.status.to_string())),
            Test::Text { text, present } => {
                let wanted = text.render(values, Place::Plain)?;
                let there = String::from_utf8_lossy(answer.whole()?).contains(&wanted);
                let seen = if there {
                    "its text is there"
                } else {
                    "its text is not there"
                };
                Ok(plain(there == *present, seen.to_owned()))
            }
            Test::Json {
                pick,
                op,
                value,
                or_absent,
            } => {
                let json = answer.json()?;
                let wanted = match value.as_ref().map(|template| (template, template.constant())) {
                    None => None,
                    Some((_, Some(constant))) => Some(constant.clone()),
                    Some((template, None)) => Some(Value::from(template.render(values, Place::Plain)?)),
                };
                match pick.find(&json, values)? {
                    None => Ok(plain(
                        *or_absent || *op == Op::Absent,
                        format!("there is no {pick}"),
                    )),
                    Some(picked) => {
                        let holds = compare(picked.value, *op, wanted.as_ref())?;
                        Ok(Reading {
                            holds,
                            in_flight: in_flight(picked.value, *op, wanted.as_ref()),
                            seen: format!("{pick} is {}", short(picked.value)),
                        })
                    }
                }
            }
        }
    }
}

fn json_test(keys: &settings::Condition, scope: &Scope) -> Result<Test, SettingsError> {
    let op = keys.op.unwrap_or(if keys.value.is_some() {
        Op::Equal
    } else {
        Op::Exists
    });
    let existence = matches!(op, Op::Exists | Op::Absent);
    match (&keys.value, existence) {
        (Some(_), true) => return Err(SettingsError::new("value", "does not go with exists and absent")),
        (None, false) => return Err(SettingsError::new("value", "is missing: what to compare with")),
        (Some(Value::Array(_) | Value::Object(_)), _) => {
            return Err(SettingsError::new("value", "is a string, a number or a boolean"));
        }
        _ => {}
    }
    let value = keys.value.as_ref();
    Ok(Test::Json {
        pick: Pick::read(
            keys.array.as_deref(),
            &keys.matching,
            keys.pointer.as_deref(),
            scope,
        )?,
        op,
        value: value
            .map(|value| Template::read_value("value", value, scope))
            .transpose()?,
        or_absent: keys.or_absent,
    })
}

fn compare(found: &Value, op: Op, wanted: Option<&Value>) -> Result<bool, String> {
    let Some(wanted) = wanted else {
        return Ok(op == Op::Exists);
    };
    let ordering = match (number(found, wanted), number(wanted, found)) {
        (Some(found), Some(wanted)) => found.partial_cmp(&wanted),
        _ => None,
    };
    let equal = ordering.map_or_else(|| text(found) == text(wanted), Ordering::is_eq);
    let ordered =
        || ordering.ok_or_else(|| format!("{} is no number to compare with {}", short(found), short(wanted)));
    Ok(match op {
        Op::Equal => equal,
        Op::NotEqual => !equal,
        Op::Less => ordered()?.is_lt(),
        Op::AtMost => ordered()?.is_le(),
        Op::Greater => ordered()?.is_gt(),
        Op::AtLeast => ordered()?.is_ge(),
        Op::Exists => true,
        Op::Absent => false,
    })
}

/// A number, or a text that reads as one where the other side is a number: some endpoints quote theirs.
fn number(value: &Value, other: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if other.is_number() => text.trim().parse().ok(),
        _ => None,
    }
}

/// A number that is waited for to become 0 is a number of requests in flight.
fn in_flight(found: &Value, op: Op, wanted: Option<&Value>) -> Option<u64> {
    let wanted = wanted?;
    let zero = matches!(op, Op::Equal | Op::AtMost) && wanted.as_f64() == Some(0.0);
    let found = number(found, wanted).filter(|found| zero && *found >= 0.0)?;
    // Saturates, which is as good as any number for what cannot be counted down.
    Some(found.ceil() as u64)
}

/// A value for people: at most 40 characters.
fn short(value: &Value) -> String {
    /// A number, a state or an address fits; a document does not, and nobody would read it.
    const LONGEST: usize = 40;
    let text = value.to_string();
    if text.chars().count() <= LONGEST {
        text
    } else {
        text.chars().take(LONGEST).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn condition(keys: Value) -> Result<Condition, SettingsError> {
        let keys: settings::Condition = serde_json::from_value(keys).expect("keys");
        Condition::read(&keys, &Scope::default())
    }

    fn judge(keys: Value, status: u16, body: &str) -> Result<Reading, String> {
        condition(keys)
            .expect("a condition")
            .judge(&Answer::of(status, body), &Values::new())
    }

    #[test]
    fn every_operator_compares() {
        for (op, holding, failing) in [
            ("==", 3, 2),
            ("!=", 2, 3),
            ("<", 2, 3),
            ("<=", 3, 4),
            (">", 4, 3),
            (">=", 3, 2),
        ] {
            let keys = json!({"pointer": "/n", "op": op, "value": 3});
            let holds = |n: i32| {
                judge(keys.clone(), 200, &json!({"n": n}).to_string())
                    .expect("read")
                    .holds
            };
            assert!(holds(holding) && !holds(failing), "{op}");
        }
    }

    #[test]
    fn a_number_waited_for_to_become_zero_is_in_flight() {
        let keys = json!({"pointer": "/active", "value": 0});
        let reading = judge(keys.clone(), 200, r#"{"active": 7}"#).expect("read");
        assert_eq!((reading.holds, reading.in_flight), (false, Some(7)));
        assert_eq!(reading.seen, "/active is 7");
        let reading = judge(keys, 200, r#"{"active": "0"}"#).expect("read");
        assert_eq!((reading.holds, reading.in_flight), (true, Some(0)));
        let other = judge(json!({"pointer": "/n", "value": 5}), 200, r#"{"n": 7}"#).expect("read");
        assert_eq!(other.in_flight, None);
    }

    #[test]
    fn what_is_absent_holds_only_where_that_is_said() {
        let holds = |keys| judge(keys, 200, "[]").expect("read").holds;
        assert!(!holds(json!({"where": {"a": 1}, "pointer": "/n", "value": 0})));
        assert!(holds(
            json!({"where": {"a": 1}, "pointer": "/n", "value": 0, "or_absent": true})
        ));
        assert!(holds(json!({"where": {"a": 1}, "op": "absent"})));
        assert!(!holds(json!({"where": {"a": 1}})));
    }

    #[test]
    fn a_text_is_there_or_is_not() {
        let body = "http.ingress.downstream_rq_active: 0\nother: 10\n";
        let holds = |keys| judge(keys, 200, body).expect("read").holds;
        assert!(holds(json!({"text": "downstream_rq_active: 0\n"})));
        assert!(!holds(json!({"text": "other: 0"})));
        assert!(holds(json!({"text": "other: 0", "op": "absent"})));
    }

    #[test]
    fn a_status_alone_is_a_condition() {
        let keys = json!({"status": [503, "404-410"]});
        assert!(judge(keys.clone(), 503, "").expect("read").holds);
        assert!(judge(keys.clone(), 404, "").expect("read").holds);
        assert!(!judge(keys, 200, "").expect("read").holds);
    }

    #[test]
    fn what_cannot_be_read_is_no_answer() {
        let keys = json!({"pointer": "/n", "op": "<", "value": 3});
        assert!(
            judge(keys.clone(), 200, "<html>")
                .expect_err("no JSON")
                .contains("no JSON")
        );
        assert!(
            judge(keys, 200, r#"{"n": "many"}"#)
                .expect_err("no number")
                .contains("no number")
        );
    }

    #[test]
    fn keys_that_do_not_go_together_are_told() {
        for (keys, key) in [
            (json!({"text": "a", "pointer": "/a"}), "text"),
            (json!({"text": "a", "op": "<"}), "op"),
            (json!({"text": "a", "value": 1}), "text"),
            (json!({"value": 0}), "op"),
            (json!({"pointer": "/a", "op": "<"}), "value"),
            (json!({"pointer": "/a", "op": "exists", "value": 1}), "value"),
            (json!({"pointer": "a"}), "pointer"),
            (json!({"array": "/a"}), "array"),
            (json!({"pointer": "/a", "value": "{nope}"}), "value"),
        ] {
            assert_eq!(condition(keys.clone()).expect_err("wrong").key, key, "{keys}");
        }
    }
}
