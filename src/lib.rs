//! `lb-drain` as a library: the orchestrator behind the binary of the same name.

pub mod budget;
pub mod check;
pub mod cli;
mod commands;
pub mod config;
mod delays;
pub mod engine;
pub mod evidence;
pub mod exit;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod main_process;
pub mod record;
pub mod registry;
#[cfg(feature = "rehearse")]
pub mod rehearse;
pub mod report;
pub mod service_manager;
pub mod unit_file;

pub use commands::run;
