//! Commands of the control plane; `l2mesh/datapath/interface.py` describes each.
#![allow(missing_docs, reason = "names and meaning are those of interface.py, field by field")]

use std::collections::HashSet;
use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::aead::KeyMaterial;
use crate::broadcaster::{Signer, Target};
use crate::capture::Sides;
use crate::endpoint::{Endpoint, Path};
use crate::fdb::StaticEntry;
use crate::groups::Wanted;
use crate::limits::Limits;
use crate::peers::Fingerprint;
use crate::rights::Member;

/// Destination and source MAC of frames that travel without their Ethernet header.
pub type Elided = [u8; 12];

/// What a port's reader understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortOffloads {
    pub checksum: bool,
    pub tso: bool,
    pub uso: bool,
}

/// One command.
#[derive(Clone, Debug)]
pub enum Command {
    InstallReceive {
        peer: Fingerprint,
        session: u64,
        network: u64,
        index: u32,
        material: KeyMaterial,
        elided: Option<Elided>,
    },
    InstallSend {
        peer: Fingerprint,
        session: u64,
        network: u64,
        lane: u8,
        index: u32,
        material: KeyMaterial,
        elided: Option<Elided>,
    },
    RemoveReceive {
        index: u32,
    },
    RemoveSend {
        peer: Fingerprint,
        network: u64,
    },
    RemoveSession {
        peer: Fingerprint,
        session: u64,
    },
    SetPath {
        peer: Fingerprint,
        path: Option<Path>,
        size: i64,
        spread: Vec<Endpoint>,
    },
    SendTwice {
        peer: Fingerprint,
        path: Option<Path>,
        size: i64,
        seconds: f64,
        budget: i64,
    },
    AddRelayLeg {
        relay: u64,
        endpoint: Endpoint,
    },
    RemoveRelayLeg {
        relay: u64,
    },
    SetRelay {
        relay: u64,
        left: Endpoint,
        right: Endpoint,
        left_client: Fingerprint,
        right_client: Fingerprint,
    },
    RemoveRelay {
        relay: u64,
    },
    OpenPort {
        network: u64,
        own: Member,
        mtu: usize,
    },
    ClosePort {
        network: u64,
    },
    SetPortOffloads {
        network: u64,
        offloads: PortOffloads,
    },
    SetMember {
        network: u64,
        peer: Fingerprint,
        member: Member,
    },
    RemoveMember {
        network: u64,
        peer: Fingerprint,
    },
    FlushPeer {
        network: u64,
        peer: Option<Fingerprint>,
    },
    SetLimits {
        network: u64,
        limits: Limits,
    },
    StartCapture {
        network: u64,
        sides: Sides,
        snap: usize,
    },
    StopCapture {
        network: u64,
    },
    SetStaticEntries {
        network: u64,
        entries: Vec<StaticEntry>,
    },
    SetBlocked {
        network: u64,
        vlans: HashSet<u16>,
    },
    SetGroups {
        network: u64,
        peer: Option<Fingerprint>,
        wanted: Wanted,
    },
    WriteFrame {
        network: u64,
        frame: Vec<u8>,
    },
    AnnounceStations {
        network: u64,
        vlan: u16,
        neighbours: Vec<Fingerprint>,
    },
    SetReplication {
        network: u64,
        source: Fingerprint,
        signer: Signer,
        generation: u64,
        targets: Option<Vec<Target>>,
    },
    StopReplication {
        network: u64,
    },
    SetAssignment {
        network: u64,
        source: Fingerprint,
        number: u32,
        members: Vec<Fingerprint>,
    },
    SetSource {
        network: u64,
        peer: Fingerprint,
        signing: [u8; 32],
        relay: bool,
        generation: u64,
    },
    RemoveSource {
        network: u64,
        peer: Fingerprint,
    },
    SetGuard {
        public: [u8; 32],
        secret: Zeroizing<[u8; 32]>,
        inits_per_second: usize,
    },
    SetUnderlay {
        port: u16,
        addresses: Vec<IpAddr>,
    },
    SendControl {
        peer: Fingerprint,
        session: u64,
        payload: Vec<u8>,
        path: Path,
    },
    SendDatagram {
        datagram: Vec<u8>,
        path: Path,
    },
}
