//! The drop-in for the application's own unit: `systemd/lb-drain.conf` with what this unit needs.

use super::{File, Times, written};
use crate::service_manager::Unit;

/// What is installed for a unit that nothing is known of.
const TEMPLATE: &str = include_str!("../../systemd/lb-drain.conf");

/// What it is called.
const NAME: &str = "lb-drain.conf";

/// The drop-in for `unit`, which has these `ExecStop=` lines and drop-ins of its own. `arguments` follow each command,
/// `as_root` lifts the unit's `User=` and sandbox from our lines.
#[must_use]
pub fn drop_in(unit: &Unit, own_stops: &[&str], arguments: &str, as_root: bool, times: &Times) -> File {
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
                text.push_str(&match times.total() {
                    Some(total) => format!(
                        "# That is {} from the stop to SIGKILL at the most.\nTimeoutStopSec={}",
                        written(total),
                        written(times.ours)
                    ),
                    None => format!(
                        "# As the unit has it. Ours ends by itself, after {} at the most.\nTimeoutStopSec=infinity",
                        written(times.ours)
                    ),
                });
            }
            line => text.push_str(line),
        }
        text.push('\n');
    }
    File {
        path: format!("/etc/systemd/system/{}.d/{}", unit.name, name(unit)),
        text: text.trim_start().to_owned(),
    }
}

/// A name that sorts after those of the drop-ins that are there: an empty `ExecStop=` in a later one, such as the
/// `override.conf` of `systemctl edit`, would drop our line.
fn name(unit: &Unit) -> String {
    let others = || unit.drop_ins.iter().filter_map(|path| path.file_name()?.to_str());
    ["", "zz-", "~~-"]
        .map(|prefix| format!("{prefix}{NAME}"))
        .into_iter()
        .find(|name| others().all(|other| other <= name.as_str()))
        .unwrap_or_else(|| NAME.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::super::Share;
    use super::*;

    fn unit(name: &str, drop_ins: &[&str]) -> Unit {
        Unit {
            name: name.to_owned(),
            drop_ins: drop_ins.iter().map(PathBuf::from).collect(),
            ..Unit::default()
        }
    }

    #[test]
    fn it_sorts_after_the_drop_ins_that_are_there() {
        for (others, ours) in [
            (
                &["/etc/systemd/system/web.service.d/limits.conf"][..],
                "zz-lb-drain.conf",
            ),
            (
                &["/etc/systemd/system/web.service.d/10-limits.conf"],
                "lb-drain.conf",
            ),
            (
                &["/run/systemd/system/web.service.d/override.conf"],
                "zz-lb-drain.conf",
            ),
            (
                &["/etc/systemd/system/web.service.d/zzz.conf"],
                "~~-lb-drain.conf",
            ),
            // Printed a second time.
            (
                &["/etc/systemd/system/web.service.d/lb-drain.conf"],
                "lb-drain.conf",
            ),
            (&["/d/override.conf", "/d/zz-lb-drain.conf"], "zz-lb-drain.conf"),
        ] {
            assert_eq!(name(&unit("web.service", others)), ours, "{others:?}");
        }
    }

    #[test]
    fn a_unit_that_may_take_for_ever_still_may() {
        let times = Times::new(Share::DropIn, Duration::from_secs(35), 0, None, None).expect("long enough");
        let file = drop_in(&unit("web.service", &[]), &[], "", false, &times);
        assert!(
            file.text
                .ends_with("after 35s at the most.\nTimeoutStopSec=infinity\n"),
            "{}",
            file.text
        );
    }

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
        let file = drop_in(&unit("nginx.service", &[]), &own, " --config web", true, &times);
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
        let file = drop_in(&unit("web.service", &[]), &[], "", false, &times);
        assert!(file.text.contains("\nExecStop=\nExecStop=lb-drain deregister\n"));
        assert!(
            !file.text.contains("of its own") && !file.text.contains("graceful-stop"),
            "{}",
            file.text
        );
    }
}
