//! The vault in the role that the API needs: it seals, and never opens.

use std::sync::Arc;

use api::{SealError, Sealer};
use domain::{OrganizationId, Secret};
use store::secrets::SealedSecret;
use vault::Vault;

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
        sealed.map_err(|error| SealError { is_temporary: false, source: Box::new(error) })
    }
}
