"""What is inside and around datagrams: DATA, GROUP, RELAY, LAN beacons, control records."""

from collections.abc import Iterator

from l2mesh.crypto import Cipher
from l2mesh.wire import control, data, group, lan, relay
from l2mesh.wire.endpoint import Endpoint, parse_endpoint
from tools.specimens.cast import CRYPTO, Case, identity, network, plain, stream

__all__ = ["control_cases", "data_cases", "group_cases", "lan_cases", "relay_cases"]


def data_cases() -> Iterator[Case]:
    draw = stream("l2mesh data")
    frame = bytes.fromhex("0200000000020200000000010800") + bytes(range(46))
    for cipher in Cipher:
        for flags, plaintext in (
            (0, frame),
            (int(data.Flag.CONTROL), b""),
            (int(data.Flag.FRAG), data.encode_piece(data.Piece(7, 0, 60, frame[:32]))),
            (int(data.Flag.FRAG), data.encode_piece(data.Piece(7, 32, 60, frame[32:]))),
            (int(data.Flag.CONT | data.Flag.CSUM | data.Flag.ELIDED), frame[14:]),
        ):
            key, salt = draw(32), draw(4)
            index, counter = int.from_bytes(draw(3), "big"), int.from_bytes(draw(4), "big")
            header = data.encode_header(flags, index, counter)
            sealed = CRYPTO.transport(cipher, key, salt).seal(counter, header, plaintext)
            yield {
                "cipher": cipher.name,
                "key": key.hex(),
                "salt": salt.hex(),
                "flags": flags,
                "index": index,
                "counter": counter,
                "plaintext": plaintext.hex(),
                "datagram": (header + sealed).hex(),
            }
    yield {"allowed_flags": sorted(data.ALLOWED_FLAGS)}
    yield {"invalid": "23 bytes", "datagram": "80" + bytes(22).hex()}
    yield {"invalid": "not DATA", "datagram": "7f" + bytes(30).hex()}
    for reason, piece in {
        "no head": bytes(7),
        "empty": bytes.fromhex("00000007 0000 003c"),
        "beyond its frame": bytes.fromhex("00000007 003b 003c") + b"ab",
        "a frame of 14 bytes": bytes.fromhex("00000007 0000 000e") + b"a",
    }.items():
        yield {"invalid": reason, "piece": piece.hex()}


def group_cases() -> Iterator[Case]:
    alice, frame = (
        identity("alice"),
        b"\xff" * 6 + bytes.fromhex("0200000000010800") + bytes(range(20)),
    )
    for assignment, generation, counter in ((0, 1_700_000_000_000, 0), (7, 2**64 - 1, 2**32 - 1)):
        signed = group.signed_text(network(), generation, counter, frame)
        signature = CRYPTO.sign(alice.signing_secret, signed)
        one = group.Group(assignment, alice.fingerprint, generation, counter, signature, frame)
        yield {
            "network": network(),
            "signer": alice.public.encode().hex(),
            "assignment": assignment,
            "generation": generation,
            "counter": counter,
            "frame": frame.hex(),
            "signed_text": signed.hex(),
            "plaintext": group.encode_group(one).hex(),
        }
    head = bytes(group.GROUP_HEAD_BYTES)
    yield {"invalid": "no whole Ethernet header", "plaintext": (head + frame[:13]).hex()}
    yield {"invalid": "for a single station", "plaintext": (head + b"\2" + frame[1:]).hex()}


def relay_cases() -> Iterator[Case]:
    inner = bytes.fromhex("80000001 00000000") + bytes(16)
    for relay_id in (1, 0x0123456789ABCD, 2**56 - 1):
        datagram = relay.frame_relay(relay_id, inner)
        yield {"relay": relay_id, "inner": inner.hex(), "datagram": datagram.hex()}
    yield {"invalid": "nothing inside", "datagram": "0400000000000001"}
    yield {"invalid": "relay id 0", "datagram": "0400000000000000" + inner.hex()}
    yield {"invalid": "not RELAY", "datagram": "0500000000000001" + inner.hex()}


def lan_cases() -> Iterator[Case]:
    sender, nonce = identity("alice").fingerprint, bytes(range(16))
    for text, asks in (("192.168.1.5:9993", True), ("10.0.0.1:1", False)):
        source = parse_endpoint(text)
        beacon = lan.seal_beacon(sender, nonce, source, asks=asks)
        case = {"fingerprint": sender.hex(), "source": text, "asks": asks, "nonce": nonce.hex()}
        yield {**case, "beacon": beacon.hex()}
    yield {"invalid": "an unknown flag", "beacon": "06010002" + bytes(32).hex()}
    yield {"invalid": "another version", "beacon": "06020000" + bytes(32).hex()}
    yield {"invalid": "another type", "beacon": "05010000" + bytes(32).hex()}
    yield {"invalid": "35 bytes", "beacon": "06010000" + bytes(31).hex()}
    yield {"invalid": "37 bytes", "beacon": "06010000" + bytes(33).hex()}


def control_cases() -> Iterator[Case]:
    records: list[control.Record] = [
        control.Ack(7, 0b101),
        control.Chunk(0, control.ChunkFlag.FIRST | control.ChunkFlag.LAST, b"\x33\x80"),
        control.Probe(2**64 - 1),
        control.ProbeReply(1, None),
        control.ProbeReply(1, Endpoint("192.0.2.1", 9993)),
        control.ProbeReply(1, Endpoint("2001:db8::1", 65535)),
        control.Held(network(), 3),
        control.Close(control.CloseReason.NO_SHARED_NETWORK),
    ]
    for some in ([], *([record] for record in records), records):
        yield {
            "records": [_record(record) for record in some],
            "plaintext": control.encode_records(some).hex(),
        }
    yield {"comment": "an unknown type is skipped", "records": [], "plaintext": "7f0002abcd"}
    for reason, plaintext in {
        "a head of two bytes": "0300",
        "PROBE of seven bytes": "030007" + bytes(7).hex(),
        "PROBE of nine bytes": "030009" + bytes(9).hex(),
        "a length beyond the datagram": "7f0002ab",
        "unknown chunk flag": "020005" + "00000000" + "04",
        "a chunk of 1025 bytes": "020406" + "00000000" + "03" + bytes(1025).hex(),
        "observed port 0": "04001a" + bytes(8).hex() + bytes(15).hex() + "01" + "0000",
        "1201 bytes": "7f04ae" + bytes(1198).hex(),
    }.items():
        yield {"invalid": reason, "plaintext": plaintext}


def _record(record: control.Record) -> Case:
    fields = {name: getattr(record, name) for name in record.__dataclass_fields__ if name != "TYPE"}
    return {"type": type(record).__name__, **plain(fields)}
