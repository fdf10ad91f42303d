//! Passwords: Argon2id, a bounded number at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use log::Entropy;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::config::PasswordCost;
use crate::error::{Error, Result};

/// Shortest password that is taken, in bytes.
pub const PASSWORD_BYTES_MIN: usize = 8;

/// Longest password that is hashed, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1_000;

/// Hashes worked on at once: each takes memory and a core.
const AT_ONCE: usize = 2;

/// Hashes that may wait for their turn; beyond, the answer is `Overloaded`.
const WAITING_MAX: usize = 64;

/// Seconds after which a refused caller may try again: 64 hashes at 2 a time, at about 50 ms each.
const RETRY_AFTER_S: u64 = 2;

/// Hashes and checks passwords.
pub struct Passwords {
    argon2: Argon2<'static>,
    entropy: Arc<dyn Entropy>,
    turns: Arc<Semaphore>,
    asked: Arc<AtomicUsize>,
    /// The hash of nobody's password at today's cost: what a try for an unknown name is checked against.
    nobody: String,
}

/// One place in the queue; given back when dropped, however the work ends.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Passwords {
    /// Takes about as long as one hash.
    pub fn new(cost: PasswordCost, entropy: Arc<dyn Entropy>) -> Result<Passwords> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)
            .map_err(|e| Error::invalid(format!("the password cost is not possible: {e}")))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, "", &[0; 16])?;
        Ok(Passwords {
            argon2,
            entropy,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            asked: Arc::new(AtomicUsize::new(0)),
            nobody,
        })
    }

    /// The PHC text to keep of a new password. Blocks for as long as one hash.
    pub fn hash_blocking(&self, password: &str) -> Result<String> {
        let bytes = password.len();
        if bytes < PASSWORD_BYTES_MIN {
            return Err(Error::invalid(format!("the password is shorter than {PASSWORD_BYTES_MIN} bytes")));
        }
        if bytes > PASSWORD_BYTES_MAX {
            return Err(Error::too_large(format!("the password is longer than {PASSWORD_BYTES_MAX} bytes")));
        }
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        hash(&self.argon2, password, &salt)
    }

    /// As [`Passwords::hash_blocking`], on another thread, in turn.
    pub async fn hash(self: &Arc<Self>, password: &str) -> Result<String> {
        let (this, password) = (Arc::clone(self), Zeroizing::new(password.to_owned()));
        self.in_turn(move || this.hash_blocking(&password)).await?
    }

    /// Says whether `password` is the one kept as `phc`. `None` for `phc` takes as long and is never right.
    ///
    /// # Errors
    /// `Overloaded`: too many wait. `Internal`: the kept text is not a PHC text.
    pub async fn verify(self: &Arc<Self>, password: &str, phc: Option<&str>) -> Result<bool> {
        if password.len() > PASSWORD_BYTES_MAX {
            // No such password was ever taken; the length says nothing about any account.
            return Ok(false);
        }
        let this = Arc::clone(self);
        let password = Zeroizing::new(password.to_owned());
        let known = phc.is_some();
        let phc = phc.unwrap_or(&self.nobody).to_owned();
        let right = self
            .in_turn(move || {
                let kept = PasswordHash::new(&phc)
                    .map_err(|e| Error::internal(format!("a kept password hash does not read: {e}")))?;
                Ok::<bool, Error>(this.argon2.verify_password(password.as_bytes(), &kept).is_ok())
            })
            .await??;
        Ok(right && known)
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let place = Place(Arc::clone(&self.asked));
        if self.asked.fetch_add(1, Ordering::SeqCst) >= AT_ONCE + WAITING_MAX {
            return Err(Error::overloaded("too many passwords are being checked", RETRY_AFTER_S));
        }
        let turn = Arc::clone(&self.turns).acquire_owned().await.expect("nobody closes the semaphore");
        // The work goes on when the caller goes away; place and turn are given back when it is done, not before.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((turn, place));
            done
        });
        done.await.map_err(|e| Error::internal("the password worker stopped").with_source(e))
    }
}

fn hash(argon2: &Argon2<'_>, password: &str, salt: &[u8; 16]) -> Result<String> {
    let hash: PasswordHash = argon2
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|e| Error::internal(format!("the password could not be hashed: {e}")))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use log::SeededEntropy;

    fn passwords() -> Arc<Passwords> {
        Arc::new(Passwords::new(PasswordCost::weakest(), Arc::new(SeededEntropy::new(1))).unwrap())
    }

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let passwords = passwords();
        let kept = passwords.hash("correct horse").await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{kept}");
        assert!(passwords.verify("correct horse", Some(&kept)).await.unwrap());
        assert!(!passwords.verify("correct horsf", Some(&kept)).await.unwrap());
        assert!(!passwords.verify("", None).await.unwrap(), "nobody's password is never right");
        assert!(!passwords.verify(&"x".repeat(PASSWORD_BYTES_MAX + 1), Some(&kept)).await.unwrap());
    }

    #[tokio::test]
    async fn lengths_are_bounded_in_bytes() {
        let passwords = passwords();
        assert_eq!(passwords.hash("1234567").await.unwrap_err().kind, ErrorKind::Invalid);
        assert!(passwords.hash("12345678").await.is_ok());
        assert_eq!(passwords.hash(&"x".repeat(PASSWORD_BYTES_MAX + 1)).await.unwrap_err().kind, ErrorKind::TooLarge);
    }

    #[tokio::test]
    async fn more_than_may_wait_are_refused_and_places_come_back() {
        let passwords = passwords();
        // All turns are taken, so that everybody waits.
        let turns = Arc::clone(&passwords.turns).acquire_many_owned(AT_ONCE as u32).await.unwrap();
        let waiting: Vec<_> = (0..AT_ONCE + WAITING_MAX)
            .map(|_| {
                let passwords = Arc::clone(&passwords);
                tokio::spawn(async move { passwords.verify("x", None).await })
            })
            .collect();
        while passwords.asked.load(Ordering::SeqCst) < AT_ONCE + WAITING_MAX {
            tokio::task::yield_now().await;
        }
        assert_eq!(passwords.verify("x", None).await.unwrap_err().kind, ErrorKind::Overloaded);
        drop(turns);
        for one in waiting {
            assert!(!one.await.unwrap().unwrap());
        }
        assert_eq!(passwords.asked.load(Ordering::SeqCst), 0);
    }
}
