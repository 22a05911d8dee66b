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


class Start(t.NamedTuple):
    """The options that an sshd is started with."""

    config: str = places.SSHD_CONFIG
    """The configuration file that it reads."""
    settings: tuple[str, ...] = ()
    """The settings of its options `-o`, such as `UsePAM=no`. They win over every file."""
    source: str = ""
    """Where these options are written, for a message."""

    @property
    def words(self) -> list[str]:
        """The options with which `sshd -T` prints the settings of an sshd started like this."""
        config = [] if self.config == places.SSHD_CONFIG else ["-f", self.config]
        return [*config, *(word for setting in self.settings for word in ("-o", setting))]

    @property
    def lines(self) -> tuple[Line, ...]:
        """The settings of its options `-o`, as configuration lines that are read before every file."""
        where = f"'-o {{}}' in {self.source}"
        found = ((setting, parse_config(where.format(setting), setting)) for setting in self.settings)
        return tuple(line._replace(number=0) for _setting, lines in found for line in lines)

    def has_same_options(self, other: Start) -> bool:
        """Whether both have the same options."""
        return self.words == other.words


def parse_words(words: t.Sequence[str], source: str = "") -> Start:
    """Read the options of a command line; `words` are its arguments, without the program.

    Command lines of /proc and systemd have lost their quotes, so words that follow an argument belong to it, unless
    they are options.
    """
    config, settings = places.SSHD_CONFIG, []
    for letter, argument in _options(words):
        if letter == "f":
            config = re.sub("/+", "/", argument)
        elif letter == "o":
            settings.append(argument)
    return Start(config, tuple(settings), source)


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


def program_of(command_line: str) -> str:
    """The program of an sshd, by the path with which it was started; empty if its title is cut short."""
    found = _LISTENER.match(command_line)
    if found:
        return found[1].partition(" ")[0]
    return "" if _CUT.match(command_line) else command_line.partition("\0")[0]


def is_cut(command_line: str) -> bool:
    """Whether the title of a listening sshd is cut short, since it has no environment whose room it could use."""
    return bool(_CUT.match(command_line)) and parse_title(command_line) is None
