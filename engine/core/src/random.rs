//! Where random bytes come from: the operating system in a daemon, something seeded in a test.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// Gives unpredictable bytes.
pub trait Random: Send {
    /// Overwrites all of `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// The operating system's.
#[derive(Debug, Default)]
pub struct System(SystemRandom);

impl Random for System {
    /// # Panics
    ///
    /// When the system has no random bytes: nothing secret could be made without them.
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes).expect("random bytes from the system");
    }
}
