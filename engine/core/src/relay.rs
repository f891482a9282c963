//! RELAY (section 5): as a client we unwrap, as a planet we forward the very bytes.
//!
//! What a planet forwards is limited for each client, over all its relays: a client's bucket lives
//! as long as any relay that it is an end of.

use std::collections::HashMap;

use crate::drops::DropReason;
use crate::endpoint::Endpoint;
use crate::header::parse_relay;
use crate::journal::Journal;
use crate::limits::TokenBucket;
use crate::peers::Fingerprint;
use crate::sink::{Run, Sink};

/// One end of a relay.
#[derive(Clone, Copy, Debug)]
struct End {
    endpoint: Endpoint,
    client: Fingerprint,
}

#[derive(Debug)]
struct Client {
    bucket: TokenBucket,
    /// Ends of relays that it is.
    ends: usize,
}

/// Relays that we use and relays that we are.
#[derive(Debug, Default)]
pub struct Relays {
    legs: HashMap<u64, Endpoint>,
    ends: HashMap<u64, [End; 2]>,
    clients: HashMap<Fingerprint, Client>,
}

impl Relays {
    /// Take this id from that planet.
    pub fn add_leg(&mut self, relay: u64, endpoint: Endpoint) {
        self.legs.insert(relay, endpoint);
    }

    /// Take this id no more.
    pub fn remove_leg(&mut self, relay: u64) {
        self.legs.remove(&relay);
    }

    /// Forward between two ends, or change them.
    pub fn set(
        &mut self,
        relay: u64,
        ends: [(Endpoint, Fingerprint); 2],
        now: f64,
        journal: &Journal,
    ) {
        let (rate, burst) = (journal.bounds.relay_rate, journal.bounds.relay_burst);
        let ends = ends.map(|(endpoint, client)| End { endpoint, client });
        for end in ends {
            let fresh = || Client {
                bucket: TokenBucket::new(f64::from(rate), f64::from(burst), now),
                ends: 0,
            };
            self.clients.entry(end.client).or_insert_with(fresh).ends += 1;
        }
        let before = self.ends.insert(relay, ends);
        self.forget(before);
    }

    /// Forward this id no more.
    pub fn remove(&mut self, relay: u64) {
        let before = self.ends.remove(&relay);
        self.forget(before);
    }

    /// Take a run of RELAY datagrams of one source with one id: that id if what is inside is for us,
    /// else they were forwarded or dropped.
    pub fn receive(
        &mut self,
        run: &Run<'_>,
        source: Endpoint,
        now: f64,
        journal: &mut Journal,
        sink: &mut impl Sink,
    ) -> Option<u64> {
        let Some(number) = parse_relay(run.bytes) else {
            journal.drop(DropReason::Malformed);
            return None;
        };
        if let Some([left, right]) = self.ends.get(&number) {
            let way = match source {
                _ if source == left.endpoint => Some((left.client, right.endpoint)),
                _ if source == right.endpoint => Some((right.client, left.endpoint)),
                _ => None,
            };
            if let Some((client, target)) = way {
                self.forward(client, target, run, now, journal, sink);
                return None;
            }
        }
        if self.legs.get(&number) == Some(&source) {
            return Some(number);
        }
        journal.counters.drop_many(DropReason::UnknownRelay, run.count() as u64);
        None
    }

    fn forward(
        &mut self,
        client: Fingerprint,
        target: Endpoint,
        run: &Run<'_>,
        now: f64,
        journal: &mut Journal,
        sink: &mut impl Sink,
    ) {
        let Some(Client { bucket, .. }) = self.clients.get_mut(&client) else { return };
        let count = run.count();
        let passed = bucket.take_some(now, count);
        journal.counters.drop_many(DropReason::RelayRate, (count - passed) as u64);
        if passed == 0 {
            return;
        }
        let run = run.first(passed);
        sink.forward(target, &run);
        journal.counters.relayed_packets += passed as u64;
        journal.counters.relayed_bytes += run.bytes.len() as u64;
        journal.counters.sent(passed as u64, run.bytes.len());
    }

    fn forget(&mut self, ends: Option<[End; 2]>) {
        for end in ends.into_iter().flatten() {
            if let Some(client) = self.clients.get_mut(&end.client) {
                client.ends -= 1;
                if client.ends == 0 {
                    self.clients.remove(&end.client);
                }
            }
        }
    }
}
