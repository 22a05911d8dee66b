# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the units that systemd has, and how it starts them; systemctl(1), systemd.exec(5)."""

from __future__ import annotations

import glob
import os
import re
import typing as t

from .. import _places as places
from .._texts.unit_variables import names_in, split, variables
from .command import Run
from .files import read_file

_ROOTS = ("RootDirectory", "RootImage")
_MOUNTS = ("BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "InaccessiblePaths")
"""Options that give a unit's program other files than the host has: these at some paths, `_ROOTS` everywhere."""
SERVICE_PROPERTIES = ",".join(
    (
        *("Id", "Names", "LoadState", "ExecStart", "Environment", "EnvironmentFiles", "FragmentPath", "DropInPaths"),
        *("NeedDaemonReload", "StateChangeTimestampMonotonic", "User", *_ROOTS, *_MOUNTS),
    )
)
"""The properties of a service that `parse_units` reads."""
INSTANCE = "fleet-auth"
"""The name of the instance of a template that is looked at; all instances start the same program."""
_OF_SYSTEMD = "the environment of systemd ('systemctl show-environment')"
_ARGUMENTS = re.compile(r"path=(\S+) ; argv\[\]=(.*?) ; ignore_errors=")


class SystemdError(RuntimeError):
    """systemd does not answer; the text is what systemctl printed."""


class Unit(t.NamedTuple):
    """A systemd service."""

    name: str
    program: str
    words: tuple[str, ...]
    """The arguments of the program, in which variables are not replaced yet."""
    environment: tuple[str, ...] = ()
    """Its variables, each as NAME=VALUE."""
    inherited: tuple[str, ...] = ()
    """The variables that it has from systemd, as all services do; its own win."""
    files: tuple[str, ...] = ()
    """The environment files, of which a later one wins; patterns of glob(7)."""
    unit_files: tuple[str, ...] = ()
    """The files of the unit; a later one wins."""
    names: tuple[str, ...] = ()
    """Its own name and its aliases."""
    owner: str = ""
    """The account that it runs as; empty for root."""
    hidden: tuple[str, ...] = ()
    """The paths at which it sees other files than the host has."""
    needs_reload: bool = False
    """Whether systemd has noticed that the files of the unit have changed since it read them."""
    changed_at: int = 0
    """When it was started, reloaded or stopped last, in microseconds since boot; 0 if that is not known."""

    @property
    def found_files(self) -> list[str]:
        """The environment files, in the order in which systemd reads them."""
        return [path for pattern in self.files for path in sorted(glob.glob(pattern)) or [pattern]]

    @property
    def is_outdated(self) -> bool:
        """Whether its files have changed since systemd read them, which it does again at the next boot at the latest.

        systemd does not notice a new file that takes the place of the old one, nor, up to version 252, a new drop-in.
        """
        fragment, *drop_ins = self.unit_files or ("",)
        paths = (f"{where}/{name}" for name in (self.name, template_of(self.name)) for where in places.UNIT_DIRECTORIES)
        first = next(filter(os.path.lexists, paths), fragment)
        return (
            self.needs_reload
            or os.path.realpath(first) != os.path.realpath(fragment)
            or not set(map(os.path.basename, self._found_drop_ins)).issubset(map(os.path.basename, drop_ins))
        )

    @property
    def _found_drop_ins(self) -> list[str]:
        """The paths of the drop-ins that exist for the unit now; systemd.unit(5)."""
        names = {*self.names, template_of(self.name), "service"}
        directories = (f"{where}/{name}.d" for where in places.UNIT_DIRECTORIES for name in names)
        return [path for directory in directories for path in glob.glob(f"{glob.escape(directory)}/*.conf")]

    @property
    def _variables(self) -> dict[str, str]:
        """The variables that the unit itself sets."""
        found = dict(one.partition("=")[::2] for one in self.environment)
        for path in self.found_files:
            file = read_file(path)
            found.update(variables(file.content) if file else {})
        return found

    def value(self, name: str) -> str:
        """The value of a variable; empty if it is not set."""
        return {**dict(one.partition("=")[::2] for one in self.inherited), **self._variables}.get(name, "")

    def sets(self, names: t.Iterable[str]) -> bool:
        """Whether the unit itself sets all of these variables."""
        return self._variables.keys() >= set(names)

    def place_of(self, texts: t.Collection[str]) -> str:
        """The last of its environment files, or else of its own files, that has one of these texts; empty if none.

        If only a variable of systemd has one, that is said in words.
        """
        for path in (*reversed(self.found_files), *reversed(self.unit_files)):
            file = read_file(path)
            if file and any(one in file.content for one in texts):
                return path
        return _OF_SYSTEMD if any(one in variable for variable in self.inherited for one in texts) else ""

    def hides(self, directories: t.Iterable[str]) -> bool:
        """Whether it sees other files than the host has in one of these directories, or above or below them."""
        inside = [f"{one.rstrip('/')}/" for one in self.hidden]
        return any(path.startswith(f"{one}/") or f"{one}/".startswith(path) for one in directories for path in inside)


def template_of(name: str) -> str:
    """The name of the template that a unit is made from, or else its own name."""
    return re.sub(r"@.*(?=\.)", "@", name)


def shown(run: Run, properties: str, names: t.Sequence[str]) -> str:
    """The output of `systemctl show` for these units and properties. Raises SystemdError.

    Templates are left out: nothing starts one, and systemctl answers for none of the units if a name is one.
    """
    units = [name for name in names if "@." not in name]
    if not units:
        return ""
    code, out, error = run(["systemctl", "show", f"--property={properties}", "--", *units])
    if code != 0 and os.path.isdir(places.SYSTEMD):
        raise SystemdError(error.strip() or f"systemctl show ended with {code}")
    return out if code == 0 else ""


def enabled() -> dict[str, str]:
    """The links to the units that start at boot, by the name of the unit."""
    return {os.path.basename(path): path for pattern in places.UNIT_LINKS for path in glob.glob(pattern)}


def services(run: Run, names: t.Sequence[str], read: t.Collection[str] = ()) -> list[Unit]:
    """The services with these names that exist; `read` are variables that their programs read."""
    return with_inherited(run, parse_units(shown(run, SERVICE_PROPERTIES, names)), read)


def with_inherited(run: Run, units: list[Unit], read: t.Collection[str] = ()) -> list[Unit]:
    """The units, with the variables of systemd if the commands of one of them use a variable that it does not set.

    That is the `DefaultEnvironment` of systemd-system.conf(5), and what `systemctl set-environment` has set since.

    :param read: variables that their programs read.
    """
    if all(unit.sets({*names_in(unit.words), *read}) for unit in units):
        return units
    code, out, _error = run(["systemctl", "show", "--property=Environment"])
    inherited = tuple(split(out.strip().partition("=")[2])) if code == 0 else ()
    return [unit._replace(inherited=inherited) for unit in units]


def parse_units(text: str) -> list[Unit]:
    """The loaded units in the output of `systemctl show` that start a command."""
    found = []
    for properties in blocks(text):
        command = _ARGUMENTS.search("\n".join(properties.get("ExecStart", ())))
        if properties.get("LoadState") == ["loaded"] and command:
            found.append(
                Unit(
                    name="".join(properties.get("Id", ())),
                    program=command[1],
                    words=tuple(command[2].split()[1:]),
                    environment=tuple(split(" ".join(properties.get("Environment", ())))),
                    files=tuple(value.partition(" (")[0] for value in properties.get("EnvironmentFiles", ()) if value),
                    unit_files=(
                        *properties.get("FragmentPath", ()),
                        *" ".join(properties.get("DropInPaths", ())).split(),
                    ),
                    names=tuple(" ".join((*properties.get("Id", ()), *properties.get("Names", ()))).split()),
                    owner="".join(one for one in properties.get("User", ()) if one not in ("root", "0")),
                    hidden=tuple(_hidden(properties)),
                    needs_reload=properties.get("NeedDaemonReload") == ["yes"],
                    changed_at=int("".join(properties.get("StateChangeTimestampMonotonic", ())) or 0),
                )
            )
    return found


def blocks(text: str) -> t.Iterator[dict[str, list[str]]]:
    """Split the output of `systemctl show` into units, each with the values of each property."""
    for block in text.strip().split("\n\n"):
        properties: dict[str, list[str]] = {}
        for name, _equals, value in (line.partition("=") for line in block.split("\n")):
            properties.setdefault(name, []).append(value)
        yield properties


def _hidden(properties: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[str]:
    """The paths at which a unit's program sees other files than the host has."""
    if any(value not in ("", "/") for name in _ROOTS for value in properties.get(name, ())):
        yield "/"
    for name in _MOUNTS:
        for word in " ".join(properties.get(name, ())).split():
            source, _colon, rest = word.lstrip("-+").partition(":")
            yield rest.partition(":")[0] if name.startswith("Bind") and rest else source
