//! The companion of a unit: `systemd/lb-drain@.service`, or what one instance of it needs on top.

use std::time::Duration;

use super::{File, Times, written};
use crate::report::count;

/// What the packages install.
const TEMPLATE: &str = include_str!("../../systemd/lb-drain@.service");

/// The files for the companion of `unit` (without `.service`).
///
/// `installed` says that systemd has the template already. `config` names the configuration where it is not the
/// one of the unit's name, `own_timeout` is the application's `TimeoutStopSec=` as it is.
#[must_use]
pub fn companion(
    unit: &str,
    config: Option<&str>,
    installed: bool,
    own_timeout: Option<Duration>,
    times: &Times,
) -> Vec<File> {
    let mut files = Vec::new();
    if !installed {
        files.push(File {
            path: "/etc/systemd/system/lb-drain@.service".to_owned(),
            text: TEMPLATE.to_owned(),
        });
    }
    let mut instance = String::from("[Service]\n");
    if let Some(config) = config {
        instance.push_str(&format!("Environment=LB_DRAIN_CONFIG={config}\n"));
    }
    let total = times.total().map_or_else(String::new, |total| {
        format!(": {} from the stop to SIGKILL at the most", written(total))
    });
    instance.push_str(&format!(
        "# For leaving. The application's own TimeoutStopSec= is counted after it{total}.\n"
    ));
    instance.push_str(&format!("TimeoutStopSec={}\n", written(times.ours)));
    files.push(File {
        path: format!("/etc/systemd/system/lb-drain@{unit}.service.d/times.conf"),
        text: instance,
    });
    if let Some(each) = times.each
        && times.each != own_timeout
    {
        files.push(File {
            path: format!("/etc/systemd/system/{unit}.service.d/times.conf"),
            text: format!(
                "[Service]\n# Its part of the total: for each of its {}, and once more after SIGTERM.\n\
                 TimeoutStopSec={}\n",
                count(u64::from(times.steps - 1), "ExecStop= line"),
                written(each)
            ),
        });
    }
    files
}

#[cfg(test)]
mod tests {
    use super::super::Share;
    use super::*;

    const OWN: Option<Duration> = Some(Duration::from_secs(90));

    #[test]
    fn the_template_is_only_given_to_whoever_does_not_have_it() {
        let times = Times::new(Share::Companion, Duration::from_secs(35), 1, OWN, None).expect("long enough");
        let paths = |installed| -> Vec<String> {
            companion("nginx", None, installed, OWN, &times)
                .into_iter()
                .map(|file| file.path)
                .collect()
        };
        assert_eq!(
            paths(true),
            ["/etc/systemd/system/lb-drain@nginx.service.d/times.conf"]
        );
        assert_eq!(paths(false)[0], "/etc/systemd/system/lb-drain@.service");
    }

    #[test]
    fn a_total_is_split_between_both_units() {
        let grace = Some(Duration::from_secs(30));
        let times =
            Times::new(Share::Companion, Duration::from_secs(300), 1, OWN, grace).expect("long enough");
        let files = companion("nginx", Some("/etc/lb-drain/lb-drain.toml"), true, OWN, &times);
        let [ours, theirs] = files.as_slice() else {
            panic!("two files: {files:?}");
        };
        assert!(ours.text.ends_with("TimeoutStopSec=20s\n"), "{}", ours.text);
        assert!(
            ours.text
                .contains("Environment=LB_DRAIN_CONFIG=/etc/lb-drain/lb-drain.toml\n")
        );
        assert_eq!(theirs.path, "/etc/systemd/system/nginx.service.d/times.conf");
        assert!(
            theirs.text.contains("each of its 1 ExecStop= line, "),
            "{}",
            theirs.text
        );
        assert!(theirs.text.ends_with("TimeoutStopSec=5s\n"), "{}", theirs.text);
    }
}
