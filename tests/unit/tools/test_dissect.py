from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

from l2mesh.crypto import Cipher, SodiumCrypto
from l2mesh.datapath.interface import (
    Command,
    Endpoint,
    InstallReceive,
    InstallSend,
    OpenPort,
    SendControl,
    SetMember,
    SetPath,
    Transmit,
)
from l2mesh.datapath.interface import Path as PeerPath
from l2mesh.datapath.reference import ReferenceEngine
from l2mesh.runtime.keylog import KeyLoggingEngine
from l2mesh.wire import control, handshake
from l2mesh.wire.data import Flag, Piece, encode_header, encode_piece
from l2mesh.wire.message import Join, encode_message
from l2mesh.wire.relay import frame_relay
from tests.frames import frame
from tools.dissect import Cookie, Data, Init, Relay, Response, bind_port
from tools.dissect.__main__ import main

NETWORK = 0x1234567890000001
PEER = b"\x02" * 32
A, B = Endpoint("192.0.2.1", 9993), Endpoint("192.0.2.2", 9993)
ALICE, BOB = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
CONTROL_INDEX, DATA_INDEX = 0x010001, 0x020002
CRYPTO = SodiumCrypto()
SEND = InstallSend(PEER, 1, NETWORK, DATA_INDEX, Cipher.CHACHA20_POLY1305, bytes(32), bytes(4))
SEND_CONTROL = replace(SEND, network=0, index=CONTROL_INDEX, key=b"\x01" * 32)
LONG_JOIN = encode_message(Join(network=NETWORK, name="n" * 60, token=None))


def udp(text: bytes, source: Endpoint = A, destination: Endpoint = B) -> Packet:
    ip = IP(src=source.host, dst=destination.host, proto=17)
    return (
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        / ip
        / Raw(bytes(UDP(sport=source.port, dport=destination.port, len=8 + len(text))) + text)
    )


def capture(path: Path, datagrams: list[bytes], **endpoints: Endpoint) -> Path:
    packets = [udp(each, **endpoints) for each in datagrams]
    for number, packet in enumerate(packets):
        packet.time = 1000 + number / 4
    wrpcap(str(path), packets, linktype=1)
    return path


def sent_by_engine(log: Path, *, frames: list[bytes], controls: list[bytes]) -> list[bytes]:
    """What an engine with a key log sends to its only peer."""
    engine = KeyLoggingEngine(ReferenceEngine(CRYPTO, bytes), log)
    commands: list[Command] = [
        OpenPort(NETWORK, ALICE, 1500),
        SetMember(NETWORK, PEER, BOB),
        SetPath(PEER, PeerPath(B), 1472),
        SEND,
        SEND_CONTROL,
    ]
    commands += [SendControl(PEER, 1, each, PeerPath(B, 0x33)) for each in controls]
    for command in commands:
        engine.execute(command, 1.0)
    for each in frames:
        engine.handle_frame(NETWORK, each, 1.0)
    engine.close()
    datagrams = []
    while (output := engine.poll_output()) is not None:
        assert isinstance(output, Transmit)
        datagrams.append(output.datagram)
    return datagrams


def sealed(command: InstallSend, flags: int, counter: int, text: bytes) -> bytes:
    header = encode_header(flags, command.index, counter)
    transport = CRYPTO.transport(command.cipher, command.key, command.salt)
    return header + transport.seal(counter, header, text)


def test_datagrams_are_told_by_their_first_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    datagrams = [
        handshake.Init(0xAABBCCDD, bytes(344)).encode(),
        handshake.Response(0xAABBCCDD, bytes(190)).encode(),
        handshake.Cookie(0xAABBCCDD, bytes(24), bytes(32)).encode(),
        frame_relay(0x1234, encode_header(Flag.CONTROL, 5, 6) + bytes(16)),
        encode_header(Flag.CSUM | Flag.ELIDED, 0xABCDEF, 7) + bytes(40),
        b"\x05 group",
    ]
    assert main([str(capture(tmp_path / "a.pcap", datagrams))]) == 0
    ways = "192.0.2.1:9993 > 192.0.2.2:9993 "
    assert [line.partition(ways)[2] for line in capsys.readouterr().out.splitlines()] == [
        "  384 B  INIT handshake aabbccdd",
        "  214 B  RESPONSE handshake aabbccdd",
        "   64 B  COOKIE handshake aabbccdd",
        "   32 B  RELAY 00000000001234  DATA CONTROL index 000005 counter 6",
        "   48 B  DATA CSUM ELIDED index abcdef counter 7",
        "    7 B  unknown, first byte 0x05",
    ]


def test_fields_are_those_of_the_codec() -> None:
    init = handshake.Init(7, bytes(range(256)) + bytes(96), mac1=b"m" * 16, mac2=b"n" * 16)
    layer = Init(init.encode())
    assert layer.e + layer.s + layer.payload_sealed == init.noise
    assert (layer.handshake, layer.mac1, layer.mac2) == (7, init.mac1, init.mac2)
    response = handshake.Response(8, bytes(range(200)), mac1=b"m" * 16)
    assert Response(response.encode()).payload_sealed == response.noise[32:]
    cookie = handshake.Cookie(9, b"n" * 24, b"s" * 32)
    assert Cookie(cookie.encode()).cookie_sealed == cookie.sealed


def test_layers_round_trip() -> None:
    datagram = frame_relay(77, sealed(SEND, Flag.FRAG, 3, b"text"))
    assert bytes(Relay(datagram)) == datagram
    assert Data(datagram[8:]).tag == datagram[-16:]


def test_relay_in_relay_is_raw() -> None:
    outer = Relay(frame_relay(1, frame_relay(2, b"inside")))
    assert isinstance(outer.payload, Raw)


@pytest.mark.parametrize("first", [1, 2, 3, 4, 5, 0x80, 0xFF])
def test_any_length_is_read(first: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = bytes([first]) + bytes(400)
    datagrams = [whole[:size] for size in (*range(80), 204, 383, 384, 401)]
    assert main([str(capture(tmp_path / "a.pcap", datagrams)), "-v"]) == 0
    assert capsys.readouterr().out.count(" > ") == len(datagrams)


def test_keys_open_frames_and_control(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "keys"
    records: list[control.Record] = [control.Probe(5), control.Held(NETWORK, 3)]
    datagrams = sent_by_engine(
        log, frames=[frame("arp_request")], controls=[control.encode_records(records), b""]
    )
    assert main(["--keys", str(log), str(capture(tmp_path / "a.pcap", datagrams))]) == 0
    inside = [line.partition("  | ")[2] for line in capsys.readouterr().out.splitlines()]
    assert inside == [
        "PROBE 0000000000000005, HELD 1234567890000001 revision 3",
        "here",
        "1234567890000001: Ether / ARP who has 10.9.0.2 says 10.9.0.1",
    ]


def test_pieces_become_the_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "keys"
    datagrams = sent_by_engine(log, frames=[frame("largest_1500")], controls=[])
    assert len(datagrams) == 2
    assert main(["--keys", str(log), str(capture(tmp_path / "a.pcap", datagrams))]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "piece 0-" in first and "UDP" not in first
    assert "of 1514" in second and "UDP 10.9.0.1:4000 > 10.9.0.2:5000" in second


def test_messages_in_several_chunks_are_joined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = len(LONG_JOIN) // 2
    chunks = [
        control.Chunk(0, control.ChunkFlag.FIRST, LONG_JOIN[:half]),
        control.Chunk(1, control.ChunkFlag.LAST, LONG_JOIN[half:]),
    ]
    log = tmp_path / "keys"
    sent = [control.encode_records([each]) for each in (chunks[1], chunks[0])]
    datagrams = sent_by_engine(log, frames=[], controls=sent)
    assert main(["-v", "--keys", str(log), str(capture(tmp_path / "a.pcap", datagrams))]) == 0
    out = capsys.readouterr().out
    assert out.count("JOIN") == 2  # on the line, and with its fields
    assert f"JOIN: network={NETWORK} name={'n' * 60}" in out


def test_elided_header_is_put_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "keys"
    engine = KeyLoggingEngine(ReferenceEngine(CRYPTO, bytes), log)
    receive = InstallReceive(
        PEER, 1, NETWORK, DATA_INDEX, SEND.cipher, SEND.key, SEND.salt, elided=BOB + ALICE
    )
    engine.execute(receive, 1.0)
    engine.close()
    text = frame("ipv4_udp", "02:00:00:00:00:0a", "02:00:00:00:00:0b")[14:]
    datagrams = [sealed(SEND, Flag.ELIDED, 0, text), sealed(SEND, Flag.ELIDED, 1, b"")]
    assert main(["-v", "--keys", str(log), str(capture(tmp_path / "a.pcap", datagrams))]) == 0
    out = capsys.readouterr().out
    assert "02:00:00:00:00:0b" in out and "IP / UDP 10.9.0.1:4000" in out
    assert "cannot be read: ELIDED, and no IP packet" in out


def test_wrong_key_opens_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "keys"
    sent_by_engine(log, frames=[], controls=[])
    other = replace(SEND, key=b"\x09" * 32)
    path = capture(tmp_path / "a.pcap", [sealed(other, 0, 0, frame("arp_request"))])
    assert main(["--keys", str(log), str(path)]) == 0
    assert " | " not in capsys.readouterr().out


def test_two_receivers_may_use_the_same_index(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = [tmp_path / "one", tmp_path / "two"]
    keys = [SEND, replace(SEND, key=b"\x09" * 32)]
    for log, key in zip(logs, keys, strict=True):
        engine = KeyLoggingEngine(ReferenceEngine(CRYPTO, bytes), log)
        engine.execute(key, 1.0)
        engine.close()
    datagrams = [sealed(key, 0, 0, frame("arp_request")) for key in keys]
    words = [word for log in logs for word in ("--keys", str(log))]
    assert main([*words, str(capture(tmp_path / "a.pcap", datagrams))]) == 0
    assert capsys.readouterr().out.count("ARP who has") == 2


def test_impossible_piece_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "keys"
    sent_by_engine(log, frames=[], controls=[])
    path = capture(
        tmp_path / "a.pcap",
        [
            sealed(SEND, Flag.FRAG, 0, encode_piece(Piece(1, 0, 20, b"x" * 20))[:8]),
            sealed(SEND_CONTROL, Flag.CONTROL, 0, b"\x03\xff\xff"),
        ],
    )
    assert main(["--keys", str(log), str(path)]) == 0
    assert capsys.readouterr().out.count("cannot be read") == 2


def test_other_ports_are_left_out_unless_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = {"source": Endpoint("192.0.2.1", 4001), "destination": Endpoint("192.0.2.2", 4002)}
    datagram = encode_header(0, 1, 2) + bytes(16)
    path = capture(tmp_path / "a.pcap", [datagram], **elsewhere)
    assert main([str(path)]) == 0
    assert capsys.readouterr().out == ""
    assert main([str(path), "--port", "4002"]) == 0
    assert "DATA frame index 000001 counter 2" in capsys.readouterr().out


def test_ipv6_and_any_port_are_bound_for_scapy() -> None:
    bind_port(4711)
    packet = IPv6() / UDP(sport=9, dport=4711) / Raw(encode_header(Flag.CONTROL, 1, 2) + bytes(16))
    assert Data in IPv6(bytes(packet))


def test_files_that_are_none_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text"
    text.write_text("no capture, no log\n")
    assert main([str(text)]) == 1
    assert main([str(tmp_path / "absent")]) == 1
    assert main(["--keys", str(text), str(capture(tmp_path / "a.pcap", [b"x"]))]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3 and all(line.startswith("error: ") for line in errors)
