//! Known devices: a token that says that an account was signed in to on a device before.
//!
//! Whoever presents it is no stranger to the account, so the attempts of strangers do not hold them up. It proves
//! nothing else: the password is asked for as ever, and guesses on the device are counted as well.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use subtle::ConstantTimeEq as _;

use super::email::hex;
use super::{NoRandomness, random};
use crate::clock::Millis;

/// How long after its last sign-in a device is known.
pub const KNOWN_FOR: Duration = Duration::from_secs(180 * 86_400);
/// What the seal of a device covers first, so that it is never that of another token under the same key.
const PURPOSE: &[u8] = b"known device";
const ID_BYTES: usize = 16;
const TIME_BYTES: usize = 8;
const TAG_BYTES: usize = 16;

/// A device on which an account was signed in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    id: [u8; ID_BYTES],
}

impl Device {
    /// A device that no account knows yet.
    ///
    /// # Errors
    /// [`NoRandomness`]
    pub fn new() -> Result<Self, NoRandomness> {
        Ok(Self { id: random()? })
    }

    /// The name of the device in counters.
    pub fn name(self) -> String {
        hex(&self.id)
    }

    /// The token with which the device shows, from `now` on for [`KNOWN_FOR`], that this account knows it. The account
    /// is its address's digest, which is not in the token.
    pub fn seal(self, account: &str, now: Millis, key: &hmac::Key) -> String {
        let mut bytes = [&self.id[..], &now.0.to_be_bytes()].concat();
        let tag = tag(&bytes, account, key);
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token that was sealed for this account with `key` and is not too old; `None` for any other text.
    pub fn open(text: &str, account: &str, now: Millis, key: &hmac::Key) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        if bytes.len() != ID_BYTES + TIME_BYTES + TAG_BYTES {
            return None;
        }
        let (body, sealed) = bytes.split_at(ID_BYTES + TIME_BYTES);
        if !bool::from(tag(body, account, key).ct_eq(sealed)) {
            return None;
        }
        let (id, time) = body.split_at(ID_BYTES);
        let at = Millis(u64::from_be_bytes(time.try_into().ok()?));
        (now.since(at) < KNOWN_FOR).then_some(Self { id: id.try_into().ok()? })
    }
}

fn tag(body: &[u8], account: &str, key: &hmac::Key) -> [u8; TAG_BYTES] {
    let tag = hmac::sign(key, &[PURPOSE, body, account.as_bytes()].concat());
    let mut first = [0; TAG_BYTES];
    first.copy_from_slice(&tag.as_ref()[..TAG_BYTES]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_known_to_its_account_for_half_a_year_and_to_no_other() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let (device, begin) = (Device::new().unwrap(), Millis(1_795_000_000_000));
        let token = device.seal("ana", begin, &key);
        let open = |account, now| Device::open(&token, account, now, &key);
        assert_eq!(open("ana", begin), Some(device));
        assert_eq!(open("bea", begin), None);
        assert_eq!(open("ana", Millis(begin.plus(KNOWN_FOR).0 - 1)), Some(device));
        assert_eq!(open("ana", begin.plus(KNOWN_FOR)), None);
        let other = hmac::Key::new(hmac::HMAC_SHA256, &[2; 32]);
        assert_eq!(Device::open(&token, "ana", begin, &other), None);
        for junk in ["", "AAAA", "not base64!", &token[..token.len() - 2]] {
            assert_eq!(Device::open(junk, "ana", begin, &key), None, "{junk}");
        }
    }
}
