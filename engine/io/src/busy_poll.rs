//! Busy polling: for how long a worker that has nothing to do looks again before it sleeps.
//!
//! A thread whose processor has halted is awake some 50 us after it is called, in a virtual machine
//! later yet. Where the next frame comes within that time (a transfer with a small window, or many
//! that follow each other closely), a worker that did not sleep is as quick as the line. Whether it
//! is likely to come is taken from the latest wait, as Linux does when it polls before it halts. No
//! more time is spent so than was worked: at most the use of a processor doubles, and where frames
//! are rare nothing is spent.

/// What may be spent at most after a long time of work.
const MOST_CREDIT_S: f64 = 1e-3;

#[derive(Clone, Copy, Debug)]
pub(crate) struct BusyPoll {
    /// A wait that is worth staying awake for. 0: none is.
    longest_s: f64,
    /// The latest wait was such.
    was_short: bool,
    /// What may be spent.
    credit_s: f64,
}

impl BusyPoll {
    pub(crate) fn new(longest_s: f64) -> Self {
        Self { longest_s, was_short: false, credit_s: 0.0 }
    }

    /// After so much work there is nothing to do: for how long to look again.
    pub(crate) fn begin(&mut self, worked_s: f64) -> f64 {
        self.credit_s = (self.credit_s + worked_s.max(0.0)).min(MOST_CREDIT_S);
        if self.was_short { self.longest_s.min(self.credit_s) } else { 0.0 }
    }

    /// There is something to do after so long, of which so much was spent awake.
    pub(crate) fn end(&mut self, waited_s: f64, awake_s: f64) {
        self.was_short = waited_s <= self.longest_s;
        self.credit_s = (self.credit_s - awake_s).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that works for so long, then has nothing to do for so long, again and again: the
    /// time that it was awake without work, and the time that it worked.
    fn play(poll: &mut BusyPoll, worked_s: f64, pause_s: f64) -> (f64, f64) {
        let turns = 1_000;
        let awake = (0..turns).map(|_| {
            let awake_s = poll.begin(worked_s).min(pause_s);
            poll.end(pause_s, awake_s);
            awake_s
        });
        (awake.sum(), f64::from(turns) * worked_s)
    }

    #[test]
    fn it_stays_awake_where_work_comes_soon_and_sleeps_where_it_does_not() {
        let mut poll = BusyPoll::new(100e-6);
        let (awake_s, worked_s) = play(&mut poll, 50e-6, 30e-6);
        // all pauses but the first, of which it could not know
        assert!(awake_s > 0.99 * 0.6 * worked_s);
        let (awake_s, _) = play(&mut poll, 50e-6, 200e-6);
        // it was mistaken once
        assert!(awake_s <= 100e-6);
    }

    #[test]
    fn it_spends_no_more_than_was_worked() {
        for pause_s in [10e-6, 60e-6, 99e-6] {
            let (awake_s, worked_s) = play(&mut BusyPoll::new(100e-6), 5e-6, pause_s);
            assert!(awake_s <= worked_s && awake_s > 0.9 * worked_s, "{awake_s} {worked_s}");
        }
    }

    #[test]
    fn what_was_not_spent_is_kept_but_not_for_ever() {
        let mut poll = BusyPoll::new(100e-6);
        poll.end(10e-6, 0.0);
        poll.begin(3_600.0);
        let (awake_s, _) = play(&mut poll, 0.0, 99e-6);
        assert!((awake_s - MOST_CREDIT_S).abs() < 1e-9);
    }

    #[test]
    fn a_clock_that_stands_or_a_limit_of_nothing_keeps_it_asleep() {
        assert!(play(&mut BusyPoll::new(0.0), 50e-6, 1e-6).0 <= 0.0);
        let mut poll = BusyPoll::new(100e-6);
        poll.end(0.0, 0.0);
        assert!(poll.begin(-5.0) <= 0.0);
    }
}
