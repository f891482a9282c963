"""The certificate for TLS: made at the first start, signed by itself, checked by nobody.

Who a planet is comes from the handshake inside. TLS only looks like what firewalls let pass.
"""

from __future__ import annotations

import datetime as dt
import ssl
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from l2mesh.errors import ConfigError
from l2mesh.service.state import StateDirectory

__all__ = ["tls_context"]

FILE: Final = "tls.pem"
"""Key and certificate; an operator may put others there, for instance of a name that he owns."""
NAME: Final = "l2mesh planet"
LIFE: Final = dt.timedelta(days=365 * 50)


def tls_context(state: StateDirectory) -> ssl.SSLContext:
    """TLS as a server; ConfigError when the file holds no key and certificate."""
    if state.read(FILE) is None:
        state.write(FILE, _make())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(state.path / FILE)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{state.path / FILE} holds no key and certificate: {error}",
            hint="remove it, and another is made at the next start",
        ) from error
    return context


def _make() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + LIFE)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
