# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kinds of patterns in sshd's configuration: for names and addresses, ssh_config(5), and for paths, glob(7)."""

from __future__ import annotations

import functools
import ipaddress
import re
import typing as t

_FILLINGS = ("1", "1.1", "1.1.1", "254", "254.254", "254.254.254", ":1", "::1", "fe:1", "fe::1")
"""Texts that are tried in place of a * in a pattern of addresses."""

# A part of a pattern as sshd's own glob reads it: an escaped character, a set (not negated by ^), or one character.
_GLOB = re.compile(r"\\(.)|\[(!?)(\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])+)\]|(.)", re.DOTALL)
_SPECIAL = re.compile(r"[*?\[\\]")
_CLASSES = {"[:alpha:]": "a-zA-Z", "[:digit:]": "0-9", "[:alnum:]": "a-zA-Z0-9", "[:lower:]": "a-z", "[:upper:]": "A-Z"}


def matches(names: t.Collection[str], pattern_list: str) -> bool:
    """Whether a pattern list matches one of the names and excludes none; ssh_config(5), PATTERNS."""
    wanted, excluded = _pattern_list(pattern_list)
    return any(map(wanted, names)) and not any(map(excluded, names))


@functools.lru_cache(maxsize=None)
def _pattern_list(text: str) -> tuple[t.Callable[[str], bool], t.Callable[[str], bool]]:
    """Two functions: whether a name matches a pattern list, and whether the list excludes it by `!`."""
    patterns = [pattern for pattern in text.split(",") if pattern]
    return (
        any_of(tuple(pattern for pattern in patterns if not pattern.startswith("!"))),
        any_of(tuple(pattern[1:] for pattern in patterns if pattern.startswith("!"))),
    )


@functools.lru_cache(maxsize=None)
def any_of(patterns: tuple[str, ...]) -> t.Callable[[str], bool]:
    """A function that says whether a name matches one of these patterns.

    Plain names are looked up, so that a list of ten thousand costs no more than one of ten.
    """
    plain: set[str] = set()
    globs: list[str] = []
    for pattern in patterns:
        if "*" in pattern or "?" in pattern:
            globs.append("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern))
        else:
            plain.add(pattern)
    glob = re.compile("|".join(globs)) if globs else None
    return lambda name: name in plain or bool(glob and glob.fullmatch(name))


def sample_addresses(pattern: str) -> list[str]:
    """Some addresses that a pattern matches, far apart; none if it is not for addresses, or matches all of them."""
    if pattern == "*":
        return []
    if "*" in pattern or "?" in pattern:
        return [
            one
            for one in (pattern.replace("?", filling[0]).replace("*", filling) for filling in _FILLINGS)
            if _is_address(one) and covers(pattern, one)
        ]
    network = _network(pattern)
    if network is None:
        return []
    last = network.num_addresses - 1
    return [*dict.fromkeys(str(network[number]) for number in (min(1, last), max(0, last - 1), last // 2))]


def covers(pattern: str, address: str) -> bool:
    """Whether a pattern of addresses matches an address."""
    network = _network(pattern)
    return ipaddress.ip_address(address) in network if network else any_of((pattern,))(address)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def matching_paths(pattern: str, paths: t.Iterable[str]) -> list[str]:
    """Those of these paths that a pattern of glob(7) matches, in the order of glob(7)."""
    return sorted(filter(_glob(pattern).fullmatch, paths))


def loose_glob(pattern: str) -> str:
    """A pattern for Python's own glob that matches all paths that the pattern of glob(7) matches, and perhaps more.

    Python's glob knows neither classes nor escaped characters.
    """
    return "/".join(
        part if not _SPECIAL.search(part) else ".*" if part.startswith((".", "\\.")) else "*"
        for part in pattern.split("/")
    )


@functools.lru_cache(maxsize=None)
def _glob(pattern: str) -> t.Pattern[str]:
    """A pattern of glob(7) as a regular expression. Only a dot in the pattern matches a dot that begins a name."""
    try:
        return re.compile("/".join(map(_name, pattern.split("/"))), re.DOTALL)
    except re.error:  # a set with a reversed range
        return re.compile("(?!)")


def _name(pattern: str) -> str:
    """A pattern for one part of a path, as a regular expression."""
    found = r"(?!\.)" if pattern[:1] in ("*", "?", "[") else ""
    for escaped, negated, members, one in _GLOB.findall(pattern):
        if members:
            found += f"[{'^' if negated else ''}{_members(members)}]"
        else:
            found += {"*": "[^/]*", "?": "[^/]"}.get(one) or re.escape(escaped or one)
    return found


def _members(members: str) -> str:
    """The text between the brackets of a set, as for a regular expression. Classes have their ASCII characters only."""
    parts = re.findall(r"\[:[a-z]+:\]|\\.|-+|.", members, re.DOTALL)
    return "".join(_CLASSES.get(part) or ("-" if part[0] == "-" else re.escape(part[-1])) for part in parts)
