# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data of the guard on a host: what the policy depends on, and what the guard has seen. Text in, text out.

The guard is a shell script, `roles/twofactor/files/guard`. Its data is a file of lines. Each line is a word and its
values, separated by tabs; the top of the script explains the words.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

from .. import _places as places
from . import sshd_config
from .patterns import matching_paths

_BLOCK = re.compile(r"# (BEGIN|END) fleet[.]auth twofactor")
_NOT_AUTH = re.compile(r"[ \t]*(#|$|-?(account|password|session)([ \t]|$))", re.ASCII | re.IGNORECASE)
_CONTINUED = re.compile(r"\\[ \t]*$")
_ALERT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\t(-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\t(.+)")

_SETTING = re.compile(r'[ \t\r="]*([A-Za-z]+)')
_BETWEEN = re.compile(r"""[ \t\r="']+""")
_QUOTING = re.compile(r"""["'\\]""")
_DOTS = re.compile(r"/(\.?/)+")
_MAX_DEPTH = 4
"""How many levels of includes in included files the guard follows."""
_START_SETTING = re.compile(
    r"[ \t]*((Exec|Environment|PassEnvironment|UnsetEnvironment|Root|Bind)[A-Za-z]*[ \t]*=|[A-Z_][A-Z0-9_]*=)"
)


class Alert(t.NamedTuple):
    """Something wrong that the guard has seen."""

    since: str
    """When the guard first saw it, such as 2026-11-28T10:02:03Z."""
    until: str | None
    """When the guard saw that it was right again; None until then."""
    text: str


def alerts(text: str | None) -> list[Alert]:
    """What the guard has noted, the oldest first. A line that it cannot have written is skipped."""
    found = map(_ALERT.fullmatch, (text or "").split("\n"))
    return [Alert(one[1], None if one[2] == "-" else one[2], one[3]) for one in found if one]


def auth_part(text: str) -> str:
    """The lines of a PAM file that decide who gets in, up to the end of our block: for auth, and the whole block.

    libpam takes a line whose type it does not know for one of auth.
    """
    shown: list[str] = []
    inside = goes_on = False
    for line in text.split("\n"):
        mark = _BLOCK.match(line)
        inside = inside or bool(mark and mark[1] == "BEGIN")
        if inside or goes_on or not _NOT_AUTH.match(line):
            shown.append(f"{line}\n")
        if mark and mark[1] == "END":
            break
        goes_on = bool(_CONTINUED.search(line))
    return "".join(shown)


def block(text: str) -> list[str]:
    """The lines of our block in a PAM file; none where there is no block."""
    lines = text.split("\n")
    marks = [number for number, line in enumerate(lines) if _BLOCK.match(line)]
    return lines[marks[0] : marks[-1] + 1] if marks else []


def includes(text: str, number: int) -> int:
    """How many Include lines a configuration of sshd has, up to and including the line of this number."""
    found = map(_SETTING.match, text.split("\n")[:number])
    return sum(1 for one in found if one and one[1].lower() == "include")


def overriding(
    path: str, text: str, keywords: t.Collection[str], first: int | None = None, *, is_config: bool = False
) -> str:
    """The lines of an sshd file that decide, before our drop-in does, who is sent to the code step; and PAMServiceName.

    These are settings of these keywords under a Match. In the main configuration (`is_config`) each Match and Include
    is returned too, since it may limit the drop-in to some accounts. `first` is how many Include lines of the file are
    read up to the one of the drop-in; None if the whole file is read before the drop-in. An Include is returned
    wherever it is if nothing follows it: because it is in the main configuration, where it may be new, or because its
    paths may have blanks.
    """
    shown, scope = "", ""
    for line in text.split("\n"):
        found = _SETTING.match(line)
        if not found:
            continue
        word, wins = found[1].lower(), first is None or first > 0
        if word == "match":
            scope, wins = line, wins and first is not None
        elif word == "include":
            first = None if first is None else first - 1
            wins = wins or is_config or bool(_QUOTING.search(line))
        else:
            wins = wins and scope != "" and word in keywords
        if wins or word == "pamservicename":
            shown += f"{path}\t{scope}\t{line}\n"
    return shown


def others(files: sshd_config.Files, keywords: t.Collection[str], many: int) -> str:
    """The same for everything that an sshd reads, in its order; `many` is `first` for the main configuration."""
    shown = overriding(files.config, files.texts.get(files.config, ""), keywords, many, is_config=True)
    first = None
    for pattern in sshd_config.include_lines(files).patterns:
        for path in matching_paths(pattern, {*files.texts, places.DROP_IN} - {files.config}):
            if path == places.DROP_IN:
                first = 0
            else:
                shown += _with_included(files, path, keywords, first)
    return shown


def _with_included(
    files: sshd_config.Files, path: str, keywords: t.Collection[str], first: int | None, depth: int = 0
) -> str:
    """The same for a file and those that it includes, as deep as the script follows them."""
    shown = overriding(path, files.texts[path], keywords, first)
    for pattern in _included(files.texts[path]) if depth < _MAX_DEPTH else ():
        for other in matching_paths(pattern, files.texts.keys() - {files.config, places.DROP_IN, path}):
            shown += _with_included(files, other, keywords, first, depth + 1)
    return shown


def _included(text: str) -> t.Iterator[str]:
    """The patterns of glob(7) of the files that an sshd file includes, as far as their paths have no blanks."""
    for found, line in ((_SETTING.match(line), line) for line in text.split("\n")):
        if found and found[1].lower() == "include":
            for word in filter(None, _BETWEEN.split(line[found.end() :])):
                if word.startswith("#"):
                    break
                yield _DOTS.sub("/", word if word.startswith("/") else f"{places.SSHD_DIRECTORY}/{word}")


def starting(path: str, text: str) -> str:
    """The lines of a systemd unit, or of a file with its variables, that decide how sshd is started."""
    shown, goes_on = "", False
    for line in text.split("\n"):
        if goes_on or _START_SETTING.match(line):
            shown += f"{path}\t{line}\n"
            goes_on = bool(_CONTINUED.search(line))
    return shown


def digest(text: str) -> str:
    """The digest of a text, as sha256sum(1) prints it."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def line(word: str, *values: str) -> str:
    """A line of the guard's data."""
    return "\t".join((word, *values)) + "\n"


def watching(unit: str, directories: t.Iterable[str]) -> str:
    """The path unit of the guard, changed to watch these directories as well."""
    watched = "".join(f"PathChanged={directory}\n" for directory in directories)
    return unit.replace("[Path]\n", f"[Path]\n{watched}", 1)
