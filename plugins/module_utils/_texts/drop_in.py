# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our drop-in for sshd, and the settings of sshd's configuration that conflict with it; sshd_config(5).

The settings of the drop-in are in `Match` blocks for the accounts in scope. An account out of scope keeps every setting
of the host. A `Match` block wins over the global settings, and over later `Match` blocks. So sshd has to read the
drop-in before any other `Match` that sets the same keywords.

An account that is in no group matches no `Match Group` of sshd, not even `*`. Where that would let an account of the
scope `everyone` in without a code, a line before the blocks makes sshd deny such accounts. A run that knows of such an
account refuses to change the host, and names the account.

Before OpenSSH 8.7, sshd shows no prompt of PAM where ChallengeResponseAuthentication is no, a setting that applies to
everyone. There the drop-in turns it on, and its last block turns prompts off again for the accounts out of scope.
"""

from __future__ import annotations

import itertools
import re
import typing as t

from .. import _places as places
from .._wanted.security_key import TYPES
from .._wanted.settings import Settings
from .sshd_config import Effective, Files, Line, ReadOrder, includes_elsewhere, read_order

_HEADER = f"# Two-factor login. {places.MARK}: changes made here are lost.\n"
_METHODS = {
    "publickey": "publickey,keyboard-interactive:pam",
    "password": "keyboard-interactive:pam",
}
_AT_MATCH = re.compile(r"^(?=Match )", re.MULTILINE)
_PROMPTS = ("challengeresponseauthentication", "skeyauthentication")
_PROMPTS_ON = "ChallengeResponseAuthentication yes\n"
_PROMPTS_OFF = "Match all\n    KbdInteractiveAuthentication no\n"
_NOBODY_WITHOUT_GROUPS = "# Whoever is in no group is matched by none below.\nDenyGroups :\n"
"""Makes sshd deny accounts that are in no group with a name. No group is called `:`, so nobody else is denied."""
_KEY_OPTIONS = "pubkeyauthoptions"
_TOUCH_AND_PIN = "touch-required verify-required"
"""What a security key has to prove at each login: that somebody touches it, and knows its PIN; sshd_config(5)."""
_KEYS_FILE = f"{places.KEYS_ONLY_DIRECTORY}/%u"
_KEYS_ONLY = (
    ("AuthenticationMethods", "publickey"),
    ("PubkeyAuthentication", "yes"),
    ("AuthorizedKeysFile", _KEYS_FILE),
    ("AuthorizedKeysCommand", "none"),
    # The older name of PubkeyAcceptedAlgorithms, which every sshd knows. The list leaves out certificates as well.
    ("PubkeyAcceptedKeyTypes", ",".join(TYPES)),
    ("PubkeyAuthOptions", _TOUCH_AND_PIN),
)
"""The settings for accounts that log in with declared security keys alone."""
_ACCEPTED_TYPES = ("pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes")
"""The names under which sshd prints PubkeyAcceptedKeyTypes; from OpenSSH 8.5 on the first one."""
_PAM_SERVICE = "pamservicename"
"""The keyword for the PAM service that sshd uses, sshd_config(5). sshd has and prints it from OpenSSH 9.8 on."""
# What no other Match block may set before ours; from OpenSSH 8.7 on, three of them are one setting.
_OWN_KEYWORDS = ("authenticationmethods", "kbdinteractiveauthentication", *_PROMPTS, "passwordauthentication")


def render(settings: Settings, enrolled: t.Iterable[str], shows_no_prompts: bool = False) -> str:
    """The text of the drop-in for these settings.

    `enrolled` are the accounts in scope where the scope is `enrolled`, and `shows_no_prompts` is what the function of
    that name returns for the host.

    The recovery command adds `,!NAME` to the patterns of each `Match User`, so this criterion always comes first.
    """
    users = sorted(set(enrolled) - set(settings.exempt_users)) if settings.scope == "enrolled" else ["*"]
    in_scope = settings.scope_groups if settings.scope == "groups" else ()
    with_keys = sorted(set(settings.declared_keys).difference(settings.exempt_users, settings.keys_only_users))
    # The first block that matches an account wins.
    prompting = [
        *_blocks(settings, users, in_scope, _values(settings)),
        *_blocks(settings, with_keys, in_scope, [("PubkeyAuthOptions", _TOUCH_AND_PIN)]),
    ]
    blocks = "".join(
        [
            *_blocks(settings, settings.keys_only_users, (), _KEYS_ONLY),
            *_blocks(
                settings,
                ["*"] if settings.security_keys_only_groups else [],
                settings.security_keys_only_groups,
                _KEYS_ONLY,
            ),
            *prompting,
        ]
    )
    if settings.scope == "everyone" and settings.exempt_groups:
        blocks = _NOBODY_WITHOUT_GROUPS + blocks
    return _HEADER + (f"{_PROMPTS_ON}{blocks}{_PROMPTS_OFF}" if prompting and shows_no_prompts else blocks)


def _blocks(
    settings: Settings, users: t.Sequence[str], groups: t.Sequence[str], values: t.Iterable[tuple[str, str]]
) -> list[str]:
    """The blocks with these settings, for these users without the exempt ones; none if there is no user.

    If there are groups, the blocks match only their members.
    """
    body = _body(values)
    return [f"{scope}\n{body}" for scope in _scopes(settings, users, groups)] if users else []


def _scopes(settings: Settings, users: t.Sequence[str], groups: t.Sequence[str]) -> list[str]:
    """The `Match` lines for these users and groups."""
    criteria = ["Match User " + ",".join([*users, *(f"!{name}" for name in settings.exempt_users)])]
    groups = groups or (["*"] if settings.exempt_groups else [])
    if groups:
        criteria.append("Group " + ",".join([*groups, *(f"!{name}" for name in settings.exempt_groups)]))
    scopes = [" ".join(criteria)]
    if settings.exempt_addresses:
        addresses = ",".join(f"!{address}" for address in settings.exempt_addresses)
        # A peer that has no address (a socket of the local machine) matches no Address pattern at all.
        scopes = [f"{scopes[0]} Address *,{addresses}", f"{scopes[0]} Host UNKNOWN"]
    return scopes


def _body(values: t.Iterable[tuple[str, str]]) -> str:
    """The lines below a `Match` line."""
    return "".join(f"    {keyword} {value}\n" for keyword, value in values)


def combined(new: str, old: str) -> str:
    """A drop-in for the accounts in the scope of either of two drop-ins; those in both get the settings of the new one.

    But accounts that log in with security keys alone by the old one keep doing so: PAM may not know yet whether to ask.
    """
    blocks = _AT_MATCH.split(old)
    staying = [block for block in blocks if _KEYS_FILE in block]
    text = "".join([*staying, new, *(block for block in blocks if block not in staying)])
    first, last = "", ""
    for line in (_PROMPTS_ON, _NOBODY_WITHOUT_GROUPS):
        if line in text:
            text, first = text.replace(line, ""), first + line
    if _PROMPTS_ON in first:
        text, last = text.replace(_PROMPTS_OFF, ""), _PROMPTS_OFF
    return first + text + last


def foreign_lines(text: str) -> t.Iterator[tuple[int, str]]:
    """The settings before the first `Match` that are not ours, each with the number of its line, from 1.

    They apply to everyone. A change would lose them, and sshd takes most of them (`Port`) nowhere in a `Match` block.
    """
    ours = {line for text in (_PROMPTS_ON, _NOBODY_WITHOUT_GROUPS) for line in text.split("\n")}
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if words and words[0].lower() == "match":
            return
        if words and not words[0].startswith("#") and line not in ours:
            yield number, line.strip()


def expected(
    settings: Settings, sshd: Effective | None = None, user: str = "", *, keys_only: bool = False
) -> dict[str, tuple[str, ...]]:
    """What `sshd -T -C` has to print for this user, who is in scope, by keyword in lower case.

    `sshd` is what it prints now for any account: an old and a new sshd have one more setting each. `keys_only` says
    whether the user logs in with declared security keys alone.
    """
    if keys_only:
        printed = _ACCEPTED_TYPES[0] if sshd is None or _ACCEPTED_TYPES[0] in sshd else _ACCEPTED_TYPES[1]
        values: dict[str, tuple[str, ...]] = {keyword.lower(): (value,) for keyword, value in _KEYS_ONLY}
        values[printed] = values.pop(_ACCEPTED_TYPES[1])
        return values
    return {
        **({_PROMPTS[0]: ("yes",)} if sshd and _has_prompt_setting(sshd) else {}),
        **({_PAM_SERVICE: ("sshd",)} if sshd and _PAM_SERVICE in sshd else {}),
        "usepam": ("yes",),
        "kbdinteractiveauthentication": ("yes",),
        "passwordauthentication": ("no",),
        "authenticationmethods": tuple(_METHODS[factor] for factor in settings.ssh_first_factors),
        **({_KEY_OPTIONS: (_TOUCH_AND_PIN,)} if user in settings.declared_keys else {}),
    }


def is_keys_only(sshd: Effective) -> bool:
    """Whether sshd lets this account in with declared security keys alone."""
    return sshd.get("authorizedkeysfile") == (_KEYS_FILE,)


def shows_no_prompts(files: Files, sshd: Effective) -> bool:
    """Whether sshd, without our drop-in, would show nobody the prompts of PAM, and so not the one for the code.

    `sshd` is what `sshd -T` prints for any account.
    """
    return _has_prompt_setting(sshd) and any(map(_hides_prompts, itertools.chain(*(read_order(files) or ()))))


def conflicts(files: Files, sshd: Effective, settings: Settings) -> t.Iterator[str]:
    """What keeps the drop-in from working with these settings: sentences with the line and the remedy.

    `sshd` is what `sshd -T` prints for any account.
    """
    order = read_order(files)
    if order is None:
        yield (
            f"{files.config} does not read {places.DROP_IN_DIRECTORY} for everyone: put the line "
            f"'Include {places.DROP_IN_DIRECTORY}/*.conf' at its top, before any Match."
        )
        return
    if not sshd.on("usepam"):
        where = next((str(line) for line in order.before + order.after if line.keyword.lower() == "usepam"), None)
        yield (
            f"{where or f'{files.config} without UsePAM'} keeps PAM, and with it the code, out of sshd; set UsePAM yes."
        )
    yield from _other_pam_services(order, sshd)
    ours = keywords(settings)
    for number, line in enumerate(order.before + order.after):
        keyword = line.keyword.lower()
        if keyword == "authenticationmethods" and line.arguments != ("any",):
            yield f"{line} sets what fleet.auth has to set; remove it (O(ssh_first_factors) says what comes first)."
        elif number >= len(order.before):
            continue
        elif keyword in ours and line.match:
            yield (
                f"{line} (under '{line.match}') is read before {places.DROP_IN}, and wins; move it to a file "
                "that sorts after that one."
            )
        elif _has_prompt_setting(sshd) and _hides_prompts(line):
            yield (
                f"{line} is read before {places.DROP_IN}, and keeps sshd from showing the prompt for the code; remove "
                "it."
            )
        elif includes_elsewhere(line):
            yield (
                f"{line} is read before {places.DROP_IN}, and what it includes would win; put it after the line "
                f"'Include {places.DROP_IN_DIRECTORY}/*.conf' of {files.config}."
            )


def keywords(settings: Settings) -> set[str]:
    """The keywords, in lower case, that no `Match` block read before ours may set."""
    found = {*_OWN_KEYWORDS}
    if settings.declared_keys:
        found.add(_KEY_OPTIONS)
    if settings.keys_only_users or settings.security_keys_only_groups:
        found.update(_ACCEPTED_TYPES, (keyword.lower() for keyword, _value in _KEYS_ONLY))
    return found


def _other_pam_services(order: ReadOrder, sshd: Effective) -> t.Iterator[str]:
    """Sentences about lines that make sshd use another PAM service than `sshd`, for everyone or for some accounts."""
    remedy = "makes sshd use another PAM service than sshd, which asks for no code; remove it, or set it to sshd."
    lines = [line for line in order.before + order.after if line.keyword.lower() == _PAM_SERVICE]
    for line in lines:
        if line.arguments != ("sshd",):
            yield f"{line}{f' (under {line.match!r})' if line.match else ''} {remedy}"
    found = sshd.first(_PAM_SERVICE)
    if found not in ("", "sshd", *(line.arguments[0] for line in lines if line.arguments)):
        yield f"PAMServiceName {found}, which is in none of the files that were read, {remedy}"


def _values(settings: Settings) -> t.Iterator[tuple[str, str]]:
    """The settings of each of our `Match` blocks."""
    yield "AuthenticationMethods", " ".join(_METHODS[factor] for factor in settings.ssh_first_factors)
    yield "KbdInteractiveAuthentication", "yes"
    yield "PasswordAuthentication", "no"


def _has_prompt_setting(sshd: Effective) -> bool:
    """Whether this sshd is older than OpenSSH 8.7: no later one prints ChallengeResponseAuthentication."""
    return _PROMPTS[0] in sshd


def _hides_prompts(line: Line) -> bool:
    """Whether a line keeps an old sshd from showing the prompts of PAM."""
    return line.keyword.lower() in _PROMPTS and line.arguments == ("no",)
