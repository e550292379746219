//! A secret: text that is wiped from memory when dropped, and that nothing can print.

use secrecy::{ExposeSecret, SecretString};

/// Key material or another credential. It has no `Debug` and no `Display`, so it cannot reach a
/// log, an error or an answer by accident; reading it takes a deliberate [`Secret::expose`].
///
/// ```compile_fail
/// let secret = domain::Secret::new("sk-admin-1".to_owned());
/// println!("{secret:?}");
/// ```
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Secret {
        Secret(SecretString::from(text))
    }

    /// The text, for the one place that sends or seals it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}
