//! What a catalogue is called. The build script names the built-in one, so that nobody waits for
//! its hash.

use sha2::{Digest as _, Sha256};

use crate::form::SellerForm;

/// The newest day on which a source was read, and a hash of everything in the forms.
pub(crate) fn id_of(forms: &[SellerForm]) -> String {
    let rows = forms.iter().flat_map(|seller| &seller.model).flat_map(|model| &model.price);
    let newest = rows.filter_map(|row| row.read.as_deref()).max().unwrap_or("undated");
    let mut hash = Sha256::new();
    for form in forms {
        hash.update(serde_json::to_vec(form).expect("a form is plain data"));
    }
    let digest = hash.finalize();
    let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{newest}-{hex}")
}
