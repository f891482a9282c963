//! The last decision about a run of frames, so that the rest of the run costs no look-up.
//!
//! Frames come in runs: the segments of a super-frame, a flood of small ones, all between the same
//! two stations. What the FDB and the loop guard said of a unicast frame between two known stations
//! they say again at the same time, and learn nothing from it, as long as nothing else has happened.
//! Another frame, a command, a time-out or another time makes this forget. What is inside a frame is
//! judged for each one, but for the segments of a flow of TCP or UDP: where all is equal that could
//! be judged of them, the verdict is (`alike`).

use crate::alike::Alike;
use crate::ethernet::{Frame, Mac};
use crate::fdb::Owner;
use crate::switching::{Accepted, Arrived};

/// What tells one run from another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    network: u64,
    from: Owner,
    vlan: u16,
    source: Mac,
    destination: Mac,
    now: f64,
}

impl Run {
    /// That of a frame in a network which `from` sent now.
    #[must_use]
    pub fn of(network: u64, from: Owner, frame: &Frame<'_>, now: f64) -> Self {
        let &Frame { vlan, source, destination, .. } = frame;
        Self { network, from, vlan, source, destination, now }
    }
}

/// At most one run, and to whom its frames go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recent {
    run: Option<(Run, Owner)>,
    /// A segment from the mesh of that run, and how it was accepted.
    segment: Option<(Alike, Accepted)>,
}

impl Recent {
    /// To whom a frame of this run goes; `None`, and nothing is known any more, if it is another.
    pub fn receiver(&mut self, run: &Run) -> Option<Owner> {
        match self.run {
            Some((known, receiver)) if known == *run => Some(receiver),
            _ => {
                self.forget();
                None
            }
        }
    }

    /// A frame between two known stations has passed: the next of its run do the same.
    pub fn note(&mut self, run: Run, receiver: Owner) {
        *self = Self { run: Some((run, receiver)), segment: None };
    }

    /// What was said of a frame from the mesh that is like this one in all that is judged, if that
    /// was the last that passed.
    #[must_use]
    pub fn accepted(&self, arrived: &Arrived<'_>, now: f64) -> Option<Accepted> {
        let (alike, accepted) = self.segment.as_ref()?;
        alike.is(arrived, now).then_some(*accepted)
    }

    /// A frame from the mesh that goes on with the run was accepted.
    pub fn note_accepted(&mut self, arrived: &Arrived<'_>, now: f64, accepted: Accepted) {
        self.segment = Alike::of(arrived, now).map(|alike| (alike, accepted));
    }

    /// Something has happened that may change what is decided.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::PeerId;

    const PEER: Owner = Some(PeerId(3));

    fn run(network: u64, from: Owner, to: u8, vlan: u16, now: f64) -> Run {
        let (destination, source) = ([to; 6], [2, 0, 0, 0, 0, 9]);
        let frame =
            Frame { destination, source, vlan, ethertype: 0x0800, header: 14, payload: &[] };
        Run::of(network, from, &frame, now)
    }

    #[test]
    fn a_run_goes_on_between_the_same_stations_at_the_same_time() {
        let (mut recent, one) = (Recent::default(), run(7, None, 2, 0, 1.0));
        assert_eq!(recent.receiver(&one), None);
        recent.note(one, PEER);
        assert_eq!(recent.receiver(&one), Some(PEER));
        assert_eq!(recent.receiver(&one), Some(PEER));
        recent.forget();
        assert_eq!(recent.receiver(&one), None);
    }

    #[test]
    fn another_frame_ends_it() {
        let one = run(7, None, 2, 0, 1.0);
        for other in [
            run(8, None, 2, 0, 1.0),
            run(7, PEER, 2, 0, 1.0),
            run(7, None, 4, 0, 1.0),
            run(7, None, 2, 5, 1.0),
            run(7, None, 2, 0, 1.5),
        ] {
            let mut recent = Recent::default();
            recent.note(one, PEER);
            assert_eq!(recent.receiver(&other), None);
            assert_eq!(recent.receiver(&one), None);
        }
    }
}
