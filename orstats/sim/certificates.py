"""Certificates of a private authority, as companies use them, for the simulator's TLS port."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

CertificateKind = Literal["valid", "expired", "wrong-host"]

_CA_FILE, _SERVER_FILE = "ca.pem", "server.pem"


def create_tls_context(folder: Path, kind: CertificateKind) -> tuple[ssl.SSLContext, Path]:
    """Write an authority and a server certificate that it signed to ``folder``.

    Returns the server's context, and the authority's certificate, which clients must trust.
    """
    try:
        from cryptography import x509  # noqa: PLC0415 - an extra, and only needed for TLS
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - same
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - same
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415 - same
    except ImportError as error:
        raise ImportError("The simulator's TLS port requires cryptography: pip install 'orstats[sim]'") from error

    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Northwind Traders Private CA")])
    ca_key_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    issued = x509.CertificateBuilder().issuer_name(ca_name).not_valid_before(now - timedelta(days=30))
    signs = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    ) | {"decipher_only": False}
    ca = (
        issued.subject_name(ca_name)
        .serial_number(x509.random_serial_number())
        .public_key(ca_key.public_key())
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **signs), critical=True)
        .add_extension(ca_key_id, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names: list[x509.GeneralName] = [x509.DNSName("api.elsewhere.example")]
    if kind != "wrong-host":
        names = [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(ip)) for ip in ("127.0.0.1", "::1"))]
    server = (
        issued.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "orstats simulator")]))
        .serial_number(x509.random_serial_number())
        .public_key(server_key.public_key())
        .not_valid_after(now + timedelta(days=-1 if kind == "expired" else 365))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_key_id), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / _CA_FILE).write_bytes(ca.public_bytes(pem))
    (folder / _SERVER_FILE).write_bytes(server.public_bytes(pem) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / _SERVER_FILE)
    return context, folder / _CA_FILE
