"""Signed IP addresses, and whose they are."""

from collections.abc import Iterable

from l2mesh.switch.fdb import Owner


class Addresses:
    """IP address of 4 or 16 bytes -> its owners in the order in which they came.

    Mostly there is one. Where a controller signs an address to several, it belongs to each.
    """

    __slots__ = ("_owners",)

    def __init__(self) -> None:
        self._owners: dict[bytes, tuple[Owner, ...]] = {}

    def owners(self, address: bytes) -> tuple[Owner, ...]:
        """Whose it is; nobody's if it is not signed."""
        return self._owners.get(address, ())

    def replace(self, owner: Owner, before: Iterable[bytes], after: Iterable[bytes]) -> None:
        """`owner` has other addresses from now on."""
        before, after = frozenset(before), tuple(dict.fromkeys(after))
        for address in before.difference(after):
            left = tuple(one for one in self._owners.get(address, ()) if one != owner)
            if left:
                self._owners[address] = left
            else:
                self._owners.pop(address, None)
        for address in after:
            owners = self._owners.get(address, ())
            if owner not in owners:
                self._owners[address] = (*owners, owner)
