# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of an sshd's command line that change its settings: `-f` and `-o`; sshd(8). Text in, text out."""

from __future__ import annotations

import re
import typing as t

from .. import _places as places
from .sshd_config import Line, parse_config

_WITH_ARGUMENT = "CEbcfghkopuV"
"""The options of sshd(8) that take an argument."""
_NOT_LISTENING = frozenset("itTG")
"""The options with which sshd serves one connection that is handed to it, or only checks its configuration."""
_LISTENER = re.compile(r"[^/ \0]+: ([^\0]*?) \[listener\] \d+ of \d+-\d+ startups")
_CUT = re.compile(r"[^/ \0]*sshd[^/ \0]*: /")
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


class Start(t.NamedTuple):
    """The options that an sshd is started with."""

    config: str = places.SSHD_CONFIG
    """The configuration file that it reads."""
    settings: tuple[str, ...] = ()
    """The settings of its options `-o`, such as `UsePAM=no`. They win over every file."""
    said_by: str = ""
    """Where these options are written, for a message."""

    @property
    def words(self) -> list[str]:
        """The options with which `sshd -T` prints the settings of an sshd started like this."""
        config = [] if self.config == places.SSHD_CONFIG else ["-f", self.config]
        return [*config, *(word for setting in self.settings for word in ("-o", setting))]

    @property
    def lines(self) -> tuple[Line, ...]:
        """The settings of its options `-o`, as configuration lines that are read before every file."""
        where = f"'-o {{}}' in {self.said_by}"
        found = ((setting, parse_config(where.format(setting), setting)) for setting in self.settings)
        return tuple(line._replace(number=0) for _setting, lines in found for line in lines)

    def is_as(self, other: Start) -> bool:
        """Whether both have the same options."""
        return self.words == other.words


def parse_words(words: t.Sequence[str], said_by: str = "") -> Start:
    """Read the options of a command line; `words` are its arguments, without the program.

    Command lines of /proc and systemd have lost their quotes, so words that follow an argument belong to it, unless
    they are options.
    """
    config, settings = places.SSHD_CONFIG, []
    for letter, argument in _options(words):
        if letter == "f":
            config = argument
        elif letter == "o":
            settings.append(argument)
    return Start(config, tuple(settings), said_by)


def _options(words: t.Sequence[str]) -> t.Iterator[tuple[str, str]]:
    """The letter of each option, with its argument or an empty text."""
    rest = [*words]
    while rest:
        word = rest.pop(0)
        for place, letter in enumerate(word[1:], start=1) if word.startswith("-") else ():
            if letter not in _WITH_ARGUMENT:
                yield letter, ""
                continue
            argument = [word[place + 1 :]] if word[place + 1 :] else rest[:1]
            del rest[: 0 if word[place + 1 :] else 1]
            while rest and not rest[0].startswith("-"):
                argument.append(rest.pop(0))
            yield letter, " ".join(argument)
            break


def parse_title(command_line: str) -> list[str] | None:
    """The arguments of an sshd that listens, from /proc/PID/cmdline; None where the process does something else.

    From OpenSSH 8.2 on, a listening sshd writes a title there: the name of its program, and its words without quotes,
    as in `sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups`.
    """
    found = _LISTENER.match(command_line)
    if found:
        return found[1].split()[1:]
    words = command_line.rstrip("\0").split("\0")
    is_sshd = words[0].rpartition("/")[2] == "sshd" and not _CUT.match(command_line)
    return (
        words[1:]
        if is_sshd and _NOT_LISTENING.isdisjoint(letter for letter, _argument in _options(words[1:]))
        else None
    )


def is_cut(command_line: str) -> bool:
    """Whether the title of a listening sshd is cut short, since it has no environment whose room it could use."""
    return bool(_CUT.match(command_line)) and parse_title(command_line) is None


def with_variables(words: t.Sequence[str], value_of: t.Callable[[str], str]) -> list[str]:
    """The words of a command line in a systemd unit, with its variables replaced; systemd.service(5).

    `$NAME`, a word of its own, becomes as many words as its value has; `${NAME}` becomes the value as it is.
    """
    found: list[str] = []
    for word in words:
        name = _VARIABLE.fullmatch(word)
        found += split(value_of(name[1])) if name else [_IN_A_WORD.sub(lambda one: value_of(one[1]), word)]
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
