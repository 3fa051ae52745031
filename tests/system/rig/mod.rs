//! What the system tests are made of.

mod alb;
mod app;
mod clock;
mod diary;
mod haproxy;
mod host;
mod load;
mod machine;
mod network;
mod story;
mod tool;

pub(crate) use alb::Alb;
pub(crate) use app::{App, service, unit};
pub(crate) use clock::{eventually, instant_of_monotonic, median};
pub(crate) use diary::Diary;
pub(crate) use haproxy::{DRAIN, Haproxy, MAINT, Setup};
pub(crate) use host::{Host, address};
pub(crate) use load::{Front, Load};
pub(crate) use machine::Machine;
pub(crate) use network::Network;
pub(crate) use story::assert_story;
pub(crate) use tool::{Ended, Running, binary, lb_drain, lb_drain_with};
