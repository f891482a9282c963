from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.path.size import payload_size

V4, V6 = Endpoint("192.0.2.1", 9993), Endpoint("2001:db8::1", 9993)


def test_direct_paths_fill_an_mtu_of_1500() -> None:
    assert payload_size(Path(V4)) == 1472
    assert payload_size(Path(V6)) == 1452


def test_relayed_datagram_fits_an_ipv6_leg_whatever_ours_is() -> None:
    assert payload_size(Path(V4, 7)) == payload_size(Path(V6, 7)) == 1444
