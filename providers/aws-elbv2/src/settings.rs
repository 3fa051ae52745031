//! The provider's own keys of a `[[load_balancer]]` section, and what they may hold.

use std::net::IpAddr;

use lb_drain_api::SettingsError;
use serde::Deserialize;

use crate::reference::Reference;

/// The keys of `provider = "aws-elbv2"`, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// ARNs or names of target groups.
    pub target_groups: Vec<String>,
    /// This host in these target groups: an instance id or an IP address. Default: the instance's id from
    /// IMDSv2, or for target groups of type `ip` this host's addresses.
    #[serde(default)]
    pub target_id: Option<String>,
    /// The registered port. Default: every port registered for the target.
    #[serde(default)]
    pub port: Option<u16>,
    /// The region. Default: that of the ARN, else the standard variables, profile and IMDSv2.
    #[serde(default)]
    pub region: Option<String>,
    /// Where the API answers. Default: the region's endpoint, by the standard variables and profile.
    #[serde(default)]
    pub endpoint_url: Option<String>,
    /// The profile of the shared AWS configuration files. Default: `AWS_PROFILE`, else `default`.
    #[serde(default)]
    pub profile: Option<String>,
}

/// How a target group knows this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TargetId {
    /// `i-0123456789abcdef0`
    Instance(String),
    /// Compared as an address: `fd00::1` and `fd00:0::1` are the same.
    Ip(IpAddr),
}

impl TargetId {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Ip(address));
        }
        let hex = text.strip_prefix("i-")?;
        let fits = matches!(hex.len(), 8 | 17) && hex.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| Self::Instance(text.to_owned()))
    }

    /// Whether a described id is this one.
    pub(crate) fn is(&self, described: &str) -> bool {
        match self {
            Self::Instance(id) => id == described,
            Self::Ip(address) => described.parse() == Ok(*address),
        }
    }
}

impl std::fmt::Display for TargetId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Instance(id) => f.write_str(id),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// Settings that can be meant.
#[derive(Debug, Clone)]
pub(crate) struct Valid {
    pub(crate) groups: Vec<Reference>,
    pub(crate) target_id: Option<TargetId>,
    pub(crate) port: Option<u16>,
    pub(crate) region: Option<String>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) profile: Option<String>,
}

impl TryFrom<Settings> for Valid {
    type Error = SettingsError;

    fn try_from(settings: Settings) -> Result<Self, SettingsError> {
        let region = settings.region.map(region).transpose()?;
        Ok(Self {
            groups: groups(&settings.target_groups, region.as_deref())?,
            target_id: settings.target_id.as_deref().map(target_id).transpose()?,
            port: settings.port.map(port).transpose()?,
            region,
            endpoint_url: settings.endpoint_url.map(endpoint_url).transpose()?,
            profile: settings.profile.map(profile).transpose()?,
        })
    }
}

fn groups(texts: &[String], region: Option<&str>) -> Result<Vec<Reference>, SettingsError> {
    let error = |message| Err(SettingsError::new("target_groups", message));
    if texts.is_empty() {
        return error("it is empty; write the ARN or the name of at least one target group".to_owned());
    }
    let mut groups = Vec::with_capacity(texts.len());
    for text in texts {
        let group = match Reference::parse(text) {
            Ok(group) => group,
            Err(message) => return error(message),
        };
        if groups.contains(&group) {
            return error(format!(r#""{text}" is listed twice"#));
        }
        if let (Some(region), Some(own)) = (region, group.region())
            && region != own
        {
            return Err(SettingsError::new(
                "region",
                format!(r#"it is "{region}", but "{text}" is in {own}; leave it out: the ARN tells"#),
            ));
        }
        groups.push(group);
    }
    Ok(groups)
}

fn target_id(text: &str) -> Result<TargetId, SettingsError> {
    TargetId::parse(text).ok_or_else(|| {
        SettingsError::new(
            "target_id",
            format!(
                r#""{text}" is neither an instance id like "i-0123456789abcdef0" nor an IP address; leave it out on an EC2 instance"#
            ),
        )
    })
}

fn port(port: u16) -> Result<u16, SettingsError> {
    if port == 0 {
        return Err(SettingsError::new(
            "port",
            "0 is no port; leave it out for every registered port",
        ));
    }
    Ok(port)
}

fn region(text: String) -> Result<String, SettingsError> {
    let error = |message| Err(SettingsError::new("region", message));
    if !text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        || !text.contains('-')
    {
        return error(format!(r#""{text}" is not a region; write one like "eu-west-1""#));
    }
    let zone = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    if zone.len() < text.len() && zone.ends_with(|c: char| c.is_ascii_digit()) {
        return error(format!(r#""{text}" is an availability zone; write "{zone}""#));
    }
    Ok(text)
}

fn endpoint_url(text: String) -> Result<String, SettingsError> {
    let error = |message| Err(SettingsError::new("endpoint_url", message));
    let Some(rest) = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
    else {
        return error(format!(
            r#""{text}" is not a URL; write one like "https://elb.internal""#
        ));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        // Its value is not repeated: what stands before the @ is likely a secret.
        return error("it holds a user name or password, which AWS does not read; leave them out".to_owned());
    }
    if authority.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return error(format!(
            r#""{text}" names no host; write one like "https://elb.internal""#
        ));
    }
    Ok(text)
}

fn profile(text: String) -> Result<String, SettingsError> {
    if text.trim().is_empty() {
        return Err(SettingsError::new(
            "profile",
            "it is empty; leave it out for the default profile",
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/73e2d6bc24d8a067";

    fn settings() -> Settings {
        Settings {
            target_groups: vec![ARN.to_owned(), "api".to_owned()],
            ..Settings::default()
        }
    }

    fn refused(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = settings();
        change(&mut settings);
        Valid::try_from(settings)
            .expect_err("not to be meant")
            .to_string()
    }

    #[test]
    fn groups_alone_suffice() {
        let valid = Valid::try_from(settings()).expect("valid");
        assert_eq!(valid.groups.len(), 2);
        assert!(valid.target_id.is_none() && valid.port.is_none() && valid.region.is_none());
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = serde_json::from_str::<Settings>(r#"{"target_groups": ["a"], "target_group": "b"}"#)
            .expect_err("unknown key");
        assert!(error.to_string().contains("`target_group`"), "{error}");
    }

    #[test]
    fn what_cannot_be_meant_is_told_with_its_key() {
        assert!(refused(|s| s.target_groups.clear()).starts_with("target_groups: it is empty"));
        assert!(refused(|s| s.target_groups.push("api".into())).contains(r#""api" is listed twice"#));
        assert!(
            refused(|s| s.target_id = Some("web1".into())).starts_with(r#"target_id: "web1" is neither"#)
        );
        assert!(refused(|s| s.target_id = Some("i-123".into())).contains("instance id like"));
        assert!(refused(|s| s.port = Some(0)).starts_with("port: 0 is no port"));
        assert!(refused(|s| s.region = Some("Frankfurt".into())).contains("write one like"));
        assert!(refused(|s| s.endpoint_url = Some("elb.internal".into())).contains("is not a URL"));
        assert!(refused(|s| s.endpoint_url = Some("https:///x".into())).contains("names no host"));
        assert!(refused(|s| s.profile = Some(" ".into())).starts_with("profile: it is empty"));
    }

    #[test]
    fn an_availability_zone_is_no_region() {
        let error = refused(|s| {
            s.target_groups = vec!["api".into()];
            s.region = Some("eu-west-1a".into());
        });
        assert_eq!(
            error,
            r#"region: "eu-west-1a" is an availability zone; write "eu-west-1""#
        );
    }

    #[test]
    fn a_region_that_differs_from_the_arn_is_told() {
        let error = refused(|s| s.region = Some("us-east-1".into()));
        assert!(
            error.starts_with(r#"region: it is "us-east-1", but "arn:"#),
            "{error}"
        );
        assert!(error.contains("is in eu-west-1"), "{error}");
    }

    #[test]
    fn a_password_in_the_endpoint_is_not_repeated() {
        let error = refused(|s| s.endpoint_url = Some("https://me:hunter2@elb".into()));
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn addresses_are_compared_as_addresses() {
        let id = TargetId::parse("fd00:0::1").expect("an address");
        assert!(id.is("fd00::1") && !id.is("fd00::2") && !id.is("i-0123456789abcdef0"));
    }
}
