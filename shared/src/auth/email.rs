//! E-mail addresses: parsed where they come in, and compared in one normal form.

use std::fmt::Write as _;

use ring::hmac;
use unicode_normalization::UnicodeNormalization as _;

/// An e-mail address, as its owner wrote it and in the form in which addresses are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    written: String,
    normalised: String,
}

/// The text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address, such as ana@example.com")]
pub struct MalformedEmail;

impl Email {
    /// Parses an e-mail address. It accepts almost anything that mail accepts, because only a delivered message
    /// proves an address.
    ///
    /// # Errors
    /// [`MalformedEmail`]
    pub fn parse(text: &str) -> Result<Self, MalformedEmail> {
        let written = text.trim().to_owned();
        let (local, domain) = written.rsplit_once('@').ok_or(MalformedEmail)?;
        let labels_are_named = domain.split('.').all(|label| !label.is_empty());
        let is_acceptable = !local.is_empty()
            && local.len() <= 64
            && written.len() <= 254
            && domain.contains('.')
            && labels_are_named
            && !written.chars().any(|c| c.is_whitespace() || c.is_control() || "<>(),;:\"\\[]".contains(c))
            && !local.contains('@');
        if !is_acceptable {
            return Err(MalformedEmail);
        }
        let normalised = written.nfkc().collect::<String>().to_lowercase();
        Ok(Self { written, normalised })
    }

    /// The address as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The part before the `@`, in normal form.
    pub fn local_part(&self) -> &str {
        self.normalised.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// The HMAC of the address in hexadecimal: the same for every spelling, and nobody without the key gets the
    /// address from it.
    pub fn digest(&self, key: &hmac::Key) -> String {
        hex(hmac::sign(key, self.normalised.as_bytes()).as_ref())
    }
}

/// The bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_make_another_address() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let digest = |text: &str| Email::parse(text).unwrap().digest(&key);
        assert_eq!(digest("Ana@Example.com "), digest("ana@example.com"));
        assert_ne!(digest("ana@example.com"), digest("ana+shop@example.com"));
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in [
            "",
            "ana",
            "@example.com",
            "ana@",
            "ana@host",
            "a b@example.com",
            "a@b@c.com",
            "ana@x..com",
            "<a@b.com>",
        ] {
            assert_eq!(Email::parse(text), Err(MalformedEmail), "{text}");
        }
    }
}
