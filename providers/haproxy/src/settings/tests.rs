use super::*;

fn host() -> Host {
    Host {
        ports: vec![8080],
        ..Host::default()
    }
}

fn read(text: &str) -> Result<Settings, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

fn refused(text: &str) -> String {
    let settings = read(text).expect("reads");
    connect(settings, &host()).expect_err(text).to_string()
}

#[test]
fn the_example_of_the_design_reads() {
    let settings = read(
        r#"
        sockets = ["/run/haproxy/admin.sock", "tcp://10.0.0.5:9999"]
        servers = ["web/app1"]
        maint_after = "10s"
        shutdown_sessions = true
        "#,
    )
    .expect("reads");
    let balancers = connect(settings, &host()).expect("connects");
    let endpoints = balancers
        .iter()
        .map(|balancer| balancer.identity().endpoint.as_str())
        .collect::<Vec<_>>();
    assert_eq!(endpoints, ["/run/haproxy/admin.sock", "tcp://10.0.0.5:9999"]);
    // 10 ms of HAProxy's time a second; of a look at one afar most is the way there.
    for (balancer, share) in balancers.iter().zip([100, 20]) {
        assert_eq!(balancer.identity().provider, "haproxy");
        let schedule = balancer.schedule();
        assert_eq!(schedule.firm_after, Some(Duration::from_secs(10)));
        assert!(schedule.cut);
        assert_eq!(schedule.pace.share, share);
    }
}

#[test]
fn without_more_it_stays_in_drain_and_cuts_nothing() {
    let settings = read(
        r#"sockets = ["/s"]
        match = "address""#,
    )
    .expect("reads");
    let schedule = connect(settings, &host()).expect("connects")[0].schedule();
    assert_eq!((schedule.firm_after, schedule.cut), (None, false));
}

#[test]
fn keys_that_are_not_known_are_errors() {
    let error = read(r#"socket = ["/s"]"#).expect_err("unknown");
    assert!(error.contains("unknown field `socket`"), "{error}");
    let error = read(r#"match = "name""#).expect_err("unknown");
    assert!(error.contains("expected `address`"), "{error}");
    let error = read("maint_after = 10").expect_err("no unit");
    assert!(error.contains(r#"write "10s""#), "{error}");
}

#[test]
fn what_cannot_be_meant_is_told_with_what_to_write() {
    assert_eq!(
        refused(r#"servers = ["web/app1"]"#),
        r#"sockets: none is named; write sockets = ["/run/haproxy/admin.sock"]"#
    );
    assert_eq!(
        refused(r#"sockets = ["/s"]"#),
        r#"servers: nothing says which servers are this host; write servers = ["web/app1"] or match = "address""#
    );
    assert!(
        refused("sockets = [\"/s\"]\nservers = [\"web/app1\"]\nmatch = \"address\"")
            .starts_with("match: servers says already")
    );
    assert!(refused("sockets = [\"s\"]\nservers = [\"web/app1\"]").starts_with(r#"sockets: "s" is not"#));
    assert!(refused("sockets = [\"/s\"]\nservers = [\"web\"]").starts_with(r#"servers: "web" is not"#));
}

#[test]
fn an_address_without_ports_is_told_to_name_them() {
    let settings = read("sockets = [\"/s\"]\nmatch = \"address\"").expect("reads");
    let error = connect(settings, &Host::default()).expect_err("no ports");
    assert_eq!(error.key, "match");
    assert!(error.message.contains("ports = [8080]"), "{error}");
}

#[test]
fn what_is_named_twice_is_told_once() {
    let settings = read("sockets = [\"/s\", \"/s\"]\nservers = [\"web/app1\", \"web/app1\"]").expect("reads");
    assert_eq!(connect(settings.clone(), &host()).expect("connects").len(), 1);
    match selection(&settings, &host()).expect("a selection") {
        Selection::Names(targets) => assert_eq!(targets.len(), 1),
        Selection::Address { .. } => panic!("names"),
    }
}
