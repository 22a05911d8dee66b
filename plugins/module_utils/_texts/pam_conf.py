# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lines of a PAM service file mean to libpam, as far as its auth stack goes; pam.conf(5)."""

from __future__ import annotations

import re
import typing as t

from .. import _places as places

# What libpam takes for one word: anything in brackets, or up to the next blank.
WORD = re.compile(r"\[((?:\\\]|[^\]])*)\]?|([^ \t\[][^ \t]*)")
INCLUDES = ("@include", "include", "substack")

_KEYWORDS = {
    "required": {"success": "ok", "new_authtok_reqd": "ok", "ignore": "ignore", "default": "bad"},
    "requisite": {"success": "ok", "new_authtok_reqd": "ok", "ignore": "ignore", "default": "die"},
    "sufficient": {"success": "done", "new_authtok_reqd": "done", "default": "ignore"},
    "optional": {"success": "ok", "new_authtok_reqd": "ok", "default": "ignore"},
}


class Step(t.NamedTuple):
    """One line of an auth stack. What is included stands as the module of a control that includes it."""

    control: str
    module: str

    @property
    def name(self) -> str:
        """The module's name, whichever path it is called by."""
        return self.module.rpartition("/")[2]

    @property
    def actions(self) -> dict[str, str]:
        """What to do about each return value, pam.conf(5)."""
        return _KEYWORDS.get(self.control) or dict(re.findall(r"(\w+)\s*=\s*(\w+)", self.control))


class Included(t.NamedTuple):
    """One line of an included stack, and where it stands."""

    stack: str
    number: int
    line: str
    step: Step


def step_of(line: str) -> Step | None:
    """What a line means for the auth stack, as libpam reads it; None where it means nothing."""
    words = [bracketed or plain for bracketed, plain in WORD.findall(line.partition("#")[0])]
    if words and words[0] == "@include":
        words.insert(0, "auth")
    kind, control, module = [*words, "", "", ""][:3]
    return Step(control.lower(), module) if kind.lower() in ("auth", "-auth") else None


def include_target(line: str) -> str:
    """The file that a line of the auth stack includes, or an empty text."""
    step = step_of(line)
    return step.module if step and step.control in INCLUDES else ""


class Unclear(ValueError):
    """A line that releases of libpam take for different things; the text says which line, and why."""


def whole_lines(text: str) -> t.Iterator[tuple[int, str]]:
    """The lines as libpam puts them together, each with the number of its first one, from 1.

    A backslash at the end of a line continues it. Raises Unclear.
    """
    whole, first = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip(" \t")
        if not line or line.startswith("#"):
            if whole:
                raise Unclear(f"line {first} goes on in a line that is empty or a remark")
            continue
        first = first or number
        if "#" not in line and line.endswith("\\"):
            whole += line[:-1] + " "
        else:
            yield first, whole + line.partition("#")[0]
            whole, first = "", 0
    if whole:
        raise Unclear(f"line {first} goes on after the end of the file")


def is_continued(line: str) -> bool:
    """Whether a line ends in a backslash, so that libpam takes it and the next one for one line."""
    return line.partition("#")[0].rstrip(" \t").endswith("\\")


def auth_lines(text: str) -> t.Iterator[tuple[int, Step]]:
    """What the lines of a file mean for the auth stack, each with the number of its first one. Raises Unclear."""
    for number, line in whole_lines(text):
        step = step_of(line)
        if step:
            yield number, step


def everything(stack: str, included: t.Mapping[str, str], above: tuple[str, ...] = ()) -> t.Iterator[Included]:
    """The auth lines of a file, and of all that it takes in, whichever way."""
    for number, line in enumerate(included.get(stack, "").split("\n"), start=1):
        step = step_of(line)
        if step and step.control in INCLUDES and step.module not in above:
            yield from everything(step.module, included, (*above, stack))
        elif step:
            yield Included(stack, number, line, step)


def other_types(stack: str, included: t.Mapping[str, str], above: tuple[str, ...] = ()) -> bool:
    """Whether a file, or what it takes in with `@include`, has lines that are not for the auth stack."""
    for line in included.get(stack, "").split("\n"):
        words = line.partition("#")[0].split()
        if words and words[0] == "@include" and words[-1] not in above:
            if other_types(words[-1], included, (*above, stack)):
                return True
        elif words and not step_of(line):
            return True
    return False


class ServiceFiles(t.NamedTuple):
    """The files of PAM services, by name. libpam looks for each in /etc/pam.d, and only then at what a vendor has."""

    texts: t.Mapping[str, str]
    """The one that counts of each."""
    vendors: t.Mapping[str, str] = {}
    """What the vendor has."""
    only_vendors: frozenset[str] = frozenset()
    """The names of those that nobody else has."""

    def path(self, name: str) -> str:
        """Where a file is."""
        return f"{places.VENDOR_PAM_D if name in self.only_vendors else places.PAM_D}/{name}"

    def where(self, chain: t.Sequence[tuple[str, int]]) -> str:
        """A line for a person, by the lines that lead to it: the file, the number, and what takes that file in."""
        *outer, (name, number) = chain
        by = ", and that ".join(f"by {self.path(file)}, line {line}" for file, line in reversed(outer))
        return f"{self.path(name)}, line {number}" + (f" (taken in {by})" if by else "")
