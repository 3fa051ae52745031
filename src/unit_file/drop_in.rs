//! The drop-in for the application's own unit: `systemd/lb-drain.conf` with what this unit needs.

use super::{File, Times, written};

/// What is installed for a unit that nothing is known of.
const TEMPLATE: &str = include_str!("../../systemd/lb-drain.conf");

/// The drop-in for `unit`, which has these `ExecStop=` lines of its own. `arguments` follow each command, `as_root`
/// lifts the unit's `User=` and sandbox from our lines.
#[must_use]
pub fn drop_in(unit: &str, own_stops: &[&str], arguments: &str, as_root: bool, times: &Times) -> File {
    let plus = if as_root { "+" } else { "" };
    // After a line that failed systemd skips the others.
    let minus = if own_stops.is_empty() { "" } else { "-" };
    let mut text = String::new();
    for line in TEMPLATE.lines().skip_while(|line| line.starts_with('#')) {
        match line {
            "ExecStartPost=-lb-drain register" => {
                text.push_str(&format!("ExecStartPost=-{plus}lb-drain register{arguments}"));
            }
            "ExecStop=lb-drain deregister" => {
                text.push_str(&format!("ExecStop={minus}{plus}lb-drain deregister{arguments}"));
            }
            // What stands here for whoever writes it by hand.
            "# What the unit has of its own is repeated here. Ours then needs a \"-\" (ExecStop=-lb-drain deregister): after a line that"
            | "# failed systemd skips the others." => continue,
            "#ExecStop=/usr/sbin/app --graceful-stop" if own_stops.is_empty() => continue,
            "#ExecStop=/usr/sbin/app --graceful-stop" => {
                text.push_str(
                    "# What the unit has of its own. Ours has a \"-\", because after a line that failed systemd skips the others.",
                );
                for stop in own_stops {
                    text.push_str(&format!("\nExecStop={stop}"));
                }
            }
            line if line.starts_with("ExecStopPost=") => {
                let ours = format!("lb-drain deregister{arguments}");
                let line = line.replace("=-/bin/sh", &format!("=-{plus}/bin/sh"));
                text.push_str(&line.replace("lb-drain deregister", &ours));
            }
            line if line.starts_with("TimeoutStopSec=") => {
                let total = times.total().unwrap_or_default();
                text.push_str(&format!(
                    "# That is {} from the stop to SIGKILL at the most.\nTimeoutStopSec={}",
                    written(total),
                    written(times.ours)
                ));
            }
            line => text.push_str(line),
        }
        text.push('\n');
    }
    File {
        path: format!("/etc/systemd/system/{unit}.d/lb-drain.conf"),
        text: text.trim_start().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Share;
    use super::*;

    #[test]
    fn the_vendors_stop_is_repeated_after_ours_which_may_then_fail() {
        let times = Times::new(
            Share::DropIn,
            Duration::from_secs(35),
            1,
            Some(Duration::from_secs(5)),
            None,
        )
        .expect("long enough");
        let own = ["-/sbin/start-stop-daemon --quiet --stop --retry QUIT/5 --pidfile /run/nginx.pid"];
        let file = drop_in("nginx.service", &own, " --config web", true, &times);
        assert_eq!(file.path, "/etc/systemd/system/nginx.service.d/lb-drain.conf");
        let lines: Vec<&str> = file.text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines[lines.len() - 6..],
            [
                "ExecStartPost=-+lb-drain register --config web",
                "ExecStop=",
                "ExecStop=-+lb-drain deregister --config web",
                "ExecStop=-/sbin/start-stop-daemon --quiet --stop --retry QUIT/5 --pidfile /run/nginx.pid",
                r#"ExecStopPost=-+/bin/sh -c '[ "$$SERVICE_RESULT" = success ] || exec lb-drain deregister --config web'"#,
                "TimeoutStopSec=35s",
            ]
        );
        assert!(
            file.text.contains("105s from the stop to SIGKILL"),
            "{}",
            file.text
        );
    }

    #[test]
    fn without_a_stop_of_its_own_a_failure_of_ours_shows() {
        let times = Times::new(Share::DropIn, Duration::from_secs(35), 0, None, None).expect("long enough");
        let file = drop_in("web.service", &[], "", false, &times);
        assert!(file.text.contains("\nExecStop=\nExecStop=lb-drain deregister\n"));
        assert!(
            !file.text.contains("of its own") && !file.text.contains("graceful-stop"),
            "{}",
            file.text
        );
    }
}
