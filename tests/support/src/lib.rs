//! What the tests of `lb-drain` share.
