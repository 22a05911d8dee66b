# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks up accounts and groups in the host's name service; nsswitch.conf(5)."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import typing as t

from .. import _places as places
from .._backends import backends
from .._wanted.bounds import is_account_name

_GROUP_SOURCES = re.compile(r"^[ \t]*(?:group|initgroups)[ \t]*:([^#\n]*)", re.MULTILINE)
_OWN_SOURCES = {"files", "systemd", "compat", "db", "altfiles"}
"""The sources of groups that list all of their groups with all members; nsswitch.conf(5)."""


def listed() -> dict[str, pwd.struct_passwd]:
    """The accounts that the host lists, without lines such as `+` that stand for other accounts; nsswitch.conf(5)."""
    found: dict[str, pwd.struct_passwd] = {}
    for entry in pwd.getpwall():
        if not entry.pw_name.startswith(("+", "-")):
            # If a name is in several sources, or twice in one, the first entry is the one that counts.
            found.setdefault(entry.pw_name, entry)
    return found


def by_own_name(names: t.Iterable[str]) -> dict[str, pwd.struct_passwd]:
    """The accounts whose own names are these."""
    return {name: entry for name, entry in by_typed_name(names).items() if entry.pw_name == name}


def by_typed_name(names: t.Iterable[str]) -> dict[str, pwd.struct_passwd]:
    """The accounts that the host finds by these names; the account's own name may differ, such as in case."""
    found = {}
    for name in names:
        # A name from a log may have characters that no account name can have.
        with contextlib.suppress(KeyError, ValueError):
            found[name] = pwd.getpwnam(name)
    return found


def groups_of(people: t.Iterable[pwd.struct_passwd], nsswitch: str) -> dict[str, tuple[str, ...]]:
    """The groups of each of these people, the primary one first. `nsswitch` is the text of nsswitch.conf(5).

    One listing of all groups is enough where the host's own files have them all. A directory may not list its groups,
    or not their members, so there each of these people is looked up.
    """
    sources = " ".join(_GROUP_SOURCES.findall(nsswitch))
    in_directory = set(re.sub(r"\[[^]]*\]", " ", sources).split()) - _OWN_SOURCES
    return groups_of_each(people) if in_directory else _groups_listed(people)


def _groups_listed(people: t.Iterable[pwd.struct_passwd]) -> dict[str, tuple[str, ...]]:
    """The groups of each of these people, the primary one first, from one listing of all groups of the host.

    Where several groups have the same GID, the name of the first is given: the host knows the GID by that name.
    """
    primary: dict[int, str] = {}
    member_of: dict[str, list[str]] = {}
    for group in grp.getgrall():
        known = primary.setdefault(group.gr_gid, group.gr_name)
        for name in group.gr_mem:
            member_of.setdefault(name, []).append(known)
    return {
        entry.pw_name: tuple(
            dict.fromkeys([*filter(None, [primary.get(entry.pw_gid)]), *member_of.get(entry.pw_name, ())])
        )
        for entry in people
    }


def groups_of_each(people: t.Iterable[pwd.struct_passwd]) -> dict[str, tuple[str, ...]]:
    """The groups of each of these people, asked for one by one: a directory may not list the members of its groups."""
    found = {}
    known: dict[int, str] = {}
    for entry in people:
        gids = os.getgrouplist(entry.pw_name, entry.pw_gid)
        for gid in gids:
            if gid not in known:
                with contextlib.suppress(KeyError):
                    known[gid] = grp.getgrgid(gid).gr_name
        found[entry.pw_name] = tuple(dict.fromkeys(known[gid] for gid in gids if gid in known))
    return found


def group_exists(name: str) -> bool:
    """Whether the host knows a group, even one that it does not list."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def known_as(groups: t.Iterable[str]) -> dict[str, str]:
    """The name that the host has for the GID of each of these groups, where that is another name."""
    found = {}
    for name in groups:
        with contextlib.suppress(KeyError):
            known = grp.getgrgid(grp.getgrnam(name).gr_gid).gr_name
            if known != name:
                found[name] = known
    return found


def members(groups: t.Iterable[str]) -> t.Iterator[str]:
    """The names that these groups list as members."""
    for name in filter(group_exists, groups):
        yield from grp.getgrnam(name).gr_mem


def is_for_people(account: pwd.struct_passwd, shells: str, login_defs: str) -> bool:
    """Whether people log in with an account: root, or UID_MIN of login.defs(5) and up, with a shell of shells(5)."""
    found = re.search(r"^\s*UID_MIN\s+(\d+)", login_defs, re.MULTILINE)
    shell = account.pw_shell or "/bin/sh"
    return (
        (account.pw_uid == 0 or account.pw_uid >= int(found.group(1) if found else 1000))
        and shell in (line.strip() for line in shells.split("\n"))
        and os.path.basename(shell) not in places.NO_LOGIN_SHELLS
        and is_account_name(account.pw_name)
        and not backends.is_left_behind(account.pw_name)
    )
