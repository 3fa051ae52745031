//! The service's main process: once it is gone, nobody is left who could answer.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::watch;

use crate::service_manager::{Application, Asked, Surroundings};

/// How often to look whether it is still there. A system call a look; tokio's own way of waiting for a
/// file descriptor that is not one of its sockets is `unsafe`.
const LOOK: Duration = Duration::from_millis(20);

/// How the application stands: by systemd's account, else by what the environment proves. `service` names its unit
/// where another one runs us.
#[must_use]
pub fn application(asked: &Asked, service: Option<&str>) -> Application {
    known(asked, service, &Surroundings::of_this_process())
}

fn known(asked: &Asked, service: Option<&str>, surroundings: &Surroundings) -> Application {
    match asked {
        Asked::Hook(hook) => hook.application,
        Asked::NotInUnit(known @ Application::Runs(_)) => *known,
        // What systemd says of a main process in the environment is of the unit that runs us, not of that one.
        _ if service.is_some() => Application::Unknown,
        _ => match surroundings.main_pid {
            Some(pid) => Application::Runs(pid),
            None if surroundings.looks_like_a_unit() && surroundings.main_process_failed() => {
                Application::Gone
            }
            None => Application::Unknown,
        },
    }
}

/// The main process, while there is one.
#[must_use]
pub fn pid(application: Application) -> Option<u32> {
    match application {
        Application::Runs(pid) => Some(pid),
        Application::Gone | Application::Unknown => None,
    }
}

/// Turns `gone` true when the main process has ended, at once if it had before.
pub async fn watch(application: Application, gone: watch::Sender<bool>) {
    let ended = match application {
        Application::Runs(pid) => ended(pid).await,
        Application::Gone => true,
        Application::Unknown => false,
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

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_end_of_the_main_process_is_seen_when_it_comes_and_not_before() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let (sender, mut gone) = watch::channel(false);
        let watching = tokio::spawn(watch(Application::Runs(child.id()), sender));
        let early = tokio::time::timeout(Duration::from_millis(50), gone.wait_for(|gone| *gone))
            .await
            .is_err();
        assert!(early, "it still runs");
        child.kill().expect("it runs");
        let seen = tokio::time::timeout(Duration::from_secs(10), gone.wait_for(|gone| *gone)).await;
        assert!(seen.is_ok(), "it has ended");
        drop(seen);
        child.wait().expect("it ends");
        watching.abort();
    }

    #[test]
    fn what_became_of_a_companions_own_line_says_nothing_of_the_application() {
        let failed = Surroundings {
            invocation: Some(Vec::new()),
            main_exit: Some(("exited".to_owned(), "1".to_owned())),
            ..Surroundings::default()
        };
        let silent = Asked::Silent("no bus".to_owned());
        assert_eq!(known(&silent, None, &failed), Application::Gone);
        assert_eq!(known(&silent, Some("web.service"), &failed), Application::Unknown);
    }

    #[tokio::test]
    async fn one_that_is_gone_is_gone_at_once() {
        let (sender, mut gone) = watch::channel(false);
        let watching = tokio::spawn(watch(Application::Gone, sender));
        gone.wait_for(|gone| *gone).await.expect("it is told");
        watching.abort();
    }
}
