# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts of strangers, made fit to be shown. Pure."""

from __future__ import annotations


def visible(text: str, *, keep: str = "") -> str:
    """The text with an escape in place of whatever a terminal would act on instead of showing it.

    That is all that Unicode calls neither a character to print nor a space: control characters, newlines, and what
    changes the direction of writing. `keep` has those that stay as they are.
    """
    if text.isprintable():
        return text
    if keep:
        return keep[0].join(visible(part, keep=keep[1:]) for part in text.split(keep[0]))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def in_one_line(text: str, longest: int = 100_000) -> str:
    """The text in one line, which is cut where it is longer than so many characters."""
    cut = text[: longest + 1]
    line = visible(" ".join(cut.split()))
    return line if len(cut) <= longest else f"{line[:longest]}…"
