//! Which station says that an IP address is its own, so that two who do so are found out.
//!
//! A claim is the sender of an ARP message, or the target of a neighbour advertisement, with the MAC
//! that others shall believe. An address is a duplicate when a station claims it that another one
//! has taken it from within the last 60 s: who takes one over for good is not contradicted.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::ethernet::Mac;

const CONTRADICTED_S: f64 = 60.0;
/// Addresses of one network; the one that was claimed longest ago is forgotten.
const MOST: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct Claim {
    mac: Mac,
    before: Option<Mac>,
    since: f64,
    turn: u64,
}

/// Claimed addresses of one network, by VLAN.
#[derive(Debug, Default)]
pub struct Claims {
    held: HashMap<(u16, IpAddr), Claim>,
    turns: BTreeMap<u64, (u16, IpAddr)>,
    turn: u64,
}

impl Claims {
    /// `mac` claims an address; whether another one does so, too.
    pub fn note(&mut self, vlan: u16, address: IpAddr, mac: Mac, now: f64) -> bool {
        let key = (vlan, address);
        let held = self.held.get(&key).copied();
        if let Some(held) = held {
            self.turns.remove(&held.turn);
        } else if self.held.len() >= MOST
            && let Some((_, oldest)) = self.turns.pop_first()
        {
            self.held.remove(&oldest);
        }
        self.turn += 1;
        let turn = self.turn;
        self.turns.insert(turn, key);
        match held {
            Some(held) if held.mac == mac => {
                self.held.insert(key, Claim { turn, ..held });
                false
            }
            _ => {
                let before = held.map(|held| held.mac);
                self.held.insert(key, Claim { mac, before, since: now, turn });
                held.is_some_and(|held| {
                    held.before == Some(mac) && now - held.since < CONTRADICTED_S
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_who_claim_in_turns_are_found_out() {
        let (mut claims, address) = (Claims::default(), IpAddr::from([10, 0, 0, 9]));
        let (one, other) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        assert!(!claims.note(0, address, one, 0.0));
        assert!(!claims.note(0, address, other, 1.0));
        assert!(!claims.note(7, address, one, 1.0));
        assert!(claims.note(0, address, one, 2.0));
        assert!(claims.note(0, address, other, 61.0));
        assert!(!claims.note(0, address, one, 121.0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut claims = Claims::default();
        for n in 0..3000u32 {
            claims.note(0, IpAddr::from(n.to_be_bytes()), [2; 6], 0.0);
        }
        assert_eq!((claims.held.len(), claims.turns.len()), (MOST, MOST));
    }
}
