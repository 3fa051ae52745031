//! The actions that there is a use for, and CreateTargetGroup's like are not among them.

use super::truth::{Group, Target, Truth};
use super::wire::{Call, Refusal, element};

/// How many target groups one call may name.
const MOST: usize = 20;

/// Performs a call and returns the inside of its result.
pub(super) fn perform(truth: &mut Truth, call: &Call) -> Result<String, Refusal> {
    match call.action.as_str() {
        "DescribeTargetHealth" => describe_target_health(truth, call),
        "DeregisterTargets" => deregister_targets(truth, call),
        "RegisterTargets" => register_targets(truth, call),
        "DescribeTargetGroupAttributes" => describe_target_group_attributes(truth, call),
        "DescribeTargetGroups" => describe_target_groups(truth, call),
        other => {
            let message = format!("Could not find operation {other} for version 2015-12-01");
            Err(Refusal::new(400, "InvalidAction", &message))
        }
    }
}

/// The target group that a call names. One of another region is not known here.
fn group<'a>(truth: &'a mut Truth, call: &Call) -> Result<&'a mut Group, Refusal> {
    let arn = call.get("TargetGroupArn").unwrap_or_default();
    let group = truth.groups.get_mut(arn);
    group
        .filter(|group| group.made.region == call.region)
        .ok_or_else(not_found)
}

fn not_found() -> Refusal {
    Refusal::new(400, "TargetGroupNotFound", "One or more target groups not found")
}

/// Refuses ids that do not exist (any more).
fn existing(truth: &Truth, call: &Call) -> Result<(), Refusal> {
    let targets = call.targets().unwrap_or_default();
    let missing = targets
        .iter()
        .find(|target| truth.terminated.contains(&target.id));
    missing.map_or(Ok(()), |target| {
        let message = format!("The following targets are not valid: '{}'", target.id);
        Err(Refusal::new(400, "InvalidTarget", &message))
    })
}

/// All registrations; or those asked for, of which unknown ones are answered with `unused`.
fn describe_target_health(truth: &mut Truth, call: &Call) -> Result<String, Refusal> {
    existing(truth, call)?;
    let now = truth.now;
    let group = group(truth, call)?;
    let default = group.made.port;
    let targets = group.targets(now);
    let members: String = match call.targets() {
        None => targets.iter().map(describe).collect(),
        Some(asked) => asked
            .iter()
            .map(|asked| {
                let port = asked.port.unwrap_or(default);
                let known = targets
                    .iter()
                    .find(|target| target.id == asked.id && target.port == port);
                known.map_or_else(|| unused(&asked.id, port), describe)
            })
            .collect(),
    };
    Ok(format!(
        "<TargetHealthDescriptions>{members}</TargetHealthDescriptions>"
    ))
}

fn describe(target: &Target) -> String {
    let zone = target
        .zone
        .as_deref()
        .map_or(String::new(), |zone| element("AvailabilityZone", zone));
    let reason = match target.reason() {
        "" => String::new(),
        reason => element("Reason", reason) + &element("Description", "As the reason says"),
    };
    member(&target.id, target.port, &zone, target.state(), &reason)
}

fn unused(id: &str, port: u16) -> String {
    let reason = element("Reason", "Target.NotRegistered")
        + &element("Description", "Target is not registered to the target group");
    member(id, port, "", "unused", &reason)
}

fn member(id: &str, port: u16, zone: &str, state: &str, reason: &str) -> String {
    format!(
        "<member><HealthCheckPort>{port}</HealthCheckPort><Target>{}{}{zone}</Target><TargetHealth>{}{reason}</TargetHealth></member>",
        element("Id", id),
        element("Port", &port.to_string()),
        element("State", state),
    )
}

/// Succeeds whatever is named; a port that is not named is the target group's default port.
fn deregister_targets(truth: &mut Truth, call: &Call) -> Result<String, Refusal> {
    existing(truth, call)?;
    let now = truth.now;
    let group = group(truth, call)?;
    let default = group.made.port;
    for target in call.targets().ok_or_else(no_targets)? {
        group.deregister(
            &target.id,
            target.port.unwrap_or(default),
            target.zone.as_deref(),
            now,
            false,
        );
    }
    Ok(String::new())
}

fn register_targets(truth: &mut Truth, call: &Call) -> Result<String, Refusal> {
    existing(truth, call)?;
    let now = truth.now;
    let group = group(truth, call)?;
    let default = group.made.port;
    for target in call.targets().ok_or_else(no_targets)? {
        let by_address = !target.id.starts_with("i-");
        if by_address != (group.made.target_type == "ip") {
            let message = format!("The target '{}' does not fit the target type", target.id);
            return Err(Refusal::new(400, "ValidationError", &message));
        }
        group
            .register(
                &target.id,
                target.port.unwrap_or(default),
                target.zone.as_deref(),
                now,
            )
            .map_err(|message| Refusal::new(400, "InvalidTarget", &message))?;
    }
    Ok(String::new())
}

fn no_targets() -> Refusal {
    Refusal::new(400, "ValidationError", "At least one target must be specified")
}

fn describe_target_group_attributes(truth: &mut Truth, call: &Call) -> Result<String, Refusal> {
    let group = group(truth, call)?;
    let attribute = |key: &str, value: &str| {
        format!(
            "<member>{}{}</member>",
            element("Key", key),
            element("Value", value)
        )
    };
    let delay = group.made.delay.as_secs().to_string();
    let closes = match group.made.kind() {
        "net" => attribute(
            "deregistration_delay.connection_termination.enabled",
            &group.made.closes.to_string(),
        ),
        _ => String::new(),
    };
    Ok(format!(
        "<Attributes>{}{}{}{closes}</Attributes>",
        attribute("stickiness.enabled", "false"),
        attribute("deregistration_delay.timeout_seconds", &delay),
        attribute(
            "load_balancing.cross_zone.enabled",
            "use_load_balancer_configuration"
        ),
    ))
}

/// By ARNs, by names, or all of the region; one that does not exist makes all be refused, and so do more than
/// twenty.
fn describe_target_groups(truth: &mut Truth, call: &Call) -> Result<String, Refusal> {
    let here: Vec<&Group> = truth
        .groups
        .values()
        .filter(|group| group.made.region == call.region)
        .collect();
    let pick = |wanted: Vec<&str>, of: fn(&Group) -> &str| -> Result<Vec<&Group>, Refusal> {
        if wanted.len() > MOST {
            let message = format!("You cannot describe more than '{MOST}' target groups at a time");
            return Err(Refusal::new(400, "ValidationError", &message));
        }
        let found = wanted
            .iter()
            .map(|wanted| here.iter().find(|group| of(group) == *wanted).copied());
        found.collect::<Option<Vec<_>>>().ok_or_else(not_found)
    };
    let groups = match (call.list("TargetGroupArns"), call.list("Names")) {
        (Some(_), Some(_)) => {
            let message = "Target group names and target group ARNs cannot be specified at the same time";
            return Err(Refusal::new(400, "ValidationError", message));
        }
        (Some(arns), None) => pick(arns, |group| &group.arn)?,
        (None, Some(names)) => pick(names, |group| &group.made.name)?,
        (None, None) => here.clone(),
    };
    let wanted = call
        .get("PageSize")
        .and_then(|size| size.parse().ok())
        .unwrap_or(400_usize);
    if !(1..=400).contains(&wanted) {
        return Err(Refusal::new(
            400,
            "ValidationError",
            "PageSize must be between 1 and 400",
        ));
    }
    let size = wanted.min(truth.page);
    let start = call
        .get("Marker")
        .and_then(|marker| marker.parse().ok())
        .unwrap_or(0_usize);
    let page: String = groups
        .iter()
        .skip(start)
        .take(size)
        .map(|group| describe_group(group))
        .collect();
    let next = start + size;
    let marker = if next < groups.len() {
        element("NextMarker", &next.to_string())
    } else {
        String::new()
    };
    Ok(format!("<TargetGroups>{page}</TargetGroups>{marker}"))
}

fn describe_group(group: &Group) -> String {
    let made = &group.made;
    let kind = made.kind();
    let balancer = format!(
        "arn:aws:elasticloadbalancing:{}:123456789012:loadbalancer/{kind}/front/50dc6c495c0c9188",
        made.region
    );
    format!(
        "<member>{}{}{}{}{}<LoadBalancerArns><member>{balancer}</member></LoadBalancerArns></member>",
        element("TargetGroupArn", &group.arn),
        element("TargetGroupName", &made.name),
        element("Protocol", &made.protocol),
        element("Port", &made.port.to_string()),
        element("TargetType", &made.target_type),
    )
}
