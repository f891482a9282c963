//! Our own broadcasts where others replicate them (section 4.1): signed once, sent to a few.

use std::collections::{HashMap, HashSet, VecDeque};

use aws_lc_rs::signature::Ed25519KeyPair;

use crate::drops::DropReason;
use crate::group::{GROUP_HEAD_BYTES, Group, MAX_GROUP_FRAME, signed_text};
use crate::peers::Fingerprint;
use crate::ports::Port;
use crate::send::Sender;
use crate::sink::{FrameMeta, Sink};
use crate::upcall::Upcall;

/// To whom we send ourselves, and the assignment under which it carries broadcasts on.
pub type Target = (Fingerprint, u32);

/// What broadcasts are signed with. It does not show.
pub struct Signer {
    seed: zeroize::Zeroizing<[u8; 32]>,
    key: Ed25519KeyPair,
}

impl Clone for Signer {
    fn clone(&self) -> Self {
        Self::new(self.seed.clone()).expect("a seed that made a key before")
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("<Signer>")
    }
}

impl Signer {
    /// With an Ed25519 seed; nothing if the library does not take it.
    #[must_use]
    pub fn new(seed: zeroize::Zeroizing<[u8; 32]>) -> Option<Self> {
        let key = Ed25519KeyPair::from_seed_unchecked(&*seed).ok()?;
        Some(Self { seed, key })
    }

    /// The 64 bytes of a signature.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.key.sign(text).as_ref().to_vec()
    }
}

/// Our own broadcasts in one network.
#[derive(Debug)]
pub struct Outgoing {
    source: Fingerprint,
    signer: Signer,
    generation: u64,
    /// `None`: not known yet.
    targets: Option<Vec<Target>>,
    /// The next one to use.
    counter: u64,
    /// When, and the text without assignment, the oldest first.
    recent: VecDeque<(f64, Vec<u8>)>,
    recent_bytes: usize,
    /// When targets were last asked for.
    asked: Option<f64>,
}

impl Outgoing {
    fn trim(&mut self, now: f64, sender: &Sender) {
        let bounds = &sender.journal.bounds;
        while let Some((at, text)) = self.recent.front() {
            let is_kept = now - at < bounds.recent_s
                && self.recent.len() <= bounds.recent_frames
                && self.recent_bytes <= bounds.recent_bytes;
            if is_kept {
                break;
            }
            self.recent_bytes -= text.len();
            self.recent.pop_front();
        }
    }
}

/// Other targets: who is new among them gets the recent frames, too.
#[allow(clippy::too_many_arguments, reason = "the fields of the command")]
pub fn set(
    port: &mut Port,
    network: u64,
    source: Fingerprint,
    signer: Signer,
    generation: u64,
    targets: Option<Vec<Target>>,
    now: f64,
    sender: &mut Sender,
    sink: &mut impl Sink,
) {
    let is_same = port
        .outgoing
        .as_ref()
        .is_some_and(|out| out.generation == generation && out.signer.seed == signer.seed);
    if !is_same {
        port.outgoing = Some(Outgoing {
            source,
            signer,
            generation,
            targets: None,
            counter: 0,
            recent: VecDeque::new(),
            recent_bytes: 0,
            asked: None,
        });
    }
    let Port { outgoing: Some(out), switch, .. } = port else { return };
    let before: HashSet<Fingerprint> =
        out.targets.take().into_iter().flatten().map(|(name, _)| name).collect();
    out.trim(now, sender);
    let targets = targets.map(once_each);
    for (name, number) in targets.iter().flatten().filter(|(name, _)| !before.contains(name)) {
        let Some(id) = sender.peers.find(name).filter(|&id| switch.is_member(id)) else { continue };
        for (_, text) in &out.recent {
            sender.send_group(id, network, *number, text, now, sink);
        }
    }
    out.targets = targets;
}

/// Each target once: where it was named first, with the assignment that was named last.
fn once_each(targets: Vec<Target>) -> Vec<Target> {
    let mut places: HashMap<Fingerprint, usize> = HashMap::new();
    let mut each: Vec<Target> = Vec::with_capacity(targets.len());
    for (name, number) in targets {
        let place = *places.entry(name).or_insert(each.len());
        match each.get_mut(place) {
            Some(target) => target.1 = number,
            None => each.push((name, number)),
        }
    }
    each
}

/// Frames leave for each member again; what waits does so at once.
pub fn stop(port: &mut Port, network: u64, now: f64, sender: &mut Sender, sink: &mut impl Sink) {
    let Some(mut out) = port.outgoing.take() else { return };
    out.trim(now, sender);
    if out.targets.is_some() {
        return;
    }
    for (_, text) in &out.recent {
        for &id in port.switch.members() {
            let frame = &text[GROUP_HEAD_BYTES..];
            sender.send_frame(id, network, frame, FrameMeta::default(), now, sink);
        }
    }
}

/// One complete frame of ours for every member.
pub fn flood(
    port: &mut Port,
    network: u64,
    frame: &[u8],
    now: f64,
    sender: &mut Sender,
    sink: &mut impl Sink,
) {
    let Port { outgoing: Some(out), switch, .. } = port else { return };
    if out.counter >= sender.journal.bounds.refuse_counter {
        sender.journal.drop(DropReason::CounterSpent);
        return;
    }
    if frame.len() > MAX_GROUP_FRAME {
        sender.journal.drop(DropReason::BadFrame);
        return;
    }
    let (source, generation, counter) = (&out.source, out.generation, out.counter as u32);
    out.counter += 1;
    let signature = out.signer.sign(&signed_text(network, generation, counter, frame));
    let group = Group { assignment: 0, source, generation, counter, signature: &signature, frame };
    let text = group.text();
    sender.journal.counters.frames_signed += 1;
    match &out.targets {
        None => {
            let interval = sender.journal.bounds.need_session_interval_s;
            if out.asked.is_none_or(|asked| now - asked >= interval) {
                out.asked = Some(now);
                sender.journal.tell(None, Upcall::NeedReplicators { network });
            }
        }
        Some(targets) => {
            for (name, number) in targets {
                if let Some(id) = sender.peers.find(name).filter(|&id| switch.is_member(id)) {
                    sender.send_group(id, network, *number, &text, now, sink);
                }
            }
        }
    }
    out.recent_bytes += text.len();
    out.recent.push_back((now, text));
    out.trim(now, sender);
}
