"""Certificates for the tests: an authority, and servers' certificates that are good, self-signed, expired, or for another name.

    made = Certificates(folder)
    made.valid, made.self_signed, made.expired, made.not_yet, made.wrong_host    # each a Certificate
    made.authority                                                    # the authority's own, as a file for --cacert
    made.client, made.client_combined                                 # for servers that ask who is calling; restic's --tls-client-cert
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import ipaddress
import pathlib
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclasses.dataclass(frozen=True)
class Certificate:
    """PEM files: what the server shows, its key, and what a client must trust to believe it."""

    chain: pathlib.Path
    key: pathlib.Path
    authority: pathlib.Path | None

    def server_context(self, ask_for: pathlib.Path | None = None) -> ssl.SSLContext:
        """`ask_for`: an authority; clients must show a certificate that it signed."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        if ask_for is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(ask_for)
        return context


class Certificates:
    """Made when first asked for, in `folder`."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._now = datetime.datetime.now(datetime.timezone.utc)
        self._key, self._certificate = self._authority("recoup's test authority")
        self.authority = self._write("authority.pem", self._certificate.public_bytes(serialization.Encoding.PEM))

    # -- what servers show

    @functools.cached_property
    def valid(self) -> Certificate:
        return self._signed("valid", days=(-1, 30))

    @functools.cached_property
    def expired(self) -> Certificate:
        return self._signed("expired", days=(-30, -1))

    @functools.cached_property
    def not_yet(self) -> Certificate:
        return self._signed("not-yet", days=(10, 30))

    @functools.cached_property
    def wrong_host(self) -> Certificate:
        return self._signed("wrong-host", days=(-1, 30), names=[x509.DNSName("backups.example.org")])

    @functools.cached_property
    def self_signed(self) -> Certificate:
        """Good for its address, signed by nobody else: what MinIO's own instructions make. Trusted by naming it itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._build("self-signed", key.public_key(), (-1, 30), _HERE, None).sign(key, hashes.SHA256())
        chain = self._write("self-signed.pem", made.public_bytes(serialization.Encoding.PEM))
        return Certificate(chain, self._write_key("self-signed", key), chain)

    @functools.cached_property
    def unknown_authority(self) -> pathlib.Path:
        """Another authority of the same name, which signed nothing."""
        _, other = self._authority("recoup's test authority")
        return self._write("unknown-authority.pem", other.public_bytes(serialization.Encoding.PEM))

    # -- what clients show

    @functools.cached_property
    def client(self) -> Certificate:
        return self._signed("client", days=(-1, 30), usage=ExtendedKeyUsageOID.CLIENT_AUTH)

    @property
    def client_combined(self) -> pathlib.Path:
        """Certificate and key in one file, as restic's --tls-client-cert takes them."""
        return self._write("client-combined.pem", self.client.chain.read_bytes() + self.client.key.read_bytes())

    # -- making them

    def _authority(self, name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        may = x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
                            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False)
        made = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(self._now - datetime.timedelta(days=60))
                .not_valid_after(self._now + datetime.timedelta(days=60)).add_extension(x509.BasicConstraints(True, 0), critical=True)
                .add_extension(may, critical=True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False).sign(key, hashes.SHA256()))
        return key, made

    def _build(self, name, public_key, days, names, issuer, usage=ExtendedKeyUsageOID.SERVER_AUTH) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        begin, end = (self._now + datetime.timedelta(days=d) for d in days)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject).public_key(public_key)
                .serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)
                .add_extension(x509.BasicConstraints(False, None), critical=True).add_extension(x509.SubjectAlternativeName(names), critical=False)
                .add_extension(x509.ExtendedKeyUsage([usage]), critical=False))

    def _signed(self, name: str, days: tuple[int, int], names=None, usage=ExtendedKeyUsageOID.SERVER_AUTH) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        made = (self._build(name, key.public_key(), days, names or _HERE, self._certificate.subject, usage)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
                .sign(self._key, hashes.SHA256()))
        chain = self._write(f"{name}.pem", made.public_bytes(serialization.Encoding.PEM))
        return Certificate(chain, self._write_key(name, key), self.authority)

    def _write_key(self, name: str, key: ec.EllipticCurvePrivateKey) -> pathlib.Path:
        raw = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return self._write(f"{name}.key", raw)

    def _write(self, name: str, raw: bytes) -> pathlib.Path:
        (self.folder / name).write_bytes(raw)
        return self.folder / name


_HERE = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
