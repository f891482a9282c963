//! Commands: from the dataclasses of the interface.

use std::collections::HashSet;
use std::net::IpAddr;

use l2mesh_core::aead::{Cipher, KeyMaterial};
use l2mesh_core::broadcaster::{Signer, Target};
use l2mesh_core::capture::Sides;
use l2mesh_core::command::{Command, PortOffloads};
use l2mesh_core::endpoint::{Endpoint, Path};
use l2mesh_core::fdb::StaticEntry;
use l2mesh_core::groups::{Segment, Wanted};
use l2mesh_core::limits::{Bpdu, GuardMode, Limits};
use l2mesh_core::peers::Fingerprint;
use l2mesh_core::rights::Member;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use zeroize::Zeroizing;

use crate::types::{read_endpoint, read_path};

/// The command that a dataclass is.
pub(crate) fn read_command(from: &Bound<'_, PyAny>) -> PyResult<Command> {
    let kind = from.get_type().name()?;
    let kind = kind.to_str()?;
    let field = |name: &str| from.getattr(name);
    Ok(match kind {
        "InstallReceive" => Command::InstallReceive {
            peer: bytes(from, "peer")?,
            session: field("session")?.extract()?,
            network: field("network")?.extract()?,
            index: index(from)?,
            material: material(from)?,
            elided: optional_bytes(from, "elided")?,
        },
        "InstallSend" => Command::InstallSend {
            peer: bytes(from, "peer")?,
            session: field("session")?.extract()?,
            network: field("network")?.extract()?,
            lane: field("lane")?.extract()?,
            index: index(from)?,
            material: material(from)?,
            elided: optional_bytes(from, "elided")?,
        },
        "RemoveReceive" => Command::RemoveReceive { index: index(from)? },
        "RemoveSend" => Command::RemoveSend {
            peer: bytes(from, "peer")?,
            network: field("network")?.extract()?,
        },
        "RemoveSession" => Command::RemoveSession {
            peer: bytes(from, "peer")?,
            session: field("session")?.extract()?,
        },
        "SetPath" => Command::SetPath {
            peer: bytes(from, "peer")?,
            path: optional_path(from)?,
            size: field("size")?.extract()?,
            spread: endpoints(&field("spread")?)?,
        },
        "SendTwice" => Command::SendTwice {
            peer: bytes(from, "peer")?,
            path: optional_path(from)?,
            size: field("size")?.extract()?,
            seconds: field("seconds")?.extract()?,
            budget: field("budget")?.extract()?,
        },
        "AddRelayLeg" => Command::AddRelayLeg {
            relay: field("relay")?.extract()?,
            endpoint: read_endpoint(&field("endpoint")?)?,
        },
        "RemoveRelayLeg" => Command::RemoveRelayLeg { relay: field("relay")?.extract()? },
        "SetRelay" => Command::SetRelay {
            relay: field("relay")?.extract()?,
            left: read_endpoint(&field("left")?)?,
            right: read_endpoint(&field("right")?)?,
            left_client: bytes(from, "left_client")?,
            right_client: bytes(from, "right_client")?,
        },
        "RemoveRelay" => Command::RemoveRelay { relay: field("relay")?.extract()? },
        "SetGuard" => Command::SetGuard {
            public: bytes(from, "public")?,
            secret: Zeroizing::new(bytes(from, "secret")?),
            inits_per_second: field("inits_per_second")?.extract()?,
        },
        "SetUnderlay" => Command::SetUnderlay {
            port: field("port")?.extract()?,
            addresses: addresses(&field("addresses")?)?,
        },
        "SendControl" => Command::SendControl {
            peer: bytes(from, "peer")?,
            session: field("session")?.extract()?,
            payload: field("payload")?.extract()?,
            path: read_path(&field("path")?)?,
        },
        "SendDatagram" => Command::SendDatagram {
            datagram: field("datagram")?.extract()?,
            path: read_path(&field("path")?)?,
        },
        about_ports => read_port_command(about_ports, from)?,
    })
}

fn endpoints(from: &Bound<'_, PyAny>) -> PyResult<Vec<Endpoint>> {
    from.try_iter()?.map(|endpoint| read_endpoint(&endpoint?)).collect()
}

fn optional_path(from: &Bound<'_, PyAny>) -> PyResult<Option<Path>> {
    let path = from.getattr("path")?;
    if path.is_none() { Ok(None) } else { read_path(&path).map(Some) }
}

fn read_port_command(kind: &str, from: &Bound<'_, PyAny>) -> PyResult<Command> {
    let field = |name: &str| from.getattr(name);
    let network: u64 = field("network")?.extract()?;
    Ok(match kind {
        "OpenPort" => {
            Command::OpenPort { network, own: read_member(from)?, mtu: field("mtu")?.extract()? }
        }
        "ClosePort" => Command::ClosePort { network },
        "SetPortOffloads" => {
            let offloads = field("offloads")?;
            let flag = |name: &str| offloads.getattr(name)?.extract::<bool>();
            let offloads =
                PortOffloads { checksum: flag("checksum")?, tso: flag("tso")?, uso: flag("uso")? };
            Command::SetPortOffloads { network, offloads }
        }
        "SetMember" => {
            Command::SetMember { network, peer: bytes(from, "peer")?, member: read_member(from)? }
        }
        "RemoveMember" => Command::RemoveMember { network, peer: bytes(from, "peer")? },
        "FlushPeer" => Command::FlushPeer { network, peer: optional_bytes(from, "peer")? },
        "StartCapture" => {
            let sides = field("sides")?;
            let has = |side: &str| sides.contains(side);
            let sides = Sides { port: has("port")?, mesh: has("mesh")?, drops: has("drops")? };
            Command::StartCapture { network, sides, snap: field("snap")?.extract()? }
        }
        "StopCapture" => Command::StopCapture { network },
        "SetStaticEntries" => {
            Command::SetStaticEntries { network, entries: static_entries(&field("entries")?)? }
        }
        "SetBlocked" => Command::SetBlocked { network, vlans: vlans(&field("vlans")?)? },
        "SetGroups" => Command::SetGroups {
            network,
            peer: optional_bytes(from, "peer")?,
            wanted: read_wanted(from)?,
        },
        "WriteFrame" => Command::WriteFrame { network, frame: field("frame")?.extract()? },
        "AnnounceStations" => Command::AnnounceStations {
            network,
            vlan: field("vlan")?.extract()?,
            neighbours: fingerprints(&field("neighbours")?)?,
        },
        "SetReplication" => Command::SetReplication {
            network,
            source: bytes(from, "source")?,
            signer: signer(from)?,
            generation: field("generation")?.extract()?,
            targets: targets(&field("targets")?)?,
        },
        "StopReplication" => Command::StopReplication { network },
        "SetAssignment" => Command::SetAssignment {
            network,
            source: bytes(from, "source")?,
            number: field("number")?.extract()?,
            members: fingerprints(&field("members")?)?,
        },
        "SetSource" => Command::SetSource {
            network,
            peer: bytes(from, "peer")?,
            signing: bytes(from, "signing")?,
            relay: field("relay")?.extract()?,
            generation: field("generation")?.extract()?,
        },
        "RemoveSource" => Command::RemoveSource { network, peer: bytes(from, "peer")? },
        "SetLimits" => Command::SetLimits { network, limits: read_limits(&field("limits")?)? },
        _ => return Err(PyTypeError::new_err(format!("{kind} is no command"))),
    })
}

fn read_member(from: &Bound<'_, PyAny>) -> PyResult<Member> {
    let right = |name: &str| from.getattr(name)?.extract::<bool>();
    let mut addresses = Vec::new();
    for one in from.getattr("addresses")?.try_iter()? {
        addresses.push(read_address(&one?)?);
    }
    Ok(Member {
        mac: bytes(from, "mac")?,
        bridge: right("bridge")?,
        router: right("router")?,
        dhcp: right("dhcp")?,
        ra: right("ra")?,
        addresses,
    })
}

fn static_entries(from: &Bound<'_, PyAny>) -> PyResult<Vec<StaticEntry>> {
    let mut entries = Vec::new();
    for one in from.try_iter()? {
        let (vlan, mac, peer): (u16, Bound<'_, PyAny>, Bound<'_, PyAny>) = one?.extract()?;
        let peer = if peer.is_none() { None } else { Some(sized(&peer, "entries")?) };
        entries.push((vlan, sized(&mac, "entries")?, peer));
    }
    Ok(entries)
}

fn read_wanted(from: &Bound<'_, PyAny>) -> PyResult<Wanted> {
    let segments = |name: &str| -> PyResult<HashSet<Segment>> {
        let pairs: HashSet<(u16, u8)> = from.getattr(name)?.extract()?;
        Ok(pairs.into_iter().map(|(vlan, version)| Segment { vlan, is_v6: version == 6 }).collect())
    };
    let reports = segments("reports")?;
    let listed = segments("listed")?.into_iter().map(|one| (one, reports.contains(&one))).collect();
    let mut groups = HashSet::new();
    for one in from.getattr("groups")?.try_iter()? {
        let (vlan, group): (u16, Bound<'_, PyAny>) = one?.extract()?;
        groups.insert((vlan, read_address(&group)?));
    }
    Ok(Wanted { listed, groups })
}

/// An address of 4 or 16 bytes.
fn read_address(from: &Bound<'_, PyAny>) -> PyResult<IpAddr> {
    let octets: &[u8] = from.extract()?;
    Ok(match octets.len() {
        4 => IpAddr::from(sized::<4>(from, "address")?),
        _ => IpAddr::from(sized::<16>(from, "address")?),
    })
}

fn read_limits(from: &Bound<'_, PyAny>) -> PyResult<Limits> {
    let rate = |name: &str| -> PyResult<Option<u32>> {
        let rate: Option<i64> = from.getattr(name)?.extract()?;
        Ok(rate.map(|rate| u32::try_from(rate.max(0)).unwrap_or(u32::MAX)))
    };
    let guard: String = from.getattr("guard")?.extract()?;
    let bpdu: String = from.getattr("bpdu")?.extract()?;
    Ok(Limits {
        broadcast: rate("broadcast")?,
        multicast: rate("multicast")?,
        unknown_unicast: rate("unknown_unicast")?,
        arp: rate("arp")?,
        nd: rate("nd")?,
        discovery: rate("discovery")?,
        bpdu: match bpdu.as_str() {
            "pass" => Bpdu::Pass,
            "tunnel" => Bpdu::Tunnel,
            _ => Bpdu::Block,
        },
        floods_groups: from.getattr("floods_groups")?.extract()?,
        guard: match guard.as_str() {
            "strict" => GuardMode::Strict,
            "off" => GuardMode::Off,
            _ => GuardMode::Default,
        },
    })
}

fn material(from: &Bound<'_, PyAny>) -> PyResult<KeyMaterial> {
    let cipher = match from.getattr("cipher")?.extract::<u8>()? {
        1 => Cipher::Aes256Gcm,
        2 => Cipher::ChaCha20Poly1305,
        other => return Err(PyValueError::new_err(format!("{other} is no cipher"))),
    };
    let key = Zeroizing::new(bytes(from, "key")?);
    Ok(KeyMaterial { cipher, key, salt: bytes(from, "salt")? })
}

/// Of an Ed25519 secret the first half is the seed.
fn signer(from: &Bound<'_, PyAny>) -> PyResult<Signer> {
    let secret = Zeroizing::new(bytes::<64>(from, "secret")?);
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(&secret[..32]);
    Signer::new(seed).ok_or_else(|| PyValueError::new_err("secret is no Ed25519 key"))
}

fn targets(from: &Bound<'_, PyAny>) -> PyResult<Option<Vec<Target>>> {
    if from.is_none() {
        return Ok(None);
    }
    let mut targets = Vec::new();
    for one in from.try_iter()? {
        let (name, number): (Bound<'_, PyAny>, u32) = one?.extract()?;
        targets.push((sized(&name, "targets")?, number));
    }
    Ok(Some(targets))
}

fn index(from: &Bound<'_, PyAny>) -> PyResult<u32> {
    let index: u32 = from.getattr("index")?.extract()?;
    match index >> 24 {
        0 => Ok(index),
        _ => Err(PyValueError::new_err(format!("index {index} is not below 2^24"))),
    }
}

fn addresses(from: &Bound<'_, PyAny>) -> PyResult<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for one in from.try_iter()? {
        let text: String = one?.extract()?;
        // a scope is of no use inside a frame; what is no address is passed over
        addresses.extend(text.split('%').next().and_then(|text| text.parse::<IpAddr>().ok()));
    }
    Ok(addresses)
}

fn vlans(from: &Bound<'_, PyAny>) -> PyResult<HashSet<u16>> {
    from.try_iter()?.map(|one| one?.extract()).collect()
}

fn fingerprints(from: &Bound<'_, PyAny>) -> PyResult<Vec<Fingerprint>> {
    from.try_iter()?.map(|one| sized(&one?, "neighbours")).collect()
}

fn bytes<const N: usize>(from: &Bound<'_, PyAny>, name: &str) -> PyResult<[u8; N]> {
    sized(&from.getattr(name)?, name)
}

fn optional_bytes<const N: usize>(
    from: &Bound<'_, PyAny>,
    name: &str,
) -> PyResult<Option<[u8; N]>> {
    let value = from.getattr(name)?;
    if value.is_none() { Ok(None) } else { sized(&value, name).map(Some) }
}

fn sized<const N: usize>(value: &Bound<'_, PyAny>, name: &str) -> PyResult<[u8; N]> {
    let bytes: &[u8] = value.extract()?;
    bytes
        .try_into()
        .map_err(|_| PyValueError::new_err(format!("{name} has {N} bytes, not {}", bytes.len())))
}
