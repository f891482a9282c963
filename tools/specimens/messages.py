"""Messages and their bodies: one of every verb, and bodies that must be refused."""

from collections.abc import Iterator

from l2mesh.credential.config import seal_config
from l2mesh.credential.membership import seal_membership
from l2mesh.credential.revocation import seal_revocations
from l2mesh.wire import message
from tools.specimens.cast import CRYPTO, Case, address_for, identity, network, plain
from tools.specimens.signed import config, credential, revocations

__all__ = ["messages", "messages_cases"]


def messages() -> tuple[message.Message, ...]:
    """One of every verb, and more where a field has a second shape."""
    alice, bob, here = identity("alice").public, identity("bob").public, network()
    signed = seal_membership(credential("alice"), identity("carol"), CRYPTO)
    return (
        message.Whois(address_for("carol")),
        message.WhoisReply(address_for("carol"), (identity("carol").public.encode(),)),
        message.WhoisReply(address_for("carol"), ()),
        message.RelayRequest(bob.fingerprint),
        message.RelayOffer(0x0123456789ABCD, alice.encode()),
        message.RelayAnswer(0x0123456789ABCD, accept=True),
        message.RelayReady(0x0123456789ABCD, bob.fingerprint),
        message.RelayFailed(bob.fingerprint, message.RelayFailure.ABSENT),
        message.RelayRenew((1, 2**56 - 1)),
        message.RelayGone(()),
        message.Draining(True),
        message.LinkRequest(0x0123456789ABCD, alice.encode(), bob.fingerprint),
        message.LinkAnswer(0x0123456789ABCD, accept=False),
        message.LinkGone((0x0123456789ABCD,)),
        message.Join(network=here, name="alice", token=bytes(range(16))),
        message.Join(
            network=here, config=1, roster=2**32, serial=3, epoch=1, revocations=2**32 - 1
        ),
        message.JoinReply(here, message.JoinStatus.PENDING, "waits for an administrator"),
        message.Config(here, seal_config(config(), identity("carol"), CRYPTO)),
        message.Credential(here, signed),
        message.Roster(here, 0, 1, (message.RosterMember(signed, alice.encode()),)),
        message.Roster(here, 1, 2, (), (alice.fingerprint,)),
        message.Revocations(here, seal_revocations(revocations(), identity("carol"), CRYPTO)),
        message.Leave(here),
        message.HaveWorld(bytes(range(32)), 7),
        message.WorldUpdate(bytes(range(40))),
        message.Meet(here, 3, signed),
        message.Indices(here, (message.LaneIndex(0, 0x020001), message.LaneIndex(1, 2**24 - 1))),
        message.Indices(here, ()),
        message.Want(here, 3),
        message.Refuse(here),
        message.Candidates(("192.0.2.1:9993", "[2001:db8::1]:9993")),
        message.Call("independent", ("192.0.2.1:9993",)),
        message.Call("sequential", ("192.0.2.1:40002", "192.0.2.1:40000"), 2),
        message.Sighted(here, 7, bytes(range(16))),
        message.SightingConfirmed(here, 7, bytes(range(16, 32))),
        message.Relearn(here, (bytes(range(32)),)),
        message.WantedGroups(
            here,
            1,
            (message.Listed(0, 4, reports=True), message.Listed(7, 6, reports=False)),
            (
                message.WantedGroup(0, bytes((239, 1, 2, 3))),
                message.WantedGroup(7, bytes.fromhex("ff05") + bytes(13) + b"\x03"),
            ),
        ),
        message.Meet(here, 3, signed, 1_700_000_000_000),
        message.Replicate(here, 1, (alice.fingerprint, bob.fingerprint)),
        message.Replicate(here, 2),
        message.Replicating(here, 1, (bob.fingerprint,)),
        message.Replicating(here, 0),
    )


def messages_cases() -> Iterator[Case]:
    for one in messages():
        yield {
            "type": type(one).__name__,
            "fields": plain(one),
            "message": message.encode_message(one).hex(),
        }
    yield {
        "comment": "an unknown key is skipped, and numbers may be wider than they need be",
        "type": "Leave",
        "fields": {"network": 5},
        "message": "26" + "82" + "a3" + b"new".hex() + "c0" + "a7" + b"network".hex() + "d300000000"
        "00000005",
    }
    for reason, body in _bad_bodies().items():
        yield {"invalid": reason, "message": "26" + body.hex()}
    yield {"invalid": "empty", "message": ""}
    yield {"invalid": "unknown verb", "message": "7780"}
    leave_network = b"\xa7network"
    for reason, raw in {
        "a lane twice": b"\x31\x82" + leave_network + b"\x05\xa7indices\x92\x92\0\1\x92\0\2",
        "index 0": b"\x31\x82" + leave_network + b"\x05\xa7indices\x91\x92\0\0",
        "an address of four bytes": b"\x10\x81\xa7address\xc4\x04abcd",
        "an address as text": b"\x10\x81\xa7address\xa5abcde",
    }.items():
        yield {"invalid": reason, "message": raw.hex()}


def _bad_bodies() -> dict[str, bytes]:
    """Bodies that are no LEAVE, which needs `network` alone."""
    key = b"\xa7network"
    return {
        "not a map": b"\x91\x05",
        "no network": b"\x80",
        "network 0": b"\x81" + key + b"\x00",
        "a bool for a number": b"\x81" + key + b"\xc3",
        "a negative number": b"\x81" + key + b"\xff",
        "a float": b"\x81" + key + b"\xcb" + bytes(8),
        "a key twice": b"\x82" + (key + b"\x05") * 2,
        "a key that is binary": b"\x82\xc4\x01a\x01" + key + b"\x05",
        "an extension": b"\x82\xa1a\xd4\x01\x00" + key + b"\x05",
        "a byte after the end": b"\x81" + key + b"\x05\x00",
        "an unknown critical key": b"\x82\xa8critical\x91\xa3new" + key + b"\x05",
        "nine deep": b"\x82\xa1a" + b"\x91" * 7 + b"\x90" + key + b"\x05",
        "an array that claims too much": b"\x82\xa1a\xdd\xff\xff\xff\xff" + key + b"\x05",
        "bad UTF-8": b"\x82\xa1a\xa1\xff" + key + b"\x05",
    }
