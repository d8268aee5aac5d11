//! Cursors: positions in lists, sealed so that each fits one list of one tenant only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::TenantCtx;
use crate::environment::{Environment, StartError};
use crate::secrets::GuardSecret;

const TAG_BYTES: usize = 16;

/// The cursor was made for another list or tenant, or not by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one of this list; start again without it")]
pub struct ForeignCursor;

/// Seals and opens the cursors of a stage.
#[derive(Clone)]
pub struct Cursors {
    key: hmac::Key,
}

impl Cursors {
    pub const fn new(key: hmac::Key) -> Self {
        Self { key }
    }

    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self::new(environment.secret::<GuardSecret>().await?.cursor.hmac()))
    }

    /// Makes the cursor of a position in `list`. The position can be read by whoever has the cursor, but not changed.
    pub fn seal(&self, tenant: TenantCtx, list: &str, position: &str) -> String {
        let tag = hmac::sign(&self.key, sealed_text(tenant, list, position).as_bytes());
        let mut bytes = tag.as_ref()[..TAG_BYTES].to_vec();
        bytes.extend_from_slice(position.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the position of a cursor.
    ///
    /// # Errors
    /// [`ForeignCursor`] if the cursor was not sealed for this list of this tenant.
    pub fn open(&self, tenant: TenantCtx, list: &str, cursor: &str) -> Result<String, ForeignCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| ForeignCursor)?;
        let (tag, position) = bytes.split_at_checked(TAG_BYTES).ok_or(ForeignCursor)?;
        let position = std::str::from_utf8(position).map_err(|_| ForeignCursor)?;
        let expected = hmac::sign(&self.key, sealed_text(tenant, list, position).as_bytes());
        if bool::from(subtle::ConstantTimeEq::ct_eq(&expected.as_ref()[..TAG_BYTES], tag)) {
            Ok(position.to_owned())
        } else {
            Err(ForeignCursor)
        }
    }
}

/// What the seal of a cursor covers.
fn sealed_text(tenant: TenantCtx, list: &str, position: &str) -> String {
    format!("{}\n{list}\n{position}", tenant.data_name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Mode;
    use crate::contract::ids::TenantId;

    #[test]
    fn a_cursor_opens_for_its_own_tenant_mode_and_list_only() {
        let cursors = Cursors::new(hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]));
        let [ana, bea] = [TenantId::generate(), TenantId::generate()];
        let ana_in_test = TenantCtx::admitted(ana, Mode::Test);
        let [ana, bea] = [ana, bea].map(|id| TenantCtx::admitted(id, Mode::Live));
        let cursor = cursors.seal(ana, "creators", "cr_1");
        assert_eq!(cursors.open(ana, "creators", &cursor).unwrap(), "cr_1");
        assert_eq!(cursors.open(bea, "creators", &cursor), Err(ForeignCursor));
        assert_eq!(cursors.open(ana_in_test, "creators", &cursor), Err(ForeignCursor));
        assert_eq!(cursors.open(ana, "keys", &cursor), Err(ForeignCursor));
        for junk in ["", "AAAA", "not base64!", &cursor[..cursor.len() - 2]] {
            assert_eq!(cursors.open(ana, "creators", junk), Err(ForeignCursor), "{junk}");
        }
    }
}
