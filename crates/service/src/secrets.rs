//! Secrets of tokens: how they are drawn, and the hash that is all we keep of them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use log::Entropy;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::tokens::TokenForm;

/// Longest secret that is looked up, in bytes; longer ones cannot be ours.
pub const SECRET_BYTES_MAX: usize = 8 * 1024;

/// SHA-256 of a token's secret. Secrets have at least 160 random bits, so a plain hash cannot be searched.
pub type SecretHash = [u8; 32];

/// Hashes a secret as tokens are kept and looked up by.
pub fn hash(secret: &str) -> SecretHash {
    Sha256::digest(secret.as_bytes()).into()
}

/// Draws the secret of a new token, or takes the one supplied.
pub fn draw(form: &TokenForm, entropy: &dyn Entropy) -> Zeroizing<String> {
    fn random<const N: usize>(entropy: &dyn Entropy) -> Zeroizing<[u8; N]> {
        let mut bytes = Zeroizing::new([0; N]);
        entropy.fill(&mut *bytes);
        bytes
    }
    Zeroizing::new(match form {
        TokenForm::Native => format!("cf_{}", URL_SAFE_NO_PAD.encode(*random::<32>(entropy))),
        TokenForm::Extraction => STANDARD.encode(*random::<24>(entropy)),
        TokenForm::Refresh => STANDARD.encode(*random::<64>(entropy)),
        TokenForm::Session => hex::encode(*random::<20>(entropy)),
        TokenForm::Supplied(secret) => secret.clone(),
    })
}

/// The secret of a data folder for one purpose: HMAC-SHA-256 of the label under the instance seed.
pub fn derive(seed: &[u8; 32], label: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(seed).expect("HMAC takes keys of any length");
    mac.update(b"counterfoil secret v1\n");
    mac.update(label.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::SeededEntropy;

    #[test]
    fn secrets_have_the_forms_that_clients_check() {
        let entropy = SeededEntropy::new(1);
        let native = draw(&TokenForm::Native, &entropy);
        assert!(native.starts_with("cf_") && native.len() == 46, "{}", *native);
        let extraction = draw(&TokenForm::Extraction, &entropy);
        assert_eq!(extraction.len(), 32);
        assert_eq!(STANDARD.encode(STANDARD.decode(&*extraction).unwrap()), *extraction);
        let refresh = draw(&TokenForm::Refresh, &entropy);
        assert_eq!((refresh.len(), STANDARD.decode(&*refresh).unwrap().len()), (88, 64));
        let session = draw(&TokenForm::Session, &entropy);
        assert!(session.len() == 40 && session.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{}", *session);
        assert_eq!(*draw(&TokenForm::Supplied("abc".into()), &entropy), "abc");
        assert_ne!(*draw(&TokenForm::Native, &entropy), *draw(&TokenForm::Native, &entropy));
    }

    #[test]
    fn each_label_and_each_seed_has_its_own_secret() {
        assert_eq!(derive(&[1; 32], "a"), derive(&[1; 32], "a"));
        assert_ne!(derive(&[1; 32], "a"), derive(&[1; 32], "b"));
        assert_ne!(derive(&[1; 32], "a"), derive(&[2; 32], "a"));
    }
}
