# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts of strangers, made fit to be shown. Pure."""

from __future__ import annotations

import functools

_KEPT = 0x10000
"""Below which number of a character what stands for it is not found out again: those of the usual scripts."""


class _Escapes(dict[int, str]):
    """What stands for each character, for `str.translate`, which takes no more memory than the text that it makes."""

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
    """The text with an escape in place of whatever a terminal would act on instead of showing it.

    That is all that Unicode calls neither a character to print nor a space: control characters, newlines, and what
    changes the direction of writing. `keep` has those that stay as they are.
    """
    return text if text.isprintable() else text.translate(_escapes(keep))


def in_one_line(text: str, longest: int = 100_000) -> str:
    """The text in one line, which is cut where it is longer than so many characters."""
    cut = text[: longest + 1]
    line = visible(" ".join(cut.split()))
    return line if len(cut) <= longest else f"{line[:longest]}…"
