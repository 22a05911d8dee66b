# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attestations of security keys by their makers, and the playbook that collects keys."""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
import typing as t
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

import preloaded
from ansible_collections.fleet.auth.plugins.module_utils._wanted.security_key import (
    ECDSA,
    ED25519,
    SecurityKey,
    decode_key,
)
from ansible_collections.fleet.auth.plugins.plugin_utils._attestation import AttestationError, check

NOW = datetime.datetime(2026, 11, 28, tzinfo=datetime.UTC)
YEAR = datetime.timedelta(days=365)
CHALLENGE = b"chosen by whoever asks"
MODEL = bytes(range(16))
PRESENT, VERIFIED, WITH_KEY = 0x01, 0x04, 0x40


def string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


class Authority(t.NamedTuple):
    """An issuer of certificates, or a device."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


@functools.cache
def authority(
    name: str, by: Authority | None = None, *, ca: bool = True, until: datetime.datetime = NOW + YEAR
) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - 2 * YEAR)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .sign(by.key if by else key, hashes.SHA256())
    )
    return Authority(key, made)


@functools.cache
def keys() -> tuple[tuple[SecurityKey, bytes], tuple[SecurityKey, bytes]]:
    """One key of each type, with its COSE form as a device has it."""
    application = string(b"ssh:")
    edwards = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
    first = string(ED25519.encode()) + string(edwards) + application
    second = string(ECDSA.encode()) + string(b"nistp256") + string(b"\x04" + x + y) + application
    return (
        (
            decode_key(f"{ED25519} {base64.b64encode(first).decode()} blue"),
            bytes.fromhex("a4010103272006215820") + edwards,
        ),
        (
            decode_key(f"{ECDSA} {base64.b64encode(second).decode()} nist"),
            bytes.fromhex("a5010203262001215820") + x + bytes.fromhex("225820") + y,
        ),
    )


def attestation(
    cose: bytes,
    device: Authority,
    *,
    application: bytes = b"ssh:",
    flags: int = PRESENT | VERIFIED | WITH_KEY,
    challenge: bytes = CHALLENGE,
    magic: bytes = b"ssh-sk-attest-v01",
    leaf: bytes | None = None,
) -> bytes:
    """The attestation file that ssh-keygen writes from a device's data."""
    data = (
        hashlib.sha256(application).digest()
        + bytes([flags])
        + bytes(4)
        + MODEL
        + (3).to_bytes(2, "big")
        + b"abc"
        + cose
    )
    signature = device.key.sign(data + hashlib.sha256(challenge).digest(), ec.ECDSA(hashes.SHA256()))
    wrapped = b"\x58" + bytes([len(data)]) + data
    der = device.certificate.public_bytes(Encoding.DER) if leaf is None else leaf
    return string(magic) + string(der) + string(signature) + string(wrapped) + bytes(4) + string(b"")


ROOT = authority("Root")
MAKER = authority("Maker", ROOT)
DEVICE = authority("Device", MAKER, ca=False)


class TestAttestation:
    @pytest.mark.parametrize("number", [0, 1])
    def test_shows_the_maker_and_the_model(self, number: int) -> None:
        key, cose = keys()[number]
        found = check(key, attestation(cose, DEVICE), CHALLENGE, ROOT.pem + MAKER.pem, NOW)
        assert found == ("CN=Root", MODEL.hex(), True)
        assert check(key, attestation(cose, DEVICE), CHALLENGE, MAKER.pem, NOW).by == "CN=Maker"
        assert not check(key, attestation(cose, DEVICE, flags=PRESENT | WITH_KEY), CHALLENGE, MAKER.pem, NOW).verified

    @pytest.mark.parametrize(
        ("made", "authorities", "why"),
        [
            (lambda _cose: b"", MAKER.pem, "is not a file that ssh-keygen -O write-attestation wrote"),
            (lambda _cose: b"-----BEGIN", MAKER.pem, "is not a file that ssh-keygen -O write-attestation wrote"),
            (lambda cose: attestation(cose, DEVICE, magic=b"ssh-sk-attest-v00"), MAKER.pem, "before 8.5"),
            (lambda cose: attestation(cose, DEVICE)[:-60], MAKER.pem, "is not a file that ssh-keygen"),
            (lambda cose: attestation(cose, DEVICE, leaf=b""), MAKER.pem, "has no certificate"),
            (
                lambda cose: attestation(cose, DEVICE, leaf=b"x"),
                MAKER.pem,
                "a certificate of it, or of the authorities",
            ),
            (lambda cose: attestation(cose, DEVICE), b"nothing", "a certificate of it, or of the authorities"),
            (lambda cose: attestation(cose, DEVICE, application=b"ssh:x"), MAKER.pem, "is for another application"),
            (
                lambda cose: attestation(cose, DEVICE, flags=WITH_KEY),
                MAKER.pem,
                "somebody has touched the device for a new key",
            ),
            (
                lambda cose: attestation(cose, DEVICE, flags=PRESENT),
                MAKER.pem,
                "does not show that somebody has touched",
            ),
            (lambda _cose: attestation(keys()[1][1], DEVICE), MAKER.pem, "is for another key"),
            (lambda cose: attestation(cose, DEVICE, challenge=b"another"), MAKER.pem, "has a wrong signature"),
            (
                lambda cose: attestation(cose, DEVICE),
                ROOT.pem,
                "is signed by 'CN=Maker', which none of the authorities",
            ),
            (
                lambda cose: attestation(cose, authority("Self-made", ca=False)),
                authority("Self-made", ca=False).pem,
                "which none of the authorities vouches for",
            ),
            (
                lambda cose: attestation(cose, authority("Below a device", DEVICE, ca=False)),
                DEVICE.pem + MAKER.pem,
                "which none of the authorities vouches for",
            ),
            (
                lambda cose: attestation(cose, authority("Forged", authority("Maker"), ca=False)),
                MAKER.pem,
                "which none of the authorities vouches for",
            ),
            (
                lambda cose: attestation(cose, authority("Device", MAKER, ca=False, until=NOW - YEAR)),
                MAKER.pem,
                "depends on the certificate 'CN=Device', which is out of date",
            ),
        ],
    )
    def test_is_refused(self, made: t.Callable[[bytes], bytes], authorities: bytes, why: str) -> None:
        key, cose = keys()[0]
        with pytest.raises(AttestationError, match=why):
            check(key, made(cose), CHALLENGE, authorities, NOW)


class TestPlaybook:
    @staticmethod
    def collect(folder: Path, **extra: str) -> tuple[int, str]:
        variables = [word for name, value in extra.items() for word in ("-e", f"{name}={value}")]
        done = preloaded.run("ansible-playbook", "fleet.auth.keys", *variables, cwd=folder)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    def test_prints_the_lines_for_the_variables(self, tmp_path: Path) -> None:
        key, cose = keys()[0]
        (tmp_path / "carol.pub").write_text(f"{key.words} {key.name}\n")
        code, printed = self.collect(tmp_path, user="carol", key="carol.pub")
        assert code == 0, printed
        assert f"twofactor_users: - name: carol security_keys: - {key.words} blue" in printed
        assert f"{key.fingerprint} is a security key." in printed

        files = {"attestation": attestation(cose, DEVICE), "challenge": CHALLENGE, "authorities": MAKER.pem}
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        given = {name: name for name in files}
        code, printed = self.collect(tmp_path, user="carol", key="carol.pub", **given)
        assert code == 0, printed
        assert f"A device of the model {MODEL.hex()} made it, which CN=Maker vouches for" in printed

        (tmp_path / "challenge").write_bytes(b"another")
        code, printed = self.collect(tmp_path, user="carol", key="carol.pub", **given)
        assert code != 0
        assert "The attestation attestation has a wrong signature" in printed

    def test_refuses_what_is_no_security_key(self, tmp_path: Path) -> None:
        (tmp_path / "plain.pub").write_text("ssh-ed25519 AAAA me\n")
        code, printed = self.collect(tmp_path, user="carol", key="plain.pub")
        assert code != 0
        assert "has the type ssh-ed25519, which is no key of a security key" in printed
