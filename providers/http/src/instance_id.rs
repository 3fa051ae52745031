//! The cloud's name for this machine.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::values::Missing;

/// Where cloud-init keeps the instance's id, on every cloud that it knows. It is written at each boot
/// (cloud-init documentation, "Instance metadata").
const CLOUD_INIT: &str = "/var/lib/cloud/data/instance-id";
/// The instance metadata service of EC2 (EC2 user guide, "Access instance metadata").
const METADATA: &str = "http://169.254.169.254";
/// Points elsewhere, as it does for the AWS SDKs.
const METADATA_VARIABLE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
/// The service is one hop away and answers in milliseconds, or not at all.
const LIMIT: Duration = Duration::from_secs(1);

/// The instance's id: from cloud-init's file, else from EC2's metadata service, version 2.
#[derive(Debug)]
pub(crate) struct InstanceId {
    file: PathBuf,
    service: String,
    known: OnceCell<String>,
}

impl Default for InstanceId {
    fn default() -> Self {
        Self::new(
            CLOUD_INIT.into(),
            std::env::var(METADATA_VARIABLE).unwrap_or_else(|_| METADATA.to_owned()),
        )
    }
}

impl InstanceId {
    fn new(file: PathBuf, service: String) -> Self {
        Self {
            file,
            service: service.trim_end_matches('/').to_owned(),
            known: OnceCell::new(),
        }
    }

    /// The id, if it has been asked for before.
    pub(crate) fn known(&self) -> Option<&str> {
        self.known.get().map(String::as_str)
    }

    pub(crate) async fn get(&self) -> Result<&str, Missing> {
        let id = self.known.get_or_try_init(|| self.ask()).await?;
        Ok(id)
    }

    async fn ask(&self) -> Result<String, Missing> {
        if let Ok(text) = std::fs::read_to_string(&self.file)
            && let Some(id) = Some(text.trim()).filter(|id| !id.is_empty())
        {
            return Ok(id.to_owned());
        }
        self.ask_service().await.map_err(|error| Missing {
            why: format!(
                "the instance's id is neither in {} nor known to {}: {error}",
                self.file.display(),
                self.service
            ),
            temporary: true,
        })
    }

    async fn ask_service(&self) -> Result<String, String> {
        let flat = |error: reqwest::Error| crate::failure::cause(&error);
        let client = crate::client::plain(LIMIT).map_err(flat)?;
        let token = client
            .put(format!("{}/latest/api/token", self.service))
            .header("X-aws-ec2-metadata-token-ttl-seconds", "60");
        let token = read(token.send().await.map_err(flat)?).await?;
        let id = client
            .get(format!("{}/latest/meta-data/instance-id", self.service))
            .header("X-aws-ec2-metadata-token", token);
        read(id.send().await.map_err(flat)?).await
    }
}

/// The text of a successful answer.
async fn read(mut answer: reqwest::Response) -> Result<String, String> {
    /// A token has 56 bytes, an id about 20.
    const LIMIT: usize = 4096;
    if !answer.status().is_success() {
        return Err(answer.status().to_string());
    }
    let mut text = Vec::new();
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|error| crate::failure::cause(&error))?
    {
        text.extend_from_slice(&chunk);
        if text.len() > LIMIT {
            return Err("an answer of more than 4 KiB".to_owned());
        }
    }
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    if text.is_empty() || text.chars().any(char::is_whitespace) {
        return Err("an answer that is no single word".to_owned());
    }
    Ok(text)
}
