"""PCP, NAT-PMP and SSDP: layouts as in their documents, and whatever else is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2mesh.datapath.interface import Endpoint
from l2mesh.service.portmap import natpmp, pcp, ssdp

NONCE = bytes(range(12))
OWN = Endpoint("10.0.0.2", 9993)
PCP_REQUEST = bytes.fromhex(
    "02010000 000004b0 00000000000000000000ffff0a000002"
    "000102030405060708090a0b 11000000 2709 270a 00000000000000000000ffffc6336401"
)
PCP_RESPONSE = bytes.fromhex(
    "02810000 00000258 00000e10 000000000000000000000000"
    "000102030405060708090a0b 11000000 2709 270a 00000000000000000000ffffc6336401"
)
LOCATION = b"HTTP/1.1 200 OK\r\nST: x\r\nLocation: http://10.0.0.1:5000/root.xml\r\n\r\n"


def test_pcp_request_is_laid_out_as_rfc_6887_says() -> None:
    request = pcp.PcpRequest(OWN, NONCE, 1200, Endpoint("198.51.100.1", 9994))
    assert request.encode() == PCP_REQUEST


def test_pcp_request_without_a_wish_or_to_delete_names_no_outside() -> None:
    nobody = bytes(2) + bytes(10) + b"\xff\xff" + bytes(4)
    assert pcp.PcpRequest(OWN, NONCE, 1200).encode()[42:] == nobody
    given_back = pcp.PcpRequest(OWN, NONCE, 0, Endpoint("198.51.100.1", 9994)).encode()
    assert given_back[42:] == nobody and given_back[4:8] == bytes(4)


def test_pcp_asks_an_ipv6_router_to_let_in_what_is_for_us() -> None:
    own = Endpoint("2001:db8::2", 9993)
    request = pcp.PcpRequest(own, NONCE, 1200)
    data = request.encode()
    assert data[8:24].hex() == "20010db8000000000000000000000002"
    assert data[40:44] == b"\x27\x09\x27\x09" and data[44:] == data[8:24]
    response = pcp.parse_response(PCP_RESPONSE[:42] + data[42:])
    assert response is not None and response.outside == own and response.answers(request)
    assert pcp.PcpRequest(own, NONCE, 0).encode()[42:] == bytes(18)


def test_pcp_response_of_the_other_family_is_no_answer() -> None:
    response = pcp.parse_response(PCP_RESPONSE[:44] + bytes(16))
    assert response is not None and not response.answers(pcp.PcpRequest(OWN, NONCE, 1200))
    response = pcp.parse_response(PCP_RESPONSE)
    own = Endpoint("2001:db8::2", 9993)
    assert response is not None and not response.answers(pcp.PcpRequest(own, NONCE, 1200))


def test_pcp_response_is_read() -> None:
    response = pcp.parse_response(PCP_RESPONSE)
    assert response == pcp.PcpResponse(0, 600, 3600, NONCE, 9993, Endpoint("198.51.100.1", 9994))
    assert response.answers(pcp.PcpRequest(OWN, NONCE, 1200))
    assert not response.answers(pcp.PcpRequest(OWN, bytes(12), 1200))
    assert not response.answers(pcp.PcpRequest(Endpoint("10.0.0.2", 1), NONCE, 1200))


@pytest.mark.parametrize(
    "data",
    [
        PCP_REQUEST,
        PCP_RESPONSE[:-1],
        PCP_RESPONSE[:-4],
        PCP_RESPONSE + b"\0",
        PCP_RESPONSE + bytes(1044),
        b"\1" + PCP_RESPONSE[1:],
        PCP_RESPONSE[:1] + b"\x82" + PCP_RESPONSE[2:],
        PCP_RESPONSE[:36] + b"\6" + PCP_RESPONSE[37:],
    ],
)
def test_what_is_no_pcp_response_is_refused(data: bytes) -> None:
    assert pcp.parse_response(data) is None


def test_nat_pmp_is_laid_out_as_rfc_6886_says() -> None:
    assert natpmp.encode_port_request(9993, 9994, 1200).hex() == "000100002709270a000004b0"
    assert natpmp.encode_port_request(9993, 9994, 0).hex() == "000100002709000000000000"
    address = natpmp.parse_response(bytes.fromhex("0080000000000e10c6336401"))
    assert address == natpmp.AddressResponse(0, 3600, "198.51.100.1")
    refused = natpmp.parse_response(bytes.fromhex("0080000300000e1000000000"))
    assert refused == natpmp.AddressResponse(3, 3600, "")
    port = natpmp.parse_response(bytes.fromhex("0081000000000e102709270a000004b0"))
    assert port == natpmp.PortResponse(0, 3600, 9993, 9994, 1200)


@pytest.mark.parametrize(
    "text", ["", "00", "0080000000000e10c63364", "0181000000000e102709270a000004b0", "0082" * 8]
)
def test_what_is_no_nat_pmp_response_is_refused(text: str) -> None:
    assert natpmp.parse_response(bytes.fromhex(text)) is None


def test_description_is_taken_from_the_router_alone() -> None:
    assert ssdp.parse_location(LOCATION, "10.0.0.1") == "http://10.0.0.1:5000/root.xml"
    assert ssdp.parse_location(LOCATION, "10.0.0.9") is None


@pytest.mark.parametrize(
    "url",
    [
        b"https://10.0.0.1/",
        b"http://10.0.0.1@198.51.100.1/",
        b"http://10.0.0.1.example/",
        b"http://10.0.0.1:99999/",
        b"http://[10.0.0.1/",
        b"file:///etc/passwd",
        b"",
    ],
)
def test_description_elsewhere_is_refused(url: bytes) -> None:
    data = LOCATION.replace(b"http://10.0.0.1:5000/root.xml", url)
    assert ssdp.parse_location(data, "10.0.0.1") is None


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 404 No\r\nLocation: http://10.0.0.1/\r\n"])
def test_what_is_no_answer_to_a_search_is_refused(data: bytes) -> None:
    assert ssdp.parse_location(data, "10.0.0.1") is None


@given(st.binary(max_size=100))
def test_parsers_are_total(data: bytes) -> None:
    pcp.parse_response(data)
    pcp.parse_response(PCP_RESPONSE[:4] + data)
    natpmp.parse_response(data)
    natpmp.parse_response(b"\0\x81" + data[:14].ljust(14))
    ssdp.parse_location(data, "10.0.0.1")
    ssdp.parse_location(b"HTTP/1.1 200 OK\r\nLocation: http://" + data, "10.0.0.1")
