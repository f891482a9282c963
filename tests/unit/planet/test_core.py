"""Whom a planet admits, and at what rate."""

from random import Random

from l2mesh.crypto import SodiumCrypto
from l2mesh.datapath.interface import Activity
from l2mesh.identity import Identity, address_of
from l2mesh.node.core import Settings
from l2mesh.session.handshake import Role
from planet.core import CHECKS_BURST, Admissions, PlanetCore, RememberClaims
from planet.directory import FirstClaim


class CountingCrypto(SodiumCrypto):
    """Real, but the address hash is cheap and counted; every second identity is inadmissible."""

    __slots__ = ("hashes",)

    def __init__(self) -> None:
        self.hashes = 0

    def address_hash(self, fingerprint: bytes) -> bytes:
        self.hashes += 1
        return bytes([fingerprint[0] & 1 and 0x20]) + fingerprint[1:]


def settings(crypto: CountingCrypto) -> Settings:
    random = Random(1).randbytes
    identity = Identity.from_keys(random(32), random(32), crypto)
    return Settings(
        identity=identity,
        crypto=crypto,
        random=random,
        unix_now=lambda: 0.0,
        activity=lambda _: Activity(),
        role=Role.PLANET,
        watch=False,
    )


def test_address_is_checked_once_for_a_fingerprint() -> None:
    crypto = CountingCrypto()
    admissions = Admissions(settings(crypto))
    good, bad = bytes([2]) * 32, bytes([3]) * 32
    for _ in range(3):
        assert admissions.check(good, 0.0) == bytes([2]) * 5
        assert admissions.check(bad, 0.0) is None
    assert crypto.hashes == 2


def test_flood_of_identities_is_rationed_and_hurts_nobody_known() -> None:
    crypto = CountingCrypto()
    admissions = Admissions(settings(crypto))
    known = bytes([2]) * 32
    admissions.check(known, 0.0)
    for number in range(1000):
        admissions.check(number.to_bytes(4, "big") * 8, 0.0)
    assert crypto.hashes == CHECKS_BURST
    assert admissions.check(known, 0.0) is not None
    assert admissions.check(bytes([4]) * 32, 0.0) is None
    assert admissions.check(bytes([4]) * 32, 1.0) is not None


def test_first_claims_are_handed_out_to_be_kept() -> None:
    crypto = CountingCrypto()
    given = settings(crypto)
    public = given.identity.public
    rows = [FirstClaim(b"\x01" * 5, public.encode())]
    core = PlanetCore(given, rows)
    assert core.poll_output() is None
    core.directory.admit(public, b"\x02" * 5)
    output = core.poll_output()
    assert output == RememberClaims((FirstClaim(b"\x02" * 5, public.encode()),))
    assert core.sessions == core.relays == 0
    assert address_of(public.fingerprint, crypto) is None or core.next_timeout() is None
