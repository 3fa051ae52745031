//! The provider against the real HAProxy: what the fakes imitate and the unit tests assume is true here.
//!
//! `HAPROXY_PROGRAM` names another binary than `haproxy`, such as that of another release.

mod app;
mod fake;
mod haproxy;
mod names;
mod sockets;
mod undone;
mod verbs;
