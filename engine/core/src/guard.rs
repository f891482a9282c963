//! The handshake guard (section 3.5): what strangers send is judged here, before anything above.
//!
//! Wrong type, version, length or mac1: one keyed hash at most, and silence. While more than 20
//! INITs a second come with a right mac1, an INIT must show a cookie, and even then each source
//! prefix gets no more than its share. Memory: the times of the last 21 INITs, and while under load
//! a bucket for each prefix that has shown that it receives what is sent to it.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::drops::DropReason;
use crate::endpoint::{Endpoint, Path};
use crate::header::{RELAY_HEADER_BYTES, relay_head};
use crate::journal::Journal;
use crate::limits::TokenBucket;
use crate::macs::{self, COOKIE_BYTES, CookieSecret, MAC_BYTES, NONCE_BYTES};
use crate::random::Random;
use crate::sink::Sink;

const INIT: u8 = 1;
const RESPONSE: u8 = 2;
const COOKIE: u8 = 3;
const VERSION: u8 = 1;
const MIN_INIT_BYTES: usize = 384;
const MIN_RESPONSE_BYTES: usize = 205;
const MAX_BYTES: usize = 1200;
/// INITs are counted over it, and load lasts as long once they have become fewer.
const LOAD_WINDOW_S: f64 = 1.0;

/// Whether a first byte is that of a message for the guard.
#[must_use]
pub fn is_handshake(first: u8) -> bool {
    matches!(first, INIT | RESPONSE | COOKIE)
}

/// Who shares a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Prefix {
    Relay(u64),
    /// The whole of an IPv4 address.
    V4([u8; 4]),
    /// The first half of an IPv6 one.
    V6([u8; 8]),
}

impl Prefix {
    fn of(path: &Path) -> Self {
        if path.relay != 0 {
            return Self::Relay(path.relay);
        }
        match path.endpoint.address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let mut half = [0; 8];
                half.copy_from_slice(&address.octets()[..8]);
                Self::V6(half)
            }
        }
    }
}

/// What it has been told.
#[derive(Debug)]
struct Keys {
    secret: CookieSecret,
    mac1: [u8; 32],
    cookie: [u8; 32],
    rate: usize,
}

/// Lets handshake datagrams up, answers by COOKIE, or drops. Mute until it has its keys.
#[derive(Debug)]
pub struct Guard {
    keys: Option<Keys>,
    arrivals: VecDeque<f64>,
    loaded_until: f64,
    buckets: HashMap<Prefix, TokenBucket>,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            keys: None,
            arrivals: VecDeque::new(),
            loaded_until: f64::NEG_INFINITY,
            buckets: HashMap::new(),
        }
    }
}

impl Guard {
    /// Our key, the seed of cookies, and the rate from which on we are under load.
    pub fn set(&mut self, public: &[u8; 32], seed: Zeroizing<[u8; 32]>, inits_per_second: usize) {
        self.keys = Some(Keys {
            secret: CookieSecret::new(seed),
            mac1: macs::mac1_key(public),
            cookie: macs::cookie_key(public),
            rate: inits_per_second,
        });
        self.arrivals.clear();
        self.buckets.clear();
    }

    /// Judge one datagram whose first byte is INIT, RESPONSE or COOKIE.
    #[allow(clippy::too_many_arguments, reason = "where it came from, and where answers go")]
    pub fn receive(
        &mut self,
        datagram: &[u8],
        source: Endpoint,
        relay: u64,
        now: f64,
        random: &mut dyn Random,
        journal: &mut Journal,
        sink: &mut impl Sink,
    ) {
        let kind = datagram.first().copied().unwrap_or(0);
        let lengths = match kind {
            INIT => MIN_INIT_BYTES..=MAX_BYTES,
            RESPONSE => MIN_RESPONSE_BYTES..=MAX_BYTES,
            _ => COOKIE_BYTES..=COOKIE_BYTES,
        };
        if !lengths.contains(&datagram.len()) || datagram[..4] != [kind, VERSION, 0, 0] {
            journal.drop(DropReason::Malformed);
            return;
        }
        let behind = if kind == INIT { MAC_BYTES } else { 0 };
        let Some(keys) = &mut self.keys else {
            journal.drop(DropReason::BadMac1);
            return;
        };
        if kind != COOKIE && !macs::has_mac(&keys.mac1, datagram, behind) {
            journal.drop(DropReason::BadMac1);
            return;
        }
        let path = Path { endpoint: source, relay };
        if kind == INIT && is_loaded(&mut self.arrivals, keys.rate, &mut self.loaded_until, now) {
            if !keys.secret.accepts(datagram, &path, now) {
                let cookie = keys.secret.cookie(&path, now);
                answer(datagram, &path, cookie, &keys.cookie, random, journal, sink);
                journal.drop(DropReason::CookieRequired);
                return;
            }
            let rate = keys.rate;
            if !self.take_share(&path, rate, now, journal) {
                journal.drop(DropReason::HandshakeRate);
                return;
            }
        } else if kind == INIT {
            self.buckets.clear();
        }
        if journal.tell_handshake(datagram, path) {
            journal.counters.handshakes_in += 1;
        }
    }

    /// Whether the source prefix, or the relay, has not had too many INITs yet.
    fn take_share(&mut self, path: &Path, rate: usize, now: f64, journal: &Journal) -> bool {
        let prefix = Prefix::of(path);
        if let Some(bucket) = self.buckets.get_mut(&prefix) {
            return bucket.take(now);
        }
        if self.buckets.len() >= journal.bounds.guard_prefixes {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        if self.buckets.len() >= journal.bounds.guard_prefixes {
            return false;
        }
        let burst = f64::from(journal.bounds.guard_burst);
        self.buckets.entry(prefix).or_insert(TokenBucket::new(rate as f64, burst, now)).take(now)
    }
}

/// Whether we are under load, this INIT included.
fn is_loaded(arrivals: &mut VecDeque<f64>, rate: usize, until: &mut f64, now: f64) -> bool {
    if arrivals.len() > rate {
        arrivals.pop_front();
    }
    arrivals.push_back(now);
    if arrivals.len() > rate && now - arrivals[0] < LOAD_WINDOW_S {
        *until = now + LOAD_WINDOW_S;
    }
    now < *until
}

fn answer(
    init: &[u8],
    path: &Path,
    cookie: [u8; MAC_BYTES],
    key: &[u8; 32],
    random: &mut dyn Random,
    journal: &mut Journal,
    sink: &mut impl Sink,
) {
    let mut nonce = [0; NONCE_BYTES];
    random.fill(&mut nonce);
    let datagram = macs::cookie_datagram(init, cookie, key, nonce);
    let head = if path.relay == 0 { 0 } else { RELAY_HEADER_BYTES };
    let room = sink.datagram(path.endpoint, head + COOKIE_BYTES);
    room[..head].copy_from_slice(&relay_head(path.relay)[..head]);
    room[head..].copy_from_slice(&datagram);
    journal.counters.cookies_out += 1;
    journal.counters.sent(1, head + COOKIE_BYTES);
}
