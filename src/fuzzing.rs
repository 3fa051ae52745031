//! What reads the bytes of others, without the rest: for `fuzz/`, and for the tests that replay its corpus.

pub use crate::config::fuzzing::configuration;
pub use crate::evidence::fuzzing::sock_diag;

#[cfg(test)]
mod tests {
    use lb_drain_test_support::corpus;

    #[test]
    fn the_corpus_of_configurations_is_read_without_a_finding() {
        corpus::replay("configuration", super::configuration);
    }

    #[test]
    fn the_corpus_of_sock_diag_answers_is_read_without_a_finding() {
        corpus::replay("sock_diag", super::sock_diag);
    }
}
