# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of pam_succeed_if(8) that jump over others, for accounts of certain names, groups and numbers; pam.conf(5).

A jump decides nothing, so by itself it lets nobody in.
"""

from __future__ import annotations

import typing as t

from .._wanted.bounds import PAM_LINE


def jump_line(condition: str, number: int, management: str = "auth") -> str:
    """A line that jumps over `number` modules if the condition holds; `management` is `auth` or `account`."""
    return f"{management} [success={number} default=ignore] pam_succeed_if.so quiet {condition}"


def _go_on_line(condition: str, otherwise: object, management: str = "auth") -> str:
    """A line that goes on if the condition holds; `otherwise` is the number of modules to jump over, or `die`."""
    return f"{management} [success=ignore default={otherwise}] pam_succeed_if.so quiet {condition}"


def skipped_if_any(conditions: t.Sequence[str], lines: t.Sequence[str]) -> list[str]:
    """The lines, with jumps over all of them in front, for accounts that meet one of the conditions."""
    over = range(len(lines) + len(conditions) - 1, -1, -1)
    return [*map(jump_line, conditions, over), *lines]


def _skipped_if_all(conditions: t.Sequence[str], lines: t.Sequence[str]) -> list[str]:
    """The lines, with a jump over all of them in front, for accounts that meet every condition.

    There must be at least one condition. From the first one that is not met, a login goes on to the lines.
    """
    *others, last = conditions
    return [*map(_go_on_line, others, range(len(others), 0, -1)), jump_line(last, len(lines)), *lines]


def skipped_unless_named(names: t.Sequence[str], uids: t.Sequence[int], lines: t.Sequence[str]) -> list[str]:
    """The lines, with a jump over all of them in front, for accounts with none of these names and numbers.

    A list that is only a colon contains no account, so without names nobody is asked. Names are compared as they were
    typed; the number is that of the account that the host has under the typed name.
    """
    by_name = [f"user notin {listed}" for listed in lists(names)] or ["user notin :"]
    return _skipped_if_all([*by_name, *_none_of(uids)], lines)


def skipped_outside_groups(
    groups: str, names: t.Sequence[str], uids: t.Sequence[int], lines: t.Sequence[str]
) -> list[str]:
    """The lines, with a jump over all of them in front, for accounts in none of these groups.

    An account that has one of these numbers, but logs in under none of these names, does not jump: a group has its
    members by name, so a second name of a member may be in no group.
    """
    outside = f"user notingroup {groups}"
    if not uids:
        return skipped_if_any([outside], lines)
    inner = skipped_if_any([f"user in {listed}" for listed in lists(names)], _skipped_if_all([*_none_of(uids)], lines))
    return [_go_on_line(outside, len(inner) - len(lines)), *inner]


def denies_other_names(names: t.Collection[str], uids: t.Collection[int], groups: t.Sequence[str] = ()) -> list[str]:
    """Lines for sshd's account stack that deny accounts with these numbers under any other name, outside of the groups.

    sshd compares names as they were typed, so it sends nobody to the code step who logs in under another name of an
    account: a second one, or one in capitals where the host ignores case. Everybody else passes; nothing is decided.
    """
    passing = [f"user in {listed}" for listed in lists(sorted(names))]
    passing += [f"user ingroup {listed}" for listed in lists(groups)]
    denying = [_go_on_line(condition, "die", "account") for condition in _none_of(sorted(uids))]
    if not denying:
        return []
    over = range(len(passing) + len(denying) - 1, -1, -1)
    return [*(jump_line(condition, number, "account") for condition, number in zip(passing, over)), *denying]


def _none_of(uids: t.Iterable[int]) -> t.Iterator[str]:
    """Conditions that all hold for an account with none of these numbers."""
    return (f"uid notin {listed}" for listed in lists([*map(str, uids)]))


def lists(names: t.Sequence[str]) -> t.Iterator[str]:
    """The names in lists of pam_succeed_if(8), separated by colons, each list short enough for a line."""
    chunk: list[str] = []
    for name in names:
        if chunk and len(":".join([*chunk, name])) > PAM_LINE:
            yield ":".join(chunk)
            chunk = []
        chunk.append(name)
    if chunk:
        yield ":".join(chunk)
