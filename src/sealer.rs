//! The vault in the role that the API needs: it seals and derives, and opens bodies only.

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

    async fn seal_apart(
        &self,
        organization: OrganizationId,
        field: &str,
        secrets: &[(String, Secret)],
    ) -> Result<Vec<SealedSecret>, SealError> {
        self.0.seal_apart(organization, field, secrets).await.map_err(failed)
    }

    async fn open_apart(&self, sealed: &SealedSecret) -> Result<Secret, SealError> {
        self.0.open_apart(sealed).await.map_err(failed)
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
