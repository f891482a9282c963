"""What a check of the planets makes of their answers."""

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.node.advice import Findings, advise, udp_state
from l2mesh.node.netcheck import Outside, Reach, outside
from l2mesh.path.mapping import Mapping

OWN = Endpoint("10.0.0.5", 9993)
OWN6 = Endpoint("2001:db8::5", 9993)
PUBLIC = Endpoint("198.51.100.7", 9993)


def reach(number: int, observed: Endpoint | None = PUBLIC, **fields: object) -> Reach:
    values: dict[str, object] = {
        "planet": bytes([number]) * 32,
        "endpoint": Endpoint(f"192.0.2.{number}", 9993),
        "is_live": True,
        "sent": 5,
        "rtts_ms": (20.0,) * 5 if observed else (),
        "observed": observed,
    }
    return Reach(**{**values, **fields})  # type: ignore[arg-type]


def findings(*reaches: Reach, tcp: str = "silent", **fields: object) -> Findings:
    values: dict[str, object] = {
        "reaches": reaches,
        "nats": {family: outside(reaches, (OWN, OWN6), family=family) for family in (4, 6)},
        "local": (OWN,),
        "tcp": {each.endpoint: tcp for each in reaches},
    }
    return Findings(**{**values, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "kind", "keeps_port"),
    [
        ([OWN, OWN], Mapping.OPEN, True),
        ([PUBLIC], Mapping.UNKNOWN, True),
        ([PUBLIC, PUBLIC], Mapping.INDEPENDENT, True),
        ([Endpoint(PUBLIC.host, 40000)] * 2, Mapping.INDEPENDENT, False),
        ([PUBLIC, Endpoint(PUBLIC.host, 40000)], Mapping.RANDOM, False),
        ([PUBLIC, Endpoint(PUBLIC.host, 9994)], Mapping.SEQUENTIAL, False),
    ],
)
def test_nat_is_told_by_where_planets_see_us(
    seen: list[Endpoint],
    kind: Mapping,
    keeps_port: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    reaches = [reach(number, observed) for number, observed in enumerate(seen, 1)]
    found = outside(reaches, (OWN,), family=4)
    assert found == Outside(kind, keeps_port, tuple(dict.fromkeys(seen)))
    assert outside(reaches, (OWN,), family=6) is None


def test_host_without_ipv4_and_nat64_hears_what_follows() -> None:
    (advice,) = advise(findings(reach(1), reach(2), lacks_ipv4=True))
    assert "no NAT64 prefix" in advice


def test_nothing_to_advise_when_all_is_well() -> None:
    assert advise(findings(reach(1), reach(2))) == ()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (findings(reach(1, None), reach(2, None), tcp="open"), "a firewall drops UDP"),
        (findings(reach(1, None), reach(2, None), tcp="refused"), "is not running there"),
        (findings(reach(1, None), reach(2, None)), "nothing answers"),
        (findings(reach(1, None), reach(2, None), local=()), "is the network up?"),
        (findings(reach(1), reach(2, None)), "1 of 2 planets do not answer"),
        (findings(reach(1)), "one planet only"),
        (findings(reach(1, rtts_ms=(20.0,)), reach(2, None)), "80 % of the probes"),
        (findings(reach(1, rtts_ms=(300.0,) * 5)), "300 ms away"),
        (findings(reach(1), reach(2, Endpoint(PUBLIC.host, 5))), "symmetric NAT"),
        (findings(has_world=False), "no world"),
        (findings(reach(1), reach(2), is_direct_allowed=False), "--relay-only"),
        (findings(reach(1), reach(2), filtered=("wwan0",)), "net.ipv4.conf.wwan0.rp_filter=2"),
        (
            findings(
                reach(1), reach(2, OWN6, endpoint=Endpoint("2001:db8::1", 9993)), local=(OWN, OWN6)
            ),
            "IPv6 works without a NAT",
        ),
    ],
)
def test_advice_names_what_is_wrong(found: Findings, words: str) -> None:
    assert any(words in sentence for sentence in advise(found)), advise(found)


def test_a_family_that_the_host_has_not_is_no_silence() -> None:
    other = reach(1, None, endpoint=Endpoint("2001:db8::1", 9993))
    assert udp_state(other, findings(other)) == "no_address"
    assert udp_state(other, findings(other, local=(OWN6,))) == "silent"
    asleep = reach(1, None, is_live=False)
    assert udp_state(asleep, findings(asleep)) == "no_session"
    assert udp_state(reach(1), findings(reach(1))) == "answers"
