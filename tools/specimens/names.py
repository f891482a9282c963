"""What things are called: identities, addresses, network IDs, MACs, and the key of an index."""

from collections.abc import Iterator

from l2mesh import address
from l2mesh.identity import Identity, address_of, signature_input
from l2mesh.session import keys
from tools.specimens.cast import CRYPTO, Case, address_for, identity, network, plain, stream

__all__ = ["address_cases", "identity_cases", "keys_cases"]


def identity_cases() -> Iterator[Case]:
    for label in ("alice", "bob", "carol"):
        yield _identity_case(identity(label))
    yield _identity_case(_inadmissible())
    public = bytearray(identity("alice").public.encode())
    yield {"invalid": "127 bytes", "public": public[:127].hex()}
    public[-1] ^= 1
    yield {"invalid": "the binding does not verify", "public": public.hex()}


def _inadmissible() -> Identity:
    draw = stream("l2mesh identity inadmissible")
    while True:
        found = Identity.from_keys(draw(32), draw(32), CRYPTO)
        if address_of(found.fingerprint, CRYPTO) is None:
            return found


def _identity_case(one: Identity) -> Case:
    own_address = address_of(one.fingerprint, CRYPTO)
    return {
        "exchange_private": one.exchange_private.hex(),
        "signing_seed": one.signing_secret[:32].hex(),
        "binding_input": signature_input("identity", 0, one.public.exchange).hex(),
        "public": one.public.encode().hex(),
        "public_text": one.public.text(),
        "fingerprint": one.fingerprint.hex(),
        "fingerprint_text": address.format_fingerprint(one.fingerprint),
        "argon2id": CRYPTO.address_hash(one.fingerprint).hex(),
        "address": plain(own_address),
        "secret_file": one.encode_secret().hex(),
    }


def address_cases() -> Iterator[Case]:
    for label, number, salt in (("carol", 1, 0), ("carol", 1, 1), ("bob", 2**24 - 1, 255)):
        controller = address_for(label)
        network_id = address.network_id(controller, number)
        mac = address.derive_mac(network_id, address_for("alice"), salt)
        yield {
            "controller": controller.hex(),
            "number": number,
            "network": network_id,
            "network_text": address.format_network_id(network_id),
            "member": address_for("alice").hex(),
            "salt": salt,
            "mac": mac.hex(),
            "mac_text": address.format_mac(mac),
        }
    yield {"invalid": "15 digits", "network_text": "89e92ceee500000"}
    yield {"invalid": "number 0", "network_text": "89e92ceee5000000"}
    yield {"invalid": "address 0", "network_text": "0000000000000001"}
    yield {"invalid": "address begins with ff", "network_text": "ff00000000000001"}
    yield {"invalid": "not hex", "network_text": "89e92ceee500000g"}


def keys_cases() -> Iterator[Case]:
    draw = stream("l2mesh keys")
    for network_id, lane, index in (
        (0, 0, 1),
        (network(), 0, 0x020001),
        (2**64 - 1, 255, 2**24 - 1),
    ):
        direction_key = draw(32)
        derived = keys.derive(direction_key, network_id, lane, index)
        yield {
            "direction_key": direction_key.hex(),
            "network": network_id,
            "lane": lane,
            "index": index,
            "key": derived.key.hex(),
            "salt": derived.salt.hex(),
        }
