# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our drop-in for sshd, and what of sshd's configuration stands in its way; sshd_config(5).

What it sets stands in `Match` blocks for the accounts in scope. An account out of scope keeps each setting of the host.
A `Match` block wins over the global settings, and the first one over later ones, so the drop-in has to be read before
any other `Match` that sets the same keywords.

sshd counts nobody who is in no group into any `Match Group`, not even `*`. Where that would let an account of the scope
`everyone` in with no code, a line before the blocks has sshd deny those accounts; they are refused by name where they
are known.

Before OpenSSH 8.7 nobody is shown a prompt of PAM's where ChallengeResponseAuthentication, which holds for everyone, is
no. There the drop-in turns it on, and its last block turns prompts off again for the accounts out of scope.
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
"""Has sshd deny whoever is in no group that has a name. No group has this one, so nobody else is denied."""
_FROM_KEYS = "pubkeyauthoptions"
_TOUCH_AND_PIN = "touch-required verify-required"
"""What of a security key has to be proven at each login: that somebody is there, and who; sshd_config(5)."""
_KEYS_FILE = f"{places.ONLY_KEYS_DIRECTORY}/%u"
_KEYS_ONLY = (
    ("AuthenticationMethods", "publickey"),
    ("AuthorizedKeysFile", _KEYS_FILE),
    ("AuthorizedKeysCommand", "none"),
    # By its older name, which each sshd knows. It leaves certificates out as well.
    ("PubkeyAcceptedKeyTypes", ",".join(TYPES)),
    ("PubkeyAuthOptions", _TOUCH_AND_PIN),
)
"""The settings for whoever logs in with declared security keys alone."""
_ACCEPTED_TYPES = ("pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes")
"""How an sshd prints the one that has an older name; from OpenSSH 8.5 on the first."""
_PAM_SERVICE = "pamservicename"
"""Which PAM service sshd asks, sshd_config(5); from OpenSSH 9.8 on, and printed by it alone."""
# What a Match block of somebody else must not set before ours; from OpenSSH 8.7 on, three of them are one setting.
_OURS = ("authenticationmethods", "kbdinteractiveauthentication", *_PROMPTS, "passwordauthentication")


def render(settings: Settings, enrolled: t.Iterable[str], shows_no_prompts: bool = False) -> str:
    """The text of the drop-in for these settings.

    `enrolled` are the accounts in scope where the scope is `enrolled`, and `shows_no_prompts` is what the function of
    that name says of the host.

    The recovery command adds `,!NAME` to the patterns of each `Match User`, so that criterion always comes first.
    """
    users = sorted(set(enrolled) - set(settings.exempt_users)) if settings.scope == "enrolled" else ["*"]
    in_scope = settings.scope_groups if settings.scope == "groups" else ()
    with_keys = sorted(set(settings.declared_keys).difference(settings.exempt_users, settings.keys_only_users))
    # The first block that concerns an account wins.
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
    """The blocks with these settings for those of these users who are not exempt, and are in one of the groups if any
    is named; none where there is no user."""
    body = _body(values)
    return [f"{scope}\n{body}" for scope in _scopes(settings, users, groups)] if users else []


def _scopes(settings: Settings, users: t.Sequence[str], groups: t.Sequence[str]) -> list[str]:
    """The `Match` lines of these blocks."""
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
    """What stands below a `Match` line."""
    return "".join(f"    {keyword} {value}\n" for keyword, value in values)


def both(new: str, old: str) -> str:
    """A drop-in for the accounts in the scope of either of two drop-ins; those in both get what the new one says.

    But whoever logs in by the old one with security keys alone goes on to, as PAM may not know yet whether to ask.
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


def expected(
    settings: Settings, sshd: Effective | None = None, user: str = "", *, keys_only: bool = False
) -> dict[str, tuple[str, ...]]:
    """What `sshd -T -C` has to print for an account in scope, this user, by keyword in lower case.

    `sshd` is what it prints now for any account: an old and a new sshd have a setting more each. `keys_only` says
    whether the user logs in with declared security keys alone.
    """
    if keys_only:
        printed = _ACCEPTED_TYPES[0] if sshd is None or _ACCEPTED_TYPES[0] in sshd else _ACCEPTED_TYPES[1]
        values: dict[str, tuple[str, ...]] = {keyword.lower(): (value,) for keyword, value in _KEYS_ONLY}
        values[printed] = values.pop(_ACCEPTED_TYPES[1])
        return values
    return {
        **({_PROMPTS[0]: ("yes",)} if sshd and _has_switch_for_prompts(sshd) else {}),
        **({_PAM_SERVICE: ("sshd",)} if sshd and _PAM_SERVICE in sshd else {}),
        "usepam": ("yes",),
        "kbdinteractiveauthentication": ("yes",),
        "passwordauthentication": ("no",),
        "authenticationmethods": tuple(_METHODS[factor] for factor in settings.ssh_first_factors),
        **({_FROM_KEYS: (_TOUCH_AND_PIN,)} if user in settings.declared_keys else {}),
    }


def has_own_list(sshd: Effective) -> bool:
    """Whether sshd lets this account in with declared security keys alone."""
    return sshd.get("authorizedkeysfile") == (_KEYS_FILE,)


def shows_no_prompts(files: Files, sshd: Effective) -> bool:
    """Whether sshd, without our drop-in, would show nobody a prompt of PAM's, and so nobody the one for the code.

    `sshd` is what `sshd -T` prints for any account.
    """
    return _has_switch_for_prompts(sshd) and any(map(_hides_prompts, itertools.chain(*(read_order(files) or ()))))


def conflicts(files: Files, sshd: Effective, settings: Settings) -> t.Iterator[str]:
    """What stands in the way of the drop-in for these settings: sentences with the line and the remedy.

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
            yield f"{line} decides what fleet.auth has to; remove it (O(ssh_first_factors) says what comes first)."
        elif number >= len(order.before):
            continue
        elif keyword in ours and line.match:
            yield (
                f"{line} (under '{line.match}') is read before {places.DROP_IN}, and wins; let that file sort after it."
            )
        elif _has_switch_for_prompts(sshd) and _hides_prompts(line):
            yield f"{line} is read before {places.DROP_IN}, and keeps the prompt for the code out of sshd; remove it."
        elif includes_elsewhere(line):
            yield (
                f"{line} is read before {places.DROP_IN}, and what it includes would win; put it after the line "
                f"'Include {places.DROP_IN_DIRECTORY}/*.conf' of {files.config}."
            )


def keywords(settings: Settings) -> set[str]:
    """What no `Match` block that is read before ours may set, in lower case."""
    found = {*_OURS}
    if settings.declared_keys:
        found.add(_FROM_KEYS)
    if settings.keys_only_users or settings.security_keys_only_groups:
        found.update(_ACCEPTED_TYPES, (keyword.lower() for keyword, _value in _KEYS_ONLY))
    return found


def _other_pam_services(order: ReadOrder, sshd: Effective) -> t.Iterator[str]:
    """Where sshd is told to ask another PAM service than `sshd`, for everyone or for some."""
    remedy = "has sshd ask another PAM service than sshd, which asks for no code; remove it, or set it to sshd."
    lines = [line for line in order.before + order.after if line.keyword.lower() == _PAM_SERVICE]
    for line in lines:
        if line.arguments != ("sshd",):
            yield f"{line}{f' (under {line.match!r})' if line.match else ''} {remedy}"
    found = sshd.first(_PAM_SERVICE)
    if found not in ("", "sshd", *(line.arguments[0] for line in lines if line.arguments)):
        yield f"PAMServiceName {found}, which no file says that was looked at, {remedy}"


def _values(settings: Settings) -> t.Iterator[tuple[str, str]]:
    """The settings of each of our `Match` blocks."""
    yield "AuthenticationMethods", " ".join(_METHODS[factor] for factor in settings.ssh_first_factors)
    yield "KbdInteractiveAuthentication", "yes"
    yield "PasswordAuthentication", "no"


def _has_switch_for_prompts(sshd: Effective) -> bool:
    """Whether this is an sshd before OpenSSH 8.7, which alone prints that setting."""
    return _PROMPTS[0] in sshd


def _hides_prompts(line: Line) -> bool:
    """Whether a line has an old sshd show nobody a prompt of PAM's."""
    return line.keyword.lower() in _PROMPTS and line.arguments == ("no",)
