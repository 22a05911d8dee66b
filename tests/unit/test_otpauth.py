# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import importlib
import struct
import sys
import time
import typing as t
import zlib
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree

import pyotp
import pytest
import segno
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.plugin_utils import _otpauth
from ansible_collections.fleet.auth.plugins.plugin_utils._otpauth import (
    code_at,
    provisioning_uri,
    qr_as_png,
    qr_as_svg,
    qr_for_terminal,
)
from unit.builders import RFC_4226_CODES, texts_of

# The key of the test vectors in RFC 4226, appendix D, and RFC 6238, appendix B.
RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
SECRET = "NBSWY3DPFQQHO33SNRSCC3DPNZTWK4RB"


def uri(secret: str = SECRET, **options: t.Any) -> str:
    return provisioning_uri(secret, **{"account": "alice@web1", "issuer": None, "digits": 6, "interval": 30, **options})


def code(secret: str = SECRET, **options: t.Any) -> str:
    return code_at(secret, **{"digits": 6, "interval": 30, "at": 59, **options})


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314


class TestUri:
    def test_has_issuer_as_prefix_of_the_label_and_as_parameter(self) -> None:
        assert uri(issuer="Example") == f"otpauth://totp/Example:alice%40web1?secret={SECRET}&issuer=Example"

    @pytest.mark.parametrize("issuer", [None, ""])
    def test_names_no_issuer_without_one(self, issuer: str | None) -> None:
        assert uri(issuer=issuer) == f"otpauth://totp/alice%40web1?secret={SECRET}"

    def test_names_digits_and_period_where_not_the_default(self) -> None:
        assert uri(digits=7, interval=60).endswith(f"?secret={SECRET}&digits=7&period=60")

    @given(
        account=st.text(min_size=1, alphabet=st.characters(exclude_categories=["C"], exclude_characters=":")),
        issuer=st.text(min_size=1, alphabet=st.characters(exclude_categories=["C"], exclude_characters=":")),
        key=st.binary(min_size=1, max_size=64),
        digits=st.integers(6, 8),
        interval=st.integers(5, 120),
    )
    def test_contains_what_was_given(self, account: str, issuer: str, key: bytes, digits: int, interval: int) -> None:
        account, issuer = f"a{account}", f"i{issuer}"
        made = uri(base64.b32encode(key).decode(), account=account, issuer=issuer, digits=digits, interval=interval)
        parts = urlsplit(made)
        fields = dict(parse_qsl(parts.query, strict_parsing=True))
        assert (parts.scheme, parts.netloc, parts.fragment) == ("otpauth", "totp", "")
        assert [unquote(part) for part in parts.path[1:].split(":")] == [issuer, account]
        assert fields["issuer"] == issuer
        assert base64.b32decode(fields["secret"] + "=" * (-len(fields["secret"]) % 8)) == key
        assert int(fields.get("digits", 6)) == digits
        assert int(fields.get("period", 30)) == interval

    @pytest.mark.parametrize("name", ["Big Corporation", "Müller", "a@b", "100%", "a/b"])
    def test_is_read_by_pyotp_with_the_same_names(self, name: str) -> None:
        read = pyotp.parse_uri(uri(issuer=name, account=name))
        assert (read.issuer, read.name) == (name, name)

    @pytest.mark.parametrize("option", ["account", "issuer"])
    def test_refuses_a_colon_which_separates_issuer_and_account(self, option: str) -> None:
        with pytest.raises(AnsibleFilterError, match=f"The {option} has a colon at character 4.*leave it out"):
            uri(**{option: "web:1"})

    @pytest.mark.parametrize("account", ["", " ", None, 7])
    def test_refuses_an_invalid_account_name(self, account: t.Any) -> None:
        with pytest.raises(AnsibleFilterError, match=r"The account is (empty|of type \w+); it must be a text"):
            uri(account=account)


class TestCode:
    @pytest.mark.parametrize(
        ("at", "expected"),
        [
            (59, "94287082"),
            (1111111109, "07081804"),
            (1111111111, "14050471"),
            (1234567890, "89005924"),
            (2000000000, "69279037"),
            (20000000000, "65353130"),
        ],
    )
    def test_is_that_of_rfc_6238(self, at: int, expected: str) -> None:
        assert code(RFC_SECRET, digits=8, at=at) == expected
        assert code(RFC_SECRET, digits=7, at=at) == expected[1:]
        assert code(RFC_SECRET, digits=6, at=at) == expected[2:]

    @pytest.mark.parametrize(
        ("counter", "expected"),
        [*enumerate(RFC_4226_CODES)],
    )
    @pytest.mark.parametrize("interval", [5, 30, 60, 120])
    def test_of_a_step_is_that_of_rfc_4226_for_its_number(self, counter: int, expected: str, interval: int) -> None:
        first = counter * interval
        assert code(RFC_SECRET, interval=interval, at=first) == expected
        assert code(RFC_SECRET, interval=interval, at=first + interval - 1) == expected

    def test_is_the_current_one_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time, "time", lambda: 1111111109.9)
        assert code(RFC_SECRET, at=None) == "081804"

    def test_accepts_numbers_as_text_from_extra_variables(self) -> None:
        assert code(RFC_SECRET, digits="8", interval="30", at="59") == "94287082"

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("digits", 5, "digits is 5; it must be a whole number between 6 and 8."),
            ("digits", 9, "digits is 9; it must be a whole number between 6 and 8."),
            ("interval", 4, "interval is 4; it must be a whole number between 5 and 120 seconds."),
            ("interval", 121, "interval is 121; it must be a whole number between 5 and 120 seconds."),
            ("interval", 30.0, "interval is of type float; it must be a whole number between 5 and 120 seconds."),
            ("at", -1, "at is -1; it must be a whole number between 0 and 253402300799 (Unix time in seconds)."),
        ],
    )
    def test_refuses_a_number_out_of_bounds(self, option: str, value: t.Any, message: str) -> None:
        with pytest.raises(AnsibleFilterError) as refused:
            code(**{option: value})
        assert str(refused.value) == message


class TestSecret:
    @pytest.mark.parametrize(
        "typed",
        [
            SECRET.lower(),
            " ".join(SECRET[i : i + 4] for i in range(0, 32, 4)),
            f"{SECRET}\n",
        ],
    )
    def test_is_accepted_as_people_type_it(self, typed: str) -> None:
        assert code(typed) == code(SECRET)
        assert uri(typed) == uri(SECRET)

    @pytest.mark.parametrize("size", [16, 20, 32])
    def test_is_accepted_with_and_without_padding(self, size: int) -> None:
        padded = base64.b32encode(b"x" * size).decode()
        assert code(padded) == code(padded.rstrip("="))
        assert "=" not in dict(parse_qsl(urlsplit(uri(padded)).query))["secret"]

    @pytest.mark.parametrize(
        ("secret", "message"),
        [
            (SECRET[:-1] + "1", "is not base32"),
            (SECRET[:-1] + "é", "is not base32"),
            (SECRET[:-2] + "=" + SECRET[-1], "is not base32"),
            (SECRET + "A", "is not base32"),
            (base64.b32encode(b"hello" * 13).decode(), "holds 65 bytes; it must hold 1 to 64"),
            ("", "is empty"),
            (SECRET.encode(), "is of type bytes"),
        ],
    )
    @pytest.mark.parametrize("make", [uri, code])
    def test_that_is_invalid_is_refused_and_not_shown(
        self, make: t.Callable[..., str], secret: t.Any, message: str
    ) -> None:
        with pytest.raises(AnsibleFilterError, match=f"The secret {message}") as refused:
            make(secret)
        assert SECRET[:8] not in texts_of(refused.value)
        assert base64.b32decode(SECRET)[:5].decode() not in texts_of(refused.value)

    @pytest.mark.parametrize(
        ("make", "option"),
        [(uri, "account"), (uri, "issuer"), (uri, "digits"), (uri, "interval"), (code, "at")],
    )
    def test_in_the_wrong_option_is_not_shown(self, make: t.Callable[..., str], option: str) -> None:
        with pytest.raises(AnsibleFilterError, match=option) as refused:
            make(**{option: f"{SECRET}:"})
        assert SECRET not in texts_of(refused.value)

    def test_in_a_text_too_long_for_a_qr_code_is_not_shown(self) -> None:
        with pytest.raises(AnsibleFilterError, match=r"has 3200 characters and does not fit.*2953 bytes") as refused:
            qr_for_terminal(SECRET.lower() * 100)
        assert SECRET.lower() not in texts_of(refused.value)


class TestQrCode:
    # One text for the smallest version, one URI, and the largest text that fits.
    TEXTS = pytest.mark.parametrize("text", ["hi", uri(issuer="Example"), "x" * 2953], ids=["hi", "uri", "largest"])

    @staticmethod
    def modules(text: str) -> list[list[bool]]:
        """The modules according to segno, with 4 light ones on each side."""
        matrix = segno.make_qr(text).matrix
        side = [False] * 4
        blank = [[False] * (len(matrix) + 8)] * 4
        return [*blank, *([*side, *(bool(module) for module in row), *side] for row in matrix), *blank]

    @TEXTS
    def test_in_the_terminal_has_the_modules_black_on_white(self, text: str) -> None:
        drawn: list[list[bool]] = []
        for line in qr_for_terminal(text).split("\n"):
            colours, cells = line.removesuffix("\x1b[0m").split("m", 1)
            assert line.endswith("\x1b[0m")
            assert colours == "\x1b[0;38;5;16;48;5;231"
            drawn.append([{" ": False, "▀": True, "▄": False, "█": True}[cell] for cell in cells])
            drawn.append([{" ": False, "▀": False, "▄": True, "█": True}[cell] for cell in cells])
        filled_up = drawn.pop()
        assert drawn == self.modules(text)
        assert not any(filled_up)

    @TEXTS
    def test_in_svg_has_the_modules_black_on_white(self, text: str) -> None:
        modules = self.modules(text)
        svg = parsed(qr_as_svg(text, title="QR code"))
        size = len(modules)
        assert svg.get("viewBox") == f"0 0 {size} {size}"
        white, black = svg.findall("{*}path")
        assert (white.get("fill"), white.get("d")) == ("#fff", f"M0 0h{size}v{size}h-{size}z")
        assert black.get("stroke") == "#000"
        assert self.stroked(black.get("d") or "", size) == modules

    @staticmethod
    def stroked(path: str, size: int) -> list[list[bool]]:
        """The modules covered by a path of horizontal strokes: `m` moves by x and y, `h` draws a length."""
        drawn = [[False] * size for _row in range(size)]
        x, y = 0, 0.0
        for stroke in path[1:].split("m"):
            start, length = stroke.split("h")
            right, down = start.split(" ")
            x, y = x + int(right), y + float(down)
            for _module in range(int(length)):
                drawn[int(y)][x] = True
                x += 1
        return drawn

    @TEXTS
    @pytest.mark.parametrize("scale", [1, 8])
    def test_in_png_has_the_modules_black_on_white(self, text: str, scale: int) -> None:
        pixels = self.pixels(base64.b64decode(qr_as_png(text, scale=scale), validate=True))
        assert [row[::scale] for row in pixels[::scale]] == self.modules(text)
        assert all(pixels[y] == pixels[y - y % scale] for y in range(len(pixels)))
        assert all(row == [row[x - x % scale] for x in range(len(row))] for row in pixels)

    @staticmethod
    def pixels(png: bytes) -> list[list[bool]]:
        """The black pixels of a 1-bit greyscale picture. A row is stored as it is, or as a difference to the last."""
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
        position, data, width, height = 8, b"", 0, 0
        while position < len(png):
            (length,) = struct.unpack(">I", png[position : position + 4])
            kind, chunk = png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
            if kind == b"IHDR":
                width, height, *rest = struct.unpack(">IIBBBBB", chunk)
                assert rest == [1, 0, 0, 0, 0]
            data += chunk if kind == b"IDAT" else b""
            position += length + 12
        raw, line = zlib.decompress(data), 1 + (width + 7) // 8
        rows = [b"\0" * (line - 1)]
        for start in range(0, height * line, line):
            as_it_is, above = raw[start] == 0, raw[start] == 2
            assert as_it_is or above
            rows.append(
                bytes((a * above + b) % 256 for a, b in zip(rows[-1], raw[start + 1 : start + line], strict=True))
            )
        return [[not row[x // 8] >> (7 - x % 8) & 1 for x in range(width)] for row in rows[1:]]

    @pytest.mark.parametrize("scale", [0, 41, 2.5])
    def test_in_png_of_another_size_is_refused(self, scale: t.Any) -> None:
        with pytest.raises(AnsibleFilterError, match="it must be a whole number between 1 and 40 pixels a module"):
            qr_as_png("hi", scale=scale)

    def test_in_svg_can_be_embedded_in_html_and_has_a_title(self) -> None:
        svg = qr_as_svg("hi", title="Code of <alice> & bob")
        assert svg.startswith("<svg ")
        assert svg.endswith("</svg>")
        element = parsed(svg)
        assert element.get("role") == "img"
        assert element.findtext("{*}title") == "Code of <alice> & bob"
        assert element.get("width") is None

    @pytest.mark.parametrize("text", ["", " ", None, 7])
    def test_of_no_text_is_refused(self, text: t.Any) -> None:
        with pytest.raises(AnsibleFilterError, match=r"text of the QR code is (empty|of type)"):
            qr_for_terminal(text)
        with pytest.raises(AnsibleFilterError, match=r"text of the QR code is (empty|of type)"):
            qr_as_svg(text, title="QR code")
        with pytest.raises(AnsibleFilterError, match=r"text of the QR code is (empty|of type)"):
            qr_as_png(text, scale=8)

    def test_in_svg_without_a_title_is_refused(self) -> None:
        with pytest.raises(AnsibleFilterError, match="title is empty"):
            qr_as_svg("hi", title="")


@pytest.mark.parametrize("library", ["pyotp", "segno"])
def test_a_missing_library_is_named_with_the_remedy(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        with monkeypatch.context() as without:
            without.setitem(sys.modules, library, None)
            importlib.reload(_otpauth)
        uses: list[t.Callable[[], str]] = [
            *(uri, code),
            *(lambda: qr_for_terminal("hi"), lambda: qr_as_svg("hi", title="QR code")),
            lambda: qr_as_png("hi", scale=8),
        ]
        for use in uses:
            with pytest.raises(AnsibleFilterError, match=f"{library} is missing.*pip install pyotp segno"):
                use()
    finally:
        importlib.reload(_otpauth)
