//! What every part writes into: counters, upcalls, and the bounds that all obey.

use crate::bounds::Bounds;
use crate::counters::Counters;
use crate::drops::DropReason;
use crate::endpoint::Path;
use crate::peers::Fingerprint;
use crate::upcall::{Pushed, Upcall, Upcalls};

/// One for the whole engine.
#[derive(Debug)]
pub struct Journal {
    /// Sizes and times of tables.
    pub bounds: Bounds,
    /// What happened.
    pub counters: Counters,
    upcalls: Upcalls,
}

impl Journal {
    /// Nothing has happened.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { upcalls: Upcalls::new(&bounds), counters: Counters::default(), bounds }
    }

    /// Note a drop.
    pub fn drop(&mut self, reason: DropReason) {
        self.counters.drop(reason);
    }

    /// Tell of a session's first authentic datagram.
    pub fn tell_confirmed(&mut self, peer: Fingerprint, session: u64) {
        self.upcalls.push_confirmed(peer, session);
    }

    /// Hand control records up.
    pub fn tell_control(&mut self, peer: Fingerprint, session: u64, payload: &[u8], path: Path) {
        let upcall = || Upcall::ControlReceived { peer, session, payload: payload.to_vec(), path };
        let pushed = self.upcalls.push_control(peer, upcall);
        self.count(pushed);
    }

    /// Tell of an event; whether it will be heard.
    pub fn tell(&mut self, peer: Option<Fingerprint>, upcall: Upcall) -> bool {
        let pushed = self.upcalls.push_event(peer, upcall);
        self.count(pushed)
    }

    /// Hand a handshake message up; whether it will be heard.
    pub fn tell_handshake(&mut self, datagram: &[u8], path: Path) -> bool {
        let pushed = self.upcalls.push_handshake(datagram, path);
        self.count(pushed)
    }

    /// The most urgent upcall.
    pub fn poll(&mut self) -> Option<Upcall> {
        self.upcalls.poll()
    }

    /// Whether an upcall waits.
    #[must_use]
    pub fn has_upcall(&self) -> bool {
        !self.upcalls.is_empty()
    }

    fn count(&mut self, pushed: Pushed) -> bool {
        if pushed != Pushed::Kept {
            self.drop(DropReason::UpcallOverflow);
        }
        pushed != Pushed::Lost
    }
}
