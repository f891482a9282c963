//! A queue that stands, and telling its senders so: `CoDel`'s control law (RFC 8289).
//!
//! A queue that is empty now and then takes up bursts, and is good. One that was not for a whole
//! interval makes everybody wait and carries no more for it: its senders have more under way than
//! the way holds. They are told by a super-frame of TCP, and again at ever shorter times until the
//! queue was empty once. `CoDel` asks whether the least wait of an interval was short; that nothing
//! was left at the end of a batch needs no clock for each frame, and is as good.
//!
//! A sender that takes marks (ECN, RFC 3168) is told early, since that costs nothing but speed that
//! is too much. Others lose a super-frame, and so late that only a queue that does not go away by
//! itself is meant; RFC 8311, 3.1 allows for such a difference. Only super-frames of TCP are
//! touched: they are bulk, and they answer.

use l2mesh_core::offload::ecn;
use l2mesh_core::sink::{Gso, GsoKind};

use crate::counters::{IoCounters, count};

/// So long a queue stands before it is marked: some of its own round trips.
const MARK_INTERVAL_S: f64 = 0.02;
/// So long it stands before something is dropped (RFC 8289, 4.3).
const DROP_INTERVAL_S: f64 = 0.1;
/// A queue that was not read for so long was empty, though nobody looked.
const IDLE_S: f64 = MARK_INTERVAL_S;
/// After a pause of fewer intervals than this the last pace is taken up again (RFC 8289, 5.4).
const REMEMBERED: f64 = 16.0;

/// What is known of one queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    marks: Pace,
    drops: Pace,
    /// When something was read from it.
    read: f64,
}

impl Standing {
    /// A queue of which nothing is known.
    pub(crate) const NEW: Self =
        Self { marks: Pace::new(MARK_INTERVAL_S), drops: Pace::new(DROP_INTERVAL_S), read: 0.0 };

    /// The queue is empty.
    pub(crate) fn emptied(&mut self) {
        self.marks.stop();
        self.drops.stop();
    }

    /// Whether a frame goes on that came from this queue, which was not seen empty since. `header`
    /// are its first bytes, with all of the IP header; it may be marked.
    pub(crate) fn passes(
        &mut self,
        gso: Option<Gso>,
        header: &mut [u8],
        now: f64,
        counters: &IoCounters,
    ) -> bool {
        if now - self.read > IDLE_S {
            self.emptied();
        }
        self.read = now;
        if gso.is_none_or(|gso| gso.kind == GsoKind::Udp) {
            return true;
        }
        if self.marks.is_due(now) && ecn::mark(header) {
            self.marks.step(now);
            count(&counters.congestion_marks, 1);
            return true;
        }
        let is_dropped = self.drops.is_due(now);
        if is_dropped {
            self.drops.step(now);
            count(&counters.congestion_drops, 1);
        }
        !is_dropped
    }
}

/// When to tell: after one interval, and then each time after interval / sqrt(count).
#[derive(Clone, Copy, Debug)]
struct Pace {
    interval: f64,
    /// Since when the queue was not seen empty.
    since: Option<f64>,
    /// When the next one is due, once there was a first.
    next: Option<f64>,
    /// When the last one was.
    last: f64,
    /// How many there were in this row.
    count: u32,
}

impl Pace {
    const fn new(interval: f64) -> Self {
        Self { interval, since: None, next: None, last: f64::NEG_INFINITY, count: 0 }
    }

    fn stop(&mut self) {
        self.since = None;
        self.next = None;
    }

    fn is_due(&mut self, now: f64) -> bool {
        let since = *self.since.get_or_insert(now);
        now >= self.next.unwrap_or(since + self.interval)
    }

    fn step(&mut self, now: f64) {
        if self.next.is_none() && now - self.last < REMEMBERED * self.interval {
            self.count = self.count.saturating_sub(2);
        } else if self.next.is_none() {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
        self.next = Some(self.next.unwrap_or(now) + self.interval / f64::from(self.count).sqrt());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    const TCP: Option<Gso> = Some(Gso { kind: GsoKind::Tcp4, size: 1448, ecn: false });
    const NOT_ECT: u8 = 0b00;
    const ECT: u8 = 0b10;
    const CE: u8 = 0b11;

    fn header(ecn: u8) -> Vec<u8> {
        let mut frame = vec![0; 54];
        frame[12..16].copy_from_slice(&[0x08, 0x00, 0x45, ecn]);
        frame
    }

    /// What became of a super-frame each millisecond: when one was marked, and when dropped.
    fn told(standing: &mut Standing, ecn: u8, from: u32, to: u32) -> (Vec<u32>, Vec<u32>) {
        let counters = IoCounters::default();
        let (mut marks, mut drops) = (Vec::new(), Vec::new());
        for millisecond in from..to {
            let mut frame = header(ecn);
            let now = 1000.0 + f64::from(millisecond) / 1000.0;
            if !standing.passes(TCP, &mut frame, now, &counters) {
                drops.push(millisecond);
            } else if frame[15] != ecn {
                assert_eq!(frame[15], CE);
                marks.push(millisecond);
            }
        }
        let seen = [&counters.congestion_marks, &counters.congestion_drops]
            .map(|counter| counter.load(Ordering::Relaxed) as usize);
        assert_eq!(seen, [marks.len(), drops.len()]);
        (marks, drops)
    }

    #[test]
    fn a_queue_that_is_emptied_is_left_alone() {
        let mut standing = Standing::NEW;
        for start in (0..1000).step_by(19) {
            assert_eq!(told(&mut standing, ECT, start, start + 19), (vec![], vec![]));
            standing.emptied();
        }
    }

    #[test]
    fn one_that_stands_is_marked_ever_sooner() {
        let mut standing = Standing::NEW;
        let (marks, drops) = told(&mut standing, ECT, 0, 98);
        // 20 ms, then 20, 14.1, 11.5, 10, 8.9 and 8.2 more
        assert_eq!(marks, [20, 40, 55, 66, 76, 85, 93]);
        assert_eq!(drops, []);
    }

    #[test]
    fn who_takes_no_marks_loses_a_super_frame_later() {
        let mut standing = Standing::NEW;
        let (marks, drops) = told(&mut standing, NOT_ECT, 0, 350);
        assert_eq!(marks, []);
        assert_eq!(drops, [100, 200, 271, 329]);
    }

    #[test]
    fn a_row_that_begins_again_goes_on_at_its_pace() {
        let mut standing = Standing::NEW;
        told(&mut standing, ECT, 0, 98);
        standing.emptied();
        // count 7 - 2 + 1 after one interval: then 8.2 ms
        assert_eq!(told(&mut standing, ECT, 100, 130).0, [120, 129]);
        standing.emptied();
        assert_eq!(told(&mut standing, ECT, 1000, 1035).0, [1020]);
    }

    #[test]
    fn a_queue_that_nobody_had_to_read_was_empty() {
        let mut standing = Standing::NEW;
        for start in (0..1000).step_by(40) {
            assert_eq!(told(&mut standing, ECT, start, start + 19), (vec![], vec![]));
        }
    }

    #[test]
    fn what_is_no_bulk_of_tcp_passes() {
        let counters = IoCounters::default();
        let mut standing = Standing::NEW;
        for now in 0..100 {
            for gso in [None, Some(Gso { kind: GsoKind::Udp, size: 1400, ecn: false })] {
                let mut frame = header(ECT);
                assert!(standing.passes(gso, &mut frame, f64::from(now), &counters));
                assert_eq!(frame, header(ECT));
            }
        }
    }
}
