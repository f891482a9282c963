//! Who may send what: asked where a frame enters the mesh and where it leaves it (section 10).
//!
//! | `guard` | a MAC signed to nobody may be used by | an IP address signed to nobody by |
//! |---|---|---|
//! | default | members with the right `bridge` | everyone |
//! | strict | nobody | members with `router`, as packets' source |
//! | off | everyone | everyone |
//!
//! A MAC signed to another is refused whatever the setting. With `off` nothing inside is judged;
//! otherwise an IP address signed to another is refused as well, and so are what only servers of
//! DHCP and routers say from members without the right to be one.

use std::net::IpAddr;

use crate::addresses::Addresses;
use crate::drops::DropReason;
use crate::ethernet::Mac;
use crate::fdb::{Fdb, Owner};
use crate::inside::{Inside, Kind};
use crate::limits::GuardMode;

/// What is signed to a member of the network, or to this node.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a right of its own")]
pub struct Member {
    /// Its MAC.
    pub mac: Mac,
    /// Whether other stations may be behind it.
    pub bridge: bool,
    /// Whether it may send packets from addresses that are signed to nobody, whatever `guard`.
    pub router: bool,
    /// Whether it may answer as a DHCP server.
    pub dhcp: bool,
    /// Whether it may advertise itself, or redirect, as an IPv6 router.
    pub ra: bool,
    /// Its IP addresses.
    pub addresses: Vec<IpAddr>,
}

/// Who asks: one source of frames and what judges it.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// A peer, or this node.
    pub source: Owner,
    /// Who that is.
    pub member: &'a Member,
    /// Signed MACs.
    pub fdb: &'a Fdb,
    /// Signed addresses.
    pub addresses: &'a Addresses,
    /// The network's setting.
    pub mode: GuardMode,
}

impl Judge<'_> {
    /// Whether the source may send from a MAC, or tell of it.
    #[must_use]
    pub fn is_mac_allowed(&self, mac: Mac) -> bool {
        if let Some(owner) = self.fdb.signed_to(mac) {
            return owner == self.source;
        }
        match self.mode {
            GuardMode::Strict => false,
            GuardMode::Off => true,
            GuardMode::Default => self.member.bridge,
        }
    }

    /// Whether the source may say this.
    ///
    /// # Errors
    ///
    /// The reason why it may not.
    pub fn judge(&self, inside: &Inside) -> Result<(), DropReason> {
        if self.mode == GuardMode::Off {
            return Ok(());
        }
        match inside.kind {
            Kind::Plain => return Ok(()),
            Kind::ArpRequest | Kind::ArpOther => {
                let is_mac = inside.told.is_some_and(|mac| self.is_mac_allowed(mac));
                let is_fine = is_mac && self.is_address_allowed(inside.sender, false);
                return if is_fine { Ok(()) } else { Err(DropReason::ArpGuard) };
            }
            Kind::BadArp => return Err(DropReason::ArpGuard),
            Kind::DhcpServer if !self.member.dhcp => return Err(DropReason::DhcpGuard),
            Kind::Hidden => return Err(DropReason::NdGuard),
            Kind::RouterAdvertisement if !self.member.ra => return Err(DropReason::RaGuard),
            Kind::Redirect if !self.member.ra && !self.member.router => {
                return Err(DropReason::RaGuard);
            }
            _ => {}
        }
        if inside.kind.is_nd() {
            let is_mac = inside.told.is_none_or(|mac| self.is_mac_allowed(mac));
            let tells = inside.kind == Kind::Advertisement;
            if !is_mac || (tells && !self.is_address_allowed(inside.target, false)) {
                return Err(DropReason::NdGuard);
            }
        }
        let is_fine = self.is_address_allowed(inside.sender, self.member.router);
        if is_fine { Ok(()) } else { Err(DropReason::SourceIp) }
    }

    fn is_address_allowed(&self, address: Option<IpAddr>, is_router: bool) -> bool {
        let Some(address) = address else { return true };
        let owners = self.addresses.owners(address);
        if !owners.is_empty() {
            return owners.contains(&self.source);
        }
        self.mode != GuardMode::Strict || is_router || is_unsignable(address)
    }
}

/// Addresses that are nobody's for good: unspecified, and link-local ones of IPv6.
fn is_unsignable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_unspecified(),
        IpAddr::V6(address) => address.is_unspecified() || address.segments()[0] & 0xffc0 == 0xfe80,
    }
}
