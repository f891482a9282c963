//! Upcalls on their way to the control plane: bounded queues, fair for each peer (section 11).
//!
//! The order of polling is: confirmations of sessions, control, events, handshakes of strangers. So
//! a flood from outside delays nothing authentic, and a session is always confirmed before what it
//! carried is told. Confirmations need no bound of their own: one for each session installed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;

use crate::beacon::Nonce;
use crate::bounds::Bounds;
use crate::drops::DropReason;
use crate::endpoint::Path;
use crate::ethernet::Mac;
use crate::peers::Fingerprint;

/// What the control plane hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Upcall {
    /// INIT (past the guard), RESPONSE or COOKIE.
    HandshakeReceived {
        /// As it came.
        datagram: Vec<u8>,
        /// Where the answer goes.
        path: Path,
    },
    /// An authentic CONTROL datagram.
    ControlReceived {
        /// Who sent it.
        peer: Fingerprint,
        /// On which session.
        session: u64,
        /// Zero or more records.
        payload: Vec<u8>,
        /// By which way.
        path: Path,
    },
    /// The first authentic DATA on a session.
    SessionConfirmed {
        /// Whose.
        peer: Fingerprint,
        /// Which.
        session: u64,
    },
    /// A frame waits.
    NeedSession {
        /// For whom.
        peer: Fingerprint,
        /// In which network.
        network: u64,
    },
    /// An authentic packet with the newest counter came by a path that is not the one in use.
    SourceSeen {
        /// From whom.
        peer: Fingerprint,
        /// On which session.
        session: u64,
        /// By which path.
        path: Path,
    },
    /// A source MAC was first seen behind `peer` (`None`: this node), or moved there.
    MacLearned {
        /// Of which port.
        network: u64,
        /// VID.
        vlan: u16,
        /// Of the station.
        mac: Mac,
        /// Behind whom.
        peer: Option<Fingerprint>,
        /// It was elsewhere before.
        moved: bool,
    },
    /// A beacon of a bridge came in from the port.
    BeaconHeard {
        /// Which.
        network: u64,
        /// VID.
        vlan: u16,
        /// What it said.
        nonce: Nonce,
    },
    /// An IGMP or MLD message came in from the port, or a query of a member.
    GroupTalkHeard {
        /// Of which port.
        network: u64,
        /// VID.
        vlan: u16,
        /// From whom; `None`: from our own port.
        peer: Option<Fingerprint>,
        /// Where the frame said it came from.
        mac: Mac,
        /// The IP packet as the frame had it.
        packet: Vec<u8>,
    },
    /// A guard or limit stopped a frame.
    Offence {
        /// Of which port.
        network: u64,
        /// From whom; `None`: from our own port.
        peer: Option<Fingerprint>,
        /// Why.
        reason: DropReason,
        /// VID.
        vlan: u16,
        /// Where the frame said it came from.
        mac: Mac,
        /// The IP address that it claimed to be from, or told of.
        address: Option<IpAddr>,
        /// How often so far.
        times: u64,
    },
    /// A broadcast waits for targets.
    NeedReplicators {
        /// Of which port.
        network: u64,
    },
    /// A source had us replicate under an assignment that we do not hold.
    AssignmentUnknown {
        /// Who.
        peer: Fingerprint,
        /// In which network.
        network: u64,
    },
    /// A broadcast is of an older generation than one before.
    SourceStale {
        /// Whose.
        peer: Fingerprint,
        /// In which network.
        network: u64,
    },
    /// A send counter passed 2^31.
    KeySpent {
        /// To whom.
        peer: Fingerprint,
        /// On which session.
        session: u64,
    },
}

/// At most `capacity` items, taken out in turn from each source that has some.
///
/// When it is full, the longest backlog loses its newest item to a source that has at least two
/// fewer, so whoever fills the queue displaces nobody but himself.
#[derive(Debug)]
struct FairQueue<Source> {
    capacity: usize,
    size: usize,
    turns: u64,
    /// By turn: the source whose turn is first is served first.
    backlogs: BTreeMap<u64, (Source, VecDeque<Upcall>)>,
    turn_of: HashMap<Source, u64>,
}

/// What became of an upcall that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It will be heard.
    Kept,
    /// It will be heard; another one will not.
    Displaced,
    /// It will not.
    Lost,
}

impl<Source: Hash + Eq + Clone> FairQueue<Source> {
    fn new(capacity: usize) -> Self {
        Self { capacity, size: 0, turns: 0, backlogs: BTreeMap::new(), turn_of: HashMap::new() }
    }

    fn push(&mut self, source: Source, item: impl FnOnce() -> Upcall) -> Pushed {
        let turn = self.turn_of.get(&source).copied();
        let mut pushed = Pushed::Kept;
        if self.size >= self.capacity {
            let mine = turn.map_or(0, |turn| self.backlogs[&turn].1.len());
            let Some(longest) = self.longest().filter(|one| mine + 1 < one.len()) else {
                return Pushed::Lost;
            };
            longest.pop_back();
            self.size -= 1;
            pushed = Pushed::Displaced;
        }
        let turn = turn.unwrap_or_else(|| self.take_turn(source, VecDeque::new()));
        if let Some((_, backlog)) = self.backlogs.get_mut(&turn) {
            backlog.push_back(item());
            self.size += 1;
        }
        pushed
    }

    fn pop(&mut self) -> Option<Upcall> {
        let (_, (source, mut backlog)) = self.backlogs.pop_first()?;
        let item = backlog.pop_front();
        self.turn_of.remove(&source);
        if !backlog.is_empty() {
            self.take_turn(source, backlog);
        }
        self.size -= usize::from(item.is_some());
        item
    }

    /// The first of the longest backlogs.
    fn longest(&mut self) -> Option<&mut VecDeque<Upcall>> {
        self.backlogs
            .values_mut()
            .map(|(_, backlog)| backlog)
            .reduce(|longest, one| if one.len() > longest.len() { one } else { longest })
    }

    fn take_turn(&mut self, source: Source, backlog: VecDeque<Upcall>) -> u64 {
        self.turns += 1;
        self.turn_of.insert(source.clone(), self.turns);
        self.backlogs.insert(self.turns, (source, backlog));
        self.turns
    }
}

/// Where handshakes come from, for fairness.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stranger {
    Relay(u64),
    Address(IpAddr),
}

/// All upcalls that wait.
#[derive(Debug)]
pub struct Upcalls {
    confirmed: VecDeque<Upcall>,
    control: FairQueue<Fingerprint>,
    events: FairQueue<Option<Fingerprint>>,
    handshakes: FairQueue<Stranger>,
}

impl Upcalls {
    /// None yet.
    #[must_use]
    pub fn new(bounds: &Bounds) -> Self {
        Self {
            confirmed: VecDeque::new(),
            control: FairQueue::new(bounds.control_upcalls),
            events: FairQueue::new(bounds.event_upcalls),
            handshakes: FairQueue::new(bounds.handshake_upcalls),
        }
    }

    /// Once for each session.
    pub fn push_confirmed(&mut self, peer: Fingerprint, session: u64) {
        self.confirmed.push_back(Upcall::SessionConfirmed { peer, session });
    }

    /// Fair for each peer.
    pub fn push_control(&mut self, peer: Fingerprint, upcall: impl FnOnce() -> Upcall) -> Pushed {
        self.control.push(peer, upcall)
    }

    /// Fair for each peer; this node counts as one.
    pub fn push_event(&mut self, peer: Option<Fingerprint>, upcall: Upcall) -> Pushed {
        self.events.push(peer, || upcall)
    }

    /// Fair for each relay and each address that handshakes come from.
    pub fn push_handshake(&mut self, datagram: &[u8], path: Path) -> Pushed {
        let source = match path.relay {
            0 => Stranger::Address(path.endpoint.address),
            relay => Stranger::Relay(relay),
        };
        let upcall = || Upcall::HandshakeReceived { datagram: datagram.to_vec(), path };
        self.handshakes.push(source, upcall)
    }

    /// The most urgent one.
    pub fn poll(&mut self) -> Option<Upcall> {
        self.confirmed
            .pop_front()
            .or_else(|| self.control.pop())
            .or_else(|| self.events.pop())
            .or_else(|| self.handshakes.pop())
    }

    /// Whether one waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.confirmed.is_empty()
            && self.control.size + self.events.size + self.handshakes.size == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(peer: u8, session: u64) -> (Option<Fingerprint>, Upcall) {
        (Some([peer; 32]), Upcall::KeySpent { peer: [peer; 32], session })
    }

    fn upcalls(event_upcalls: usize) -> Upcalls {
        Upcalls::new(&Bounds { event_upcalls, ..Bounds::default() })
    }

    #[test]
    fn peers_take_turns() {
        let mut all = upcalls(10);
        for (peer, session) in [(1, 1), (1, 2), (1, 3), (2, 4), (3, 5)] {
            let (source, upcall) = event(peer, session);
            assert_eq!(all.push_event(source, upcall), Pushed::Kept);
        }
        let order: Vec<u64> = std::iter::from_fn(|| all.poll())
            .map(|one| if let Upcall::KeySpent { session, .. } = one { session } else { 0 })
            .collect();
        assert_eq!(order, [1, 4, 5, 2, 3]);
        assert!(all.is_empty());
    }

    #[test]
    fn who_fills_the_queue_displaces_only_himself() {
        let mut all = upcalls(4);
        let mut push = |peer, session| {
            let (source, upcall) = event(peer, session);
            all.push_event(source, upcall)
        };
        (0..4).for_each(|n| assert_eq!(push(1, n), Pushed::Kept));
        assert_eq!(push(1, 9), Pushed::Lost);
        assert_eq!(push(2, 9), Pushed::Displaced);
        assert_eq!(push(2, 9), Pushed::Displaced);
        assert_eq!(push(2, 9), Pushed::Lost);
        assert_eq!(push(3, 9), Pushed::Displaced);
    }
}
