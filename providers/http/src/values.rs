//! What placeholders stand for: this host's names and addresses, variables, captured values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use lb_drain_api::Host;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::instance_id::InstanceId;
use crate::template::{Place, Template};

/// What `{…}` may name beside variables and captured values.
pub(crate) const BUILT_IN: &str = "{hostname} {fqdn} {ip} {port} {instance_id} {unit} {env:NAME}";

/// A placeholder's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Hostname,
    Fqdn,
    Ip,
    Port,
    InstanceId,
    Unit,
    /// A variable of the environment.
    Env(String),
    /// A variable of the configuration, or a captured value.
    Own(String),
}

impl Name {
    /// The name in braces, as it is written.
    pub(crate) fn read(text: &str) -> Self {
        match text {
            "hostname" => Self::Hostname,
            "fqdn" => Self::Fqdn,
            "ip" => Self::Ip,
            "port" => Self::Port,
            "instance_id" => Self::InstanceId,
            "unit" => Self::Unit,
            _ => match text.strip_prefix("env:") {
                Some(name) => Self::Env(name.to_owned()),
                None => Self::Own(text.to_owned()),
            },
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hostname => f.write_str("{hostname}"),
            Self::Fqdn => f.write_str("{fqdn}"),
            Self::Ip => f.write_str("{ip}"),
            Self::Port => f.write_str("{port}"),
            Self::InstanceId => f.write_str("{instance_id}"),
            Self::Unit => f.write_str("{unit}"),
            Self::Env(name) => write!(f, "{{env:{name}}}"),
            Self::Own(name) => write!(f, "{{{name}}}"),
        }
    }
}

/// Captured values by name.
pub(crate) type Captured = BTreeMap<String, Value>;

/// What one placeholder stands for.
#[derive(Clone)]
pub(crate) struct Field {
    pub value: Value,
    /// Whether it came from the environment: then it is never shown.
    pub secret: bool,
}

impl Field {
    pub(crate) fn plain(value: impl Into<Value>) -> Self {
        Self {
            value: value.into(),
            secret: false,
        }
    }
}

/// What placeholders stand for, for one request.
pub(crate) type Values = BTreeMap<Name, Field>;

/// Why a placeholder stands for nothing.
#[derive(Debug)]
pub(crate) struct Missing {
    pub why: String,
    /// Whether asking again can help.
    pub temporary: bool,
}

impl Missing {
    pub(crate) fn permanent(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            temporary: false,
        }
    }
}

/// What is known of this host, and the variables of the configuration.
#[derive(Debug)]
pub(crate) struct Facts {
    host: Host,
    variables: BTreeMap<String, Template>,
    fqdn: OnceCell<String>,
    instance_id: InstanceId,
}

impl Facts {
    pub(crate) fn new(host: &Host, variables: BTreeMap<String, Template>) -> Self {
        Self {
            host: host.clone(),
            variables,
            fqdn: OnceCell::new(),
            instance_id: InstanceId::default(),
        }
    }

    pub(crate) fn variables(&self) -> &BTreeMap<String, Template> {
        &self.variables
    }

    /// What can be told without asking anyone. What stands for nothing is left out.
    pub(crate) fn at_hand(&self, names: &BTreeSet<Name>, captured: &Captured) -> Values {
        let told = |name: &Name| Some((name.clone(), self.tell(name, captured).ok()??));
        names.iter().filter_map(told).collect()
    }

    /// What the names stand for.
    pub(crate) async fn resolve(
        &self,
        names: &BTreeSet<Name>,
        captured: &Captured,
    ) -> Result<Values, Missing> {
        let mut values = Values::new();
        for name in names {
            // A variable may use what has to be asked for.
            let inner = match name {
                Name::Own(own) if !captured.contains_key(own) => self.variables.get(own).map(Template::names),
                _ => None,
            };
            for asked in inner.iter().flatten().chain([name]) {
                match asked {
                    Name::Fqdn => drop(self.fqdn.get_or_try_init(|| fqdn(&self.host.hostname)).await?),
                    Name::InstanceId => drop(self.instance_id.get().await?),
                    _ => {}
                }
            }
            match self.tell(name, captured).map_err(Missing::permanent)? {
                Some(field) => drop(values.insert(name.clone(), field)),
                None => return Err(Missing::permanent(format!("{name} is not known"))),
            }
        }
        Ok(values)
    }

    /// `None`: not known yet.
    fn tell(&self, name: &Name, captured: &Captured) -> Result<Option<Field>, String> {
        Ok(Some(match name {
            Name::Hostname => Field::plain(self.host.hostname.as_str()),
            Name::Fqdn => match self.fqdn.get() {
                Some(fqdn) => Field::plain(fqdn.as_str()),
                None => return Ok(None),
            },
            Name::InstanceId => match self.instance_id.known() {
                Some(id) => Field::plain(id),
                None => return Ok(None),
            },
            Name::Ip => Field::plain(address(&self.host.addresses)?.to_string()),
            Name::Port => match self.host.ports.first() {
                Some(port) => Field::plain(*port),
                None => return Err("{port} needs `ports` in the configuration".to_owned()),
            },
            Name::Unit => match &self.host.unit {
                Some(unit) => Field::plain(unit.as_str()),
                None => return Err("the unit is not known; name it with --unit".to_owned()),
            },
            Name::Env(variable) => Field {
                value: crate::source::variable(variable)?.into(),
                secret: true,
            },
            Name::Own(own) => match (captured.get(own), self.variables.get(own)) {
                (Some(value), _) => Field::plain(value.clone()),
                (None, Some(template)) => return self.variable(template),
                (None, None) => return Ok(None),
            },
        }))
    }

    fn variable(&self, template: &Template) -> Result<Option<Field>, String> {
        let mut values = Values::new();
        for name in template.names() {
            match self.tell(&name, &Captured::new())? {
                Some(field) => drop(values.insert(name, field)),
                None => return Ok(None),
            }
        }
        Ok(Some(Field {
            value: template.value(&values)?,
            secret: values.values().any(|field| field.secret),
        }))
    }
}

/// The address from which this host speaks to the world, if it is one of `addresses`; else the first.
///
/// A host with containers has several. The one that load balancers know is nearly always that of the
/// default route; connecting a datagram socket asks the kernel for it and sends nothing (the addresses are
/// those reserved for documentation, RFC 5737 and RFC 3849).
fn address(addresses: &[IpAddr]) -> Result<IpAddr, String> {
    let towards = |from: IpAddr, to: IpAddr| {
        let socket = UdpSocket::bind(SocketAddr::new(from, 0)).ok()?;
        socket.connect(SocketAddr::new(to, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip| addresses.contains(ip))
    };
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    towards(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into())
        .or_else(|| towards(Ipv6Addr::UNSPECIFIED.into(), v6.into()))
        .or_else(|| addresses.first().copied())
        .ok_or_else(|| "this host has no address but loopback".to_owned())
}

/// What `hostname --fqdn` prints: the canonical name that the resolver has for the host's name.
async fn fqdn(hostname: &str) -> Result<String, Missing> {
    if hostname.contains('.') {
        return Ok(hostname.to_owned());
    }
    // AI_CANONNAME of netdb.h; the same on every Linux.
    const CANONICAL_NAME: i32 = 2;
    let name = hostname.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let hints = dns_lookup::AddrInfoHints {
            flags: CANONICAL_NAME,
            ..Default::default()
        };
        let answers = dns_lookup::getaddrinfo(Some(&name), None, Some(hints)).ok()?;
        answers.flatten().find_map(|answer| answer.canonname)
    });
    match asked.await {
        Ok(Some(name)) if name.contains('.') => Ok(name),
        _ => Err(Missing {
            why: format!(
                "{hostname} has no fully qualified name; give it one in /etc/hosts, or use {{hostname}}"
            ),
            temporary: false,
        }),
    }
}

/// A value as text: a string as it is, anything else as JSON.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text as it stands between the quotes of a JSON string.
pub(crate) fn json_string(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

impl Template {
    /// What a variable stands for: a number or boolean of the configuration as it is, a text that is a JSON
    /// document as that document, any other text as text.
    fn value(&self, values: &Values) -> Result<Value, String> {
        if let Some(value) = self.constant() {
            return Ok(value.clone());
        }
        let text = self.render(values, Place::Plain)?;
        let document = text
            .starts_with(['{', '['])
            .then(|| serde_json::from_str(&text).ok());
        Ok(document.flatten().unwrap_or_else(|| text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_one_of_the_hosts_own() {
        let documentation: IpAddr = "198.51.100.7".parse().expect("an address");
        assert_eq!(address(&[documentation]), Ok(documentation));
        assert!(address(&[]).is_err());
    }

    #[tokio::test]
    async fn a_hostname_with_a_dot_is_fully_qualified_already() {
        assert_eq!(fqdn("web1.example.org").await.expect("known"), "web1.example.org");
    }

    #[tokio::test]
    async fn what_stands_for_nothing_says_why() {
        let facts = Facts::new(&Host::default(), BTreeMap::new());
        for (name, why) in [
            (Name::Port, "`ports`"),
            (Name::Unit, "--unit"),
            (Name::Ip, "no address"),
            (Name::Env("LB_DRAIN_NEVER_SET".into()), "LB_DRAIN_NEVER_SET"),
            (Name::Own("id".into()), "{id} is not known"),
        ] {
            let missing = facts.resolve(&BTreeSet::from([name]), &Captured::new()).await;
            let missing = missing.err().expect("missing");
            assert!(missing.why.contains(why), "{}", missing.why);
        }
    }
}
