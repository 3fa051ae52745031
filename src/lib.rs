//! `lb-drain` as a library: the orchestrator behind the binary of the same name.

pub mod budget;
pub mod engine;
pub mod evidence;
pub mod record;
