# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks the attestation of a security key's maker, as `ssh-keygen -O write-attestation` writes it. Pure.

Its format is defined in OpenSSH's PROTOCOL.u2f; the signed data in WebAuthn, section 8.2 (packed attestation).
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import typing as t

from ansible_collections.fleet.auth.plugins.module_utils._wanted.security_key import ED25519, SecurityKey, fields

_is_missing = False
try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError:
    _is_missing = True

_MAGIC = b"ssh-sk-attest-v01"
_OLD_MAGIC = b"ssh-sk-attest-v00"
_FLAGS, _HEAD = 32, 37
"""In the authenticator data, the offset of the flags, and of the attested credential data; WebAuthn, section 6.1."""
_PRESENT, _VERIFIED, _WITH_KEY = 0x01, 0x04, 0x40
_LONGEST_CHAIN = 5
_RAW = 0x40
"""The major type of byte strings in CBOR, RFC 8949, section 3.1."""


class AttestationError(ValueError):
    """The attestation does not show what it should; the text says why, as the end of a sentence."""


class Attested(t.NamedTuple):
    """What an attestation shows."""

    by: str
    """The name of the authority in whose certificate the chain ends."""
    model: str
    """The AAGUID, which all devices of a model share; see FIDO's metadata service."""
    verified: bool
    """Whether the device asked for a PIN, or something like it, when the key was made."""


def check(
    key: SecurityKey, attestation: bytes, challenge: bytes, authorities: bytes, now: datetime.datetime
) -> Attested:
    """Check that the key was made by a device whose maker is vouched for by one of the authorities.

    :param attestation: the file that ssh-keygen wrote.
    :param challenge: the one that was given to ssh-keygen; it is part of what was signed.
    :param authorities: certificates in PEM.
    :param now: a time with its zone.
    :raises AttestationError: if it was not, or if that cannot be checked.
    """
    if _is_missing or not hasattr(x509.Certificate, "not_valid_before_utc"):
        raise AttestationError(
            "cannot be checked: the controller needs the Python library cryptography, 42 or later "
            "(pip install cryptography)"
        )
    leaf, signature, data = _parts(attestation)
    _check_key(key, data)
    try:
        certificate = x509.load_der_x509_certificate(leaf)
        roots = x509.load_pem_x509_certificates(authorities)
    except ValueError:
        raise AttestationError("cannot be checked: a certificate of it, or of the authorities, is damaged") from None
    public = certificate.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise AttestationError("is signed by a key that is not ECDSA, unlike those of security keys")
    try:
        public.verify(signature, data + hashlib.sha256(challenge).digest(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise AttestationError("has a wrong signature: it belongs to another key, or to another challenge") from None
    return Attested(_vouching_authority(certificate, roots, now), _model(data), bool(data[_FLAGS] & _VERIFIED))


def _parts(attestation: bytes) -> tuple[bytes, bytes, bytes]:
    """The certificate, the signature and the authenticator data. Raises AttestationError."""
    try:
        parts = fields(attestation, 4) or [b""]
    except ValueError:
        parts = [b""]
    if parts[0] == _OLD_MAGIC:
        raise AttestationError("was written by an OpenSSH before 8.5, which leaves out what was signed")
    if parts[0] != _MAGIC or len(parts) < 4:
        raise AttestationError("is not a file that ssh-keygen -O write-attestation wrote")
    _magic, leaf, signature, wrapped = parts[:4]
    if not leaf or not signature:
        raise AttestationError("has no certificate: the device does not say who made it")
    return leaf, signature, _unwrapped(wrapped)


def _unwrapped(data: bytes) -> bytes:
    """The bytes in a byte string of CBOR, as libfido2 hands authenticator data out. Raises AttestationError."""
    kind, length = (data[0] & 0xE0, data[0] & 0x1F) if data else (0, 0)
    more = {24: 1, 25: 2}.get(length, 0)
    length = int.from_bytes(data[1 : 1 + more], "big") if more else length
    inside = data[1 + more :]
    if kind != _RAW or len(inside) != length or length <= _HEAD:
        raise AttestationError("is damaged: it has no authenticator data")
    return inside


def _check_key(key: SecurityKey, data: bytes) -> None:
    """Check that the authenticator data is about this key. Raises AttestationError."""
    _type, *points, application = fields(base64.b64decode(key.blob))
    if data[:_FLAGS] != hashlib.sha256(application).digest():
        raise AttestationError("is for another application than the key")
    flags = data[_FLAGS]
    if not flags & _PRESENT or not flags & _WITH_KEY:
        raise AttestationError("does not show that somebody has touched the device for a new key")
    start = _HEAD + 18
    identifier = int.from_bytes(data[start - 2 : start], "big")
    # CTAP2 allows only one encoding of a key, so the bytes can be compared.
    if key.type == ED25519:
        wanted = bytes.fromhex("a4010103272006215820") + points[0]
    else:
        point = points[1]
        wanted = bytes.fromhex("a5010203262001215820") + point[1:33] + bytes.fromhex("225820") + point[33:]
    if data[start + identifier : start + identifier + len(wanted)] != wanted:
        raise AttestationError("is for another key")


def _model(data: bytes) -> str:
    return data[_HEAD : _HEAD + 16].hex()


def _vouching_authority(
    certificate: x509.Certificate, authorities: t.Sequence[x509.Certificate], now: datetime.datetime
) -> str:
    """The name of the authority in whose certificate the chain from this one ends. Raises AttestationError.

    The chain ends at the first certificate that is self-signed, or whose issuer is not among the authorities.
    """
    name = certificate.issuer.rfc4514_string()
    current = certificate
    for _step in range(_LONGEST_CHAIN):
        issuers = [one for one in authorities if _has_issued(one, current)]
        if not issuers:
            break
        _check_dates(current, now)
        _check_dates(issuers[0], now)
        if issuers[0] == current:
            break
        current = issuers[0]
    if current == certificate:
        raise AttestationError(f"is signed by {name!r}, which none of the authorities vouches for")
    return current.subject.rfc4514_string()


def _has_issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether a certificate that may sign others has signed this one."""
    try:
        if not authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError, x509.ExtensionNotFound):
        return False
    return True


def _check_dates(certificate: x509.Certificate, now: datetime.datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        name = certificate.subject.rfc4514_string()
        raise AttestationError(f"depends on the certificate {name!r}, which is out of date")
