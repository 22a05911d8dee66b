# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lines of a PAM service file mean to libpam, above all for its auth stack; pam.conf(5)."""

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


_RETURN_VALUES = (
    *("success", "open_err", "symbol_err", "service_err", "system_err", "buf_err", "perm_denied", "auth_err"),
    *("cred_insufficient", "authinfo_unavail", "user_unknown", "maxtries", "new_authtok_reqd", "acct_expired"),
    *("session_err", "cred_unavail", "cred_expired", "cred_err", "no_module_data", "conv_err", "authtok_err"),
    *("authtok_recover_err", "authtok_recovery_err", "authtok_lock_busy", "authtok_disable_aging", "try_again"),
    *("ignore", "abort", "authtok_expired", "module_unknown", "bad_item", "conv_again", "incomplete", "default"),
)
_ACTION = re.compile(rf"\s*({'|'.join(_RETURN_VALUES)})\s*=\s*(ignore|ok|done|bad|die|reset|0*[1-9][0-9]*)\s*")
_TYPES = ("auth", "account", "session", "password", "@include")
_LONGEST = 1000
"""How many bytes a line may have so that every release of libpam reads it; older ones stop at 1024."""


class Rule(t.NamedTuple):
    """A line of a stack, as libpam reads it. If it includes a file, `module` is that file."""

    control: str
    module: str
    fault: str = ""
    """What libpam cannot read in it. libpam treats such a line as a module that fails."""

    @property
    def name(self) -> str:
        """The module's name, without its directory."""
        return self.module.rpartition("/")[2]

    @property
    def actions(self) -> dict[str, str]:
        """The action for each return value, pam.conf(5)."""
        return _KEYWORDS.get(self.control) or dict(_ACTION.findall(self.control))


class IncludedLine(t.NamedTuple):
    """One line of an included stack, and where it is."""

    stack: str
    number: int
    line: str
    rule: Rule


def rule_of(line: str, management: str = "auth") -> Rule | None:
    """What a line means for the stack of `auth`, or of `account`, as libpam reads it; None where it means nothing."""
    words = list(WORD.finditer(line.partition("#")[0]))
    if not words:
        return None
    kind = _text(words[0]).lower()
    kind = kind[1:] if kind.startswith("-") else kind
    if kind not in _TYPES:
        # To be safe, libpam treats it as part of the auth stack.
        fault = f"begins with {words[0][0]!r}, which is not a PAM type"
        return Rule("", "", fault) if management == "auth" else None
    if kind == "@include":
        return Rule(kind, service_name(_text(words[1]) if len(words) > 1 else ""))
    if kind != management:
        return None
    if len(words) == 1:
        return Rule("", "", "has no control flag and no module")
    control, module = _text(words[1]), _text(words[2]) if len(words) > 2 else ""
    if control.lower() in (*_KEYWORDS, *INCLUDES):
        control = control.lower()
    elif _ACTION.sub("", control) or words[1][0] == f"[{control}":
        return Rule("", module, f"has a control flag that cannot be read, {words[1][0]!r}")
    if not module:
        return Rule(control, "", "has no module")
    return Rule(control, service_name(module) if control in INCLUDES else module)


def _text(word: re.Match[str]) -> str:
    """A word without its brackets."""
    return word[1] or word[2] or ""


def service_name(path: str) -> str:
    """The name with which other files include this one; for a file that is elsewhere, its path."""
    name = path[len(places.PAM_D) + 1 :] if path.startswith(f"{places.PAM_D}/") else path
    return path if "/" in name else name


def is_elsewhere(name: str) -> bool:
    """Whether a file is included by its full path, and so is outside the directory of services."""
    return name.startswith("/")


def included_elsewhere(text: str) -> t.Iterator[str]:
    """The files outside the directory of services that the auth stack in a file includes."""
    return filter(is_elsewhere, include_targets(text))


def include_targets(text: str) -> list[str]:
    """The files that the auth stack in a file includes."""
    rules = (rule_of(line) for _number, line in readable_lines(text))
    return [rule.module for rule in rules if rule and rule.control in INCLUDES and rule.module]


class Unclear(ValueError):
    """A line that different releases of libpam read differently; the text says which line, why, and what to do."""


def whole_lines(text: str) -> t.Iterator[tuple[int, str]]:
    """The lines as libpam joins them, each with the number where it begins, from 1.

    A backslash at the end of a line continues it. Raises Unclear.
    """
    whole, first = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        if len(whole) + len(line) > _LONGEST or "\0" in line.partition("#")[0]:
            raise Unclear(f"line {first or number} has more than {_LONGEST} characters, or a NUL. Write a shorter one")
        line = line.strip(" \t")
        if not line or line.startswith("#"):
            if whole:
                raise Unclear(f"line {first} is continued on an empty line or a comment. Write it on one line")
            continue
        first = first or number
        if "#" not in line and line.endswith("\\"):
            whole += line[:-1] + " "
        else:
            yield first, whole + line.partition("#")[0]
            whole, first = "", 0
    if whole:
        raise Unclear(f"line {first} is continued past the end of the file. Write it on one line")


def readable_lines(text: str) -> list[tuple[int, str]]:
    """The same lines; if it is unclear which of them libpam joins, each line by itself."""
    try:
        return list(whole_lines(text))
    except Unclear:
        return [(number, line.partition("#")[0]) for number, line in enumerate(text.split("\n"), start=1)]


def is_continued(line: str) -> bool:
    """Whether a line ends in a backslash, so that libpam joins it with the next one."""
    return line.partition("#")[0].rstrip(" \t").endswith("\\")


def auth_lines(text: str) -> t.Iterator[tuple[int, Rule]]:
    """What the lines of a file mean for the auth stack, each with the number where it begins. Raises Unclear."""
    for number, line in whole_lines(text):
        rule = rule_of(line)
        if rule:
            yield number, rule


def all_auth_lines(stack: str, included: t.Mapping[str, str], above: tuple[str, ...] = ()) -> t.Iterator[IncludedLine]:
    """The auth lines of a file, and of all files that it includes in any way."""
    for number, line in readable_lines(included.get(stack, "")):
        rule = rule_of(line)
        if rule and rule.control in INCLUDES and rule.module not in above:
            yield from all_auth_lines(rule.module, included, (*above, stack))
        elif rule:
            yield IncludedLine(stack, number, line, rule)


def has_other_types(stack: str, included: t.Mapping[str, str], above: tuple[str, ...] = ()) -> bool:
    """Whether a file, or one that it includes with `@include`, has lines that are not for the auth stack."""
    for _number, line in readable_lines(included.get(stack, "")):
        rule = rule_of(line)
        if rule and rule.control == "@include" and rule.module not in above:
            if has_other_types(rule.module, included, (*above, stack)):
                return True
        elif not rule and line.strip(" \t"):
            return True
    return False


class ServiceFiles(t.NamedTuple):
    """The files of PAM services, by name. libpam looks for each in /etc/pam.d, and only then in the vendor's directory.

    A file that a line includes from elsewhere is named by its full path.
    """

    texts: t.Mapping[str, str]
    """The files that libpam uses."""
    vendors: t.Mapping[str, str] = {}
    """The files in the vendor's directory."""
    only_vendors: frozenset[str] = frozenset()
    """The names of the files that are in the vendor's directory alone."""

    def path(self, name: str) -> str:
        """The full path of a file."""
        if is_elsewhere(name):
            return name
        return f"{places.VENDOR_PAM_D if name in self.only_vendors else places.PAM_D}/{name}"

    def where(self, chain: t.Sequence[tuple[str, int]]) -> str:
        """The place of a line, for a message: the file, the number, and the lines that include that file."""
        *outer, (name, number) = chain
        by = ", and that ".join(f"by {self.path(file)}, line {line}" for file, line in reversed(outer))
        return f"{self.path(name)}, line {number}" + (f" (included {by})" if by else "")
