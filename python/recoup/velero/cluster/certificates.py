"""Until when a certificate is good: kubeadm's run out after a year, and then the API server only says "Unauthorized"."""

from __future__ import annotations

import ssl
from datetime import datetime, timezone
from pathlib import Path

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def expiry_of(file: str | Path) -> datetime | None:
    """The first certificate of a PEM file. None: it cannot be read."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    try:
        text = Path(file).read_text(encoding="ascii", errors="replace")
        pem = text[text.index(begin) : text.index(end) + len(end)]
        return _expiry(ssl.PEM_cert_to_DER_cert(pem))
    except (OSError, ValueError, IndexError):
        return None


def _expiry(certificate: bytes) -> datetime:
    """Certificate ::= SEQUENCE { SEQUENCE { [0] version, serialNumber, signature, issuer, validity { notBefore, notAfter }, … (RFC 5280)."""
    _, whole, _ = _element(certificate, 0)
    _, body, _ = _element(whole, 0)
    kind, _, position = _element(body, 0)
    if kind == _VERSION:
        _, _, position = _element(body, position)
    for _ in ("signature", "issuer"):
        _, _, position = _element(body, position)
    kind, validity, _ = _element(body, position)
    if kind != _SEQUENCE:
        raise ValueError("no certificate")
    _, _, position = _element(validity, 0)
    kind, time, _ = _element(validity, position)
    if kind not in (_UTC_TIME, _GENERALIZED_TIME):
        raise ValueError("no certificate")
    return datetime.strptime(time.decode("ascii"), "%y%m%d%H%M%SZ" if kind == _UTC_TIME else "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)


def _element(content: bytes, position: int) -> tuple[int, bytes, int]:
    """Tag, value, and where the next element begins (DER)."""
    tag, size = content[position], content[position + 1]
    position += 2
    if size & 0x80:
        digits = size & 0x7F
        size = int.from_bytes(content[position : position + digits], "big")
        position += digits
    if position + size > len(content):
        raise ValueError("cut off")
    return tag, content[position : position + size], position + size
