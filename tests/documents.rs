//! What the documents tell people to write: units that systemd takes, commands and configuration that `lb-drain` takes.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that panics has failed, as it should"
)]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lb_drain::cli::{self, Parsed};
use lb_drain::config::{self, ConfigError};

/// With units, commands or configuration to copy.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "docs/graceful-shutdown.md",
    "providers/aws-elbv2/README.md",
    "providers/haproxy/README.md",
    "providers/http/README.md",
];

const SYSTEM_UNITS: &str = "/etc/systemd/system/";

/// A block between lines of three backticks.
struct Block<'a> {
    document: &'static str,
    language: &'a str,
    /// What stands between it and the block before.
    introduction: &'a str,
    text: &'a str,
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn blocks<'a>(document: &'static str, text: &'a str) -> Vec<Block<'a>> {
    let pieces: Vec<&str> = text.split("```").collect();
    assert_eq!(pieces.len() % 2, 1, "{document}: a block has no end");
    pieces
        .chunks_exact(2)
        .map(|pair| {
            let (language, text) = pair[1].split_once('\n').unwrap();
            Block {
                document,
                language,
                introduction: pair[0],
                text,
            }
        })
        .collect()
}

/// Runs the check on every block of every document, and says how many it took.
fn each_block(mut check: impl FnMut(&Block<'_>) -> usize) -> usize {
    DOCUMENTS
        .iter()
        .map(|document| {
            let text = read(document);
            blocks(document, &text).iter().map(&mut check).sum::<usize>()
        })
        .sum()
}

fn parse(words: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Parsed, clap::Error> {
    cli::parse(words.into_iter().map(Into::into))
}

/// What becomes of a configuration file with this text.
fn configure(text: &str) -> Result<config::Settings, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.toml");
    fs::write(&path, text).unwrap();
    let parsed = parse(["lb-drain", "status", "--config", path.to_str().unwrap()]).unwrap();
    match &parsed.cli.command {
        cli::Command::Status(options) => config::settings(&parsed, &options.common),
        _ => unreachable!("status was asked for"),
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let units = each_block(|block| {
        if block.language != "ini" {
            return 0;
        }
        let path = block.introduction.rsplit('`').nth(1).unwrap_or_default();
        let path = path
            .strip_prefix(SYSTEM_UNITS)
            .unwrap_or_else(|| panic!("{}: which file is this?\n{}", block.document, block.text));
        let folder = tempfile::tempdir().unwrap();
        let unit = folder.path().join("web.service");
        // A drop-in needs a unit; where the block is one, it replaces this.
        fs::write(&unit, "[Service]\nExecStart=/bin/true\n").unwrap();
        let file = folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, with_programs_of_this_host(block.text)).unwrap();
        let verified = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&unit)
            .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()))
            .output()
            .expect("systemd-analyze starts");
        let said = String::from_utf8_lossy(&verified.stderr);
        assert!(
            verified.status.success() && said.is_empty(),
            "{}, {path}:\n{said}",
            block.document
        );
        1
    });
    assert!(units >= 3, "only {units} units were found");
}

/// systemd looks whether the programs are there.
fn with_programs_of_this_host(unit: &str) -> String {
    unit.replace("/usr/local/bin/graceful-service", "/bin/true")
        .replace("/usr/local/bin/lb-drain ", "lb-drain ")
        .replace("lb-drain ", concat!(env!("CARGO_BIN_EXE_lb-drain"), " "))
}

#[test]
fn every_command_line_is_understood() {
    let commands = each_block(|block| {
        let commands: Vec<&str> = match block.language {
            "ini" => block
                .text
                .lines()
                .filter(|line| line.starts_with("Exec"))
                .filter_map(|line| Some(line.split_once("lb-drain ")?.1.trim_end_matches('\'')))
                .collect(),
            "sh" => block
                .text
                .lines()
                .filter_map(|line| line.strip_prefix("lb-drain "))
                .collect(),
            _ => Vec::new(),
        };
        for command in &commands {
            // The shell knows best how a shell splits words.
            let words = Command::new("sh")
                .args(["-c", &format!("printf '%s\\n' lb-drain {command}")])
                .output()
                .unwrap();
            let words = String::from_utf8(words.stdout).unwrap();
            if let Err(error) = parse(words.lines()) {
                panic!("{}: lb-drain {command}:\n{error}", block.document);
            }
        }
        commands.len()
    });
    assert!(commands >= 8, "only {commands} commands were found");
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let more = [
        "docs/guarantees.md",
        "docs/SECURITY.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "providers/README.md",
        "systemd/README.md",
    ];
    for document in DOCUMENTS.iter().chain(&more) {
        let folder = root.join(document).parent().unwrap().to_owned();
        for link in read(document).split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            assert!(
                target.is_empty() || target.starts_with("http") || folder.join(target).exists(),
                "{document}: {target}"
            );
        }
    }
}

#[test]
fn every_promise_is_held_by_a_test_that_exists() {
    let page = read("docs/guarantees.md");
    let mut tests = 0;
    for promise in page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.contains("| held by |"))
    {
        let named: Vec<(&str, &str)> = promise
            .split("[`")
            .skip(1)
            .map(|link| link.split(')').next().unwrap().split_once("`](../").unwrap())
            .collect();
        assert!(!named.is_empty(), "no test holds this: {promise}");
        for (name, file) in named {
            let text = read(file);
            let (before, _) = text
                .split_once(&format!("fn {name}("))
                .unwrap_or_else(|| panic!("{file} has no {name}"));
            assert!(
                before.lines().rev().take(3).any(|line| line.contains("test")),
                "{name} is no test"
            );
            tests += 1;
        }
    }
    assert!(tests >= 50, "only {tests} tests were found");
}

#[test]
fn no_crate_may_be_unsafe() {
    let root = read("Cargo.toml");
    assert!(root.contains("[workspace.lints.rust]\nmissing_docs = \"warn\"\nunsafe_code = \"forbid\"\n"));
    let (_, members) = root.split_once("members = [").unwrap();
    let members = members.split(']').next().unwrap().split('"').skip(1).step_by(2);
    for member in members.chain(["."]) {
        let manifest = read(&format!("{member}/Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{member}");
    }
}

#[test]
fn every_configuration_is_valid() {
    let files = each_block(|block| {
        if block.language != "toml" || !block.text.contains("[[load_balancer]]") {
            return 0;
        }
        if let Err(error) = configure(block.text) {
            panic!("{}: {error}", block.document);
        }
        1
    });
    assert!(files >= 4, "only {files} configurations were found");
}

#[test]
fn the_example_touches_nothing_until_it_is_uncommented() {
    let example = read("examples/lb-drain.toml");
    let error = configure(&example).unwrap_err().to_string();
    assert!(error.contains("names no load balancer"), "{error}");

    let uncommented: Vec<&str> = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest,
            _ => line,
        })
        .collect();
    let settings = configure(&uncommented.join("\n")).unwrap();
    let names: BTreeSet<&str> = settings.plans.iter().map(|plan| plan.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["edge", "gateway", "public"]));
}

/// One misspelt key in each place that has keys; its error names those that are known there.
const MISSPELT: &[&str] = &[
    "misspelt = 1",
    "[[load_balancer]]\nprovider = \"haproxy\"\nmisspelt = 1",
    "[[load_balancer]]\nprovider = \"aws-elbv2\"\nmisspelt = 1",
    "[[load_balancer]]\nprovider = \"http\"\nmisspelt = 1",
    "[[load_balancer]]\nprovider = \"http\"\nbasic = { misspelt = 1 }",
    "[[load_balancer]]\nprovider = \"http\"\nderegister = { misspelt = 1 }",
    "[[load_balancer]]\nprovider = \"http\"\nderegister = { method = \"PUT\", url = \"http://h\", until = { misspelt = 1 } }",
    "[[load_balancer]]\nprovider = \"http\"\nderegister = { method = \"PUT\", url = \"http://h\", capture = { id = { misspelt = 1 } } }",
    "[[load_balancer]]\nprovider = \"http\"\ndrained = { misspelt = 1 }",
];

#[test]
fn the_manual_page_has_every_key() {
    let path = PathBuf::from("docs/man/lb-drain.toml.5");
    let page = read(path.to_str().unwrap());
    // Keys are in bold.
    let bold: BTreeSet<&str> = page
        .lines()
        .filter(|line| line.starts_with(".B"))
        .flat_map(|line| line.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()))
        .collect();
    for text in MISSPELT {
        let error = configure(text).unwrap_err().to_string();
        let keys: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        assert!(keys.len() >= 2, "no list of keys: {error}");
        for key in keys {
            assert!(bold.contains(key), "{key} is not in {}: {error}", path.display());
        }
    }
}
