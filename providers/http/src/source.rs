//! Where a header or a password comes from, and how it is kept out of everything that people read.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

/// A value from the configuration, a file or the environment. Files and variables are read again for each
/// use: a token may be renewed at any time.
#[derive(Clone)]
pub(crate) enum Source {
    /// Written in the configuration; may hold placeholders.
    Inline(String),
    /// The content of a file, without the line break at its end.
    File(PathBuf),
    /// The value of an environment variable.
    Env(String),
}

impl Source {
    /// Reads a file or variable.
    ///
    /// # Errors
    ///
    /// A sentence, without the content, that says what is missing.
    pub(crate) fn read(&self) -> Result<SecretString, String> {
        let text = match self {
            Self::Inline(text) => text.clone(),
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))?,
            Self::Env(name) => variable(name)?,
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(format!("{self:?} is empty"));
        }
        Ok(SecretString::from(text))
    }
}

/// The value of an environment variable.
pub(crate) fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| match error {
        std::env::VarError::NotPresent => format!("the environment has no {name}"),
        std::env::VarError::NotUnicode(_) => format!("{name} in the environment is not UTF-8"),
    })
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("[text]"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// The secrets of one request, and the way to take them out of a text that echoes them.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    hidden: Vec<SecretString>,
    /// Whether there is more than what is only likely to be one.
    certain: bool,
}

impl Secrets {
    /// Keeps a secret, and the forms in which an answer may repeat it: as it is, in a URL, in JSON.
    pub(crate) fn add(&mut self, secret: &str) {
        self.certain = true;
        self.hide_too(secret);
    }

    fn hide_too(&mut self, secret: &str) {
        let json = crate::values::json_string(secret);
        let url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        for form in [secret, &json, &url] {
            if !form.is_empty() {
                self.hidden.push(SecretString::from(form));
            }
        }
    }

    /// Keeps a header's value: `Bearer abc` is echoed as a whole or as `abc`.
    pub(crate) fn add_header(&mut self, value: &str) {
        self.add(value);
        if let Some((_, credentials)) = value.split_once(' ') {
            self.add(credentials.trim());
        }
    }

    /// Keeps what is likely to be one among ordinary words: the values of a query, the strings of a body's
    /// file. Short ones are states and numbers, without which a refusal could not be understood.
    pub(crate) fn add_likely<'a>(&mut self, values: impl Iterator<Item = &'a str>) {
        /// No token worth the name is shorter.
        const SHORTEST: usize = 8;
        values
            .filter(|value| value.len() >= SHORTEST)
            .for_each(|value| self.hide_too(value));
    }

    /// Whether something is secret for certain.
    pub(crate) fn is_any(&self) -> bool {
        self.certain
    }

    /// The text with `***` for every secret in it.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // The longest first: a shorter one may be part of it.
        let mut secrets: Vec<&str> = self.hidden.iter().map(ExposeSecret::expose_secret).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in secrets {
            text = text.replace(secret, "***");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echoed_secret_is_hidden_in_each_of_its_forms() {
        let mut secrets = Secrets::default();
        secrets.add_header(r#"Bearer s3"cr/t"#);
        let text = r#"token s3"cr/t; url s3%22cr%2Ft; json "s3\"cr/t""#;
        assert_eq!(secrets.hide(text), r#"token ***; url ***; json "***""#);
    }

    #[test]
    fn debug_shows_where_it_is_from_and_not_what_it_is() {
        assert_eq!(format!("{:?}", Source::Inline("hunter2".into())), "[text]");
        assert_eq!(format!("{:?}", Source::File("/etc/token".into())), "/etc/token");
        let mut secrets = Secrets::default();
        secrets.add("hunter2");
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }

    #[test]
    fn a_file_is_read_again_for_each_use() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let source = Source::File(file.path().to_owned());
        std::fs::write(file.path(), "first\n").expect("written");
        assert_eq!(source.read().expect("read").expose_secret(), "first");
        std::fs::write(file.path(), "second\r\n").expect("written");
        assert_eq!(source.read().expect("read").expose_secret(), "second");
        std::fs::write(file.path(), "\n").expect("written");
        let error = source.read().expect_err("empty");
        assert!(error.ends_with("is empty"), "{error}");
    }
}
