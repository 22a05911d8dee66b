# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of a systemd unit: its environment files, and its command lines with the values put in. Pure."""

from __future__ import annotations

import re
import typing as t

_VARIABLE = re.compile(r"\$(\w+)")
_IN_A_WORD = re.compile(r"\$\{(\w+)\}")

_ASSIGNMENT = re.compile(
    r"""^[ \t]*([^#;=\s][^=\n]*?)[ \t]*="""
    r"""((?:[ \t]*(?:"(?:\\.|[^"\\])*(?:"|\Z)|'[^']*(?:'|\Z)))*)[ \t]*((?:\\.|[^\n\\])*)""",
    re.DOTALL | re.MULTILINE,
)
_QUOTED = re.compile(r""""((?:\\.|[^"\\])*)"?|'([^']*)'?""", re.DOTALL)
_BACKSLASH = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED_IN_QUOTES = '"\\`$'


def with_variables(words: t.Sequence[str], value_of: t.Callable[[str], str]) -> list[str]:
    """The words of a command line in a systemd unit, with its variables replaced; systemd.service(5).

    `$NAME`, a word of its own, becomes as many words as its value has; `${NAME}` becomes the value as it is.
    """
    found: list[str] = []
    for word in words:
        name = _VARIABLE.fullmatch(word)
        found += split(value_of(name[1])) if name else [_IN_A_WORD.sub(lambda one: value_of(one[1]), word)]
    return found


def names_in(words: t.Iterable[str]) -> set[str]:
    """The names of the variables in the words of a command line."""
    found: set[str] = set()
    for word in words:
        name = _VARIABLE.fullmatch(word)
        found.update([name[1]] if name else _IN_A_WORD.findall(word))
    return found


def variables(text: str) -> dict[str, str]:
    """What a file of variables for systemd sets; systemd.exec(5), EnvironmentFile. The last value of a name applies.

    A backslash continues a line. A value in quotes may have several lines; unclosed, it goes to the end of the file.
    """

    def bare(found: t.Match[str]) -> str:
        return "" if found[1] == "\n" else found[1]

    def in_quotes(found: t.Match[str]) -> str:
        return bare(found) if found[1] in _ESCAPED_IN_QUOTES + "\n" else found[0]

    return {
        name: "".join(_BACKSLASH.sub(in_quotes, double) + single for double, single in _QUOTED.findall(quoted))
        + _BACKSLASH.sub(bare, plain.rstrip(" \t"))
        for name, quoted, plain in _ASSIGNMENT.findall(text.replace("\r", "\n"))
    }


def split(value: str) -> list[str]:
    """The words in the value of a variable, as systemd splits it. A quote need not be closed.

    What a shell would take for a comment is left out: no sshd would start with it.
    """
    words: list[str] = []
    word, quote, characters = None, "", iter(value)
    for one in characters:
        if one == "\\":
            word = (word or "") + next(characters, "")
        elif one == quote:
            quote = ""
        elif not quote and one in "\"'":
            word, quote = word or "", one
        elif quote or not one.isspace():
            if one == "#" and word is None:
                return words
            word = (word or "") + one
        elif word is not None:
            words.append(word)
            word = None
    return words if word is None else [*words, word]
