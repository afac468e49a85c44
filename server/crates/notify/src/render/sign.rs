//! Signatures after the Standard Webhooks specification,
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::Secret;

/// The key in a secret `whsec_<base64>`.
pub(crate) fn signing_key(secret: &Secret) -> Option<Vec<u8>> {
    STANDARD.decode(secret.expose().strip_prefix("whsec_")?).ok()
}

/// The signature of a request: `v1,` and base64 of the HMAC-SHA256 over `id.timestamp.body`. `None` when the secret is not `whsec_` and base64.
pub fn signature(secret: &Secret, id: &str, timestamp_s: i64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&signing_key(secret)?).ok()?;
    mac.update(format!("{id}.{timestamp_s}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// The headers of a signed request, the content type too.
pub(super) fn headers(
    secret: &Secret,
    id: &str,
    sent_us: i64,
    body: &[u8],
) -> Result<Vec<(&'static str, String)>, String> {
    let timestamp_s = sent_us.div_euclid(1_000_000);
    let id: String = id.chars().filter(char::is_ascii_graphic).collect();
    let signature =
        signature(secret, &id, timestamp_s, body).ok_or("the signing secret is not whsec_ and base64")?;
    Ok(vec![
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id),
        ("webhook-timestamp", timestamp_s.to_string()),
        ("webhook-signature", signature),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference libraries' tests (standard-webhooks/libraries).
    #[test]
    fn signs_as_the_reference_does() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed =
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        assert_eq!(signature(&Secret::new("hunter2"), "a", 0, b""), None);
    }
}
