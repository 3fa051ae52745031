//! The provider against the real HAProxy.

mod haproxy;
mod verbs;
