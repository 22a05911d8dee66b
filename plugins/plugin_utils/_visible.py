# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes untrusted texts safe to show. Pure."""

from __future__ import annotations

import functools

_KEPT = 0x10000
"""Below this code point, the result for a character is cached; the usual scripts are there."""


class _Escapes(dict[int, str]):
    """The replacement for each character, for `str.translate`, which needs no more memory than its result."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        shown = character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        if code < _KEPT:
            self[code] = shown
        return shown


@functools.cache
def _escapes(keep: str) -> _Escapes:
    return _Escapes({ord(character): character for character in keep})


def visible(text: str, *, keep: str = "") -> str:
    """The text with an escape in place of each character that a terminal would act on instead of showing it.

    These are all characters for which `str.isprintable` is false, such as control characters, newlines, and those that
    change the direction of writing. The characters in `keep` stay as they are.
    """
    return text if text.isprintable() else text.translate(_escapes(keep))


def in_one_line(text: str, longest: int = 100_000) -> str:
    """The text in one line, cut after `longest` characters."""
    cut = text[: longest + 1]
    line = visible(" ".join(cut.split()))
    return line if len(cut) <= longest else f"{line[:longest]}…"
