//! The questions to systemd, and what its answers mean.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::dbus::{Argument, Bus, Call, Kind, Value};
use super::surroundings::{earlier_than_us, led_to_us};
use super::{Application, Asked, Hook, Reason, Setting, Surroundings};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const JOB: &str = "org.freedesktop.systemd1.Job";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";

/// What is asked of a unit.
const ASKED: &[(&str, &str)] = &[
    (UNIT, "Id"),
    (UNIT, "ActiveState"),
    (UNIT, "SubState"),
    (UNIT, "Job"),
    (SERVICE, "Type"),
    (SERVICE, "Restart"),
    (SERVICE, "RestartUSec"),
    (SERVICE, "Result"),
    (SERVICE, "MainPID"),
    (SERVICE, "ControlPID"),
    (SERVICE, "NotifyAccess"),
    (SERVICE, "TimeoutStartUSec"),
    (SERVICE, "TimeoutStopUSec"),
];

/// Asks systemd about the line that runs us, at most until `until`.
///
/// `unit` names the unit where the caller knows it; then it is asked about even if nothing looks like it.
/// `application` names the application's unit where another one runs us.
#[must_use]
pub fn ask(
    surroundings: &Surroundings,
    unit: Option<&str>,
    application: Option<&str>,
    until: Instant,
) -> Asked {
    let in_unit = unit.is_some() || surroundings.looks_like_a_unit();
    if !in_unit && application.is_none() {
        return Asked::NotInUnit(Application::Unknown);
    }
    match dialogue(surroundings, in_unit, unit, application, until) {
        Ok(asked) => asked,
        Err(reason) if in_unit => Asked::Silent(reason),
        Err(_) => Asked::NotInUnit(Application::Unknown),
    }
}

fn dialogue(
    surroundings: &Surroundings,
    in_unit: bool,
    unit: Option<&str>,
    application: Option<&str>,
    until: Instant,
) -> Result<Asked, String> {
    let mut systemd = Reader::open(surroundings, until)?;
    let own = if in_unit {
        let path = match unit {
            Some(name) => systemd.unit(name)?,
            None => systemd.unit_around(surroundings)?,
        };
        let own = systemd.get(&path, ASKED)?;
        (unit.is_some() || runs_us(&own, surroundings)).then_some(own)
    } else {
        None
    };
    let other = match application {
        Some(name) => {
            let path = systemd.unit(name)?;
            Some(systemd.get(&path, ASKED)?)
        }
        None => None,
    };
    let Some(own) = own else {
        return Ok(Asked::NotInUnit(
            other.as_ref().map_or(Application::Unknown, by_hand),
        ));
    };
    let state = systemd.get(MANAGER_PATH, &[(MANAGER, "SystemState")])?;
    let job = match own.get("Job").and_then(Value::elements) {
        Some([Value::Unsigned(id), Value::Text(path)]) if *id > 0 => {
            // A job that has ended meanwhile is none.
            systemd
                .get(path, &[(JOB, "JobType")])
                .ok()
                .and_then(|job| text(&job, "JobType"))
        }
        _ => None,
    };
    let hook = hook(
        &own,
        other.as_ref(),
        job.as_deref(),
        text(&state, "SystemState").as_deref(),
        surroundings,
    )?;
    Ok(Asked::Hook(Box::new(hook)))
}

/// Properties by name.
type Properties = BTreeMap<&'static str, Value>;

/// Whether systemd started us, or something that led to us, as one of the unit's lines; and not as (a child
/// of) the service itself, whose environment looks alike.
fn runs_us(own: &Properties, surroundings: &Surroundings) -> bool {
    line(own).is_some_and(|pid| surroundings.exec_pid == Some(pid) || led_to_us(pid))
}

/// The process of the line that now runs. `ExecStart=` of a oneshot counts as its main process.
fn line(own: &Properties) -> Option<u32> {
    let pid = |name| {
        let pid = own.get(name).and_then(Value::unsigned)?;
        u32::try_from(pid).ok().filter(|pid| *pid > 0)
    };
    pid("ControlPID").or_else(|| {
        let starting = text(own, "SubState").is_some_and(|state| state == "start");
        pid("MainPID").filter(|_| starting && is_oneshot(own))
    })
}

fn is_oneshot(own: &Properties) -> bool {
    text(own, "Type").is_some_and(|kind| kind == "oneshot")
}

fn hook(
    own: &Properties,
    other: Option<&Properties>,
    job: Option<&str>,
    system: Option<&str>,
    surroundings: &Surroundings,
) -> Result<Hook, String> {
    let unit = text(own, "Id").unwrap_or_default();
    let state = text(own, "SubState").unwrap_or_default();
    // start, start-pre, start-post and reload share one setting (systemd.service(5), TimeoutStartSec=).
    let setting = if ["start", "cond", "reload"]
        .iter()
        .any(|phase| state.starts_with(phase))
    {
        Setting::TimeoutStart
    } else {
        Setting::TimeoutStop
    };
    let timeout = own
        .get(match setting {
            Setting::TimeoutStart => "TimeoutStartUSec",
            Setting::TimeoutStop => "TimeoutStopUSec",
        })
        .and_then(Value::unsigned)
        .ok_or_else(|| format!("{unit} has no {setting}="))?;
    let application = match other {
        Some(other) => standing(other),
        None => own_standing(own, surroundings),
    };
    let restart_waits = match other {
        Some(other) => waits_to_restart(other),
        // One that ends while it starts still has that job.
        None => {
            matches!(job, None | Some("start"))
                && application == Application::Gone
                && is_about_to_restart(own)
        }
    };
    // Counted from the end of the application, which a unit's own last lines are part of and a companion is not.
    let restart_pause = other
        .filter(|_| restart_waits)
        .and_then(|other| other.get("RestartUSec")?.unsigned())
        .map_or(Duration::ZERO, Duration::from_micros);
    let line = line(own);
    let access = text(own, "NotifyAccess").unwrap_or_default();
    Ok(Hook {
        unit,
        setting,
        // `infinity` is the largest number there is.
        timeout: Some(Duration::from_micros(timeout)).filter(|_| timeout != u64::MAX),
        head_start: line
            .filter(|pid| led_to_us(*pid))
            .map_or(Duration::ZERO, earlier_than_us),
        reason: if setting == Setting::TimeoutStart {
            None
        } else {
            match (system, job) {
                (Some("stopping"), _) => Some(Reason::Shutdown),
                _ if restart_waits => Some(Reason::Ended),
                // A companion's stop is a job also where the application's end is the reason for it.
                _ if other.is_some() && application == Application::Gone => Some(Reason::Ended),
                (_, Some("restart" | "try-restart")) => Some(Reason::Restart),
                (_, Some("stop")) => Some(Reason::Stop),
                _ if application == Application::Gone => Some(Reason::Ended),
                _ => None,
            }
        },
        application,
        restart_waits,
        restart_pause,
        may_extend: access == "all" || (access == "exec" && line == Some(std::process::id())),
    })
}

/// Whether an application has ended and waits for its next start, and that for us.
fn waits_to_restart(other: &Properties) -> bool {
    text(other, "SubState").is_some_and(|state| state.starts_with("auto-restart"))
}

/// Whether a unit that has ended by itself is in its last lines, and will start again after them: the table of
/// systemd.service(5), `Restart=`.
fn is_about_to_restart(own: &Properties) -> bool {
    let text = |name| text(own, name).unwrap_or_default();
    let result = text("Result");
    let is = |results: &[&str]| results.contains(&result.as_str());
    // ExecStop= runs where the main process ended with success, else only ExecStopPost= does.
    ["stop", "stop-post"].contains(&text("SubState").as_str())
        && match text("Restart").as_str() {
            "always" => true,
            "on-success" => is(&["success"]),
            "on-failure" => !is(&["success", "exec-condition"]),
            "on-abnormal" => !is(&["success", "exec-condition", "exit-code"]),
            "on-abort" => is(&["signal", "core-dump"]),
            "on-watchdog" => is(&["watchdog"]),
            _ => false,
        }
}

/// How an application stands for a person who asks. That it does not run now proves nothing: it may be about to start.
fn by_hand(unit: &Properties) -> Application {
    match standing(unit) {
        Application::Gone => Application::Unknown,
        other => other,
    }
}

/// How the application stands whose own line runs us. Without `$MAINPID` it has ended, unless the unit has
/// none: a oneshot's application is what it left running.
fn own_standing(own: &Properties, surroundings: &Surroundings) -> Application {
    match surroundings.main_pid {
        Some(pid) => Application::Runs(pid),
        None if is_oneshot(own) => Application::Unknown,
        None if surroundings.main_exit.is_some() => Application::Gone,
        None => standing(own),
    }
}

/// How an application stands by its unit.
fn standing(unit: &Properties) -> Application {
    let state = text(unit, "SubState").unwrap_or_default();
    let active = text(unit, "ActiveState").unwrap_or_default();
    let pid = unit.get("MainPID").and_then(Value::unsigned);
    match pid.and_then(|pid| u32::try_from(pid).ok()) {
        Some(pid) if pid > 0 => Application::Runs(pid),
        // auto-restart: it crashed and waits for its next start, and that waits for us.
        _ if ["inactive", "failed"].contains(&active.as_str())
            || state.starts_with("auto-restart")
            || state == "stop-post" =>
        {
            Application::Gone
        }
        _ => Application::Unknown,
    }
}

fn text(properties: &Properties, name: &str) -> Option<String> {
    properties.get(name).and_then(Value::text).map(str::to_owned)
}

/// A unit's whole name: without a suffix it is a service, as for `systemctl`.
#[must_use]
pub fn unit_name(name: &str) -> String {
    if name.contains('.') {
        name.to_owned()
    } else {
        format!("{name}.service")
    }
}

fn manager(member: &'static str, arguments: Vec<Argument>) -> Call {
    Call {
        destination: SYSTEMD,
        path: MANAGER_PATH.to_owned(),
        interface: MANAGER,
        member,
        arguments,
    }
}

/// The path that a call answers with.
fn path_of(answer: Vec<Value>) -> Result<String, String> {
    answer
        .first()
        .and_then(Value::text)
        .map(str::to_owned)
        .ok_or_else(|| "systemd answered without a path".to_owned())
}

/// Reads from systemd.
#[derive(Debug)]
pub struct Reader {
    bus: Bus,
}

impl Reader {
    /// Connects to the manager that runs us: directly where we may (root, and a user's own manager), which
    /// needs no message bus, else by the system bus.
    ///
    /// # Errors
    ///
    /// Why none can be reached.
    pub fn open(surroundings: &Surroundings, until: Instant) -> Result<Self, String> {
        let system_bus = (PathBuf::from("/run/dbus/system_bus_socket"), Kind::MessageBus);
        let places = match &surroundings.user_manager {
            Some(directory) => vec![(directory.join("systemd/private"), Kind::Direct)],
            None if rustix::process::geteuid().is_root() => {
                vec![(PathBuf::from("/run/systemd/private"), Kind::Direct), system_bus]
            }
            None => vec![system_bus],
        };
        let mut reasons = Vec::new();
        for (path, kind) in places {
            match Bus::open(&path, kind, until) {
                Ok(bus) => return Ok(Self { bus }),
                Err(error) => reasons.push(because(&path, &error)),
            }
        }
        Err(reasons.join("; "))
    }

    /// The path of a unit, which is loaded if it is not.
    ///
    /// # Errors
    ///
    /// Where there is no such name, or no answer.
    pub fn unit(&mut self, name: &str) -> Result<String, String> {
        let load = manager("LoadUnit", vec![Argument::Text(unit_name(name))]);
        path_of(self.ask(&[load])?.pop().unwrap_or_else(|| Err(String::new()))?)
    }

    /// The path of the unit that we are part of: by its run, and where that is not known, by the control group of
    /// whoever asks (0).
    fn unit_around(&mut self, surroundings: &Surroundings) -> Result<String, String> {
        let by_run = surroundings
            .invocation
            .iter()
            .map(|id| manager("GetUnitByInvocationID", vec![Argument::Bytes(id.clone())]));
        let by_group = manager("GetUnitByPID", vec![Argument::U32(0)]);
        let answers = self.ask(&by_run.chain([by_group]).collect::<Vec<_>>())?;
        let found = answers.into_iter().reduce(Result::or);
        path_of(found.unwrap_or_else(|| Err(String::new()))?)
    }

    /// Properties of an object, each by its interface and name. Those that it does not have are left out.
    ///
    /// # Errors
    ///
    /// Where there is no answer.
    pub fn get(
        &mut self,
        path: &str,
        names: &[(&'static str, &'static str)],
    ) -> Result<BTreeMap<&'static str, Value>, String> {
        let calls: Vec<Call> = names
            .iter()
            .map(|(interface, name)| Call {
                destination: SYSTEMD,
                path: path.to_owned(),
                interface: PROPERTIES,
                member: "Get",
                arguments: vec![
                    Argument::Text((*interface).to_owned()),
                    Argument::Text((*name).to_owned()),
                ],
            })
            .collect();
        let answers = self.ask(&calls)?;
        let named = names.iter().map(|(_, name)| *name).zip(answers);
        Ok(named
            .filter_map(|(name, answer)| Some((name, answer.ok()?.into_iter().next()?)))
            .collect())
    }

    fn ask(&mut self, calls: &[Call]) -> Result<Vec<Result<Vec<Value>, String>>, String> {
        self.bus
            .call(calls)
            .map_err(|error| format!("systemd does not answer: {error}"))
    }
}

fn because(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        // What dbus-daemon does to a uid that has no name.
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
            format!("{path} closed the connection, as it does where DynamicUser= meets no nss-systemd")
        }
        _ => format!("{path}: {error}"),
    }
}

#[cfg(test)]
mod tests;
