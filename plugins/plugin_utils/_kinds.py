# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kinds of values that a host may send. Each checks a value and builds it anew from plain types. Pure."""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass

from ansible_collections.fleet.auth.plugins.plugin_utils._visible import in_one_line

MANY = 1_000_000
"""How many entries a list or a dictionary may have. In practice the size of an answer limits them earlier."""
LONG = 100_000
"""How many characters a sentence may have."""


class InvalidAnswer(Exception):
    """An answer that the module cannot have given. The text says where and why; of the answer it repeats only names."""


class Kind(t.Protocol):
    """The kind of a value."""

    def checked(self, value: t.Any, where: str) -> t.Any:
        """The value, built anew from plain types. Raises InvalidAnswer."""


@dataclass(frozen=True)
class Bool:
    """True or false."""

    def checked(self, value: t.Any, where: str) -> bool:
        if not isinstance(value, bool):
            raise InvalidAnswer(f"{where} is neither true nor false")
        return value


@dataclass(frozen=True)
class Number:
    """A finite number between two bounds; a whole one by default."""

    low: float
    high: float
    whole: bool = True

    def checked(self, value: t.Any, where: str) -> int | float:
        kinds = (int,) if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or (isinstance(value, float) and math.isnan(value)):
            raise InvalidAnswer(f"{where} is not a {'whole ' if self.whole else ''}number")
        if not self.low <= value <= self.high:
            raise InvalidAnswer(f"{where} is not between {self.low:g} and {self.high:g}")
        return int(value) if self.whole else float(value)


@dataclass(frozen=True)
class Text:
    """A text in one line, without characters that a terminal acts on."""

    longest: int = LONG
    of: str = "one line of characters that can be printed"
    fits: t.Callable[[str], object] = str.isprintable

    def checked(self, value: t.Any, where: str) -> str:
        if not isinstance(value, str):
            raise InvalidAnswer(f"{where} is not a text")
        if len(value) > self.longest:
            raise InvalidAnswer(f"{where} has more than {self.longest} characters")
        text = "".join(value)  # Ansible's subclasses of str carry more than characters.
        if not self.fits(text):
            raise InvalidAnswer(f"{where} is not {self.of}")
        return text


@dataclass(frozen=True)
class Words:
    """Sentences for people. They may quote the host's files and programs: odd characters are escaped, not refused."""

    def checked(self, value: t.Any, where: str) -> str:
        return in_one_line(Text(of="a text", fits=lambda _text: True).checked(value, where))


@dataclass(frozen=True)
class Nullable:
    """Nothing (null), or another kind."""

    kind: Kind

    def checked(self, value: t.Any, where: str) -> t.Any:
        return None if value is None else self.kind.checked(value, where)


@dataclass(frozen=True)
class Listed:
    """A list."""

    each: Kind
    most: int = MANY

    def checked(self, value: t.Any, where: str) -> list[t.Any]:
        if not isinstance(value, list):
            raise InvalidAnswer(f"{where} is not a list")
        if len(value) > self.most:
            raise InvalidAnswer(f"{where} has more than {self.most} entries")
        return [self.each.checked(one, f"an entry of {where}") for one in value]


@dataclass(frozen=True)
class Mapped:
    """A dictionary with any keys."""

    key: Text
    each: Kind
    most: int = MANY

    def checked(self, value: t.Any, where: str) -> dict[str, t.Any]:
        if not isinstance(value, dict):
            raise InvalidAnswer(f"{where} is not a dictionary")
        if len(value) > self.most:
            raise InvalidAnswer(f"{where} has more than {self.most} entries")
        return {
            self.key.checked(key, f"a name in {where}"): self.each.checked(one, f"an entry of {where}")
            for key, one in value.items()
        }


@dataclass(frozen=True)
class Record:
    """A dictionary with exactly these keys."""

    fields: t.Mapping[str, Kind]

    def checked(self, value: t.Any, where: str) -> dict[str, t.Any]:
        if not isinstance(value, dict):
            raise InvalidAnswer(f"{where} is not a dictionary")
        return checked_fields(self.fields, value, required=self.fields, within=f" of {where}")


def checked_fields(
    kinds: t.Mapping[str, Kind], given: t.Mapping[t.Any, t.Any], *, required: t.Iterable[str], within: str = ""
) -> dict[str, t.Any]:
    """The given values, built anew from plain types. Raises InvalidAnswer, also for missing or unknown names."""
    for name in given:
        if name not in kinds:
            raise InvalidAnswer(f"{in_one_line(str(name), 40)!r}{within} is unknown")
    for name in required:
        if name not in given:
            raise InvalidAnswer(f"{name}{within} is missing")
    return {name: kinds[name].checked(value, f"{name}{within}") for name, value in given.items()}
