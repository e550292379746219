//! The vault in the role that the API needs: it seals and derives, and never opens.

use std::sync::Arc;

use api::{SealError, Sealer};
use domain::{OrganizationId, Secret};
use identity::KeyBits;
use store::secrets::SealedSecret;
use vault::{Vault, VaultError};

/// The vault as the API's sealer.
pub(crate) struct VaultSealer(pub(crate) Arc<Vault>);

#[async_trait::async_trait]
impl Sealer for VaultSealer {
    async fn seal(
        &self,
        organization: OrganizationId,
        record: &str,
        field: &str,
        secret: &Secret,
    ) -> Result<SealedSecret, SealError> {
        let sealed = self.0.seal(organization, record, field, secret).await;
        sealed.map_err(failed)
    }

    async fn derive(
        &self,
        organization: OrganizationId,
        purpose: &str,
        parts: &[&[u8]],
    ) -> Result<KeyBits, SealError> {
        self.0.derive(organization, purpose, parts).await.map_err(failed)
    }
}

fn failed(error: VaultError) -> SealError {
    SealError { is_temporary: error.is_temporary(), source: Box::new(error) }
}
