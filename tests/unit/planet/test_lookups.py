"""Who waits for an address that only sisters may know."""

from planet.lookups import MAX_A_CLIENT, MAX_ADDRESSES, WAIT_S, Lookups


def test_sisters_are_asked_once_for_several_clients() -> None:
    lookups = Lookups()
    assert lookups.begin(b"addr1", b"one", 0.0)
    assert not lookups.begin(b"addr1", b"other", 0.5)
    assert lookups.waiting(b"addr1", 1.0) == (b"one", b"other")
    assert lookups.waiting(b"addr1", WAIT_S) == ()
    assert lookups.begin(b"addr1", b"one", WAIT_S)


def test_both_tables_are_bounded() -> None:
    lookups = Lookups()
    for number in range(MAX_A_CLIENT):
        assert lookups.begin(bytes([number]) * 5, b"one", 0.0)
    assert not lookups.begin(b"addr1", b"one", 0.0)
    for number in range(256, 256 + 2 * MAX_ADDRESSES):
        assert lookups.begin(number.to_bytes(5, "big"), number.to_bytes(32, "big"), 0.0)
    assert lookups.waiting(bytes([0]) * 5, 0.0) == ()
    assert lookups.waiting((255 + 2 * MAX_ADDRESSES).to_bytes(5, "big"), 0.0) != ()
