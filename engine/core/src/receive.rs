//! Receiving DATA (section 4): look up the index, look at the replay window, open, then believe.
//!
//! Nothing but a counter changes before the tag has verified. What happens after it, in this order:
//! the window moves, the session is confirmed, a new source is told, flags are judged, and the text
//! goes where it belongs.

use std::ops::Range;

use crate::aead::Aead;
use crate::drops::DropReason;
use crate::endpoint::{Endpoint, Path};
use crate::ethernet::HEADER_BYTES as ETHERNET_BYTES;
use crate::fragments::Fragments;
use crate::header::{HEADER_BYTES, OVERHEAD, TAG_BYTES, flag, parse_data};
use crate::journal::Journal;
use crate::peers::{Peer, ReceiveKey};
use crate::replication;
use crate::send::Sender;
use crate::sink::{Delivery, Sink};
use crate::switching::{Accepted, Arrived, Switching, deliver};
use crate::upcall::Upcall;

/// Flags of a piece of a broadcast that others carry on.
const GROUP_PIECE: u8 = flag::FRAG | flag::GROUP;

/// Everything that arrives as DATA.
#[derive(Debug, Default)]
pub struct Receiver {
    /// Unfinished frames.
    pub fragments: Fragments,
}

/// One DATA datagram and how it came.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Header, ciphertext, tag.
    pub bytes: &'a mut [u8],
    /// Where `bytes` begins in the memory of the batch.
    pub place: usize,
    /// From where.
    pub source: Endpoint,
    /// Inside which RELAY, or 0.
    pub relay: u64,
}

impl Receiver {
    /// One DATA datagram.
    pub fn receive(
        &mut self,
        datagram: &mut Datagram<'_>,
        now: f64,
        switching: &mut Switching,
        sender: &mut Sender,
        sink: &mut impl Sink,
    ) {
        if let Err(reason) = self.open(datagram, now, switching, sender, sink) {
            sender.journal.drop(reason);
        }
    }

    fn open(
        &mut self,
        datagram: &mut Datagram<'_>,
        now: f64,
        switching: &mut Switching,
        sender: &mut Sender,
        sink: &mut impl Sink,
    ) -> Result<(), DropReason> {
        let length = datagram.bytes.len();
        if length < OVERHEAD {
            return Err(DropReason::Malformed);
        }
        let (flags, index, counter) = parse_data(datagram.bytes).ok_or(DropReason::Malformed)?;
        let Sender { peers, journal, .. } = sender;
        let place = peers.find_key(index).ok_or(DropReason::UnknownIndex)?;
        let (key, peer) = peers.key_and_peer(place).ok_or(DropReason::UnknownIndex)?;
        if !key.window.check(counter) {
            return Err(DropReason::Replay);
        }
        if u64::from(counter) >= journal.bounds.refuse_counter {
            return Err(DropReason::CounterSpent);
        }
        key.transport.open(counter, datagram.bytes).map_err(|_| DropReason::Forged)?;
        key.window.commit(counter);
        peer.activity.received = now;
        peer.activity.rx_packets += 1;
        peer.activity.rx_bytes += length as u64;
        confirm(key.session, peer, journal);
        let path = Path { endpoint: datagram.source, relay: datagram.relay };
        if peer.path != Some(path) && key.window.is_newest(counter) {
            note_source(key, peer, path, now, journal);
        }
        let text = HEADER_BYTES..length - TAG_BYTES;
        if key.network != 0 {
            let network = key.network;
            let mut elided = [0; ETHERNET_BYTES];
            let head = match flags {
                flag::FRAG | GROUP_PIECE => None,
                flag::GROUP => Some(&[][..]),
                _ if flags & !flag::OFFLOADS != 0 => return Err(DropReason::BadFlags),
                _ if flags & flag::ELIDED != 0 => {
                    let addresses = key.elided.as_ref().ok_or(DropReason::BadOffload)?;
                    elided[..12].copy_from_slice(addresses);
                    let kind: [u8; 2] = match datagram.bytes[text.clone()].first().map(|v| v >> 4) {
                        Some(4) => [0x08, 0x00],
                        Some(6) => [0x86, 0xdd],
                        _ => return Err(DropReason::BadOffload),
                    };
                    elided[12..].copy_from_slice(&kind);
                    Some(&elided[..])
                }
                _ => Some(&[][..]),
            };
            let id = key.peer;
            let body = &datagram.bytes[text.clone()];
            let (head, body, within) = match head {
                Some(head) => {
                    (head, body, Some(datagram.place + text.start..datagram.place + text.end))
                }
                None => match self.fragments.add(peer, id, index, body, now, journal) {
                    Some(frame) => (&[][..], frame, None),
                    None => return Ok(()),
                },
            };
            peer.activity.frame = now;
            if flags & flag::GROUP != 0 {
                return replication::receive(id, network, body, now, switching, sender, sink);
            }
            let is_open = flags & flag::CSUM != 0;
            let arrived = Arrived { peer: id, network, head, body, is_open };
            let Accepted { open_checksum, offloads } =
                switching.from_mesh(&arrived, now, peers, journal)?;
            let place: Option<Range<usize>> = within;
            let delivery = Delivery { head, body, place, open_checksum, offloads };
            deliver(network, &delivery, journal, sink);
            return Ok(());
        }
        if flags != flag::CONTROL {
            return Err(DropReason::BadFlags);
        }
        let (name, session) = (peer.fingerprint, key.session);
        journal.tell_control(name, session, &datagram.bytes[text], path);
        Ok(())
    }
}

fn confirm(session: u64, peer: &mut Peer, journal: &mut Journal) {
    let name = peer.fingerprint;
    if let Some((_, is_confirmed)) = peer.sessions.iter_mut().find(|(number, _)| *number == session)
        && !*is_confirmed
    {
        *is_confirmed = true;
        journal.tell_confirmed(name, session);
    }
}

/// Tell of a path that is not the one in use.
fn note_source(key: &ReceiveKey, peer: &mut Peer, path: Path, now: f64, journal: &mut Journal) {
    let interval = journal.bounds.source_seen_interval_s;
    match peer.seen.iter_mut().find(|(one, _)| *one == path) {
        Some((_, told)) if now - *told < interval => return,
        Some((_, told)) => *told = now,
        None => {
            if peer.seen.len() >= journal.bounds.sources_remembered {
                peer.seen.retain(|(_, told)| *told > now - interval);
            }
            if peer.seen.len() >= journal.bounds.sources_remembered {
                return;
            }
            peer.seen.push((path, now));
        }
    }
    let name = peer.fingerprint;
    journal.tell(Some(name), Upcall::SourceSeen { peer: name, session: key.session, path });
}
