"""What a controller signs: memberships, the configuration of a network, revocations."""

from collections.abc import Iterator

from l2mesh import address
from l2mesh.credential.config import Bpdu, Guard, NetworkConfig, Route, seal_config
from l2mesh.credential.membership import MembershipCredential, seal_membership
from l2mesh.credential.revocation import Revocations, Revoked, seal_revocations
from l2mesh.identity import signature_input
from l2mesh.wire.body import pack_value, unpack_value
from tools.specimens.cast import CRYPTO, Case, address_for, identity, network, plain

__all__ = ["config", "credential", "revocations", "signed_cases"]


def credential(label: str) -> MembershipCredential:
    return MembershipCredential(
        network=network(),
        fingerprint=identity(label).fingerprint,
        address=address_for(label),
        mac=address.derive_mac(network(), address_for(label), 0),
        name=label,
        addresses=("10.9.0.1/24", "fd00::1/64"),
        rights=("bridge", "router"),
        groups=("servers",),
        tags={"site": "attic"},
        serial=2,
        epoch=1,
        expires=2_000_000_000,
    )


def config() -> NetworkConfig:
    return NetworkConfig(
        network=network(),
        revision=4,
        name="home",
        mtu=1400,
        pools=("10.9.0.0/24",),
        routes=(Route("192.168.7.0/24", "10.9.0.1"), Route("fd01::/64", None)),
        dns=("10.9.0.53",),
        guard=Guard.STRICT,
        broadcast=100,
        multicast="pass",
        unknown_unicast="drop",
        arp=1000,
        nd="pass",
        discovery="drop",
        bpdu=Bpdu.PASS,
        snooping=False,
        querier=False,
        unknown_groups="drop",
        public=True,
    )


def revocations() -> Revocations:
    names = sorted(identity(label).fingerprint for label in ("alice", "bob"))
    revoked = tuple(Revoked(name, serial) for serial, name in enumerate(names))
    return Revocations(network=network(), revision=3, minimum_epoch=1, revoked=revoked)


def signed_cases() -> Iterator[Case]:
    carol = identity("carol")
    for kind, body, signed in (
        ("credential", credential("alice"), seal_membership(credential("alice"), carol, CRYPTO)),
        ("config", config(), seal_config(config(), carol, CRYPTO)),
        ("config", _plain_config(), seal_config(_plain_config(), carol, CRYPTO)),
        ("revocations", revocations(), seal_revocations(revocations(), carol, CRYPTO)),
    ):
        exact = unpack_value(signed)[1]
        case = {"kind": kind, "network": network(), "signer": carol.public.encode().hex()}
        fields = plain(body) | {"issuer": carol.fingerprint[:8].hex()}
        yield case | {
            "fields": fields,
            "signature_input": signature_input(kind, network(), exact).hex(),
            "object": signed.hex(),
        }
        other = identity("bob").public.encode().hex()
        yield case | {"signer": other, "invalid": "another signer", "object": signed.hex()}
        yield case | {"network": 5, "invalid": "another network", "object": signed.hex()}
    yield from _wrong_bodies()


def _plain_config() -> NetworkConfig:
    return NetworkConfig(network=network(), revision=1)


def _wrong_bodies() -> Iterator[Case]:
    """Truly signed, and still refused for what they say."""
    carol, head = identity("carol"), {"version": 1, "issuer": identity("carol").fingerprint[:8]}
    good = head | {"network": network(), "revision": 1}
    for reason, body in {
        "version 2": good | {"version": 2},
        "a delegation": good | {"delegation": b"x"},
        "another issuer": good | {"issuer": bytes(8)},
        "the network of another": good | {"network": network() + 1},
        "an unknown critical key": good | {"rule": 1, "critical": ["rule"]},
        "a prefix with host bits": good | {"pools": ["10.9.0.1/24"]},
        "MTU 575": good | {"mtu": 575},
    }.items():
        exact = pack_value(body)
        signature = carol.sign("config", network(), exact, CRYPTO)
        yield {
            "kind": "config",
            "network": network(),
            "signer": carol.public.encode().hex(),
            "invalid": reason,
            "object": pack_value(["config", exact, signature]).hex(),
        }
