//! moto's server, the AWS CLI and boto3, from the environment that `tests/setup-python` makes: a third
//! party's idea of the API's wire format and paging, and what people use instead of this tool.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A moto server that ends when this is dropped.
#[derive(Debug)]
pub struct Moto {
    server: Child,
    url: String,
    programs: PathBuf,
}

impl Moto {
    /// Starts it on a free port. `None`, with the reason printed, where there is no Python environment.
    ///
    /// # Panics
    ///
    /// Where it does not start; and with `CI=true` also where there is no environment, so that nothing is
    /// skipped there unseen.
    #[must_use]
    pub fn start() -> Option<Self> {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
            PathBuf::from,
        );
        let programs = target.join("venv/bin");
        if !programs.join("moto_server").exists() {
            let missing = format!("no moto_server in {}: run tests/setup-python", programs.display());
            assert!(env::var("CI").as_deref() != Ok("true"), "{missing}");
            println!("skipped: {missing}");
            return None;
        }
        let mut server = Command::new(programs.join("moto_server"))
            .args(["--host", "127.0.0.1", "--port", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("moto_server starts");
        let mut lines = BufReader::new(server.stderr.take().expect("piped")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("Running on ")?.1.trim().to_owned()))
            .expect("moto_server says where it runs");
        // It logs each request, and would stop at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            server,
            url,
            programs,
        })
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A program of the environment, such as `aws` or `python`, that finds this server and credentials by
    /// the standard variables.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_ACCESS_KEY_ID", "AKIAFAKE")
            .env("AWS_SECRET_ACCESS_KEY", "fake-secret")
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_DEFAULT_REGION", "eu-west-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_PAGER", "");
        command
    }

    /// What a Python script prints, as JSON. It finds boto3 imported, and clients `elb` and `ec2`.
    ///
    /// # Panics
    ///
    /// Where it fails or prints something else.
    #[must_use]
    pub fn python(&self, script: &str) -> Value {
        let prelude = "import boto3, json\nelb = boto3.client('elbv2')\nec2 = boto3.client('ec2')\n";
        json(self.program("python").arg("-c").arg(format!("{prelude}{script}")))
    }

    /// What the AWS CLI answers.
    ///
    /// # Panics
    ///
    /// Where it fails.
    #[must_use]
    pub fn aws(&self, arguments: &[&str]) -> Value {
        json(self.program("aws").args(arguments).args(["--output", "json"]))
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It has ended by itself, or it ends now.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn json(command: &mut Command) -> Value {
    let output = command.output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{command:?}: {error}; {errors}"))
}
