//! The service's main process: once it is gone, nobody is left who could answer.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::watch;

/// How often to look whether it is still there. A system call a look; tokio's own way of waiting for a
/// file descriptor that is not one of its sockets is `unsafe`.
const LOOK: Duration = Duration::from_millis(20);

/// The main process by systemd's account: `$MAINPID` of `ExecStop=`, set only while it is alive.
#[must_use]
pub fn pid() -> Option<u32> {
    std::env::var("MAINPID").ok()?.parse().ok().filter(|pid| *pid > 0)
}

/// Turns `gone` true when the main process has ended, at once if it had before.
///
/// systemd runs `ExecStop=` also after the main process ended by itself with success: then `$EXIT_CODE` is
/// set and `$MAINPID` is not (systemd.exec(5)). In a shell neither is, and nothing is known.
pub async fn watch(gone: watch::Sender<bool>) {
    let ended = match pid() {
        Some(pid) => ended(pid).await,
        None => std::env::var_os("EXIT_CODE").is_some() && std::env::var_os("INVOCATION_ID").is_some(),
    };
    if ended {
        gone.send_replace(true);
    }
    std::future::pending().await
}

/// Returns true once this process has ended; false where the kernel does not let us watch it.
async fn ended(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(error) => return error == rustix::io::Errno::SRCH,
    };
    loop {
        // A pidfd becomes readable when its process ends (pidfd_open(2)).
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&now)) {
            Ok(0) => tokio::time::sleep(LOOK).await,
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
}
