//! Limits on what is flooded, and on what a planet forwards: token buckets (section 10).

use std::collections::HashMap;

use crate::drops::DropReason;
use crate::ethernet::Class;
use crate::fdb::Owner;

/// The burst of a flood limit is this many seconds of its rate.
const BURST_S: u32 = 2;

/// Lets `rate` events a second pass on average, and at most `burst` at once.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    filled: f64,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: f64, burst: f64, now: f64) -> Self {
        Self { rate, burst, tokens: burst, filled: now }
    }

    /// Whether one more event may pass now; if so it is paid for.
    pub fn take(&mut self, now: f64) -> bool {
        self.take_all(now, 1)
    }

    /// How many of `count` events may pass now, one after the other; they are paid for.
    pub fn take_some(&mut self, now: f64, count: usize) -> usize {
        self.fill(now);
        let passing = count.min(self.tokens as usize);
        self.tokens -= passing as f64;
        passing
    }

    fn fill(&mut self, now: f64) {
        if now > self.filled {
            self.tokens = self.burst.min(self.tokens + (now - self.filled) * self.rate);
            self.filled = now;
        }
    }

    /// Whether `count` more events may pass now; if so they are paid for.
    pub fn take_all(&mut self, now: f64, count: usize) -> bool {
        let count = count as f64;
        self.fill(now);
        let passes = self.tokens >= count;
        if passes {
            self.tokens -= count;
        }
        passes
    }

    /// Whether it has forgotten all that happened: a new bucket would do the same.
    #[must_use]
    pub fn is_full(&self, now: f64) -> bool {
        self.tokens + (now - self.filled) * self.rate >= self.burst
    }
}

/// Which unsigned source MACs a network lets pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuardMode {
    /// Those of members with the right `bridge`.
    #[default]
    Default,
    /// None.
    Strict,
    /// All.
    Off,
}

/// What becomes of frames that are meant for the neighbour on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bpdu {
    /// They end here.
    #[default]
    Block,
    /// They are multicast.
    Pass,
    /// They go from bridges to bridges.
    Tunnel,
}

/// What a network lets pass, per source: `None` = no limit, 0 = drop, else frames a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Frames to everybody.
    pub broadcast: Option<u32>,
    /// Frames to groups.
    pub multicast: Option<u32>,
    /// Frames to stations that nobody knows.
    pub unknown_unicast: Option<u32>,
    /// What becomes of 01-80-C2-00-00-00..0F.
    pub bpdu: Bpdu,
    /// Who may use a MAC that is signed to nobody.
    pub guard: GuardMode,
    /// Of those to everybody, ARP.
    pub arp: Option<u32>,
    /// Of those to groups, neighbour discovery.
    pub nd: Option<u32>,
    /// Of those to groups, mDNS, SSDP and LLMNR.
    pub discovery: Option<u32>,
    /// Whether an IP group that nobody lists goes to everyone.
    pub floods_groups: bool,
}

impl Default for Limits {
    fn default() -> Self {
        let rate = Some(500);
        Self {
            broadcast: rate,
            multicast: rate,
            unknown_unicast: rate,
            bpdu: Bpdu::Block,
            guard: GuardMode::Default,
            arp: rate,
            nd: rate,
            discovery: rate,
            floods_groups: true,
        }
    }
}

/// The limits of one network. At most seven buckets for each source that floods.
#[derive(Clone, Debug, Default)]
pub struct StormLimits {
    /// What they are made from.
    pub limits: Limits,
    buckets: HashMap<(Class, Owner), TokenBucket>,
}

impl StormLimits {
    /// All buckets are full.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, buckets: HashMap::new() }
    }

    /// Whether `source` may flood this many more frames of this class.
    ///
    /// `Unicast` stands for unknown unicast; a link-local group that may pass counts apart from,
    /// but like, other multicast.
    ///
    /// # Errors
    ///
    /// The reason why it may not.
    pub fn judge(
        &mut self,
        class: Class,
        source: Owner,
        now: f64,
        frames: usize,
    ) -> Result<(), DropReason> {
        let rate = match class {
            Class::Unicast => self.limits.unknown_unicast,
            Class::Broadcast => self.limits.broadcast,
            Class::Arp => self.limits.arp,
            Class::Nd => self.limits.nd,
            Class::Discovery => self.limits.discovery,
            Class::Multicast | Class::LinkLocal => self.limits.multicast,
        };
        let Some(rate) = rate else { return Ok(()) };
        if rate == 0 {
            return Err(DropReason::ClassRefused);
        }
        let fresh = || TokenBucket::new(f64::from(rate), f64::from(rate) * f64::from(BURST_S), now);
        let bucket = self.buckets.entry((class, source)).or_insert_with(fresh);
        if bucket.take_all(now, frames) { Ok(()) } else { Err(DropReason::Storm) }
    }

    /// A source has gone.
    pub fn forget(&mut self, source: Owner) {
        self.buckets.retain(|&(_, one), _| one != source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = TokenBucket::new(10.0, 5.0, 0.0);
        assert_eq!((0..9).filter(|_| bucket.take(0.0)).count(), 5);
        assert_eq!((0..99).filter(|&n| bucket.take(f64::from(n) / 4.0)).count(), 98);
        assert!(bucket.is_full(1000.0));
    }

    #[test]
    fn classes_and_sources_are_limited_apart() {
        let limits = Limits { broadcast: Some(1), multicast: Some(0), ..Limits::default() };
        let mut storm = StormLimits::new(limits);
        let passed = (0..9).filter(|_| storm.judge(Class::Broadcast, None, 1.0, 1).is_ok()).count();
        assert_eq!(passed, 2);
        assert_eq!(storm.judge(Class::Broadcast, None, 1.0, 1), Err(DropReason::Storm));
        assert_eq!(storm.judge(Class::Multicast, None, 1.0, 1), Err(DropReason::ClassRefused));
        assert_eq!(storm.judge(Class::Unicast, None, 1.0, 1), Ok(()));
        assert_eq!(storm.judge(Class::Arp, None, 1.0, 1), Ok(()));
        storm.forget(None);
        assert_eq!(storm.judge(Class::Broadcast, None, 1.0, 1), Ok(()));
    }
}
