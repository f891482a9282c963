//! Whom to ask for a signed address: its owner alone, and everyone if that brought no answer.
//!
//! A request is remembered by who asks and what for, until its answer has come by or 5 s are over.
//! One that is repeated within that time goes to everyone, as does any while 1,024 are remembered.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::ethernet::Mac;

const WAIT_S: f64 = 5.0;
const MAX_PENDING: usize = 1024;

/// Requests of one network that went to the owner alone and wait for their answer.
#[derive(Debug, Default)]
pub struct Resolutions {
    pending: HashMap<(Mac, IpAddr), f64>,
}

impl Resolutions {
    /// Whether the station `asker` has not asked for `target` in vain already.
    pub fn is_first(&mut self, asker: Mac, target: IpAddr, now: f64) -> bool {
        let before = self.pending.get(&(asker, target));
        if before.is_some_and(|&at| now - at < WAIT_S) {
            return false;
        }
        if before.is_none() && self.pending.len() >= MAX_PENDING {
            self.pending.retain(|_, at| now - *at < WAIT_S);
            if self.pending.len() >= MAX_PENDING {
                return false;
            }
        }
        self.pending.insert((asker, target), now);
        true
    }

    /// Somebody told `asker` about `target`.
    pub fn answered(&mut self, asker: Mac, target: IpAddr) {
        self.pending.remove(&(asker, target));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_request_goes_to_everyone_until_it_is_answered() {
        let mut all = Resolutions::default();
        let (asker, target) = ([2; 6], IpAddr::from([10, 0, 0, 1]));
        assert!(all.is_first(asker, target, 0.0));
        assert!(!all.is_first(asker, target, 1.0));
        assert!(all.is_first([4; 6], target, 1.0));
        all.answered(asker, target);
        assert!(all.is_first(asker, target, 1.0));
        assert!(all.is_first(asker, target, 6.0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut all = Resolutions::default();
        let target = |n: u32| IpAddr::from(n.to_be_bytes());
        assert!((0..1024).all(|n| all.is_first([2; 6], target(n), 0.0)));
        assert!(!all.is_first([2; 6], target(1024), 4.9));
        assert!(all.is_first([2; 6], target(1024), 5.0));
    }
}
