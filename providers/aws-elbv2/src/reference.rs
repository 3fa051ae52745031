//! How a target group is written in configuration: as an ARN or as a name.

use std::fmt;

/// A target group, by ARN or by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Reference {
    /// Unique, and it tells the region.
    Arn(Arn),
    /// Unique within one account and region; costs a call to look up.
    Name(String),
}

/// `arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/73e2d6bc24d8a067`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Arn {
    /// The whole of it.
    pub(crate) text: String,
    /// The region it is in.
    pub(crate) region: String,
    /// The target group's name.
    pub(crate) name: String,
}

impl Reference {
    /// Reads what stands in `target_groups`; the error says what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("arn:") {
            return Arn::parse(text).map(Self::Arn);
        }
        // CreateTargetGroup: at most 32 alphanumeric characters or hyphens, no hyphen at either end.
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if fits {
            Ok(Self::Name(text.to_owned()))
        } else {
            Err(format!(
                r#""{text}" is neither the name of a target group (at most 32 letters, digits and hyphens) nor an ARN like "arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID""#
            ))
        }
    }

    /// The target group's name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Arn(arn) => &arn.name,
            Self::Name(name) => name,
        }
    }

    /// The region, where the reference tells.
    pub(crate) fn region(&self) -> Option<&str> {
        match self {
            Self::Arn(arn) => Some(&arn.region),
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arn(arn) => &arn.text,
            Self::Name(name) => name,
        })
    }
}

impl Arn {
    fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| {
            Err(format!(
                r#""{text}" is not the ARN of a target group: {why}; it looks like "arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID""#
            ))
        };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [_, _, service, region, account, resource] = parts[..] else {
            return bad("it has too few parts");
        };
        if service != "elasticloadbalancing" {
            return bad(&format!(r#"its service is "{service}""#));
        }
        if region.is_empty() || account.is_empty() {
            return bad("it names no region or no account");
        }
        match resource.split('/').collect::<Vec<_>>()[..] {
            ["targetgroup", name, id] if !name.is_empty() && !id.is_empty() => Ok(Self {
                text: text.to_owned(),
                region: region.to_owned(),
                name: name.to_owned(),
            }),
            [kind, ..] if kind != "targetgroup" => bad(&format!(
                r#"it names a {kind}; take the ARN of the target group that the {kind} forwards to"#
            )),
            _ => bad("it ends too early"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/73e2d6bc24d8a067";

    #[test]
    fn an_arn_tells_region_and_name() {
        let arn = Reference::parse(ARN).expect("an ARN");
        assert_eq!(arn.name(), "web");
        assert_eq!(arn.region(), Some("eu-west-1"));
        assert_eq!(arn.to_string(), ARN);
        let china = ARN.replace("arn:aws:", "arn:aws-cn:");
        assert!(Reference::parse(&china).is_ok());
    }

    #[test]
    fn a_name_is_a_name() {
        let name = Reference::parse("web-1").expect("a name");
        assert_eq!((name.name(), name.region()), ("web-1", None));
    }

    #[test]
    fn what_is_neither_is_told_what_to_write() {
        let balancer =
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188";
        for (text, says) in [
            ("", "neither the name"),
            ("-web", "neither the name"),
            ("web_1", "neither the name"),
            ("a-name-of-more-than-thirty-two-characters", "at most 32"),
            ("arn:aws:elasticloadbalancing:eu-west-1", "too few parts"),
            (
                "arn:aws:s3:eu-west-1:123456789012:targetgroup/web/1",
                r#"service is "s3""#,
            ),
            (balancer, "target group that the loadbalancer forwards to"),
            (
                "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web",
                "ends too early",
            ),
            (
                "arn:aws:elasticloadbalancing::123456789012:targetgroup/web/1",
                "no region",
            ),
        ] {
            let error = Reference::parse(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
