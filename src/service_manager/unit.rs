//! What systemd says of a unit, as far as it concerns leaving.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Surroundings;
use super::ask::Reader;
use super::dbus::Value;

const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";

const ASKED: &[(&str, &str)] = &[
    (UNIT, "Id"),
    (UNIT, "LoadState"),
    (UNIT, "ActiveState"),
    (UNIT, "UnitFileState"),
    (UNIT, "FragmentPath"),
    (UNIT, "DropInPaths"),
    (UNIT, "After"),
    (UNIT, "NeedDaemonReload"),
    (SERVICE, "MainPID"),
    (SERVICE, "TimeoutStopUSec"),
    (SERVICE, "KillMode"),
    (SERVICE, "User"),
    (SERVICE, "DynamicUser"),
    (SERVICE, "PrivateNetwork"),
    (SERVICE, "NetworkNamespacePath"),
    (SERVICE, "RestrictAddressFamilies"),
    (SERVICE, "IPAddressDeny"),
    (SERVICE, "IPAddressAllow"),
    (SERVICE, "LoadCredential"),
    (SERVICE, "LoadCredentialEncrypted"),
    (SERVICE, "SetCredential"),
];

/// A service unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// Its name, such as `web.service`.
    pub name: String,
    /// Whether systemd found a file of it and could read it.
    pub load_state: String,
    /// `active`, `inactive`, …
    pub active_state: String,
    /// `enabled`, `disabled`, `static`, …; empty where it has no file.
    pub file_state: String,
    /// Its file.
    pub fragment: Option<PathBuf>,
    /// Its drop-ins, in the order in which they count.
    pub drop_ins: Vec<PathBuf>,
    /// The units that it starts after, and stops before.
    pub after: Vec<String>,
    /// Whether its files have changed since systemd read them.
    pub stale: bool,
    /// Its main process, while there is one.
    pub main_pid: Option<u32>,
    /// `TimeoutStopSec=`; `None` for `infinity`.
    pub timeout_stop: Option<Duration>,
    /// `KillMode=`.
    pub kill_mode: String,
    /// Whose process it is; `None` for root.
    pub user: Option<String>,
    /// `PrivateNetwork=` or `NetworkNamespacePath=`: not the host's network.
    pub other_network: bool,
    /// `RestrictAddressFamilies=`.
    pub families: Families,
    /// `IPAddressDeny=any`.
    pub denies_any_address: bool,
    /// Whether `IPAddressAllow=` makes exceptions.
    pub allows_some_address: bool,
    /// Whether it has `LoadCredential=` or the like.
    pub credentials: bool,
}

/// Which address families a unit may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Families {
    allow_list: bool,
    list: Vec<String>,
}

impl Families {
    /// All but those of `list`, or with `allow_list` those alone.
    #[must_use]
    pub fn new(allow_list: bool, list: Vec<String>) -> Self {
        Self { allow_list, list }
    }

    /// Whether this one may be used, such as `AF_NETLINK`.
    #[must_use]
    pub fn allow(&self, family: &str) -> bool {
        self.list.iter().any(|listed| listed == family) == self.allow_list
    }
}

impl Unit {
    /// Asks systemd, at most until `until`. A unit that is not there has the `load_state` `not-found`.
    ///
    /// # Errors
    ///
    /// Where systemd cannot be asked.
    pub fn describe(name: &str, until: Instant) -> Result<Self, String> {
        let mut systemd = Reader::open(&Surroundings::of_this_process(), until)?;
        let path = systemd.unit(name)?;
        Ok(Self::from(systemd.get(&path, ASKED)?))
    }

    /// Whether there is such a unit.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.load_state == "loaded"
    }

    /// Whether it starts after this unit (and stops before it).
    #[must_use]
    pub fn is_after(&self, other: &str) -> bool {
        self.after.iter().any(|unit| unit == other)
    }

    /// Its files, in the order in which they count.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.fragment.iter().chain(&self.drop_ins)
    }
}

impl From<BTreeMap<&'static str, Value>> for Unit {
    fn from(said: BTreeMap<&'static str, Value>) -> Self {
        let text = |name: &str| {
            said.get(name)
                .and_then(Value::text)
                .unwrap_or_default()
                .to_owned()
        };
        let truth = |name: &str| said.get(name).and_then(Value::truth).unwrap_or_default();
        let elements = |name: &str| said.get(name).and_then(Value::elements).unwrap_or_default();
        let path = |text: String| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
        let timeout = said.get("TimeoutStopUSec").and_then(Value::unsigned);
        // An address with a prefix of no bits is any address.
        let any = |address: &Value| matches!(address.elements(), Some([_, _, prefix]) if prefix.unsigned() == Some(0));
        let user = Some(text("User")).filter(|user| !["", "root", "0"].contains(&user.as_str()));
        Self {
            name: text("Id"),
            load_state: text("LoadState"),
            active_state: text("ActiveState"),
            file_state: text("UnitFileState"),
            fragment: path(text("FragmentPath")),
            drop_ins: texts(elements("DropInPaths"))
                .into_iter()
                .filter_map(path)
                .collect(),
            after: texts(elements("After")),
            stale: truth("NeedDaemonReload"),
            main_pid: said
                .get("MainPID")
                .and_then(Value::unsigned)
                .and_then(|pid| u32::try_from(pid).ok())
                .filter(|pid| *pid > 0),
            timeout_stop: timeout
                .filter(|micros| *micros != u64::MAX)
                .map(Duration::from_micros),
            kill_mode: text("KillMode"),
            user: user.or_else(|| truth("DynamicUser").then(|| "a dynamic user".to_owned())),
            other_network: truth("PrivateNetwork") || !text("NetworkNamespacePath").is_empty(),
            families: match elements("RestrictAddressFamilies") {
                [Value::Bool(allow_list), list] => {
                    Families::new(*allow_list, texts(list.elements().unwrap_or_default()))
                }
                _ => Families::default(),
            },
            denies_any_address: elements("IPAddressDeny").iter().any(any),
            allows_some_address: !elements("IPAddressAllow").is_empty(),
            credentials: ["LoadCredential", "LoadCredentialEncrypted", "SetCredential"]
                .iter()
                .any(|name| !elements(name).is_empty()),
        }
    }
}

fn texts(values: &[Value]) -> Vec<String> {
    values
        .iter()
        .filter_map(|value| value.text().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemds_answers_are_read() {
        let text = |text: &str| Value::Text(text.to_owned());
        let any = |family| {
            Value::Struct(vec![
                Value::Signed(family),
                Value::Array(vec![]),
                Value::Unsigned(0),
            ])
        };
        let unit = Unit::from(BTreeMap::from([
            ("Id", text("web.service")),
            ("TimeoutStopUSec", Value::Unsigned(5_000_000)),
            (
                "RestrictAddressFamilies",
                Value::Struct(vec![Value::Bool(true), Value::Array(vec![text("AF_INET")])]),
            ),
            ("IPAddressDeny", Value::Array(vec![any(2), any(10)])),
            ("User", text("www-data")),
        ]));
        assert_eq!(unit.timeout_stop, Some(Duration::from_secs(5)));
        assert!(unit.families.allow("AF_INET") && !unit.families.allow("AF_NETLINK"));
        assert!(unit.denies_any_address && !unit.allows_some_address);
        assert_eq!(unit.user.as_deref(), Some("www-data"));
    }

    #[test]
    fn without_a_list_every_family_is_allowed_and_a_deny_list_forbids_its_own() {
        assert!(Families::default().allow("AF_NETLINK"));
        let without = Families::new(false, vec!["AF_NETLINK".to_owned()]);
        assert!(!without.allow("AF_NETLINK") && without.allow("AF_UNIX"));
    }
}
