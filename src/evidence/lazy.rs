//! Evidence that is opened at its first look: where no port is known, nobody looks.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::{Evidence, SocketEvidence, Traffic};

/// The best evidence that can be had, once somebody looks.
pub(super) struct Lazy {
    main_pid: Option<u32>,
    opened: Option<SocketEvidence>,
}

impl Lazy {
    pub(super) fn new(main_pid: Option<u32>) -> Self {
        Self {
            main_pid,
            opened: None,
        }
    }
}

impl Evidence for Lazy {
    fn look(&mut self, ports: &BTreeSet<u16>) -> io::Result<BTreeMap<u16, Traffic>> {
        // What cannot be opened now, for want of file descriptors say, may be at the next look.
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => SocketEvidence::new(self.main_pid)?,
        };
        self.opened.insert(opened).look(ports)
    }
}
