//! What a process can know of who runs it without asking: its environment and `/proc`.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

/// Signs of a service manager, as systemd.exec(5) describes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `$INVOCATION_ID`: of one run of a unit.
    pub invocation: Option<Vec<u8>>,
    /// `$SYSTEMD_EXEC_PID`: the process that systemd started itself (systemd 248 and later).
    pub exec_pid: Option<u32>,
    /// `$MAINPID`: set for `ExecStop=` while the main process is alive.
    pub main_pid: Option<u32>,
    /// `$EXIT_CODE`, `$EXIT_STATUS`: how the main process ended, where it has.
    pub main_exit: Option<(String, String)>,
    /// Whether our control group is a service's. It stays so where the environment does not: behind `sudo` or `env -i`.
    pub in_service: bool,
    /// Where a user's manager has its sockets, if it is one that runs us (`$MANAGERPID`).
    pub user_manager: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        // Read once: a process stays in the group that it was started in.
        static GROUPS: LazyLock<String> =
            LazyLock::new(|| std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default());
        Self::from(|name| std::env::var(name).ok(), &GROUPS)
    }

    fn from(variable: impl Fn(&str) -> Option<String>, groups: &str) -> Self {
        let pid = |name: &str| variable(name)?.parse().ok().filter(|pid| *pid > 0);
        Self {
            invocation: variable("INVOCATION_ID").and_then(|id| hexadecimal(&id)),
            exec_pid: pid("SYSTEMD_EXEC_PID"),
            main_pid: pid("MAINPID"),
            main_exit: variable("EXIT_CODE").zip(variable("EXIT_STATUS")),
            in_service: in_service(groups),
            user_manager: pid("MANAGERPID")
                .and_then(|_| variable("XDG_RUNTIME_DIR"))
                .map(PathBuf::from),
        }
    }

    /// Whether it looks as if a unit ran us. A shell on a desktop may look so too: its terminal is a unit.
    #[must_use]
    pub fn looks_like_a_unit(&self) -> bool {
        self.invocation.is_some() || self.in_service
    }

    /// Whether the main process crashed or failed: then there is no doubt that the application is gone. One
    /// that ended with success may be of `Type=oneshot`, and what it started still there.
    #[must_use]
    pub fn main_process_failed(&self) -> bool {
        self.main_pid.is_none()
            && self
                .main_exit
                .as_ref()
                .is_some_and(|(code, status)| code != "exited" || status != "0")
    }
}

/// Whether systemd's line of `/proc/self/cgroup` names a service. Hybrid hosts have one for each hierarchy.
fn in_service(groups: &str) -> bool {
    groups
        .lines()
        .filter_map(|line| line.split_once(':')?.1.split_once(':'))
        .filter(|(hierarchy, _)| ["", "name=systemd"].contains(hierarchy))
        // Lines of a unit with Delegate= run in a group of their own below the unit's.
        .any(|(_, path)| {
            path.strip_suffix("/.control")
                .unwrap_or(path)
                .ends_with(".service")
        })
}

/// 32 hexadecimal digits.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let number = u128::from_str_radix(text, 16).ok()?;
    (text.len() == 32).then(|| number.to_be_bytes().to_vec())
}

/// Whether a process is this one or one that led to it.
pub(super) fn led_to_us(pid: u32) -> bool {
    let mut next = std::process::id();
    // Deeper than any chain of wrappers; and /proc may change while it is read.
    for _ in 0..64 {
        if next == pid {
            return true;
        }
        match stat(next).and_then(|fields| fields.get(1)?.parse().ok()) {
            Some(parent) if parent > 0 => next = parent,
            _ => return false,
        }
    }
    false
}

/// How much earlier than this process that one started; nothing where that cannot be told.
pub(super) fn earlier_than_us(pid: u32) -> Duration {
    match (process_age(pid), process_age(std::process::id())) {
        (Some(theirs), Some(ours)) => theirs.saturating_sub(ours),
        _ => Duration::ZERO,
    }
}

/// The grain of the kernel's account of when a process started (proc(5), `starttime`): `USER_HZ` is 100 on every
/// architecture we build for.
const TICK: Duration = Duration::from_millis(10);

/// How long a process has existed, by the kernel's account. Up to a [`TICK`] too little, which any reserve covers:
/// too much would put moments into the log that the process has not reached yet.
#[must_use]
pub fn process_age(pid: u32) -> Option<Duration> {
    let ticks: u64 = stat(pid)?.get(19)?.parse().ok()?;
    let started = Duration::from_millis(ticks.checked_mul(10)?);
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now = Duration::new(now.tv_sec.try_into().ok()?, now.tv_nsec.try_into().ok()?);
    Some(now.checked_sub(started)?.saturating_sub(TICK))
}

/// The fields of `/proc/PID/stat` from the third on: the command's name before them may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Surroundings {
        Surroundings::from(
            |name| {
                variables
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned())
            },
            "0::/user.slice/user-0.slice/session-1.scope\n",
        )
    }

    #[test]
    fn a_shell_does_not_look_like_a_unit() {
        assert!(!with(&[("HOME", "/root")]).looks_like_a_unit());
        assert!(!with(&[("INVOCATION_ID", "not one")]).looks_like_a_unit());
        assert!(with(&[("INVOCATION_ID", "0123456789abcdef0123456789abcdef")]).looks_like_a_unit());
    }

    #[test]
    fn a_service_is_known_by_its_control_group_too() {
        for group in [
            "0::/system.slice/web.service\n",
            "0::/system.slice/web.service/.control\n",
            "12:cpu:/\n1:name=systemd:/system.slice/web.service\n0::/system.slice/web.service\n",
            "12:cpu:/\n1:name=systemd:/system.slice/web.service\n",
        ] {
            assert!(in_service(group), "{group}");
        }
        for group in [
            "",
            "0::/\n",
            "0::/user.slice/user-0.slice/session-1.scope\n",
            "0::/system.slice/web.service/workers\n",
            "12:cpu:/system.slice/web.service\n0::/\n",
        ] {
            assert!(!in_service(group), "{group}");
        }
        let bare = Surroundings::from(|_| None, "0::/system.slice/web.service\n");
        assert!(bare.looks_like_a_unit());
    }

    #[test]
    fn only_a_failure_proves_that_the_application_is_gone() {
        let ended = |code, status| with(&[("EXIT_CODE", code), ("EXIT_STATUS", status)]);
        assert!(ended("killed", "SEGV").main_process_failed());
        assert!(ended("exited", "3").main_process_failed());
        assert!(!ended("exited", "0").main_process_failed());
        assert!(!with(&[]).main_process_failed());
    }

    #[test]
    fn a_users_manager_is_known_by_its_pid() {
        let shell = [("XDG_RUNTIME_DIR", "/run/user/1000")];
        assert_eq!(with(&shell).user_manager, None);
        let unit = [("XDG_RUNTIME_DIR", "/run/user/1000"), ("MANAGERPID", "700")];
        assert_eq!(with(&unit).user_manager, Some(PathBuf::from("/run/user/1000")));
    }

    #[test]
    fn this_process_and_its_parent_led_to_us_and_the_parent_was_earlier() {
        let parent = rustix::process::getppid()
            .expect("a parent")
            .as_raw_nonzero()
            .get();
        let parent = u32::try_from(parent).expect("a pid");
        assert!(led_to_us(std::process::id()));
        assert!(led_to_us(parent));
        assert!(!led_to_us(u32::MAX));
        assert!(process_age(parent) >= process_age(std::process::id()));
    }
}
