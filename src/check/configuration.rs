//! The configuration file: who may read it.

use std::fs;

use lb_drain_api::Severity;

use super::{Remark, remark};
use crate::config::{self, Settings};

pub(super) fn findings(settings: &Settings) -> Vec<Remark> {
    let Some(path) = &settings.file else {
        return Vec::new();
    };
    let name = path.display().to_string();
    let Ok(text) = fs::read_to_string(path) else {
        return Vec::new(); // it was read a moment ago: somebody is editing it
    };
    vec![match config::open_secret(path, &text) {
        Some(what) => remark(
            &name,
            Severity::Warning,
            what,
            "whoever has it can take hosts out of rotation",
            Some(format!("chmod 0640 {name}")),
        ),
        None => remark(
            &name,
            Severity::Fine,
            "is right, and no secret that is known as one is open to everybody in it".to_owned(),
            "a mistake in it would end every command with 2",
            None,
        ),
    }]
}
