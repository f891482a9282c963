from random import Random

from l2mesh.crypto import SodiumCrypto
from l2mesh.identity import Identity, PublicIdentity
from planet.directory import Directory, FirstClaim

CRYPTO = SodiumCrypto()
ADDRESS = bytes.fromhex("89e92ceee5")


def identity(seed: int) -> PublicIdentity:
    keys = Random(seed)
    return Identity.from_keys(keys.randbytes(32), keys.randbytes(32), CRYPTO).public


PEOPLE = [identity(seed) for seed in range(8)]
TEXTS = [public.encode() for public in PEOPLE]


def test_claims_are_named_oldest_first_and_once() -> None:
    directory = Directory()
    for who in (0, 1, 0, 1):
        assert directory.admit(PEOPLE[who], ADDRESS)
    assert directory.claims(ADDRESS) == (TEXTS[0], TEXTS[1])
    assert directory.claims(b"\x01" * 5) == ()


def test_fifth_claim_is_not_named_while_four_are_here() -> None:
    directory = Directory()
    assert [directory.admit(public, ADDRESS) for public in PEOPLE[:5]] == [True] * 4 + [False]
    assert directory.claims(ADDRESS) == tuple(TEXTS[:4])


def test_place_of_one_who_has_gone_is_given_away_but_never_the_first() -> None:
    directory = Directory()
    for public in PEOPLE[:4]:
        directory.admit(public, ADDRESS)
    for who in (0, 2):
        directory.gone(PEOPLE[who].fingerprint, ADDRESS)
    assert directory.admit(PEOPLE[4], ADDRESS)
    assert not directory.admit(PEOPLE[5], ADDRESS)
    assert directory.claims(ADDRESS) == (TEXTS[0], TEXTS[1], TEXTS[3], TEXTS[4])


def test_first_claim_outlives_a_restart() -> None:
    before = Directory()
    before.admit(PEOPLE[0], ADDRESS)
    before.admit(PEOPLE[1], ADDRESS)
    rows = before.poll_news()
    assert rows == [FirstClaim(ADDRESS, TEXTS[0])] == list(before.first_claims())
    assert before.poll_news() == []
    after = Directory()
    after.restore(rows)
    after.admit(PEOPLE[1], ADDRESS)
    assert after.claims(ADDRESS) == (TEXTS[0], TEXTS[1])
    assert after.poll_news() == []


def test_longest_unseen_address_goes_when_the_directory_is_full() -> None:
    import planet.directory as module

    before, module.MAX_ADDRESSES = module.MAX_ADDRESSES, 3  # type: ignore[misc]
    try:
        directory = Directory()
        for number in range(3):
            directory.admit(PEOPLE[number], bytes([number]) * 5)
        directory.gone(PEOPLE[1].fingerprint, bytes([1]) * 5)
        directory.admit(PEOPLE[4], bytes([9]) * 5)
        assert len(directory) == 3
        assert directory.claims(bytes([1]) * 5) == ()
    finally:
        module.MAX_ADDRESSES = before  # type: ignore[misc]
