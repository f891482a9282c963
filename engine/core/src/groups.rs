//! Who wants which IP group: what members have told of their ports decides where a frame goes.
//!
//! A member's port, in one VLAN and for one IP version (a *segment*), is open until it is listed:
//! then it gets the groups that it has listed and no others, and of the reports of others only what
//! it asks for. Everybody hears `224.0.0.0/24`, `ff02::1`, groups that no host reports
//! (`ff00::/15`), groups of no IP, queries, and neighbour discovery (section 10.2).

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};

use crate::ethernet::{Frame, IPV4, IPV6};
use crate::fdb::Owner;
use crate::inside::{ipv4_at, ipv6_at};
use crate::peers::PeerId;

/// Lists of receivers that are remembered; they are made anew when there are more.
const MOST_REMEMBERED: usize = 1024;
const IPV4_TARGET: usize = 16;
const IPV6_TARGET: usize = 24;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A port's share in one VLAN and IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// VID.
    pub vlan: u16,
    /// Of IPv6, not IPv4.
    pub is_v6: bool,
}

impl Segment {
    /// Where frames to a group belong.
    #[must_use]
    pub fn of(vlan: u16, group: IpAddr) -> Self {
        Self { vlan, is_v6: group.is_ipv6() }
    }
}

/// What somebody's port wants.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Segments in which only `groups` are wanted, and whether others' reports are.
    pub listed: HashMap<Segment, bool>,
    /// By VLAN and address.
    pub groups: HashSet<(u16, IpAddr)>,
}

impl Wanted {
    fn is_for(&self, vlan: u16, group: IpAddr) -> bool {
        !self.listed.contains_key(&Segment::of(vlan, group)) || self.groups.contains(&(vlan, group))
    }

    fn hears_reports(&self, segment: Segment) -> bool {
        self.listed.get(&segment).copied().unwrap_or(true)
    }
}

/// The IP group that a frame is for.
#[must_use]
pub fn group_of(frame: &Frame<'_>) -> Option<IpAddr> {
    let target = match frame.ethertype {
        IPV4 => ipv4_at(frame.payload, IPV4_TARGET),
        IPV6 => ipv6_at(frame.payload, IPV6_TARGET),
        _ => None,
    };
    target.filter(IpAddr::is_multicast)
}

/// Whether no list names the group, because everybody hears it.
#[must_use]
pub fn is_for_all(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group.octets()[..3] == [224, 0, 0],
        // reserved, and local to the interface: RFC 2710 section 6
        IpAddr::V6(group) => group == ALL_NODES || matches!(group.octets()[1] & 0x0f, 0 | 1),
    }
}

/// What the members of one network and this node want.
#[derive(Debug, Default)]
pub struct Groups {
    wanted: HashMap<Owner, Wanted>,
    /// How many list a group.
    registered: HashMap<(u16, IpAddr), usize>,
    receivers: HashMap<(u16, IpAddr), Vec<PeerId>>,
    reporting: Vec<PeerId>,
}

impl Groups {
    /// Replace what somebody wants.
    pub fn set(&mut self, owner: Owner, wanted: Wanted) {
        self.forget(owner);
        for key in &wanted.groups {
            *self.registered.entry(*key).or_default() += 1;
        }
        self.wanted.insert(owner, wanted);
    }

    /// Somebody's port is open.
    pub fn forget(&mut self, owner: Owner) {
        self.receivers.clear();
        for key in self.wanted.remove(&owner).unwrap_or_default().groups {
            if let Some(count) = self.registered.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.registered.remove(&key);
                }
            }
        }
    }

    /// The members among whom receivers are chosen are others.
    pub fn members_changed(&mut self) {
        self.receivers.clear();
    }

    /// Those of `everyone` who want a group; where it `floods`, who lists none gets what nobody
    /// lists.
    pub fn of_group(
        &mut self,
        vlan: u16,
        group: IpAddr,
        everyone: &[PeerId],
        floods: bool,
    ) -> &[PeerId] {
        let Self { wanted, registered, receivers, .. } = self;
        let key = (vlan, group);
        if receivers.len() >= MOST_REMEMBERED && !receivers.contains_key(&key) {
            receivers.clear();
        }
        receivers.entry(key).or_insert_with(|| {
            let is_flooded = floods && !registered.contains_key(&key);
            let wants = |one: &&PeerId| {
                is_flooded || wanted.get(&Some(**one)).is_none_or(|its| its.is_for(vlan, group))
            };
            everyone.iter().filter(wants).copied().collect()
        })
    }

    /// Those of `everyone` who hear what others report.
    pub fn of_report(&mut self, segment: Segment, everyone: &[PeerId]) -> &[PeerId] {
        let Self { wanted, reporting, .. } = self;
        reporting.clear();
        reporting.extend(
            everyone.iter().filter(|one| {
                wanted.get(&Some(**one)).is_none_or(|its| its.hears_reports(segment))
            }),
        );
        reporting
    }

    /// Whether our own port wants a group.
    #[must_use]
    pub fn is_wanted(&self, vlan: u16, group: IpAddr, floods: bool) -> bool {
        (floods && !self.registered.contains_key(&(vlan, group)))
            || self.wanted.get(&None).is_none_or(|own| own.is_for(vlan, group))
    }

    /// Whether our own port hears what others report.
    #[must_use]
    pub fn hears_reports(&self, segment: Segment) -> bool {
        self.wanted.get(&None).is_none_or(|own| own.hears_reports(segment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(239, 1, 2, 3));
    const SEGMENT: Segment = Segment { vlan: 7, is_v6: false };

    fn wanted(groups: &[IpAddr]) -> Wanted {
        Wanted {
            listed: HashMap::from([(SEGMENT, false)]),
            groups: groups.iter().map(|group| (7, *group)).collect(),
        }
    }

    #[test]
    fn a_group_goes_to_who_lists_it_and_to_who_lists_none() {
        let everyone = [PeerId(1), PeerId(2), PeerId(3)];
        let mut groups = Groups::default();
        groups.set(Some(PeerId(1)), wanted(&[GROUP]));
        groups.set(Some(PeerId(2)), wanted(&[]));
        assert_eq!(groups.of_group(7, GROUP, &everyone, true), [PeerId(1), PeerId(3)]);
        assert_eq!(groups.of_group(8, GROUP, &everyone, true), everyone);
        assert_eq!(groups.of_report(SEGMENT, &everyone), [PeerId(3)]);
        groups.forget(Some(PeerId(1)));
        assert_eq!(groups.of_group(7, GROUP, &everyone, true), everyone);
        assert_eq!(groups.of_group(7, GROUP, &everyone, true).len(), 3);
        groups.members_changed();
        assert_eq!(groups.of_group(7, GROUP, &everyone, false), [PeerId(1), PeerId(3)]);
    }

    #[test]
    fn some_groups_are_for_all() {
        for text in ["224.0.0.251", "ff02::1", "ff01::2", "ff00::1", "ff10::9"] {
            assert!(is_for_all(text.parse().expect("address")), "{text}");
        }
        for text in ["224.0.1.1", "239.0.0.1", "ff02::2", "ff05::1", "ff02::1:ff00:1"] {
            assert!(!is_for_all(text.parse().expect("address")), "{text}");
        }
    }
}
