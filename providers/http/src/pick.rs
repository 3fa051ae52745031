//! A value in a JSON answer: by pointer, or in the element of an array that has certain fields.

use std::collections::{BTreeMap, BTreeSet};

use lb_drain_api::SettingsError;
use serde_json::Value;

use crate::template::{Place, Scope, Template};
use crate::values::{Name, Values, text};

/// Where a value stands.
#[derive(Debug, Clone)]
pub(crate) struct Pick {
    /// The array to look through, when an element is wanted.
    array: String,
    /// Pointer and value of each field by which the element is found.
    matching: Vec<(String, Template)>,
    /// The value in the answer or element.
    pointer: String,
}

/// A value that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Picked<'a> {
    pub value: &'a Value,
    /// The element's position in its array.
    pub index: Option<usize>,
}

impl Pick {
    /// # Errors
    ///
    /// A pointer that is none, an unknown placeholder, an `array` without `where`.
    pub(crate) fn read(
        array: Option<&str>,
        matching: &BTreeMap<String, Value>,
        pointer: Option<&str>,
        scope: &Scope,
    ) -> Result<Self, SettingsError> {
        if array.is_some() && matching.is_empty() {
            return Err(SettingsError::new(
                "array",
                "needs `where`: the fields by which the element is found",
            ));
        }
        let field = |(name, value): (&String, &Value)| {
            let pointer = if name.starts_with('/') {
                name.clone()
            } else {
                format!("/{}", name.replace('~', "~0").replace('/', "~1"))
            };
            if value.is_array() || value.is_object() {
                return Err(SettingsError::new(
                    "where",
                    format!("{name} is compared with a string, a number or a boolean"),
                ));
            }
            Ok((pointer, Template::read_value("where", value, scope)?))
        };
        Ok(Self {
            array: checked("array", array)?,
            matching: matching.iter().map(field).collect::<Result<_, _>>()?,
            pointer: checked("pointer", pointer)?,
        })
    }

    pub(crate) fn names(&self) -> BTreeSet<Name> {
        self.matching
            .iter()
            .flat_map(|(_, template)| template.names())
            .collect()
    }

    /// The value; `None` where the answer holds no such element or value.
    ///
    /// # Errors
    ///
    /// A sentence where the answer has another shape.
    pub(crate) fn find<'a>(&self, answer: &'a Value, values: &Values) -> Result<Option<Picked<'a>>, String> {
        if self.matching.is_empty() {
            return Ok(answer
                .pointer(&self.pointer)
                .map(|value| Picked { value, index: None }));
        }
        let fields: Vec<(&str, String)> = self
            .matching
            .iter()
            .map(|(pointer, template)| Ok((pointer.as_str(), template.render(values, Place::Plain)?)))
            .collect::<Result<_, String>>()?;
        let has_all = |element: &Value| {
            let has = |(pointer, wanted): &(&str, String)| {
                element
                    .pointer(pointer)
                    .is_some_and(|value| &text(value) == wanted)
            };
            fields.iter().all(has)
        };
        let (index, element) = match answer.pointer(&self.array) {
            Some(Value::Array(all)) => match all.iter().enumerate().find(|(_, element)| has_all(element)) {
                Some((index, element)) => (Some(index), element),
                None => return Ok(None),
            },
            // Some answer with an object of elements by name, such as Consul's list of services.
            Some(Value::Object(all)) => match all.values().find(|element| has_all(element)) {
                Some(element) => (None, element),
                None => return Ok(None),
            },
            Some(Value::Null) => return Ok(None),
            _ if self.array.is_empty() => return Err("its answer is no array".to_owned()),
            _ => return Err(format!("its answer has no array at {}", self.array)),
        };
        Ok(element
            .pointer(&self.pointer)
            .map(|value| Picked { value, index }))
    }
}

impl std::fmt::Display for Pick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pointer = if self.pointer.is_empty() {
            "the value"
        } else {
            &self.pointer
        };
        f.write_str(pointer)?;
        if !self.matching.is_empty() {
            let fields: Vec<&str> = self
                .matching
                .iter()
                .map(|(name, _)| name.trim_start_matches('/'))
                .collect();
            write!(f, " of the element with this {}", fields.join(" and "))?;
        }
        Ok(())
    }
}

/// A JSON pointer (RFC 6901): empty, or starting with a slash.
pub(crate) fn checked(key: &'static str, pointer: Option<&str>) -> Result<String, SettingsError> {
    let pointer = pointer.unwrap_or_default();
    if pointer.is_empty() || pointer.starts_with('/') {
        return Ok(pointer.to_owned());
    }
    let message = format!(
        r#""{pointer}" is no JSON pointer; write one such as "/{}""#,
        pointer.replace('.', "/")
    );
    Err(SettingsError::new(key, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pick(array: Option<&str>, matching: Value, pointer: &str) -> Pick {
        let matching = serde_json::from_value(matching).expect("fields");
        Pick::read(array, &matching, Some(pointer), &Scope::default()).expect("a pick")
    }

    fn find(pick: &Pick, answer: &Value) -> Result<Option<(Value, Option<usize>)>, String> {
        let found = pick.find(answer, &Values::new())?;
        Ok(found.map(|picked| (picked.value.clone(), picked.index)))
    }

    #[test]
    fn a_pointer_names_a_value_of_the_answer() {
        let answer = json!({"a": [{"b": 7}]});
        assert_eq!(
            find(&pick(None, json!({}), "/a/0/b"), &answer),
            Ok(Some((json!(7), None)))
        );
        assert_eq!(find(&pick(None, json!({}), "/a/1/b"), &answer), Ok(None));
        assert_eq!(
            find(&pick(None, json!({}), ""), &answer),
            Ok(Some((answer.clone(), None)))
        );
    }

    #[test]
    fn an_element_is_found_by_all_of_its_fields() {
        let answer = json!({"list": [
            {"server": "10.0.0.7:80", "port": 80, "id": 3},
            {"server": "10.0.0.7:80", "port": 81, "id": 4, "tags": {"a/b": true}},
        ]});
        let by_port = pick(Some("/list"), json!({"server": "10.0.0.7:80", "port": 81}), "/id");
        assert_eq!(find(&by_port, &answer), Ok(Some((json!(4), Some(1)))));
        let by_text = pick(Some("/list"), json!({"port": "80"}), "");
        assert_eq!(
            find(&by_text, &answer).map(|found| found.and_then(|found| found.1)),
            Ok(Some(0))
        );
        let nested = pick(Some("/list"), json!({"/tags/a~1b": true}), "/id");
        assert_eq!(find(&nested, &answer), Ok(Some((json!(4), Some(1)))));
        assert_eq!(
            find(&pick(Some("/list"), json!({"port": 82}), "/id"), &answer),
            Ok(None)
        );
    }

    #[test]
    fn an_object_of_elements_is_looked_through_too() {
        let services = json!({"web-1": {"Address": "10.0.0.7", "ID": "web-1"}});
        let found = pick(None, json!({"Address": "10.0.0.7"}), "/ID");
        assert_eq!(find(&found, &services), Ok(Some((json!("web-1"), None))));
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error_and_an_empty_one_is_not() {
        let list = pick(Some("/list"), json!({"a": 1}), "");
        assert_eq!(
            find(&list, &json!({})),
            Err("its answer has no array at /list".into())
        );
        assert_eq!(find(&list, &json!({"list": null})), Ok(None));
        assert_eq!(find(&list, &json!({"list": []})), Ok(None));
        assert_eq!(
            find(&pick(None, json!({"a": 1}), ""), &json!("no")),
            Err("its answer is no array".into())
        );
    }

    #[test]
    fn what_is_no_pointer_is_told_what_to_write() {
        let error = checked("pointer", Some("a.b")).expect_err("no pointer");
        assert_eq!(
            error.to_string(),
            r#"pointer: "a.b" is no JSON pointer; write one such as "/a/b""#
        );
    }
}
