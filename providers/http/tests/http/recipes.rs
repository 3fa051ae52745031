//! Each recipe against a fake that answers as that system's documentation says, and refuses all else.

use std::path::Path;
use std::sync::{Arc, Mutex};

use lb_drain_api::{LoadBalancer, Rotation, View};
use lb_drain_test_support::http::{Asked, Fake, Reply};
use serde_json::{Value, json};

use crate::support::{before, come_back, connect, leave, look};

/// The keys of a recipe's only section, without those that are common to all providers. `changes` are what an
/// administrator would change; each has to be there.
pub(crate) fn recipe(name: &str, changes: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("recipes")
        .join(name)
        .with_extension("toml");
    let mut text =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (from, to) in changes {
        assert!(text.contains(from), "{name} has {from}");
        text = text.replace(from, to);
    }
    section(name, &text)
}

/// The keys of the only section of this text.
fn section(name: &str, text: &str) -> String {
    let mut whole: toml::Table = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let Some(toml::Value::Array(mut sections)) = whole.remove("load_balancer") else {
        panic!("{name} has no load_balancer");
    };
    whole.remove("ports");
    assert!(whole.is_empty(), "{name}: {whole:?}");
    assert_eq!(sections.len(), 1, "{name}");
    let toml::Value::Table(mut section) = sections.remove(0) else {
        panic!("{name}: a section is a table");
    };
    assert_eq!(section.remove("provider"), Some("http".into()), "{name}");
    assert!(section.remove("name").is_some(), "{name} is named");
    section.remove("min_wait");
    section.to_string()
}

/// A token in a file, where a recipe has `path`.
struct Token {
    file: tempfile::NamedTempFile,
}

impl Token {
    fn new() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        Self { file }
    }

    fn path(&self) -> &str {
        self.file.path().to_str().unwrap()
    }
}

/// A stop and a start, each by a process of its own: the view before, and the looks in between.
async fn cycle(keys: &str, mut between: impl FnMut(), looks: usize) -> (View, Vec<View>) {
    let stop = connect(keys);
    let before = before(&stop).await;
    leave(&stop).await.expect("left");
    leave(&connect(keys))
        .await
        .expect("another process finds it out already, or takes it out once more");
    let mut views = Vec::new();
    for _ in 0..looks {
        views.push(look(&stop).await);
        between();
    }
    come_back(&connect(keys), Some(&before.before))
        .await
        .expect("back");
    come_back(&connect(keys), Some(&before.before))
        .await
        .expect("back already");
    (before, views)
}

fn in_flight(views: &[View]) -> Vec<Option<u64>> {
    views.iter().map(|view| view.in_flight).collect()
}

/// Shares a state between a fake and its test.
fn fake<S: Send + 'static>(
    state: S,
    answer: impl Fn(&mut S, &Asked) -> Reply + Send + 'static,
) -> (Fake, Arc<Mutex<S>>) {
    let state = Arc::new(Mutex::new(state));
    let shared = Arc::clone(&state);
    (
        Fake::start(move |asked| answer(&mut shared.lock().unwrap(), asked)),
        state,
    )
}

fn address(fake: &Fake) -> String {
    format!("127.0.0.1:{}", fake.port())
}

/// Every file is covered here or by a test against the real thing.
#[test]
fn every_recipe_says_what_its_drain_guarantees_and_can_be_configured() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| {
            file.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    names.sort();
    let all = [
        "app-health-check",
        "caddy",
        "consul",
        "digitalocean",
        "envoy",
        "eureka",
        "haproxy-dataplane",
        "kong",
        "nginx-plus",
    ];
    assert_eq!(names, all);
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for name in names {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("recipes")
            .join(&name)
            .with_extension("toml");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text.contains("# Guaranteed: ") && text.contains("Not guaranteed: "),
            "{name}"
        );
        assert!(
            readme.contains(&format!("| [{name}](recipes/{name}.toml) |")),
            "{name} is in README.md"
        );
        connect(&recipe(&name, &[]));
    }
}

#[test]
fn the_example_of_the_readme_can_be_configured() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let example = readme
        .split("```toml")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example");
    connect(&section("README.md", example));
}

/// Consul, Agent HTTP API, "Enable Maintenance Mode" of a service.
#[tokio::test]
async fn consul() {
    let (fake, maintenance) = fake(false, |maintenance, asked| {
        if asked.header("x-consul-token") != Some("s3cret") {
            return Reply::new(403, "Permission denied: token lacks permission 'service:write'");
        }
        match (asked.line().as_str(), asked.body.as_str()) {
            ("PUT /v1/agent/service/maintenance/web?enable=true&reason=lb-drain", "") => *maintenance = true,
            ("PUT /v1/agent/service/maintenance/web?enable=false", "") => *maintenance = false,
            ("PUT /v1/agent/service/maintenance/other?enable=true&reason=lb-drain", "") => {
                return Reply::new(404, "Unknown service ID \"other\"");
            }
            _ => return Reply::new(400, "Missing value for enable"),
        }
        Reply::new(200, "")
    });
    let token = Token::new();
    let changes = [
        ("127.0.0.1:8500", address(&fake)),
        ("/etc/lb-drain/consul.token", token.path().to_owned()),
    ];
    let changes = changes.each_ref().map(|(from, to)| (*from, to.as_str()));
    let stop = connect(&recipe("consul", &changes));
    leave(&stop).await.expect("left");
    assert!(*maintenance.lock().unwrap());
    come_back(&stop, None).await.expect("back");
    assert!(!*maintenance.lock().unwrap());
    cycle(&recipe("consul", &changes), || {}, 0).await;
    let other = recipe(
        "consul",
        &[&changes[..], &[("service = \"web\"", "service = \"other\"")]].concat(),
    );
    leave(&connect(&other))
        .await
        .expect("not registered: gone already");
}

/// DigitalOcean API v2, "Remove Droplets from a Load Balancer" and "Add Droplets to a Load Balancer".
#[tokio::test]
async fn digitalocean() {
    let (fake, droplets) = fake(vec![3_164_443, 3_164_444], |droplets, asked| {
        if asked.header("authorization") != Some("Bearer s3cret") {
            return Reply::json(
                401,
                &json!({"id": "unauthorized", "message": "Unable to authenticate you"}),
            );
        }
        if asked.line().split_once(' ').map(|(_, path)| path)
            != Some("/v2/load_balancers/4de7ac8b-495b-4884-9a69-1050c6793cd6/droplets")
        {
            return Reply::json(
                404,
                &json!({"id": "not_found", "message": "The resource you requested could not be found."}),
            );
        }
        let wanted = asked.json()["droplet_ids"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let Some(wanted) = wanted
            .iter()
            .map(Value::as_i64)
            .collect::<Option<Vec<_>>>()
            .filter(|ids| !ids.is_empty())
        else {
            return Reply::json(
                422,
                &json!({"id": "unprocessable_entity", "message": "droplet_ids is invalid"}),
            );
        };
        droplets.retain(|id| !wanted.contains(id));
        match asked.method.as_str() {
            "DELETE" => {}
            "POST" => droplets.extend(wanted),
            _ => return Reply::new(405, ""),
        }
        Reply::new(204, "")
    });
    let token = Token::new();
    let url = fake.url();
    let keys = recipe(
        "digitalocean",
        &[
            ("https://api.digitalocean.com", &url),
            ("/etc/lb-drain/digitalocean.token", token.path()),
            // What cloud-init would say.
            ("{instance_id}", "3164444"),
        ],
    );
    let stop = connect(&keys);
    leave(&stop).await.expect("left");
    assert_eq!(*droplets.lock().unwrap(), [3_164_443]);
    come_back(&stop, None).await.expect("back");
    assert_eq!(*droplets.lock().unwrap(), [3_164_443, 3_164_444]);
    cycle(&keys, || {}, 0).await;
    assert_eq!(*droplets.lock().unwrap(), [3_164_443, 3_164_444]);
}

/// Netflix Eureka, "Eureka REST operations", on the paths of Spring Cloud's server.
#[tokio::test]
async fn eureka() {
    let (fake, status) = fake(Some("UP"), |status, asked| {
        let Some(override_) = status else {
            return Reply::new(404, "");
        };
        match asked.line().as_str() {
            "PUT /eureka/apps/WEB/web1%3Aweb%3A8080/status?value=OUT_OF_SERVICE" => {
                *override_ = "OUT_OF_SERVICE"
            }
            "DELETE /eureka/apps/WEB/web1%3Aweb%3A8080/status?value=UP" => *override_ = "UP",
            _ => return Reply::new(404, ""),
        }
        Reply::new(200, "")
    });
    let keys = recipe("eureka", &[("eureka.example.internal:8761", &address(&fake))]);
    let stop = connect(&keys);
    leave(&stop).await.expect("left");
    assert_eq!(*status.lock().unwrap(), Some("OUT_OF_SERVICE"));
    come_back(&stop, None).await.expect("back");
    assert_eq!(*status.lock().unwrap(), Some("UP"));
    cycle(&keys, || {}, 0).await;
    *status.lock().unwrap() = None;
    leave(&stop).await.expect("not registered: gone already");
    come_back(&stop, None).await.expect("it registers itself");
}

/// HAProxy Data Plane API 3, `replaceRuntimeServer` and `getStats`.
#[tokio::test]
async fn haproxy_dataplane() {
    let (fake, state) = fake(("ready".to_owned(), 2_u64), |(state, scur), asked| {
        // admin:s3cret
        if asked.header("authorization") != Some("Basic YWRtaW46czNjcmV0") {
            return Reply::json(401, &json!({"code": 401, "message": "unauthorized"}));
        }
        match asked.line().as_str() {
            "PUT /v3/services/haproxy/runtime/backends/web/servers/web1" => {
                match asked.json()["admin_state"].as_str() {
                    Some(wanted @ ("ready" | "drain" | "maint"))
                        if asked.header("content-type") == Some("application/json") =>
                    {
                        *state = wanted.to_owned();
                        Reply::json(
                            200,
                            &json!({"admin_state": state, "name": "web1", "operational_state": "up"}),
                        )
                    }
                    _ => Reply::json(
                        422,
                        &json!({"code": 602, "message": "admin_state in body should be one of [ready maint drain]"}),
                    ),
                }
            }
            "GET /v3/services/haproxy/stats/native?type=server&parent=web&name=web1" => Reply::json(
                200,
                &json!({"runtimeAPI": "/var/run/haproxy.sock", "stats": [
                    {"backend_name": "web", "name": "web1", "type": "server", "stats": {"scur": scur, "qcur": 0, "status": "DRAIN"}}
                ]}),
            ),
            _ => Reply::json(404, &json!({"code": 404, "message": "path was not found"})),
        }
    });
    let token = Token::new();
    let changes = [
        ("127.0.0.1:5555", address(&fake)),
        ("/etc/lb-drain/dataplane.password", token.path().to_owned()),
    ];
    let keys = recipe(
        "haproxy-dataplane",
        &changes.each_ref().map(|(from, to)| (*from, to.as_str())),
    );
    leave(&connect(&keys)).await.expect("left");
    assert_eq!(state.lock().unwrap().0, "drain");
    let (_, views) = cycle(&keys, || state.lock().unwrap().1 -= 1, 2).await;
    assert_eq!(in_flight(&views), [Some(2), Some(1)]);
    assert_eq!(state.lock().unwrap().0, "ready");
    let (_, views) = cycle(&keys, || {}, 1).await;
    assert_eq!((views[0].in_flight, views[0].rotation), (Some(0), Rotation::Out));
}

/// Kong Gateway 3, Admin API, "List Targets" and "Update Target".
#[tokio::test]
async fn kong() {
    let (fake, weight) = fake(70, |weight, asked| {
        if asked.header("kong-admin-token") != Some("s3cret") {
            return Reply::json(401, &json!({"message": "Invalid RBAC credentials"}));
        }
        match asked.line().as_str() {
            "GET /upstreams/web/targets?size=1000" => Reply::json(
                200,
                &json!({"next": null, "data": [
                    {"id": "a1", "target": "10.0.0.8:8080", "weight": 100},
                    {"id": "a2", "target": "10.0.0.7:8080", "weight": weight},
                ]}),
            ),
            "PATCH /upstreams/web/targets/10.0.0.7%3A8080" => match asked.json()["weight"].as_u64() {
                Some(wanted) if asked.header("content-type") == Some("application/json") => {
                    *weight = wanted;
                    Reply::json(
                        200,
                        &json!({"id": "a2", "target": "10.0.0.7:8080", "weight": weight}),
                    )
                }
                _ => Reply::json(
                    400,
                    &json!({"message": "schema violation (weight: expected an integer)"}),
                ),
            },
            _ => Reply::json(404, &json!({"message": "Not found"})),
        }
    });
    let token = Token::new();
    let changes = [
        ("127.0.0.1:8001", address(&fake)),
        ("/etc/lb-drain/kong.token", token.path().to_owned()),
    ];
    let keys = recipe("kong", &changes.each_ref().map(|(from, to)| (*from, to.as_str())));
    let (as_it_was, _) = cycle(&keys, || {}, 0).await;
    assert_eq!(as_it_was.before, json!({"weight": 70}));
    assert_eq!(*weight.lock().unwrap(), 70);
    leave(&connect(&keys)).await.expect("left");
    assert_eq!(*weight.lock().unwrap(), 0);
    let found = before(&connect(&keys)).await;
    assert_eq!(found.rotation, Rotation::Out, "so what is on record is kept");
    come_back(&connect(&keys), None).await.expect("back");
    assert_eq!(*weight.lock().unwrap(), 100, "as the configuration says");
}

/// NGINX Plus REST API, version 9: servers and peers of an HTTP upstream.
#[tokio::test]
async fn nginx_plus() {
    let (fake, state) = fake(("up", 2_u64), |(state, active), asked| {
        let server = |state: &str| {
            json!({"id": 7, "server": "10.0.0.7:8080", "weight": 1, "max_conns": 0, "max_fails": 1, "fail_timeout": "10s",
                   "slow_start": "0s", "route": "", "backup": false, "down": false, "drain": state == "draining"})
        };
        match (asked.line().as_str(), asked.json()) {
            ("GET /api/9/http/upstreams/web/servers", _) => {
                Reply::json(200, &json!([{"id": 4, "server": "10.0.0.8:8080"}, server(state)]))
            }
            ("PATCH /api/9/http/upstreams/web/servers/7", body) => {
                if body == json!({"drain": true}) {
                    *state = "draining";
                } else if body == json!({"down": false}) {
                    *state = "up";
                } else {
                    return Reply::json(
                        415,
                        &json!({"error": {"status": 415, "text": "json error", "code": "JsonError"}}),
                    );
                }
                Reply::json(200, &server(state))
            }
            ("GET /api/9/http/upstreams/web", _) => Reply::json(
                200,
                &json!({"zone": "web", "keepalive": 0, "zombies": 0, "peers": [
                    {"id": 4, "server": "10.0.0.8:8080", "state": "up", "active": 9},
                    {"id": 7, "server": "10.0.0.7:8080", "state": state, "active": active},
                ]}),
            ),
            _ => Reply::json(
                404,
                &json!({"error": {"status": 404, "text": "path not found", "code": "PathNotFound"}}),
            ),
        }
    });
    let keys = recipe("nginx-plus", &[("nginx.example.internal:8080", &address(&fake))]);
    leave(&connect(&keys)).await.expect("left");
    assert_eq!(state.lock().unwrap().0, "draining");
    let (_, views) = cycle(&keys, || state.lock().unwrap().1 -= 1, 2).await;
    assert_eq!(in_flight(&views), [Some(2), Some(1)]);
    assert_eq!(state.lock().unwrap().0, "up");
    let unknown = recipe(
        "nginx-plus",
        &[
            ("nginx.example.internal:8080", &address(&fake)),
            ("\"{ip}:{port}\"", "\"10.0.0.9:80\""),
        ],
    );
    leave(&connect(&unknown))
        .await
        .expect("no such server: gone already");
    let error = come_back(&connect(&unknown), None)
        .await
        .expect_err("nothing to bring back")
        .to_string();
    assert!(error.contains("id is captured from"), "{error}");
}

/// Envoy's administration interface; the real one is asked in `envoy`.
#[tokio::test]
async fn envoy() {
    let (fake, state) = fake((true, 1_u64), |(healthy, active), asked| {
        match (asked.line().as_str(), asked.body.as_str()) {
            ("POST /healthcheck/fail", "") => {
                *healthy = false;
                Reply::new(200, "OK\n")
            }
            ("POST /healthcheck/ok", "") => {
                *healthy = true;
                Reply::new(200, "OK\n")
            }
            ("GET /stats?filter=^http.ingress.downstream_rq_active$&format=json", _) => Reply::json(
                200,
                &json!({"stats": [{"name": "http.ingress.downstream_rq_active", "value": active}]}),
            ),
            _ => Reply::new(405, "Method Not Allowed"),
        }
    });
    let keys = recipe("envoy", &[("127.0.0.1:9901", &address(&fake))]);
    leave(&connect(&keys)).await.expect("left");
    assert!(!state.lock().unwrap().0);
    let (_, views) = cycle(&keys, || state.lock().unwrap().1 = 0, 2).await;
    assert_eq!(in_flight(&views), [Some(1), Some(0)]);
    assert!(state.lock().unwrap().0);
}

/// The switch that the recipe describes.
#[tokio::test]
async fn app_health_check() {
    let (fake, draining) = fake(false, |draining, asked| match asked.line().as_str() {
        "PUT /-/drain" => {
            *draining = true;
            Reply::new(201, "")
        }
        "DELETE /-/drain" if *draining => {
            *draining = false;
            Reply::new(204, "")
        }
        _ => Reply::new(404, ""),
    });
    let keys = recipe("app-health-check", &[("{port}", &fake.port().to_string())]);
    leave(&connect(&keys)).await.expect("left");
    assert!(*draining.lock().unwrap());
    cycle(&keys, || {}, 0).await;
    assert!(!*draining.lock().unwrap());
}

/// Caddy's admin API; the real one is asked in `caddy`.
#[tokio::test]
async fn caddy() {
    let list = "/config/apps/http/servers/srv0/routes/0/handle/0/upstreams";
    let ours = json!({"dial": "10.0.0.7:8080", "max_requests": 100});
    let upstreams = vec![json!({"dial": "10.0.0.8:8080"}), ours.clone()];
    let (fake, upstreams) = fake(upstreams, move |upstreams, asked| {
        let etag = format!("\"{list} {}\"", upstreams.len());
        let matches = asked.header("if-match") == Some(&etag);
        match asked.method.as_str() {
            "GET" if asked.path == list => Reply::json(200, &json!(upstreams)).with("ETag", &etag),
            "GET" if asked.path == "/reverse_proxy/upstreams" => Reply::json(
                200,
                &json!([{"address": "10.0.0.8:8080", "num_requests": 3, "fails": 0}]),
            ),
            "DELETE" | "POST" if !matches => Reply::json(
                412,
                &json!({"error": "If-Match header did not match current config hash"}),
            ),
            "DELETE" if asked.path == format!("{list}/1") => {
                upstreams.remove(1);
                Reply::new(200, "")
            }
            "POST" if asked.path == list && asked.header("content-type") == Some("application/json") => {
                upstreams.push(asked.json());
                Reply::new(200, "")
            }
            _ => Reply::json(404, &json!({"error": "invalid traversal path"})),
        }
    });
    let keys = recipe("caddy", &[("localhost:2019", &address(&fake))]);
    let (as_it_was, views) = cycle(&keys, || {}, 1).await;
    assert_eq!(as_it_was.before, json!({"upstream": ours}));
    assert_eq!(
        in_flight(&views),
        [None],
        "it has forgotten the upstream, which says nothing of what is in flight"
    );
    assert_eq!(
        *upstreams.lock().unwrap(),
        [json!({"dial": "10.0.0.8:8080"}), ours]
    );
    leave(&connect(&keys)).await.expect("left");
    let balancer: Arc<dyn LoadBalancer> = connect(&keys);
    come_back(&balancer, None)
        .await
        .expect("back, as the configuration says");
    assert_eq!(upstreams.lock().unwrap()[1], json!({"dial": "10.0.0.7:8080"}));
}
