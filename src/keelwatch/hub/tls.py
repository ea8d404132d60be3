"""A CA that the hub makes once and keeps, and the server certificate it makes from that.

Agents trust the CA, so it must survive restarts and upgrades: what is broken or half there is an
error for a person, never a reason for a new one. The server's certificate is made again whenever
its names change or its end comes near.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keelwatch.hub.settings import SettingsError
from keelwatch.ingest.auth import write_private

_log = logging.getLogger(__name__)

CA_LIFE = timedelta(days=3653)
SERVER_LIFE = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
BACKDATED = timedelta(days=1)
"""Clocks of nodes may be behind the hub's."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA: its certificate and key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """What agents trust."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as openssl and browsers show it."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


class AutoTls:
    """Certificates in `folder`: ca.crt, ca.key, server.crt, server.key (0600). Raises SettingsError."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self._names = tuple(dict.fromkeys((*names, *_LOOPBACK)))
        self.authority = _authority(folder / "ca.crt", folder / "ca.key")
        self.renew()

    @property
    def cert(self) -> Path:
        """The server's chain."""
        return self.folder / "server.crt"

    @property
    def key(self) -> Path:
        """The server's key."""
        return self.folder / "server.key"

    def renew(self) -> bool:
        """Make the server's certificate if it has to be made; return whether it was."""
        reason = self._reason()
        if not reason:
            return False
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _server(self.authority, key, self._names)
        write_private(self.key, _private(key))
        write_private(self.cert, certificate.public_bytes(serialization.Encoding.PEM))
        _log.info("made a server certificate for %s: %s", ", ".join(self._names), reason)
        return True

    def _reason(self) -> str:
        """Why the certificate that is there will not do; empty if it will."""
        if not (self.cert.exists() and self.key.exists()):
            return "there was none"
        try:
            known = x509.load_pem_x509_certificate(self.cert.read_bytes())
            known.verify_directly_issued_by(self.authority.certificate)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.cert, self.key)
        except Exception as error:  # the library names no common ancestor of what it raises
            return f"the old one cannot be used ({error})"
        if known.not_valid_after_utc - datetime.now(UTC) < RENEW_BEFORE:
            return f"the old one ends on {known.not_valid_after_utc:%Y-%m-%d}"
        return "" if _names_of(known) == set(map(_comparable, self._names)) else "the names changed"


def _authority(certificate: Path, key: Path) -> Authority:
    if not certificate.exists() and not key.exists():
        made = _new_authority()
        _keep(made, certificate.parent)
        _log.info("made a CA, kept in %s; SHA-256 %s", certificate, made.fingerprint)
        return made
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(_broken(certificate, key, str(error))) from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != found.public_key():
        raise SettingsError(_broken(certificate, key, "they do not belong together"))
    return Authority(found, private)


def _keep(authority: Authority, folder: Path) -> None:
    """Both files appear at once, so that a kill leaves no half of them."""
    beside = folder.with_name(folder.name + ".new")
    write_private(beside / "ca.key", _private(authority.key))
    write_private(beside / "ca.crt", authority.pem.encode())
    beside.replace(folder)


def _broken(certificate: Path, key: Path, why: str) -> str:
    return (
        f"--tls-auto: {certificate} and {key}: {why}; bring both back from a backup, or delete both: "
        "then a new CA is made, and every agent and reader has to be given it"
    )


def _new_authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"keelwatch hub CA {serial % 0x1000000:06x}")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), serial, now - BACKDATED, now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def _server(authority: Authority, key: ec.EllipticCurvePrivateKey, names: Sequence[str]) -> x509.Certificate:
    now = datetime.now(UTC)
    end = min(now + SERVER_LIFE, authority.certificate.not_valid_after_utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return (
        x509.CertificateBuilder(
            authority.certificate.subject,
            subject,
            key.public_key(),
            x509.random_serial_number(),
            now - BACKDATED,
            end,
        )
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(authority.key, hashes.SHA256())
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name.encode("idna").decode("ascii"))
    except UnicodeError as error:
        raise SettingsError(f"--tls-name {name!r} is neither a host name nor an address") from error


def _comparable(name: str) -> str:
    return str(_general(name).value)


def _names_of(certificate: x509.Certificate) -> set[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {str(name.value) for name in found.value}


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
