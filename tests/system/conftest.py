"""What system tests need of the host, checked once and told plainly.

Where a need is not met they skip with the reason. `L2MESH_REQUIRE_ROOT=1` (set by `tools/check` as
root and in CI) turns that into a failure: a skipped test proves nothing.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAMS = (
    *("ip", "nft", "tcpdump", "ethtool", "ping", "arping", "dnsmasq", "iperf3"),
    *("arp-scan", "ptp4l", "keepalived", "miniupnpd"),
)
# from <linux/capability.h>; a root without them (a container) can make no namespace and no TAP
CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21


def _lacks_capability(number: int) -> bool:
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = next(line.split()[1] for line in lines if line.startswith("CapEff:"))
    return not int(effective, 16) >> number & 1


def _search_path() -> str:
    """PATH with the administrators' folders, which a user's or a cron job's PATH leaves out."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def unmet_needs() -> Iterator[str]:
    """Each need of the system tests that this host does not meet."""
    if os.geteuid() != 0:
        yield "not root"
    elif _lacks_capability(CAP_NET_ADMIN) or _lacks_capability(CAP_SYS_ADMIN):
        yield "no CAP_NET_ADMIN and CAP_SYS_ADMIN"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        yield "no access to /dev/net/tun"
    missing = [name for name in PROGRAMS if shutil.which(name, path=_search_path()) is None]
    has_dhcp_client = any(shutil.which(name, path=_search_path()) for name in ("udhcpc", "busybox"))
    if not has_dhcp_client:
        missing.append("udhcpc")
    if missing:
        yield f"missing programs: {' '.join(missing)} (sudo ./tools/setup)"


@pytest.fixture(scope="module", params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> str:
    """Both engines, one topology each; the native one where it has been built."""
    name: str = request.param
    if name == "native":
        pytest.importorskip("l2mesh.datapath.native", exc_type=ImportError)
    return name


@pytest.fixture(scope="session", autouse=True)
def host_meets_needs() -> None:
    """Skip every system test, or fail it where skipping is not allowed, unless the host will do."""
    needs = "; ".join(unmet_needs())
    if not needs:
        return
    if os.environ.get("L2MESH_REQUIRE_ROOT") == "1":
        pytest.fail(f"system tests are required here, but: {needs}", pytrace=False)
    pytest.skip(needs)
