//! Broadcasts that somebody else has signed (section 4.1): believed, taken once, and carried on.
//!
//! Whoever gets one from somebody else than its source believes the signature and nothing else,
//! takes it once, and judges it as if the source had sent it straight here.

use std::collections::VecDeque;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

use crate::drops::DropReason;
use crate::group::{Group, signed_text};
use crate::journal::Journal;
use crate::limits::TokenBucket;
use crate::peers::{Fingerprint, PeerId};
use crate::ports::Port;
use crate::replay::ReplayWindow;
use crate::send::Sender;
use crate::sink::{Delivery, Sink};
use crate::switching::{Arrived, Switching, deliver};
use crate::upcall::Upcall;

/// Assignments of one source that hold at once: the newest and the one before.
const ASSIGNMENTS: usize = 2;

/// A member whose broadcasts are believed.
#[derive(Debug)]
pub struct Source {
    signing: [u8; 32],
    /// Whether it may bring those of others.
    relay: bool,
    /// How many signatures of frames that it brings are looked at.
    checks: TokenBucket,
    /// How many copies are made for it.
    copies: TokenBucket,
    generation: u64,
    window: ReplayWindow,
    /// Numbers and members, the newest last.
    assignments: VecDeque<(u32, Vec<Fingerprint>)>,
    /// When an unknown assignment was last told.
    asked: Option<f64>,
    /// When an old generation was last told.
    stale: Option<f64>,
}

/// Believe a member's signature; what has come from it stays known.
pub fn set_source(
    port: &mut Port,
    name: Fingerprint,
    signing: [u8; 32],
    relay: bool,
    generation: u64,
    now: f64,
    journal: &Journal,
) {
    let bounds = &journal.bounds;
    if port.sources.get(&name).is_none_or(|source| source.signing != signing) {
        let source = Source {
            signing,
            relay,
            checks: TokenBucket::new(bounds.group_rate.into(), bounds.group_burst.into(), now),
            copies: TokenBucket::new(bounds.copy_rate.into(), bounds.copy_rate.into(), now),
            generation: 0,
            window: ReplayWindow::default(),
            assignments: VecDeque::new(),
            asked: None,
            stale: None,
        };
        port.sources.insert(name, source);
    }
    let Some(source) = port.sources.get_mut(&name) else { return };
    source.relay = relay;
    if generation != 0 && generation != source.generation {
        (source.generation, source.window) = (generation, ReplayWindow::default());
    }
}

/// Whom a source's frames are handed to.
pub fn assign(port: &mut Port, name: &Fingerprint, number: u32, members: Vec<Fingerprint>) {
    let Some(source) = port.sources.get_mut(name) else { return };
    if members.is_empty() {
        source.assignments.clear();
        return;
    }
    source.assignments.retain(|(one, _)| *one != number);
    source.assignments.push_back((number, members));
    if source.assignments.len() > ASSIGNMENTS {
        source.assignments.pop_front();
    }
}

/// The text of GROUP that `hop` has sent.
///
/// # Errors
///
/// The reason why it is not believed, or not carried on.
pub fn receive(
    hop: PeerId,
    network: u64,
    text: &[u8],
    now: f64,
    switching: &mut Switching,
    sender: &mut Sender,
    sink: &mut impl Sink,
) -> Result<(), DropReason> {
    let Sender { peers, journal, .. } = &mut *sender;
    let port = switching.ports.get(network).ok_or(DropReason::NoPort)?;
    if !port.switch.is_member(hop) {
        return Err(DropReason::NotAMember);
    }
    let bringer = peers[hop].fingerprint;
    let group = Group::parse(text).ok_or(DropReason::BadGroup)?;
    let id = verify(port, network, &group, &bringer, now, journal)
        .and_then(|()| peers.find(group.source).ok_or(DropReason::NotAMember))?;
    peers[id].activity.frame = now;
    let arrived = Arrived { peer: id, network, head: &[], body: group.frame, is_open: false };
    match switching.from_mesh(&arrived, now, peers, journal) {
        Ok(accepted) => {
            let (open_checksum, offloads) = (accepted.open_checksum, accepted.offloads);
            let body = group.frame;
            let delivery = Delivery { head: &[], body, place: None, open_checksum, offloads };
            deliver(network, &delivery, journal, sink);
        }
        Err(reason) => {
            journal.drop(reason);
            if !matches!(reason, DropReason::LoopBlocked | DropReason::GroupUnwanted) {
                return Ok(());
            }
        }
    }
    if group.assignment == 0 {
        return Ok(());
    }
    let port = switching.ports.get(network).ok_or(DropReason::NoPort)?;
    carry_on(port, network, &group, text, now, sender, sink)
}

/// Whether a frame is its source's, and new; then it is noted.
fn verify(
    port: &mut Port,
    network: u64,
    group: &Group<'_>,
    bringer: &Fingerprint,
    now: f64,
    journal: &mut Journal,
) -> Result<(), DropReason> {
    let sources = &mut port.sources;
    let may_bring = sources.get(bringer).ok_or(DropReason::NotAMember)?.relay;
    let source = sources.get_mut(group.source).ok_or(DropReason::NotAMember)?;
    if bringer != group.source && (!may_bring || group.assignment != 0) {
        return Err(DropReason::BadGroup);
    }
    let &Group { generation, counter, .. } = group;
    if generation < source.generation {
        let peer = *group.source;
        tell(&mut source.stale, peer, Upcall::SourceStale { peer, network }, now, journal);
        return Err(DropReason::Replay);
    }
    if generation == source.generation && !source.window.check(counter) {
        return Err(DropReason::Replay);
    }
    if u64::from(counter) >= journal.bounds.refuse_counter {
        return Err(DropReason::CounterSpent);
    }
    let signing = source.signing;
    if !sources.get_mut(bringer).is_some_and(|one| one.checks.take(now)) {
        return Err(DropReason::Storm);
    }
    let signed = signed_text(network, generation, counter, group.frame);
    UnparsedPublicKey::new(&ED25519, signing)
        .verify(&signed, group.signature)
        .map_err(|_| DropReason::Forged)?;
    let source = sources.get_mut(group.source).ok_or(DropReason::NotAMember)?;
    if generation > source.generation {
        (source.generation, source.window) = (generation, ReplayWindow::default());
    }
    source.window.commit(counter);
    Ok(())
}

/// Hand a broadcast to those whom its source has named.
fn carry_on(
    port: &mut Port,
    network: u64,
    group: &Group<'_>,
    text: &[u8],
    now: f64,
    sender: &mut Sender,
    sink: &mut impl Sink,
) -> Result<(), DropReason> {
    let Port { sources, switch, .. } = port;
    let source = sources.get_mut(group.source).ok_or(DropReason::NotAMember)?;
    let known = source.assignments.iter().find(|(number, _)| *number == group.assignment);
    let Some((_, members)) = known else {
        let peer = *group.source;
        let upcall = Upcall::AssignmentUnknown { peer, network };
        tell(&mut source.asked, peer, upcall, now, &mut sender.journal);
        return Ok(());
    };
    if !source.copies.take_all(now, members.len()) {
        return Err(DropReason::RelayRate);
    }
    for name in members.iter().filter(|name| *name != group.source) {
        if let Some(id) = sender.peers.find(name).filter(|&id| switch.is_member(id)) {
            sender.journal.counters.frames_replicated += 1;
            sender.send_group(id, network, 0, text, now, sink);
        }
    }
    Ok(())
}

/// Tell of something at most once a second.
fn tell(
    told: &mut Option<f64>,
    peer: Fingerprint,
    upcall: Upcall,
    now: f64,
    journal: &mut Journal,
) {
    if told.is_none_or(|told| now - told >= journal.bounds.need_session_interval_s) {
        *told = Some(now);
        journal.tell(Some(peer), upcall);
    }
}
