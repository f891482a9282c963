"""Every parser, fed with anything: a value or MalformedPacket or CryptoError, and soon.

Each parser has a few valid inputs of its own. It is fed arbitrary bytes, valid inputs cut at every
byte, and valid inputs with bytes changed, put in, taken out and doubled, which get further than
noise does. Text parsers, which answer people, raise ConfigError.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh import address
from l2mesh.credential.config import NetworkConfig
from l2mesh.credential.joinstring import JoinString, format_join_string, parse_join_target
from l2mesh.credential.membership import MembershipCredential
from l2mesh.credential.revocation import Revocations
from l2mesh.credential.signed import open_signed
from l2mesh.credential.world import World
from l2mesh.crypto import SodiumCrypto
from l2mesh.errors import ConfigError, CryptoError, MalformedPacket
from l2mesh.identity import Identity, PublicIdentity
from l2mesh.service.portmap import natpmp, pcp
from l2mesh.service.portmap.ssdp import parse_location
from l2mesh.switch.beacon import emit_beacon, is_ours, parse_beacon
from l2mesh.switch.ethernet import parse_header
from l2mesh.switch.membership import parse_group_talk
from l2mesh.switch.pim import parse_hello
from l2mesh.switch.query import emit_query, link_local
from l2mesh.wire.body import unpack, unpack_value
from l2mesh.wire.control import decode_records
from l2mesh.wire.data import decode_header, decode_piece
from l2mesh.wire.endpoint import decode_endpoint, parse_endpoint
from l2mesh.wire.group import decode_group
from l2mesh.wire.handshake import Cookie, Init, Payload, Response
from l2mesh.wire.lan import LanBeacon
from l2mesh.wire.message import decode_message
from l2mesh.wire.relay import split_relay
from tests.fuzz.mutation import mutated
from tests.unit.switch.test_membership import igmp, mld, report
from tests.unit.switch.test_pim import HOLD_30, OTHER_OPTION, hello4, hello6
from tools.specimens.cast import identity, network
from tools.specimens.files import FILES
from tools.specimens.worlds import worlds

# Many draws, for which a tracer takes several times as long; others cover what they run.
pytestmark = pytest.mark.no_cover

CRYPTO = SodiumCrypto()
PCP_RESPONSE = (
    b"\x02\x81" + bytes(10) + bytes(24) + b"\x11" + bytes(17) + b"\xff\xff\xc6\x33\x64\x01"
)
NATPMP_RESPONSES = (b"\0\x80" + bytes(10), b"\0\x81" + bytes(14))
SSDP_ANSWER = b"HTTP/1.1 200 OK\r\nLOCATION: http://10.0.0.1:5000/root.xml\r\n\r\n"
SOON_S = 0.5


@dataclass(frozen=True)
class Parser:
    """One parser and inputs that it takes."""

    parse: Callable[[bytes], object]
    valid: tuple[bytes, ...]


def _vectors(name: str, key: str, *, kind: str | None = None) -> tuple[bytes, ...]:
    """The valid inputs under `key` in a file of vectors."""
    return tuple(
        bytes.fromhex(case[key])
        for case in FILES[name][1]()
        if key in case and "invalid" not in case and (kind is None or case.get("kind") == kind)
    )


def _bodies(kind: str) -> tuple[bytes, ...]:
    return tuple(unpack_value(one)[1] for one in _vectors("signed", "object", kind=kind))


def _opener(kind: str, body: type[MembershipCredential | NetworkConfig | Revocations]) -> Parser:
    def parse(data: bytes) -> object:
        return open_signed(data, kind, network(), identity("carol").public, body, CRYPTO)

    return Parser(parse, _vectors("signed", "object", kind=kind))


def _payload(*extensions: bytes) -> bytes:
    return identity("alice").public.encode() + b"\x01\x03\0\0\1" + b"".join(extensions)


def _beacon(data: bytes) -> object:
    header = parse_header(data)
    return header and is_ours(data[:6], header) and parse_beacon(data, header)


def _group_talk() -> tuple[bytes, ...]:
    asked = [(bytes(4), b""), (bytes(4), bytes((239, 1, 2, 3))), (link_local(bytes(6)), b"")]
    frames = [emit_query(bytes(6), 0, source, wait_s=1.0, group=one) for source, one in asked]
    four, six = b"\x04\0\0\x01" + bytes((239, 1, 2, 3)), b"\x02\0\0\0\xff\x05" + bytes(14)
    reports = [
        igmp(report(0x22, four + bytes(4), four + bytes(4))),
        igmp(bytes((0x16, 0, 0, 0, 239, 1, 2, 3))),
        mld(report(143, six, six)),
        mld(bytes((132,)) + bytes(7) + six[4:]),
    ]
    return (*(frame[14:] for frame in frames), *reports)


PARSERS = {
    "group talk": Parser(parse_group_talk, _group_talk()),
    "pim": Parser(parse_hello, (hello4(HOLD_30), hello6(OTHER_OPTION + HOLD_30))),
    "pcp": Parser(pcp.parse_response, (PCP_RESPONSE,)),
    "nat-pmp": Parser(natpmp.parse_response, NATPMP_RESPONSES),
    "ssdp": Parser(lambda data: parse_location(data, "10.0.0.1"), (SSDP_ANSWER,)),
    "beacon": Parser(_beacon, tuple(emit_beacon(bytes(6), vlan, bytes(16)) for vlan in (0, 7))),
    "endpoint": Parser(decode_endpoint, (bytes(18), bytes(10) + b"\xff\xff\1\2\3\4\0\5")),
    "identity": Parser(
        lambda data: PublicIdentity.decode(data, CRYPTO), (identity("alice").public.encode(),)
    ),
    "records": Parser(decode_records, _vectors("control", "plaintext")),
    "header": Parser(decode_header, _vectors("data", "datagram")),
    "piece": Parser(decode_piece, (bytes(6) + b"\0\x0fa", bytes(6) + b"\0\x0fabcdefghi")),
    "LAN beacon": Parser(LanBeacon.decode, _vectors("lan", "beacon")),
    "group": Parser(decode_group, _vectors("group", "plaintext")),
    "relay": Parser(split_relay, _vectors("relay", "datagram")),
    "value": Parser(unpack_value, (b"\x82\xa1a\x92\1\xc0\xa1b\xc4\1a", *_bodies("config"))),
    "message": Parser(decode_message, _vectors("messages", "message")),
    "credential body": Parser(
        lambda data: unpack(data, MembershipCredential), _bodies("credential")
    ),
    "config body": Parser(lambda data: unpack(data, NetworkConfig), _bodies("config")),
    "revocations body": Parser(lambda data: unpack(data, Revocations), _bodies("revocations")),
    "credential": _opener("credential", MembershipCredential),
    "config": _opener("config", NetworkConfig),
    "revocations": _opener("revocations", Revocations),
    "world": Parser(
        lambda data: World.parse(data, CRYPTO), tuple(one.encode() for one in worlds())
    ),
    "init": Parser(Init.decode, _vectors("handshake", "init")),
    "response": Parser(Response.decode, _vectors("handshake", "response")),
    "cookie": Parser(Cookie.decode, _vectors("handshake", "cookie_datagram")),
    "payload": Parser(
        Payload.decode,
        (
            _payload(),
            _payload(b"\x01\0\x0c" + bytes(7) + b"\5\0\0\0\1", b"\x03\0\1a"),
            _payload(b"\x02\0\2\0\0", b"\x84\0\0"),
        ),
    ),
}

TEXT_PARSERS: dict[str, tuple[Callable[[str], object], tuple[str, ...]]] = {
    "endpoint": (parse_endpoint, ("192.0.2.1:9993", "[2001:db8::1]:9993")),
    "address": (address.parse_address, ("89e92ceee5",)),
    "network ID": (address.parse_network_id, ("89e92ceee5000001",)),
    "fingerprint": (
        address.parse_fingerprint,
        (address.format_fingerprint(identity("alice").fingerprint),),
    ),
    "MAC": (address.parse_mac, ("02:00:00:00:00:01",)),
    "identity": (
        lambda text: PublicIdentity.from_text(text, CRYPTO),
        (identity("alice").public.text(),),
    ),
    "world": (lambda text: World.from_text(text, CRYPTO), (worlds()[0].text(),)),
    "join target": (
        parse_join_target,
        (
            "89e92ceee5000001",
            format_join_string(JoinString(network(), identity("carol").fingerprint)),
        ),
    ),
}


@pytest.mark.parametrize("name", PARSERS)
def test_valid_input_is_read(name: str) -> None:
    assert PARSERS[name].valid
    for data in PARSERS[name].valid:
        PARSERS[name].parse(data)


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
def test_any_bytes_give_a_value_or_are_refused(name: str, data: st.DataObject) -> None:
    parser = PARSERS[name]
    fed = data.draw(st.binary(max_size=400) | mutated(parser.valid))
    begun = process_time()
    with suppress(MalformedPacket, CryptoError):
        parser.parse(fed)
    assert process_time() - begun < SOON_S


@pytest.mark.parametrize("name", PARSERS)
def test_input_cut_at_every_byte_gives_a_value_or_is_refused(name: str) -> None:
    parser = PARSERS[name]
    for valid in parser.valid:
        for size in range(len(valid)):
            with suppress(MalformedPacket, CryptoError):
                parser.parse(valid[:size])


@pytest.mark.parametrize("name", TEXT_PARSERS)
@given(data=st.data())
def test_any_text_gives_a_value_or_is_refused(name: str, data: st.DataObject) -> None:
    parse, valid = TEXT_PARSERS[name]
    for text in valid:
        parse(text)
    raw = tuple(text.encode() for text in valid)
    fed = data.draw(st.text(max_size=80) | mutated(raw).map(lambda one: one.decode("latin-1")))
    begun = process_time()
    with suppress(ConfigError):
        parse(fed)
    assert process_time() - begun < SOON_S


@given(data=st.binary(max_size=200) | mutated((identity("alice").encode_secret(),)))
def test_any_secret_file_gives_an_identity_or_is_refused(data: bytes) -> None:
    with suppress(ConfigError):
        Identity.decode_secret(data, CRYPTO)
