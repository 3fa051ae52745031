//! Configuration, from what people write to what they are told.

use std::ffi::OsString;
use std::time::Duration;

use super::*;
use crate::budget::Source;
use crate::cli::{self, Command, Parsed};

fn parsed(arguments: &[&str]) -> Parsed {
    let arguments = ["lb-drain", "deregister"]
        .iter()
        .chain(arguments)
        .map(OsString::from);
    cli::parse(arguments).expect("a command line")
}

fn settings_of(parsed: &Parsed) -> Result<Settings, ConfigError> {
    let Command::Deregister(options) = &parsed.cli.command else {
        panic!("deregister was asked for");
    };
    settings(parsed, &options.common)
}

/// The settings of a file with this text, and options beside it.
fn file(text: &str, options: &[&str]) -> Result<Settings, ConfigError> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("test.toml");
    std::fs::write(&path, text).expect("written");
    let path = path.to_str().expect("a name");
    settings_of(&parsed(&[&["--config", path], options].concat()))
}

/// What is said of a file with this text, without the directory's name.
fn complaint(text: &str) -> String {
    let error = file(text, &[]).expect_err("an error").to_string();
    error[error.find("test.toml").expect("the file's name")..].to_owned()
}

const SECTION: &str =
    "[[load_balancer]]\nprovider = \"haproxy\"\nsockets = [\"/a\", \"/b\"]\nservers = [\"web/app1\"]\n";

#[test]
fn a_file_says_it_all() {
    let text = format!(
        "budget = \"45s\"\nports = [8080]\nquiet = \"2s\"\n{SECTION}name = \"edge\"\noptional = true\nmax_wait = \"30s\"\n"
    );
    let settings = file(&text, &[]).expect("settings");
    assert_eq!(
        settings.budget,
        Budget {
            total: Duration::from_secs(45),
            source: Source::Config
        }
    );
    assert_eq!(
        (settings.ports, settings.quiet),
        (BTreeSet::from([8080]), Duration::from_secs(2))
    );
    assert_eq!(settings.plans.len(), 2, "one for each socket");
    assert!(
        settings
            .plans
            .iter()
            .all(|plan| plan.name == "edge" && plan.optional)
    );
    assert_eq!(settings.plans[0].max_wait, Some(Duration::from_secs(30)));
}

#[test]
fn options_go_before_the_file() {
    let text = format!("budget = \"45s\"\nports = [8080]\n{SECTION}");
    let settings = file(&text, &["--budget", "5s", "--port", "1", "2"]).expect("settings");
    assert_eq!(
        settings.budget,
        Budget {
            total: Duration::from_secs(5),
            source: Source::Flag
        }
    );
    assert_eq!(settings.ports, BTreeSet::from([1, 2]));
}

#[test]
fn the_name_defaults_to_the_providers() {
    assert_eq!(file(SECTION, &[]).expect("settings").plans[0].name, "haproxy");
}

#[test]
fn options_alone_are_enough() {
    let settings = settings_of(&parsed(&[
        "--haproxy",
        "/a,tcp://[::1]:9999",
        "--haproxy-server",
        "web/app1",
        "api/app1",
    ]));
    assert_eq!(settings.expect("settings").plans.len(), 2);
}

#[test]
fn a_file_and_options_for_load_balancers_exclude_each_other() {
    let error = file(SECTION, &["--haproxy", "/a", "--haproxy-server", "web/app1"]).expect_err("an error");
    assert!(error.to_string().contains("write only one of them"), "{error}");
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_those_that_exist() {
    assert_eq!(
        complaint("prts = [80]\n"),
        "test.toml, line 1: unknown key `prts`, the keys here are `load_balancer`, `budget`, `ports`, `quiet`\n  1 | prts = …"
    );
    let text = format!("{SECTION}servrs = []\n");
    assert!(
        complaint(&text).starts_with("test.toml, line 5: unknown key `servrs`, the keys here are `name`"),
        "{}",
        complaint(&text)
    );
}

#[test]
fn a_value_that_cannot_be_meant_is_shown_with_what_to_write() {
    assert_eq!(
        complaint("budget = 30\n"),
        "test.toml, line 1: \"30\" has no unit; write \"30s\" or \"30ms\"\n  1 | budget = …"
    );
    assert!(complaint("budget = [1]\n").contains("write a duration such as \"30s\", or \"auto\""));
    let text = SECTION.replace("haproxy", "hproxy");
    assert!(
        complaint(&text)
            .starts_with("test.toml, line 2: there is no provider \"hproxy\" in this build; write one of: ")
    );
    let text = SECTION.replace("web/app1", "app1");
    assert!(
        complaint(&text).starts_with("test.toml, line 4: servers: "),
        "{}",
        complaint(&text)
    );
    let text = format!("{SECTION}min_wait = \"9s\"\nmax_wait = \"3s\"\n");
    assert!(complaint(&text).contains("min_wait (9 s) is longer than max_wait (3 s)"));
}

#[test]
fn a_provider_is_asked_for() {
    assert!(complaint("[[load_balancer]]\nname = \"x\"\n").contains("missing key `provider`"));
    assert!(
        complaint("budget = \"3s\"\n")
            .contains("names no load balancer; write at least one [[load_balancer]]")
    );
    assert!(complaint("[load_balancer]\nprovider = \"haproxy\"\n").contains("write [[load_balancer]]"));
}

#[test]
fn what_is_no_toml_is_shown_with_its_line() {
    assert!(complaint("ports = [80\nquiet =").starts_with("test.toml, line "));
}

#[test]
fn a_missing_file_says_what_to_do() {
    let error = settings_of(&parsed(&["-c", "/nowhere/x.toml"]))
        .expect_err("an error")
        .to_string();
    assert!(
        error.starts_with("cannot read /nowhere/x.toml: ") && error.contains("--config"),
        "{error}"
    );
}

#[test]
fn a_file_is_known_by_its_whole_path_wherever_it_is_named_from() {
    let directory = tempfile::tempdir_in(".").expect("a directory");
    let path = directory.path().join("test.toml");
    std::fs::write(&path, SECTION).expect("written");
    let here = std::env::current_dir().expect("a directory");
    let relative = path.strip_prefix(&here).unwrap_or(&path);
    let settings = settings_of(&parsed(&["-c", relative.to_str().expect("a name")])).expect("settings");
    let file = settings.file.expect("a file");
    assert!(relative.is_relative() && file.is_absolute(), "{}", file.display());
    assert_eq!(settings.scope, file.display().to_string());
}

#[test]
fn of_a_short_budget_systemd_gets_a_tenth() {
    assert_eq!(patience(None), service_manager::PATIENCE);
    assert!(patience(Some(Duration::from_secs(2))) <= Duration::from_millis(200));
    assert!(patience(Some(Duration::from_secs(3600))) <= service_manager::PATIENCE);
}

#[test]
fn a_bare_name_is_looked_for_where_configuration_is_kept() {
    assert_eq!(full_path(Path::new("web")), Path::new("/etc/lb-drain/web.toml"));
    assert_eq!(full_path(Path::new("web.toml")), Path::new("web.toml"));
    assert_eq!(full_path(Path::new("./web")), Path::new("./web"));
}
