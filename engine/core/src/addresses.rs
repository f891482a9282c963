//! Signed IP addresses, and whose they are.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::fdb::Owner;

/// IP address to its owners in the order in which they came.
///
/// Mostly there is one. Where a controller signs an address to several, it belongs to each.
#[derive(Debug, Default)]
pub struct Addresses {
    owners: HashMap<IpAddr, Vec<Owner>>,
}

impl Addresses {
    /// Whose it is; nobody's if it is not signed.
    #[must_use]
    pub fn owners(&self, address: IpAddr) -> &[Owner] {
        self.owners.get(&address).map_or(&[], Vec::as_slice)
    }

    /// `owner` has other addresses from now on.
    pub fn replace(&mut self, owner: Owner, before: &[IpAddr], after: &[IpAddr]) {
        for address in before.iter().filter(|one| !after.contains(one)) {
            if let Some(owners) = self.owners.get_mut(address) {
                owners.retain(|one| *one != owner);
                if owners.is_empty() {
                    self.owners.remove(address);
                }
            }
        }
        for &address in after {
            let owners = self.owners.entry(address).or_default();
            if !owners.contains(&owner) {
                owners.push(owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::PeerId;

    #[test]
    fn an_address_may_have_two_owners() {
        let mut addresses = Addresses::default();
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        addresses.replace(None, &[], &[one, two, one]);
        addresses.replace(Some(PeerId(1)), &[], &[one]);
        assert_eq!(addresses.owners(one), [None, Some(PeerId(1))]);
        addresses.replace(None, &[one, two], &[two]);
        assert_eq!(addresses.owners(one), [Some(PeerId(1))]);
        addresses.replace(Some(PeerId(1)), &[one], &[]);
        assert!(addresses.owners(one).is_empty());
    }
}
