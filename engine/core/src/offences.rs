//! Who makes guards and limits work, and how often: so that a culprit has a name (section 10).

use std::collections::HashMap;

use crate::drops::DropReason;
use crate::fdb::Owner;

const TOLD_EACH_S: f64 = 10.0;

/// Counts of one network by source and reason: no more than members times reasons.
#[derive(Debug, Default)]
pub struct Offences {
    noted: HashMap<(Owner, DropReason), (u64, f64)>,
}

impl Offences {
    /// One more; how often there was one if that is to be told now.
    pub fn note(&mut self, source: Owner, reason: DropReason, now: f64) -> Option<u64> {
        let (times, told) = self.noted.entry((source, reason)).or_insert((0, f64::NEG_INFINITY));
        *times += 1;
        if now - *told < TOLD_EACH_S {
            return None;
        }
        *told = now;
        Some(*times)
    }

    /// A source has gone.
    pub fn forget(&mut self, source: Owner) {
        self.noted.retain(|&(one, _), _| one != source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_at_once_and_then_each_10_s() {
        let mut all = Offences::default();
        assert_eq!(all.note(None, DropReason::Storm, 1.0), Some(1));
        assert_eq!(all.note(None, DropReason::Storm, 10.9), None);
        assert_eq!(all.note(None, DropReason::SourceMac, 10.9), Some(1));
        assert_eq!(all.note(None, DropReason::Storm, 11.0), Some(3));
        all.forget(None);
        assert_eq!(all.note(None, DropReason::Storm, 11.0), Some(1));
    }
}
