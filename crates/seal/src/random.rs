//! Where ephemeral keys and nonces come from.

/// A source of secret random bytes.
///
/// Every ephemeral key is what this returns, so a source that repeats itself breaks the seal of each record it served:
/// anything but [`SystemRng`] belongs in tests.
pub trait Rng {
    /// Fills `buffer` completely with fresh, uniform, unpredictable bytes.
    ///
    /// There is no way to report failure, as there is nothing a caller could do instead: an implementation that cannot
    /// fill the buffer panics.
    fn fill(&mut self, buffer: &mut [u8]);
}

impl<R: Rng + ?Sized> Rng for &mut R {
    fn fill(&mut self, buffer: &mut [u8]) {
        (**self).fill(buffer);
    }
}

/// The operating system's source; one system call for each [`Rng::fill`].
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    /// # Panics
    /// When the operating system has no random bytes to give, which a running Linux never reports.
    fn fill(&mut self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system gives random bytes; without them nothing may be sealed");
    }
}
