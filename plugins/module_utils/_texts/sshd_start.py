# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an sshd is started, as far as its settings depend on it: `-f` and `-o`; sshd(8). Text in, text out."""

from __future__ import annotations

import re
import typing as t

from .. import _places as places
from .sshd_config import Line, parse_config

_WITH_ARGUMENT = "CEbcfghkopuV"
"""The options of sshd(8) that come with an argument."""
_LISTENER = re.compile(r"[^/ \0]+: ([^\0]*?) \[listener\] \d+ of \d+-\d+ startups")
_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)\}")


class Start(t.NamedTuple):
    """What an sshd is started with."""

    config: str = places.SSHD_CONFIG
    """The file that it reads."""
    settings: tuple[str, ...] = ()
    """The settings of its options `-o`, such as `UsePAM=no`. They win over every file."""
    said_by: str = ""
    """Where that is written, for a message."""

    @property
    def words(self) -> list[str]:
        """The options by which `sshd -T` tells the settings that it has so."""
        config = [] if self.config == places.SSHD_CONFIG else ["-f", self.config]
        return [*config, *(word for setting in self.settings for word in ("-o", setting))]

    @property
    def lines(self) -> tuple[Line, ...]:
        """The settings of its options as lines of a configuration that is read before every file."""
        where = f"'-o {{}}' in {self.said_by}"
        found = ((setting, parse_config(where.format(setting), setting)) for setting in self.settings)
        return tuple(line._replace(number=0) for _setting, lines in found for line in lines)

    def is_as(self, other: Start) -> bool:
        """Whether both have the same settings."""
        return self.words == other.words


def parse_words(words: t.Sequence[str], said_by: str = "") -> Start:
    """The start that a command line stands for; `words` are its arguments, without the program.

    What /proc and systemd tell has lost its quotes: words after an argument that are no options belong to it.
    """
    config, settings, rest = places.SSHD_CONFIG, [], [*words]
    while rest:
        word = rest.pop(0)
        for place, letter in enumerate(word[1:], start=1) if word.startswith("-") else ():
            if letter in _WITH_ARGUMENT:
                argument = [word[place + 1 :]] if word[place + 1 :] else rest[:1]
                del rest[: 0 if word[place + 1 :] else 1]
                while rest and not rest[0].startswith("-"):
                    argument.append(rest.pop(0))
                if letter == "f":
                    config = " ".join(argument)
                elif letter == "o":
                    settings.append(" ".join(argument))
                break
    return Start(config, tuple(settings), said_by)


def parse_title(command_line: str) -> list[str] | None:
    """The arguments of an sshd that listens, of /proc/PID/cmdline; None where it does something else.

    From OpenSSH 8.2 on it says so there itself, by the name that its program has, and gives its words without quotes.
    """
    found = _LISTENER.match(command_line)
    if found:
        return found[1].split()[1:]
    words = command_line.rstrip("\0").split("\0")
    return words[1:] if words[0].rpartition("/")[2] == "sshd" and "-i" not in words else None


def with_variables(words: t.Sequence[str], value_of: t.Callable[[str], t.Sequence[str]]) -> list[str]:
    """The words of a command line of systemd's, with those that its variables stand for; systemd.service(5)."""
    found: list[str] = []
    for word in words:
        name = _VARIABLE.fullmatch(word)
        found += value_of(name[1] or name[2]) if name else [word]
    return found
