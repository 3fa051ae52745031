//! What reads the bytes of others, without the rest: for `fuzz/`, and for the tests that replay its corpus.

use serde_json::Value;

use crate::answer::Answer;
use crate::condition::Condition;
use crate::settings;
use crate::template::{Place, Scope, Template};
use crate::values::{Field, Name, Values};

/// In no output.
const SECRET: &str = "s3cret-0f-the-f\u{fc}zzer";

/// Reads the first line as the keys of a condition (JSON), the second as a status, and the rest as the answer
/// that is judged by them.
pub fn condition(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(3, '\n');
    let keys: Option<settings::Condition> = parts.next().and_then(|keys| serde_json::from_str(keys).ok());
    let status = parts.next().and_then(|status| status.parse().ok());
    let (Some(keys), Some(status @ 100..=999)) = (keys, status) else {
        return;
    };
    let Ok(condition) = Condition::read(&keys, &scope()) else {
        return;
    };
    let answer = Answer::of(status, parts.next().unwrap_or_default());
    if let Ok(reading) = condition.judge(&answer, &values(Value::from("web"))) {
        assert!(
            !reading.holds || reading.in_flight.is_none_or(|number| number == 0),
            "drained means that nothing is in flight: {reading:?}"
        );
    }
    let line = answer.beginning(str::to_owned);
    assert!(!line.contains(char::is_control), "is one line: {line:?}");
}

/// Reads the first line as a text with placeholders, and the rest as the value of one of them.
pub fn template(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (template, value) = text.split_once('\n').unwrap_or((&text, ""));
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    if template.contains(SECRET) || value.to_string().contains(SECRET) {
        return; // shown for another reason
    }
    let values = values(value);

    // A value never gets out of the place where it stands.
    let render = |text: &str, place| {
        let template = Template::read("test", text, &scope()).expect("a template");
        template.render(&values, place)
    };
    let json = render(r#"{"in": "{id}", "out": {id}}"#, Place::Json).expect("JSON takes any value");
    let json: Value = serde_json::from_str(&json).expect("it is still JSON");
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(2), "{json}");
    let url = render("{id}", Place::Url).expect("a URL takes any value");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~%".contains(c);
    assert!(url.chars().all(plain), "is percent-encoded: {url}");
    if let Ok(host) = render("{id}", Place::Authority) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        assert!(host.chars().all(plain), "nothing ends the host: {host}");
    }

    let Ok(template) = Template::read("test", template, &scope()) else {
        return;
    };
    for place in [Place::Plain, Place::Authority, Place::Url, Place::Json] {
        let _ = template.render(&values, place);
        assert!(
            !template.show(&values, place).contains(SECRET),
            "a secret is shown"
        );
    }
    assert!(!format!("{template:?}").contains(SECRET));
}

fn scope() -> Scope {
    Scope {
        own: ["id".to_owned()].into(),
    }
}

fn values(id: Value) -> Values {
    let secret = Field {
        value: SECRET.into(),
        secret: true,
    };
    Values::from([
        (Name::Own("id".to_owned()), Field::plain(id)),
        (Name::Env("TOKEN".to_owned()), secret),
    ])
}

#[cfg(test)]
mod tests {
    use lb_drain_test_support::corpus;

    #[test]
    fn the_corpus_of_conditions_is_read_without_a_finding() {
        corpus::replay("http_condition", super::condition);
    }

    #[test]
    fn the_corpus_of_templates_is_read_without_a_finding() {
        corpus::replay("http_template", super::template);
    }
}
