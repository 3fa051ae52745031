//! What the tests of `lb-drain` share.

pub mod http1;
