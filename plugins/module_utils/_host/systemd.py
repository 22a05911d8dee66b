# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at what systemd starts, and how; systemctl(1), systemd.exec(5)."""

from __future__ import annotations

import glob
import re
import typing as t

from .._texts.sshd_start import split, variables
from .command import Run
from .files import read_file

_ROOTS = ("RootDirectory", "RootImage")
_MOUNTS = ("BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "InaccessiblePaths")
"""By what a unit shows its program other files than the host has, everywhere or at some paths."""
OF_SERVICES = ",".join(
    (
        *("Id", "Names", "LoadState", "ExecStart", "Environment", "EnvironmentFiles", "FragmentPath", "DropInPaths"),
        *("User", *_ROOTS, *_MOUNTS),
    )
)
"""The properties of a service that `parse_units` reads."""
INSTANCE = "fleet-auth"
"""Which instance of a template is looked at; they all start the same."""
_ARGUMENTS = re.compile(r"path=(\S+) ; argv\[\]=(.*?) ; ignore_errors=")


class Unit(t.NamedTuple):
    """A service of systemd."""

    name: str
    program: str
    words: tuple[str, ...]
    """What follows the program, with variables in it."""
    environment: tuple[str, ...] = ()
    """NAME=VALUE."""
    files: tuple[str, ...] = ()
    """Files with more of that, of which the last one counts; patterns of glob(7)."""
    written_in: tuple[str, ...] = ()
    """The files of the unit; the last one counts."""
    names: tuple[str, ...] = ()
    """Its own name and other ones."""
    owner: str = ""
    """The account that it runs as, where that is not root."""
    hidden: tuple[str, ...] = ()
    """The paths at which it has other files than the host."""

    @property
    def found_files(self) -> list[str]:
        """The files of variables, in the order in which systemd reads them."""
        return [path for pattern in self.files for path in sorted(glob.glob(pattern)) or [pattern]]

    def value(self, name: str) -> str:
        """What a variable stands for."""
        found = dict(one.partition("=")[::2] for one in self.environment)
        for path in self.found_files:
            file = read_file(path)
            found.update(variables(file.content) if file else {})
        return found.get(name, "")

    def says(self, texts: t.Collection[str]) -> str:
        """The last file, of its variables or its own, in which one of these texts stands; or an empty text."""
        for path in (*reversed(self.found_files), *reversed(self.written_in)):
            file = read_file(path)
            if file and any(one in file.content for one in texts):
                return path
        return ""

    def hides(self, directories: t.Iterable[str]) -> bool:
        """Whether it has other files than the host in one of these directories, or in one above or below them."""
        inside = [f"{one.rstrip('/')}/" for one in self.hidden]
        return any(path.startswith(f"{one}/") or f"{one}/".startswith(path) for one in directories for path in inside)


def shown(run: Run, properties: str, names: t.Sequence[str]) -> str:
    """What systemd tells of these units."""
    code, out, _error = run(["systemctl", "show", f"--property={properties}", "--", *names])
    return out if code == 0 else ""


def services(run: Run, names: t.Sequence[str]) -> list[Unit]:
    """Those of these services that there are."""
    return parse_units(shown(run, OF_SERVICES, names))


def parse_units(text: str) -> list[Unit]:
    """The units that `systemctl show` tells of and that start something."""
    found = []
    for told in blocks(text):
        command = _ARGUMENTS.search("\n".join(told.get("ExecStart", ())))
        if told.get("LoadState") == ["loaded"] and command:
            found.append(
                Unit(
                    name="".join(told.get("Id", ())),
                    program=command[1],
                    words=tuple(command[2].split()[1:]),
                    environment=tuple(split(" ".join(told.get("Environment", ())))),
                    files=tuple(value.partition(" (")[0] for value in told.get("EnvironmentFiles", ()) if value),
                    written_in=(*told.get("FragmentPath", ()), *" ".join(told.get("DropInPaths", ())).split()),
                    names=tuple(" ".join((*told.get("Id", ()), *told.get("Names", ()))).split()),
                    owner="".join(one for one in told.get("User", ()) if one not in ("root", "0")),
                    hidden=tuple(_hidden(told)),
                )
            )
    return found


def blocks(text: str) -> t.Iterator[dict[str, list[str]]]:
    """What `systemctl show` tells of each unit: the values of each property."""
    for block in text.strip().split("\n\n"):
        told: dict[str, list[str]] = {}
        for name, _equals, value in (line.partition("=") for line in block.split("\n")):
            told.setdefault(name, []).append(value)
        yield told


def _hidden(told: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[str]:
    """The paths at which a unit shows its program other files than the host has."""
    if any(value not in ("", "/") for name in _ROOTS for value in told.get(name, ())):
        yield "/"
    for name in _MOUNTS:
        for word in " ".join(told.get(name, ())).split():
            source, _colon, rest = word.lstrip("-+").partition(":")
            yield rest.partition(":")[0] if name.startswith("Bind") and rest else source
