# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On the controller: provisioning URIs and codes by pyotp, QR codes by segno.

Every error is an AnsibleFilterError. It names the option and never repeats a text that was given, because a secret may
have been given in the wrong option.
"""

from __future__ import annotations

import base64
import io
import itertools
import time

from ansible.errors import AnsibleFilterError

from ansible_collections.fleet.auth.plugins.module_utils._wanted.bounds import OLD_SECRET_BYTES, OTP_DIGITS
from ansible_collections.fleet.auth.plugins.module_utils._wanted.secret import decode_secret, encode_secret

_missing: str | None = None
try:
    import pyotp
    import segno
except ImportError as error:
    _missing = error.name or str(error)
else:

    class _Totp(pyotp.TOTP):
        """TOTP that also accepts the short keys of old set-ups. Later releases of pyotp require at least 14 bytes."""

        min_secret_length_bits = 8 * OLD_SECRET_BYTES[0]


# NIST SP 800-63B-4 section 3.1.4.1 requires a new code at least every two minutes; nobody types one in under 5 seconds.
INTERVAL = (5, 120)
UNIX_TIME = (0, 253_402_300_799)  # to the end of the year 9999
PIXELS = (1, 40)

# ISO/IEC 18004 requires 4 light modules around a QR code.
_QUIET_ZONE = 4

# Palette entries 16 and 231 are black and white in every theme, unlike the first 16; 0 turns off bold and reverse.
_BLACK_ON_WHITE = "\x1b[0;38;5;16;48;5;231m"
_RESET = "\x1b[0m"
_HALF_BLOCKS = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def provisioning_uri(
    secret: str, *, account: str, issuer: str | None = None, digits: int = 6, interval: int = 30
) -> str:
    """Return the `otpauth://totp/` URI of the Key Uri Format. It names digits only if not 6, and the period if not 30.

    secret: base32, 1 to 64 bytes. account, issuer: without a colon, because a colon separates the two in the format.
    digits: 6 to 8. interval: 5 to 120 seconds. Raises AnsibleFilterError.
    """
    totp = _totp(secret, digits=digits, interval=interval)
    return totp.provisioning_uri(
        name=_label_part("account", account),
        issuer_name=_label_part("issuer", issuer) if issuer else None,
    )


def code_at(secret: str, *, digits: int = 6, interval: int = 30, at: int | None = None) -> str:
    """Return the code (RFC 6238, SHA-1) at the Unix time `at`, or now by the controller's clock.

    secret: base32, 1 to 64 bytes. digits: 6 to 8. interval: 5 to 120 seconds. at: whole seconds from 0 on.
    Raises AnsibleFilterError.
    """
    totp = _totp(secret, digits=digits, interval=interval)
    seconds = int(time.time()) if at is None else _number("at", at, UNIX_TIME, " (Unix time in seconds)")
    return totp.generate_otp(seconds // totp.interval)


def qr_for_terminal(text: str) -> str:
    """Return a QR code of half blocks, two modules per character, black on white in any colour scheme of the terminal.

    text: 1 to 2953 bytes. Raises AnsibleFilterError.
    """
    rows = [tuple(row) for row in _qr_code(text).matrix_iter(border=_QUIET_ZONE)]
    pairs = itertools.zip_longest(rows[::2], rows[1::2], fillvalue=(0,) * len(rows[0]))
    lines = ("".join(_HALF_BLOCKS[pair] for pair in zip(upper, lower, strict=True)) for upper, lower in pairs)
    return "\n".join(f"{_BLACK_ON_WHITE}{line}{_RESET}" for line in lines)


def qr_as_svg(text: str, *, title: str = "QR code") -> str:
    """Return a QR code as an SVG element for HTML, black on white, that fills the element it is put in.

    text: 1 to 2953 bytes. title: what a screen reader says. Raises AnsibleFilterError.
    """
    out = io.BytesIO()
    _qr_code(text).save(
        out,
        kind="svg",
        border=_QUIET_ZONE,
        dark="#000",
        light="#fff",
        title=_text("title", title),
        omitsize=True,
        xmldecl=False,
        svgclass=None,
        lineclass=None,
        nl=False,
    )
    return out.getvalue().decode().replace("<svg ", '<svg role="img" ', 1)


def qr_as_png(text: str, *, scale: int = 8) -> str:
    """Return a QR code as a PNG picture in base64, black on white.

    text: 1 to 2953 bytes. scale: pixels per module, 1 to 40. Raises AnsibleFilterError.
    """
    out = io.BytesIO()
    _qr_code(text).save(out, kind="png", border=_QUIET_ZONE, scale=_number("scale", scale, PIXELS, " pixels a module"))
    return base64.b64encode(out.getvalue()).decode()


def _totp(secret: str, *, digits: int, interval: int) -> pyotp.TOTP:
    _require_libraries()
    try:
        key = decode_secret(_text("secret", secret), OLD_SECRET_BYTES)
    except ValueError as error:
        raise AnsibleFilterError(
            f"The secret {error}. Give the whole base32 text that the credential was made with."
        ) from None
    return _Totp(
        encode_secret(key),
        digits=_number("digits", digits, OTP_DIGITS),
        interval=_number("interval", interval, INTERVAL, " seconds"),
    )


def _qr_code(text: str) -> segno.QRCode:
    _require_libraries()
    try:
        return segno.make_qr(_text("text of the QR code", text))
    except segno.DataOverflowError:
        raise AnsibleFilterError(
            f"The text of the QR code has {len(text)} characters and does not fit; "
            "a QR code holds 2953 bytes at most. Shorten it."
        ) from None


def _require_libraries() -> None:
    if _missing:
        raise AnsibleFilterError(
            f"The Python library {_missing} is missing on the controller. "
            "Install it for the Python that runs Ansible: pip install pyotp segno"
        )


def _text(option: str, value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value
    actual = "empty" if isinstance(value, str) else f"of type {type(value).__name__}"
    raise AnsibleFilterError(f"The {option} is {actual}; it must be a text that is not empty.")


def _label_part(option: str, value: object) -> str:
    text = _text(option, value)
    if ":" in text:
        raise AnsibleFilterError(
            f"The {option} has a colon at character {text.index(':') + 1}. "
            "In a provisioning URI the colon separates issuer and account, so neither may have one; leave it out."
        )
    return text


def _number(option: str, value: object, bounds: tuple[int, int], unit: str = "") -> int:
    low, high = bounds
    # Extra variables of the command line (-e digits=8) are texts.
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, int) and low <= value <= high:
        return value
    actual = value if isinstance(value, int) else f"of type {type(value).__name__}"
    raise AnsibleFilterError(f"{option} is {actual}; it must be a whole number between {low} and {high}{unit}.")
