# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of pam_succeed_if(8), by which accounts of some names, groups and numbers jump over others; pam.conf(5).

A jump decides nothing, so nobody gets in by it whom the service would not let in by itself.
"""

from __future__ import annotations

import typing as t

from .._wanted.bounds import PAM_LINE


def passing_line(condition: str, number: int, management: str = "auth") -> str:
    """A line by which whoever meets the condition jumps over so many modules; `management` is `auth` or `account`."""
    return f"{management} [success={number} default=ignore] pam_succeed_if.so quiet {condition}"


def _holding_line(condition: str, otherwise: object, management: str = "auth") -> str:
    """A line by which whoever meets the condition goes on, and others jump over a number of modules, or `die`."""
    return f"{management} [success=ignore default={otherwise}] pam_succeed_if.so quiet {condition}"


def passed_by(conditions: t.Sequence[str], lines: t.Sequence[str]) -> list[str]:
    """The lines, with others in front of them by which whoever meets one of the conditions jumps over all."""
    over = range(len(lines) + len(conditions) - 1, -1, -1)
    return [*map(passing_line, conditions, over), *lines]


def _passed_by_all(conditions: t.Sequence[str], lines: t.Sequence[str]) -> list[str]:
    """The lines, with others in front of them by which whoever meets each of the conditions jumps over all.

    There is one condition at least. The first one that is not met ends the search, and the lines follow.
    """
    *others, last = conditions
    return [*map(_holding_line, others, range(len(others), 0, -1)), passing_line(last, len(lines)), *lines]


def passed_unless_named(names: t.Sequence[str], uids: t.Sequence[int], lines: t.Sequence[str]) -> list[str]:
    """The lines, with others in front of them by which whoever has none of these names and numbers jumps over all.

    No account is in a list that is a colon alone, so with no names nobody is asked. Names are compared as they were
    typed; a number is that of the account that the host knows by that name.
    """
    by_name = [f"user notin {listed}" for listed in lists(names)] or ["user notin :"]
    return _passed_by_all([*by_name, *_none_of(uids)], lines)


def passed_outside_of(groups: str, names: t.Sequence[str], uids: t.Sequence[int], lines: t.Sequence[str]) -> list[str]:
    """The lines, with others in front of them by which whoever is in none of these groups jumps over all.

    But not whoever has one of these numbers and comes by none of these names: a group has members by name, so a second
    name of a member may be in no group.
    """
    outside = f"user notingroup {groups}"
    if not uids:
        return passed_by([outside], lines)
    inner = passed_by([f"user in {listed}" for listed in lists(names)], _passed_by_all([*_none_of(uids)], lines))
    return [_holding_line(outside, len(inner) - len(lines)), *inner]


def denies_other_names(names: t.Collection[str], uids: t.Collection[int], groups: t.Sequence[str] = ()) -> list[str]:
    """Lines for the account stack of sshd that deny these accounts by any other name than these, outside of the groups.

    sshd compares names as they were typed, so under another one it does not send anybody to the code step: in capitals,
    where the host ignores case, or by a second name of the account. Everybody else passes, and nothing is decided.
    """
    passing = [f"user in {listed}" for listed in lists(sorted(names))]
    passing += [f"user ingroup {listed}" for listed in lists(groups)]
    denying = [_holding_line(condition, "die", "account") for condition in _none_of(sorted(uids))]
    if not denying:
        return []
    over = range(len(passing) + len(denying) - 1, -1, -1)
    return [*(passing_line(condition, number, "account") for condition, number in zip(passing, over)), *denying]


def _none_of(uids: t.Iterable[int]) -> t.Iterator[str]:
    """Conditions that an account meets, all of them, which has none of these numbers."""
    return (f"uid notin {listed}" for listed in lists([*map(str, uids)]))


def lists(names: t.Sequence[str]) -> t.Iterator[str]:
    """The names in lists of pam_succeed_if(8), divided by colons, each short enough for a line."""
    chunk: list[str] = []
    for name in names:
        if chunk and len(":".join([*chunk, name])) > PAM_LINE:
            yield ":".join(chunk)
            chunk = []
        chunk.append(name)
    if chunk:
        yield ":".join(chunk)
