//! The replay window of one receive index: each counter once, none 32,768 or more below the
//! highest.
//!
//! A ring of 64-bit words as in RFC 6479, except that moving on clears single bits rather than whole
//! words: so exactly `highest - 32,767 ..= highest` can still come, in every implementation alike.
//!
//! Memory starts small, because most indices carry a few control packets and then rest. Until the
//! ring is full no slot has been used twice, so what is there keeps its place when it grows.

/// Counters, and bits of a full ring. What leaves by several paths may overtake by so many: at
/// 10 Gbit/s in datagrams of 1472 bytes that takes paths 38 ms apart.
pub const WINDOW: u64 = 32_768;

const WORDS: usize = (WINDOW / 64) as usize;
const FIRST_WORDS: usize = 8;

/// Which counters of one index have been accepted.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    /// One above the highest counter committed.
    next: u64,
    /// A power of two of words.
    seen: Vec<u64>,
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self { next: 0, seen: vec![0; FIRST_WORDS] }
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
        self.next - counter <= WINDOW && self.seen[self.word(counter)] & bit(counter) == 0
    }

    /// Record `counter`, for which `check` holds and whose packet has just been authenticated.
    pub fn commit(&mut self, counter: u32) {
        let counter = u64::from(counter);
        if counter >= self.next {
            self.reach(counter);
            self.forget(self.next, counter);
            self.next = counter + 1;
        }
        let word = self.word(counter);
        self.seen[word] |= bit(counter);
    }

    /// Whether `counter` is the highest committed.
    #[must_use]
    pub fn is_newest(&self, counter: u32) -> bool {
        u64::from(counter) + 1 == self.next
    }

    /// Grow, at least twofold, until there is a slot for `counter` or the ring is full.
    fn reach(&mut self, counter: u64) {
        let (words, word) = (self.seen.len(), counter / 64);
        if words < WORDS && word >= words as u64 {
            self.seen.resize((word as usize + 1).next_power_of_two().min(WORDS), 0);
        }
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
            let word = self.word(at);
            self.seen[word] &= !mask;
            at = until;
        }
    }

    fn word(&self, counter: u64) -> usize {
        (counter / 64) as usize & (self.seen.len() - 1)
    }
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
        window.commit(60_000);
        assert!(window.check(60_000 - 32_767));
        assert!(!window.check(60_000 - 32_768));
        assert!(!window.check(60_000));
        assert!(window.check(u32::MAX));
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(steps in prop::collection::vec((0u32..4, 0u32..36_000), 1..400)) {
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
