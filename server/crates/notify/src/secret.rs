//! Text that must not be shown.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A key, a password or a URL that is as good as one (Slack's). `Debug` shows nothing of it; serde does, so that it can be
/// stored.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes the text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A signing secret in the form of the Standard Webhooks specification: `whsec_` and base64. 32 random bytes are what
    /// it recommends at least 24 of.
    pub fn for_signing(random: &[u8; 32]) -> Self {
        Self(format!("whsec_{}", STANDARD.encode(random)))
    }

    /// The text, for whoever has to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The text with every secret in it replaced: receivers like to repeat what they were sent.
pub(crate) fn without_secrets(text: &str, secrets: &[&str]) -> String {
    let worth_hiding = secrets.iter().filter(|secret| secret.len() >= 4);
    worth_hiding.fold(text.to_owned(), |text, secret| text.replace(secret, "[secret]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_secret_is_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret");
        assert_eq!(without_secrets("no key hunter2 here", &["hunter2", ""]), "no key [secret] here");
    }
}
