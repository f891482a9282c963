"""What the cryptographic base costs in Python: `python -m tools.benchmark.primitives`."""

import hmac
import os
import timeit
from collections.abc import Callable, Iterable
from functools import partial

import nacl.bindings as sodium

from l2mesh.crypto import Cipher, SodiumCrypto, hmac_blake2s
from l2mesh.session.noise import IKPSK2, HandshakeState, Role
from l2mesh.session.replay import ReplayWindow

PACKET_BYTES = 1414
CRYPTO = SodiumCrypto()


def report(name: str, call: Callable[[], object], *, number: int, units: int = 1) -> None:
    """Prints the best of nine rounds, in microseconds for one of `units`."""
    best = min(timeit.repeat(call, number=number, repeat=9))
    print(f"{name:48s} {best / number / units * 1e6:9.2f} us")


def bench_aead() -> None:
    key, salt, aad, text = os.urandom(32), os.urandom(4), os.urandom(8), os.urandom(PACKET_BYTES)
    nonce = salt + bytes(8)
    bindings = {
        Cipher.AES_256_GCM: sodium.crypto_aead_aes256gcm_encrypt,
        Cipher.CHACHA20_POLY1305: sodium.crypto_aead_chacha20poly1305_ietf_encrypt,
    }
    for cipher, encrypt in bindings.items():
        if cipher is Cipher.AES_256_GCM and not CRYPTO.has_aes():
            continue
        end = CRYPTO.transport(cipher, key, salt)
        sealed = end.seal(0, aad, text)
        size = f"{cipher.name}, {PACKET_BYTES} bytes"
        report(f"seal {size}", partial(end.seal, 0, aad, text), number=20_000)
        report(f"open {size}", partial(end.open, 0, aad, sealed), number=20_000)
        report(
            f"PyNaCl's binding, {size}",
            partial(encrypt, text, aad, nonce, key),
            number=5_000,
        )


def bench_hashes() -> None:
    key, data = os.urandom(32), os.urandom(33)
    report("hmac_blake2s", lambda: hmac_blake2s(key, data), number=20_000)
    report("hmac.digest by name", lambda: hmac.digest(key, data, "blake2s"), number=20_000)
    report("address_hash", lambda: CRYPTO.address_hash(key), number=20)


def bench_signatures() -> None:
    secret, public = CRYPTO.ed25519_from_seed(os.urandom(32))
    message = os.urandom(200)
    signature = CRYPTO.sign(secret, message)
    report("Ed25519 sign", lambda: CRYPTO.sign(secret, message), number=500)
    report("Ed25519 verify", lambda: CRYPTO.verify(public, message, signature), number=500)


def bench_handshake() -> None:
    alice, bob = CRYPTO.generate_x25519(os.urandom), CRYPTO.generate_x25519(os.urandom)
    report("X25519", lambda: CRYPTO.dh(alice.private, bob.public), number=500)
    payload, psk = bytes(160), bytes(32)

    def shake() -> None:
        ours = HandshakeState(
            CRYPTO,
            IKPSK2,
            Role.INITIATOR,
            random=os.urandom,
            static=alice,
            remote_static=bob.public,
            psk=psk,
        )
        theirs = HandshakeState(
            CRYPTO, IKPSK2, Role.RESPONDER, random=os.urandom, static=bob, psk=psk
        )
        theirs.read_message(ours.write_message(payload))
        ours.read_message(theirs.write_message(payload))
        ours.split()
        theirs.split()

    report("IKpsk2 handshake, both sides", shake, number=100)


def pump(counters: Iterable[int]) -> None:
    window = ReplayWindow()
    check, commit = window.check, window.commit
    for counter in counters:
        if check(counter):
            commit(counter)


def bench_replay() -> None:
    count = 50_000
    swapped = [number ^ 1 for number in range(count)]
    replayed = [*range(1000), *(list(range(1000)) * (count // 1000))]
    report("replay window, in order", lambda: pump(range(count)), number=1, units=count)
    report("replay window, every pair swapped", lambda: pump(swapped), number=1, units=count)
    report("replay window, replays", lambda: pump(replayed), number=1, units=len(replayed))


def main() -> None:
    bench_aead()
    bench_hashes()
    bench_signatures()
    bench_handshake()
    bench_replay()


if __name__ == "__main__":
    main()
