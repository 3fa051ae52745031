#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lb_drain_haproxy::fuzzing::answer(bytes));
