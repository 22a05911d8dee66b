# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drop-in of sshd, and what sshd makes of all its files for one user; sshd_config(5).

What the drop-in sets stands in `Match` blocks for the accounts in scope. An account out of scope keeps each setting of
the host. A `Match` block wins over the global settings, and the first one over later ones, so the drop-in has to be
read before any other `Match` that sets the same keywords.

Before OpenSSH 8.7 nobody is shown a prompt of PAM's where ChallengeResponseAuthentication, which holds for everyone, is
no. There the drop-in turns it on, and its last block turns prompts off again for the accounts out of scope.
"""

from __future__ import annotations

import fnmatch
import functools
import itertools
import re
import typing as t

from .. import _places as places
from .._wanted.settings import Settings

_HEADER = "# Two-factor login. Managed by fleet.auth: changes made here are lost.\n"
_METHODS = {
    "publickey": "publickey,keyboard-interactive:pam",
    "password": "keyboard-interactive:pam",
}
_PROMPTS = ("challengeresponseauthentication", "skeyauthentication")
_PROMPTS_ON = "ChallengeResponseAuthentication yes\n"
_PROMPTS_OFF = "Match all\n    KbdInteractiveAuthentication no\n"
# What a Match block of somebody else must not set before ours; from OpenSSH 8.7 on, three of them are one setting.
_OURS = ("authenticationmethods", "kbdinteractiveauthentication", *_PROMPTS, "passwordauthentication")
_SETTING = re.compile(r"\s*([^\s#=][^\s=]*)\s*=?\s*(.*)")
_WORD = re.compile(r"""(?:\\[\\"' ]|"[^"]*"|'[^']*'|[^\s"'])+""")
_QUOTED = re.compile(r"""\\([\\"' ])|"([^"]*)"|'([^']*)'""")
# Criteria of a Match line that take no pattern.
_ALONE = ("all", "invalid-user")
_LISTS = ("allowusers", "denyusers", "allowgroups", "denygroups", "authenticationmethods", "authorizedkeysfile")


class Line(t.NamedTuple):
    """One setting of a configuration file. `match` is the text of the Match line above it, or empty."""

    path: str
    number: int
    keyword: str
    arguments: tuple[str, ...]
    match: str

    def __str__(self) -> str:
        return f"{self.path} line {self.number}: {self.keyword} {' '.join(self.arguments)}"


class ReadOrder(t.NamedTuple):
    """Every setting of other files, in the order in which sshd reads it: before our drop-in, and after it."""

    before: tuple[Line, ...]
    after: tuple[Line, ...]


class Effective(t.Dict[str, t.Tuple[str, ...]]):
    """The settings that `sshd -T -C` prints for one user, by keyword in lower case."""

    def first(self, keyword: str) -> str:
        """The first value of a keyword, or an empty text."""
        return next(iter(self.get(keyword, ())), "")

    def on(self, keyword: str) -> bool:
        """Whether a keyword is `yes`."""
        return self.first(keyword) == "yes"


def drop_in(settings: Settings, enrolled: t.Iterable[str], shows_no_prompts: bool = False) -> str:
    """The drop-in for these settings. `enrolled` are the accounts in scope where the scope is `enrolled`.

    `shows_no_prompts` is what the function of that name says of the host.

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
    blocks = "".join(f"{scope}\n{body}" for scope in scopes)
    return _HEADER + (f"{_PROMPTS_ON}{blocks}{_PROMPTS_OFF}" if shows_no_prompts else blocks)


def both(new: str, old: str) -> str:
    """A drop-in for the accounts that are in the scope of one or of the other; the new one counts for those in both."""
    text = new + old
    if _PROMPTS_ON not in text:
        return text
    return _PROMPTS_ON + text.replace(_PROMPTS_ON, "").replace(_PROMPTS_OFF, "") + _PROMPTS_OFF


def expected(settings: Settings, sshd: Effective | None = None) -> dict[str, tuple[str, ...]]:
    """What `sshd -T -C` has to print for an account in scope; with `sshd`, which it prints for any, also for others."""
    return {
        **({_PROMPTS[0]: ("yes",)} if sshd and _has_switch_for_prompts(sshd) else {}),
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
    for number, raw in enumerate(text.split("\n"), start=1):
        words = _words(raw)
        if not words:
            continue
        keyword, arguments = words[0], tuple(words[1:])
        if keyword.lower() == "match":
            match = raw.strip()
        lines.append(Line(path, number, keyword, arguments, match))
    return tuple(lines)


def read_order(files: t.Mapping[str, str]) -> ReadOrder | None:
    """What sshd reads beside our drop-in; None where that would not be read or not be in force for everyone.

    `files` are sshd_config and the files of its drop-in directory.
    """
    order: list[Line] = []
    ours = None
    for line in parse_config(places.SSHD_CONFIG, files.get(places.SSHD_CONFIG, "")):
        order.append(line)
        if line.keyword.lower() != "include":
            continue
        for pattern in _patterns(line):
            for path in sorted({*files, places.DROP_IN} - {places.SSHD_CONFIG}):
                if path.count("/") != pattern.count("/") or not fnmatch.fnmatchcase(path, pattern):
                    continue
                if path != places.DROP_IN:
                    order += parse_config(path, files[path], line.match)
                elif ours is None and not line.match:
                    ours = len(order)
    return None if ours is None else ReadOrder(tuple(order[:ours]), tuple(order[ours:]))


def shows_no_prompts(files: t.Mapping[str, str], sshd: Effective) -> bool:
    """Whether sshd shows nobody a prompt of PAM's but for our drop-in. `sshd` is what is in force."""
    return _has_switch_for_prompts(sshd) and any(map(_hides_prompts, itertools.chain(*(read_order(files) or ()))))


def conflicts(files: t.Mapping[str, str], sshd: Effective) -> t.Iterator[str]:
    """What stands in the way of the drop-in, each with its line and the remedy. `sshd` is what is in force."""
    order = read_order(files)
    if order is None:
        yield (
            f"{places.SSHD_CONFIG} does not read {places.DROP_IN_DIRECTORY} for everyone: put the line "
            f"'Include {places.DROP_IN_DIRECTORY}/*.conf' at its top, before any Match."
        )
        return
    if not sshd.on("usepam"):
        where = next((str(line) for line in order.before + order.after if line.keyword.lower() == "usepam"), None)
        where = where or f"{places.SSHD_CONFIG} without UsePAM"
        yield f"{where} keeps PAM, and with it the code, out of sshd; set UsePAM yes."
    for number, line in enumerate(order.before + order.after):
        keyword = line.keyword.lower()
        if keyword == "authenticationmethods" and line.arguments != ("any",):
            yield f"{line} decides what fleet.auth has to; remove it (ssh_first_factors says what comes first)."
        elif number >= len(order.before):
            continue
        elif keyword in _OURS and line.match:
            yield (
                f"{line} (under '{line.match}') is read before {places.DROP_IN}, and wins; let that file sort after it."
            )
        elif _has_switch_for_prompts(sshd) and _hides_prompts(line):
            yield f"{line} is read before {places.DROP_IN}, and keeps the prompt for the code out of sshd; remove it."
        elif _includes_elsewhere(line):
            yield (
                f"{line} is read before {places.DROP_IN}, and what it includes would win; put it after the line "
                f"'Include {places.DROP_IN_DIRECTORY}/*.conf' of {places.SSHD_CONFIG}."
            )


def setting_line(files: t.Mapping[str, str], keyword: str) -> str:
    """Where a keyword is set first, for a message; the default if nowhere."""
    order = read_order(files)
    for line in order.before + order.after if order else ():
        if line.keyword.lower() == keyword.lower():
            return str(line)
    return f"{keyword} has this value by default"


def distinguishing(files: t.Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The pattern lists by which the configuration tells accounts apart: pairs of `user` or `group`, and the list."""
    found: set[tuple[str, str]] = set()
    for path, text in files.items():
        for line in parse_config(path, text):
            if line.keyword.lower() == "match":
                found.update(pair for pair in _criteria(line.arguments) if pair[0] in ("user", "group"))
    return tuple(sorted(found))


def tells_addresses(files: t.Mapping[str, str]) -> bool:
    """Whether the configuration tells one address, port or the like from another."""
    return any(
        kind not in ("user", "group")
        for path, text in files.items()
        for line in parse_config(path, text)
        if line.keyword.lower() == "match"
        for kind, _list in _criteria(line.arguments)
    )


def reads_elsewhere(files: t.Mapping[str, str]) -> bool:
    """Whether sshd reads files that are not among these, so that they do not tell all."""
    return any(_includes_elsewhere(line) for path, text in files.items() for line in parse_config(path, text))


def account_class(patterns: t.Sequence[tuple[str, str]], user: str, groups: t.Collection[str]) -> tuple[bool, ...]:
    """Which pattern lists an account matches: two accounts with the same answers get the same settings from sshd."""
    return tuple(matches([user] if kind == "user" else groups, patterns) for kind, patterns in patterns)


def matches(names: t.Collection[str], pattern_list: str) -> bool:
    """Whether a pattern list matches one of the names and excludes none; ssh_config(5), PATTERNS."""
    wanted, excluded = _pattern_list(pattern_list)
    return any(map(wanted, names)) and not any(map(excluded, names))


def sends_to_pam(effective: Effective) -> bool:
    """Whether every way for this account to log in ends at PAM, which asks for the code."""
    methods = effective.get("authenticationmethods", ())
    return bool(methods) and all(method.split(",")[-1] == "keyboard-interactive:pam" for method in methods)


def admits(effective: Effective, user: str, groups: t.Collection[str]) -> bool:
    """Whether AllowUsers, DenyUsers and their like let this account try to log in, from one host at least."""

    def listed(keyword: str, names: t.Collection[str]) -> bool:
        """These are lists of patterns, of which none excludes; a user may come with a host."""
        patterns = effective.get(keyword, ())
        if keyword == "allowusers":
            patterns = tuple(pattern.partition("@")[0] for pattern in patterns)
        elif keyword == "denyusers":
            patterns = tuple(pattern for pattern in patterns if "@" not in pattern)
        return any(map(_matcher(patterns), names))

    if listed("denyusers", [user]) or listed("denygroups", groups):
        return False
    if "allowusers" in effective and not listed("allowusers", [user]):
        return False
    return "allowgroups" not in effective or listed("allowgroups", groups)


def _values(settings: Settings) -> t.Iterator[tuple[str, str]]:
    yield "AuthenticationMethods", " ".join(_METHODS[factor] for factor in settings.ssh_first_factors)
    yield "KbdInteractiveAuthentication", "yes"
    yield "PasswordAuthentication", "no"


@functools.lru_cache(maxsize=None)
def _pattern_list(text: str) -> tuple[t.Callable[[str], bool], t.Callable[[str], bool]]:
    patterns = [pattern for pattern in text.split(",") if pattern]
    return (
        _matcher(tuple(pattern for pattern in patterns if not pattern.startswith("!"))),
        _matcher(tuple(pattern[1:] for pattern in patterns if pattern.startswith("!"))),
    )


@functools.lru_cache(maxsize=None)
def _matcher(patterns: tuple[str, ...]) -> t.Callable[[str], bool]:
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
    """The words of a line, as sshd takes them apart: a word that begins with # begins a comment."""
    setting = _SETTING.match(line)
    if not setting:
        return []
    keyword, rest = setting.groups()
    words = [keyword.strip('"')]
    for word in _WORD.findall(rest):
        if word.startswith("#"):
            break
        words.append(_QUOTED.sub(lambda quoted: "".join(part or "" for part in quoted.groups()), word))
    return words


def _criteria(arguments: t.Sequence[str]) -> t.Iterator[tuple[str, str]]:
    """The criteria of a Match line, which come as `user alice` or as `user=alice`."""
    words = iter([word for argument in arguments for word in argument.split("=", 1) if word])
    for word in words:
        if word.lower() not in _ALONE:
            yield word.lower(), next(words, "")


def _has_switch_for_prompts(sshd: Effective) -> bool:
    """Whether this is an sshd before OpenSSH 8.7, which alone prints that setting."""
    return _PROMPTS[0] in sshd


def _hides_prompts(line: Line) -> bool:
    return line.keyword.lower() in _PROMPTS and line.arguments == ("no",)


def _patterns(include: Line) -> list[str]:
    return [path if path.startswith("/") else f"{places.SSHD_DIRECTORY}/{path}" for path in include.arguments]


def _includes_elsewhere(line: Line) -> bool:
    return line.keyword.lower() == "include" and (
        line.path != places.SSHD_CONFIG
        or any(path.rpartition("/")[0] != places.DROP_IN_DIRECTORY for path in _patterns(line))
    )
