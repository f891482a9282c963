//! The replay window of one receive index: each counter once, none 8192 or more below the highest.
//!
//! A ring of 64-bit words as in RFC 6479, except that moving on clears single bits rather than whole
//! words: so exactly `highest - 8191 ..= highest` can still come, in every implementation alike.

/// Counters, and bits of the ring.
pub const WINDOW: u64 = 8192;

const WORDS: usize = (WINDOW / 64) as usize;

/// Which counters of one index have been accepted.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    /// One above the highest counter committed.
    next: u64,
    seen: Box<[u64; WORDS]>,
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self { next: 0, seen: Box::new([0; WORDS]) }
    }
}

impl ReplayWindow {
    /// Whether `counter` could still be accepted. Changes nothing.
    #[must_use]
    pub fn check(&self, counter: u32) -> bool {
        let counter = u64::from(counter);
        if counter >= self.next {
            return true;
        }
        self.next - counter <= WINDOW && self.seen[word(counter)] & bit(counter) == 0
    }

    /// Record `counter`, for which `check` holds and whose packet has just been authenticated.
    pub fn commit(&mut self, counter: u32) {
        let counter = u64::from(counter);
        if counter >= self.next {
            self.forget(self.next, counter);
            self.next = counter + 1;
        }
        self.seen[word(counter)] |= bit(counter);
    }

    /// Whether `counter` is the highest committed.
    #[must_use]
    pub fn is_newest(&self, counter: u32) -> bool {
        u64::from(counter) + 1 == self.next
    }

    /// Clear what the slots of `first .. end` held one window ago.
    fn forget(&mut self, first: u64, end: u64) {
        if end - first >= WINDOW {
            self.seen.fill(0);
            return;
        }
        let mut at = first;
        while at < end {
            let until = end.min((at | 63) + 1);
            let count = until - at;
            let mask = if count == 64 { u64::MAX } else { ((1 << count) - 1) << (at & 63) };
            self.seen[word(at)] &= !mask;
            at = until;
        }
    }
}

fn word(counter: u64) -> usize {
    (counter / 64) as usize % WORDS
}

fn bit(counter: u64) -> u64 {
    1 << (counter & 63)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exactly_the_window_can_come_late() {
        let mut window = ReplayWindow::default();
        window.commit(20_000);
        assert!(window.check(20_000 - 8191));
        assert!(!window.check(20_000 - 8192));
        assert!(!window.check(20_000));
        assert!(window.check(u32::MAX));
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(steps in prop::collection::vec((0u32..4, 0u32..9000), 1..400)) {
            let (mut window, mut seen, mut highest) = (ReplayWindow::default(), HashSet::new(), 0u64);
            for (kind, step) in steps {
                let counter = match kind {
                    0 => highest + 1,
                    1 => highest + u64::from(step % 70),
                    2 => highest.saturating_sub(u64::from(step)),
                    _ => highest + u64::from(step),
                };
                let fresh = !seen.contains(&counter) && (seen.is_empty() || counter + WINDOW > highest);
                let counter = counter as u32;
                prop_assert_eq!(window.check(counter), fresh);
                if fresh {
                    window.commit(counter);
                    seen.insert(u64::from(counter));
                    highest = highest.max(u64::from(counter));
                    prop_assert_eq!(window.is_newest(counter), u64::from(counter) == highest);
                }
                prop_assert!(!window.check(counter));
            }
        }
    }
}
