# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How sshd reads its configuration, and which settings follow from it for one account; sshd_config(5), sshd(8).

The first value of a keyword applies. A value in a `Match` block wins over global values, wherever these are. The files
of the drop-in directory are read where `Include` names them, in the order of their names.
"""

from __future__ import annotations

import itertools
import re
import typing as t

from .. import _places as places
from .patterns import any_of, covers, matches, matching_paths, sample_addresses

# Only these separate words; a form feed or a no-break space does not.
_BLANK = "[ \t\r]*"
_SETTING = re.compile(
    rf'{_BLANK}=?{_BLANK}("[^"]*"{_BLANK}|[^ \t\r#="][^ \t\r=]*{_BLANK}=?{_BLANK})(.*)',
    re.DOTALL,
)
_TRAILING = " \t\r\f"
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# Criteria of a Match line that take no pattern.
_WITHOUT_PATTERN = ("all", "invalid-user")
# Lists that sshd -T prints in one line. For other lists it prints one line per value, which may have blanks.
_LISTS = ("authenticationmethods", "authorizedkeysfile")


_ORIGINS = 16
"""The largest number of origins for which `sshd -T` is run."""


class Line(t.NamedTuple):
    """One setting of a configuration file. `match` is the text of the Match line above it, or empty.

    A setting of the command line has the number 0, and its path is a text that says where it is.
    """

    path: str
    number: int
    keyword: str
    arguments: tuple[str, ...]
    match: str

    def __str__(self) -> str:
        if not self.number:
            return self.path
        return f"{self.path} line {self.number}: {self.keyword} {' '.join(self.arguments)}"


class ReadOrder(t.NamedTuple):
    """The settings of all other files, in the order in which sshd reads them: before our drop-in, and after it."""

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


def parse_effective(text: str) -> Effective:
    """Read the output of `sshd -T`, which prints some keywords once for each of their values.

    Older releases print keywords in lower case, OpenSSH 10.6 as sshd_config(5) spells them.
    """
    effective = Effective()
    for line in text.splitlines():
        keyword, _space, value = line.strip().partition(" ")
        keyword = keyword.lower()
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


class Files(t.NamedTuple):
    """The files and options from which an sshd takes its settings."""

    texts: t.Mapping[str, str]
    """The texts of its configuration and of the files of the drop-in directory, by path."""
    config: str = places.SSHD_CONFIG
    """The path of its configuration."""
    options: tuple[Line, ...] = ()
    """The settings of its command line, which win over those of every file."""


def read_order(files: Files) -> ReadOrder | None:
    """The settings that sshd reads besides our drop-in; None where it does not read that, or only under a `Match`."""
    texts, config = files.texts, files.config
    order: list[Line] = [*files.options]
    ours = None
    for line in parse_config(config, texts.get(config, "")):
        order.append(line)
        for path in _included_by(line, {*texts, places.DROP_IN} - {config}):
            if path != places.DROP_IN:
                order += _read(files, path, line.match)
            elif ours is None and not line.match:
                ours = len(order)
    return None if ours is None else ReadOrder(tuple(order[:ours]), tuple(order[ours:]))


def _read(files: Files, path: str, match: str, within: tuple[str, ...] = ()) -> t.Iterator[Line]:
    """The settings of a file that is included under this `Match`, and of the files that it includes.

    sshd refuses a file that includes itself, directly or through other files.
    """
    chain = (*within, path)
    for line in parse_config(path, files.texts[path], match):
        yield line
        for other in _included_by(line, files.texts.keys() - {files.config, places.DROP_IN, *chain}):
            yield from _read(files, other, line.match, chain)


def _included_by(line: Line, paths: t.Collection[str]) -> t.Iterator[str]:
    """Those of these paths that a line includes, in the order in which sshd reads them."""
    if line.keyword.lower() == "include":
        for pattern in _patterns(line):
            yield from matching_paths(pattern, paths)


class IncludeLines(t.NamedTuple):
    """The Include lines of the configuration."""

    line: int
    """The number of the line that includes our drop-in; 0 if none does."""
    patterns: tuple[str, ...]
    """The patterns of glob(7) in all Include lines."""


def include_lines(files: Files) -> IncludeLines:
    """How the configuration includes our drop-in, and all other files."""
    lines = parse_config(files.config, files.texts.get(files.config, ""))
    includes = [line for line in lines if line.keyword.lower() == "include"]
    ours = (line.number for line in includes if any(matching_paths(one, [places.DROP_IN]) for one in _patterns(line)))
    return IncludeLines(next(ours, 0), tuple(pattern for line in includes for pattern in _patterns(line)))


def setting_line(files: Files, keyword: str) -> str:
    """Where a keyword is set first, for a message; or that it has its default."""
    order = read_order(files)
    for line in order.before + order.after if order else ():
        if line.keyword.lower() == keyword.lower():
            return str(line)
    return f"{keyword} has this value by default"


def account_patterns(files: t.Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The pattern lists with which the configuration distinguishes accounts: pairs of `user` or `group`, and a list."""
    pairs = {pair for criteria in _matches(files) for pair in criteria if pair[0] in ("user", "group")}
    return tuple(sorted(pairs))


def _matches(files: t.Mapping[str, str]) -> t.Iterator[list[tuple[str, str]]]:
    """The criteria of each `Match` of the configuration: pairs of a kind, such as `address`, and a pattern list."""
    for path, text in files.items():
        for line in parse_config(path, text):
            if line.keyword.lower() == "match":
                yield [*_criteria(line.arguments)]


_NO_PORT = 1
"""A port at which no sshd listens."""


class Origin(t.NamedTuple):
    """The address of a client, and the address and port of the host; each is empty where it does not matter."""

    address: str = ""
    local_address: str = ""
    local_port: str = ""

    def connection_spec(self, user: str, default_address: str) -> str:
        """The argument of `sshd -T -C` for a login of this user, from `default_address` if no other address matters.

        It always has a port: without one, sshd reports nothing if its configuration has a `Match` with LocalPort.
        The name of the client is not looked up: like sshd for a client without a name, this gives the address instead.
        """
        address = self.address or default_address
        connection = f"user={user},host={address},addr={address}"
        if self.local_address:
            connection += f",laddr={self.local_address}"
        return f"{connection},lport={self.local_port or _NO_PORT}"


def _never_exempt(_address: str) -> bool:
    return False


def origins(files: t.Mapping[str, str], exempt: t.Callable[[str], bool] = _never_exempt) -> tuple[Origin, ...]:
    """An origin for each address and port that a `Match` of the configuration distinguishes, at most `_ORIGINS`.

    For a pattern that matches several addresses, an exempt one is taken only if all that were tried are exempt.
    """
    return tuple(itertools.islice(_origins(files, exempt), _ORIGINS))


def further_origins(files: t.Mapping[str, str]) -> int:
    """How many origins there are beyond those that `origins` returns."""
    return max(0, len(_origins(files)) - _ORIGINS)


def _origins(files: t.Mapping[str, str], exempt: t.Callable[[str], bool] = _never_exempt) -> dict[Origin, None]:
    """All origins, each once."""
    found: dict[Origin, None] = {}
    for criteria in map(dict, _matches({path: text for path, text in files.items() if path != places.DROP_IN})):
        samples = [
            [*_samples(criteria.get("address", "").split(","), exempt)] or [""],
            [*_samples(criteria.get("localaddress", "").split(","), _never_exempt)] or [""],
            [port.lstrip("!") for port in criteria.get("localport", "").split(",")],
        ]
        found.update((Origin(*one), None) for one in itertools.product(*samples) if any(one))
    return found


def _samples(patterns: t.Sequence[str], exempt: t.Callable[[str], bool]) -> t.Iterator[str]:
    """One address for each of these patterns, which matches it, or with `!` excludes it.

    For a pattern that matches, no address is taken that another one excludes.
    """
    excluded = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    for pattern in patterns:
        found = sample_addresses(pattern.lstrip("!"))
        if not pattern.startswith("!"):
            found = [one for one in found if not any(covers(other, one) for other in excluded)]
        yield from [*itertools.filterfalse(exempt, found), *found][:1]


def distinguishes_origins(files: t.Mapping[str, str]) -> bool:
    """Whether a `Match` of the configuration has criteria other than users and groups, such as an address or a port."""
    return any(kind not in ("user", "group") for criteria in _matches(files) for kind, _list in criteria)


def reads_elsewhere(files: t.Mapping[str, str]) -> bool:
    """Whether sshd reads files that are not among these, so that these do not show everything."""
    return any(includes_elsewhere(line) for path, text in files.items() for line in parse_config(path, text))


def included(path: str, text: str) -> t.Iterator[str]:
    """The patterns of glob(7) of the files that a file of the configuration includes."""
    for line in parse_config(path, text):
        if line.keyword.lower() == "include":
            yield from _patterns(line)


def account_class(patterns: t.Sequence[tuple[str, str]], user: str, groups: t.Collection[str]) -> tuple[bool, ...]:
    """Whether an account matches each of the pattern lists that `account_patterns` found.

    Two accounts with the same answers get the same settings from sshd, if they log in from the same address.
    """
    return tuple(matches([user] if kind == "user" else groups, patterns) for kind, patterns in patterns)


def accepts(effective: Effective, *methods: str) -> bool:
    """Whether a login may begin with one of these methods."""
    chains = effective.get("authenticationmethods", ())
    return chains in ((), ("any",)) or any(chain.split(",")[0].partition(":")[0] in methods for chain in chains)


def sends_to_pam(effective: Effective) -> bool:
    """Whether every way for this account to log in ends at PAM, which asks for the code."""
    methods = effective.get("authenticationmethods", ())
    return bool(methods) and all(method.split(",")[-1] == "keyboard-interactive:pam" for method in methods)


def admits(effective: Effective, user: str, groups: t.Collection[str]) -> bool:
    """Whether AllowUsers, DenyUsers, AllowGroups and DenyGroups let this account try to log in, from some host."""

    def listed(keyword: str, names: t.Collection[str]) -> bool:
        """Whether a list has one of these names. No pattern in it excludes; a pattern of a user may have a host."""
        patterns = effective.get(keyword, ())
        if keyword == "allowusers":
            patterns = tuple(pattern.rpartition("@")[0] or pattern for pattern in patterns)
        elif keyword == "denyusers":
            patterns = tuple(pattern for pattern in patterns if "@" not in pattern)
        return any(map(any_of(patterns), names))

    if listed("denyusers", [user]) or listed("denygroups", groups) or ("denygroups" in effective and not groups):
        return False
    if "allowusers" in effective and not listed("allowusers", [user]):
        return False
    return "allowgroups" not in effective or listed("allowgroups", groups)


def _words(line: str) -> list[str]:
    """The words of a line, as sshd splits it; a = after a keyword in quotes belongs to the next word."""
    setting = _SETTING.match(line.rstrip(_TRAILING))
    if not setting:
        return []
    keyword, rest = setting.groups()
    return [keyword.rstrip(" \t\r=").strip('"'), *_arguments(rest)]


def _arguments(text: str) -> t.Iterator[str]:
    """The words after the keyword, up to the # of a comment.

    Blanks in quotes do not separate words. A backslash escapes a quote, a backslash or, outside of quotes, a blank.
    """
    word, quote = None, ""
    characters = iter(range(len(text)))
    for at in characters:
        one, following = text[at], text[at + 1 : at + 2]
        if not quote and one in " \t":
            if word is not None:
                yield word
            word = None
            continue
        if word is None and one == "#":
            return
        word = word or ""
        if one == "\\" and following and following in ("\\\"'" if quote else "\\\"' "):
            word += following
            next(characters, None)
        elif one == quote:
            quote = ""
        elif not quote and one in "\"'":
            quote = one
        else:
            word += one
    if word is not None:
        yield word


def _criteria(arguments: t.Sequence[str]) -> t.Iterator[tuple[str, str]]:
    """The criteria of a Match line, which are written as `user alice` or as `user=alice`."""
    words = iter([word for argument in arguments for word in argument.split("=", 1) if word])
    for word in words:
        if word.lower() not in _WITHOUT_PATTERN:
            yield word.lower(), next(words, "")


def _patterns(include: Line) -> list[str]:
    """The absolute patterns of glob(7) that an Include names."""
    paths = (path if path.startswith("/") else f"{places.SSHD_DIRECTORY}/{path}" for path in include.arguments)
    return [re.sub(r"/(\.?/)+", "/", path) for path in paths]


def includes_elsewhere(line: Line) -> bool:
    """Whether a line includes files outside of the drop-in directory, or is an Include in a file of that directory."""
    return line.keyword.lower() == "include" and (
        line.path.startswith(f"{places.DROP_IN_DIRECTORY}/")
        or any(_ESCAPED.sub(r"\1", path).rpartition("/")[0] != places.DROP_IN_DIRECTORY for path in _patterns(line))
    )
