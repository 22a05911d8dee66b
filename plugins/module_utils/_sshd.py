# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drop-in of sshd, and what sshd makes of all its files for one user; sshd_config(5).

Everything that the drop-in sets stands in `Match` blocks for the accounts in scope. An account out of scope keeps each
setting of the host. A `Match` block wins over the global settings, and the first one over later ones, so the drop-in
has to be read before any other `Match` that sets the same keywords.
"""

from __future__ import annotations

import fnmatch
import functools
import re
import shlex
import typing as t
from dataclasses import dataclass

from ansible_collections.fleet.auth.plugins.module_utils._settings import Settings

CONFIG = "/etc/ssh/sshd_config"
DROP_IN_DIRECTORY = "/etc/ssh/sshd_config.d"
DROP_IN = f"{DROP_IN_DIRECTORY}/00-twofactor.conf"

_HEADER = "# Two-factor login. Managed by fleet.auth: changes made here are lost.\n"
_METHODS = {
    "publickey": "publickey,keyboard-interactive:pam",
    "password": "keyboard-interactive:pam",
}
# What a Match block of somebody else must not set before ours.
_OURS = ("authenticationmethods", "kbdinteractiveauthentication", "passwordauthentication")
_SETTING = re.compile(r"\s*([^\s#=][^\s=]*)\s*=?\s*(.*)")
_LISTS = ("allowusers", "denyusers", "allowgroups", "denygroups", "authenticationmethods", "authorizedkeysfile")


@dataclass(frozen=True)
class Line:
    """One setting of a configuration file. `match` is the text of the Match line above it, or empty."""

    path: str
    number: int
    keyword: str
    arguments: tuple[str, ...]
    match: str

    def __str__(self) -> str:
        return f"{self.path} line {self.number}: {self.keyword} {' '.join(self.arguments)}"


class Effective(t.Dict[str, t.Tuple[str, ...]]):
    """The settings that `sshd -T -C` prints for one user, by keyword in lower case."""

    def first(self, keyword: str) -> str:
        """The first value of a keyword, or an empty text."""
        return next(iter(self.get(keyword, ())), "")

    def on(self, keyword: str) -> bool:
        """Whether a keyword is `yes`."""
        return self.first(keyword) == "yes"


def drop_in(settings: Settings, enrolled: t.Iterable[str]) -> str:
    """The drop-in for these settings. `enrolled` are the accounts in scope where the scope is `enrolled`.

    The recovery command adds `,!NAME` to the patterns of each `Match User`, so that criterion always comes first.
    """
    users = sorted(set(enrolled) - set(settings.exempt_users)) if settings.scope == "enrolled" else ["*"]
    if not users:
        return _HEADER
    criteria = ["Match User " + ",".join([*users, *(f"!{name}" for name in settings.exempt_users)])]
    groups = [*settings.scope_groups] if settings.scope == "groups" else ["*"] if settings.exempt_groups else []
    if groups:
        criteria.append("Group " + ",".join([*groups, *(f"!{name}" for name in settings.exempt_groups)]))
    scopes = [" ".join(criteria)]
    if settings.exempt_addresses:
        addresses = ",".join(f"!{address}" for address in settings.exempt_addresses)
        # A peer that has no address (a socket of the local machine) matches no Address pattern at all.
        scopes = [f"{scopes[0]} Address *,{addresses}", f"{scopes[0]} Host UNKNOWN"]
    body = "".join(f"    {keyword} {value}\n" for keyword, value in _values(settings))
    return _HEADER + "".join(f"{scope}\n{body}" for scope in scopes)


def both(new: str, old: str) -> str:
    """A drop-in for the accounts that are in the scope of one or of the other; the new one counts for those in both."""
    return new + old


def expected(settings: Settings) -> dict[str, tuple[str, ...]]:
    """What `sshd -T -C` has to print for an account in scope."""
    return {
        "usepam": ("yes",),
        "kbdinteractiveauthentication": ("yes",),
        "passwordauthentication": ("no",),
        "authenticationmethods": tuple(_METHODS[factor] for factor in settings.ssh_first_factors),
    }


def parse_effective(text: str) -> Effective:
    """Read the output of `sshd -T`. Keywords that come once a value are collected."""
    effective = Effective()
    for line in text.splitlines():
        keyword, _space, value = line.strip().partition(" ")
        values = tuple(value.split()) if keyword in _LISTS else (value,)
        effective[keyword] = effective.get(keyword, ()) + values
    return effective


def parse_config(path: str, text: str, match: str = "") -> tuple[Line, ...]:
    """The settings of one file, in order. Comments and lines that sshd would refuse are left out."""
    lines: list[Line] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        words = _words(raw)
        if not words:
            continue
        keyword, arguments = words[0], tuple(words[1:])
        if keyword.lower() == "match":
            match = raw.strip()
        lines.append(Line(path, number, keyword, arguments, match))
    return tuple(lines)


def read_order(files: t.Mapping[str, str]) -> tuple[Line, ...] | None:
    """Every setting in the order in which sshd reads it, without our own; None where our drop-in would not be read
    or not in force for everyone.

    `files` are sshd_config and the files of its drop-in directory.
    """
    order: list[Line] = []
    included = False
    for line in parse_config(CONFIG, files.get(CONFIG, "")):
        if line.keyword.lower() != "include":
            order.append(line)
            continue
        patterns = [p if p.startswith("/") else f"/etc/ssh/{p}" for p in line.arguments]
        if not line.match and any(fnmatch.fnmatch(DROP_IN, pattern) for pattern in patterns):
            included = True
        for pattern in patterns:
            for path in sorted(files):
                if path not in (CONFIG, DROP_IN) and fnmatch.fnmatch(path, pattern):
                    order += parse_config(path, files[path], line.match)
    return tuple(order) if included else None


def conflicts(files: t.Mapping[str, str]) -> t.Iterator[str]:
    """What stands in the way of the drop-in, each with its line and the remedy."""
    order = read_order(files)
    if order is None:
        yield (
            f"{CONFIG} does not read {DROP_IN_DIRECTORY} for everyone: put the line "
            f"'Include {DROP_IN_DIRECTORY}/*.conf' at its top, before any Match."
        )
        return
    for line in order:
        keyword = line.keyword.lower()
        before_ours = line.path != CONFIG and line.path < DROP_IN
        if keyword == "authenticationmethods" and line.arguments != ("any",):
            yield f"{line} decides what fleet.auth has to; remove it (ssh_first_factors says what comes first)."
        elif keyword == "usepam" and line.arguments[:1] == ("no",) and not line.match:
            yield f"{line} keeps PAM, and with it the code, out of sshd; set UsePAM yes."
        elif keyword in _OURS and line.match and before_ours:
            yield f"{line} (under '{line.match}') is read before {DROP_IN}, and wins; let that file sort after it."


def setting_line(files: t.Mapping[str, str], keyword: str) -> str:
    """Where a keyword is set first, for a message; the default if nowhere."""
    for line in read_order(files) or ():
        if line.keyword.lower() == keyword.lower():
            return str(line)
    return f"{keyword} has this value by default"


def distinguishing(files: t.Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The pattern lists by which the configuration tells accounts apart: pairs of `user` or `group`, and the list."""
    found: set[tuple[str, str]] = set()
    for path, text in files.items():
        for line in parse_config(path, text):
            if line.keyword.lower() == "match":
                criteria = zip((word.lower() for word in line.arguments[::2]), line.arguments[1::2])
                found.update(pair for pair in criteria if pair[0] in ("user", "group"))
    return tuple(sorted(found))


def account_class(patterns: t.Sequence[tuple[str, str]], user: str, groups: t.Collection[str]) -> tuple[bool, ...]:
    """Which pattern lists an account matches: two accounts with the same answers get the same settings from sshd."""
    return tuple(matches([user] if kind == "user" else groups, patterns) for kind, patterns in patterns)


def matches(names: t.Collection[str], pattern_list: str) -> bool:
    """Whether a pattern list matches one of the names and excludes none; ssh_config(5), PATTERNS."""
    wanted, excluded = _pattern_list(pattern_list)
    return any(map(wanted, names)) and not any(map(excluded, names))


def admits(effective: Effective, user: str, groups: t.Collection[str]) -> bool:
    """Whether AllowUsers, DenyUsers and their like let this account try to log in, from one host at least."""

    def named(keyword: str) -> bool:
        return matches([user], ",".join(pattern.split("@")[0] for pattern in effective.get(keyword, ())))

    def grouped(keyword: str) -> bool:
        return matches(groups, ",".join(effective.get(keyword, ())))

    if matches([user], ",".join(p for p in effective.get("denyusers", ()) if "@" not in p)) or grouped("denygroups"):
        return False
    if "allowusers" in effective and not named("allowusers"):
        return False
    return "allowgroups" not in effective or grouped("allowgroups")


def _values(settings: Settings) -> t.Iterator[tuple[str, str]]:
    yield "AuthenticationMethods", " ".join(_METHODS[factor] for factor in settings.ssh_first_factors)
    yield "KbdInteractiveAuthentication", "yes"
    yield "PasswordAuthentication", "no"


@functools.lru_cache(maxsize=None)
def _pattern_list(text: str) -> tuple[t.Callable[[str], bool], t.Callable[[str], bool]]:
    patterns = [pattern for pattern in text.split(",") if pattern]
    return (
        _matcher(pattern for pattern in patterns if not pattern.startswith("!")),
        _matcher(pattern[1:] for pattern in patterns if pattern.startswith("!")),
    )


def _matcher(patterns: t.Iterable[str]) -> t.Callable[[str], bool]:
    """Plain names are looked up, so that a list of ten thousand costs no more than one of ten."""
    plain: set[str] = set()
    globs: list[str] = []
    for pattern in patterns:
        if "*" in pattern or "?" in pattern:
            globs.append("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern))
        else:
            plain.add(pattern)
    glob = re.compile("|".join(globs)) if globs else None
    return lambda name: name in plain or bool(glob and glob.fullmatch(name))


def _words(line: str) -> list[str]:
    setting = _SETTING.match(line)
    if not setting:
        return []
    keyword, rest = setting.groups()
    try:
        return [keyword, *shlex.split(rest, comments=True)]
    except ValueError:
        return [keyword, *rest.split()]
