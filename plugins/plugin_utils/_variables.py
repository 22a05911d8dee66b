# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds variables that have no effect: mistyped, empty, or set where nothing reads them. Pure.

Ansible accepts any variable, so a mistyped name sets a variable that does nothing.
"""

from __future__ import annotations

import difflib
import typing as t

from ansible.module_utils.parsing.convert_bool import BOOLEANS_FALSE, BOOLEANS_TRUE

from ansible_collections.fleet.auth.plugins.module_utils._wanted.options import argument_spec
from ansible_collections.fleet.auth.plugins.plugin_utils._types import kind

PREFIX = "twofactor_"

OF_THE_ROLE = frozenset(
    {
        *("issuer", "enrolment_dir", "fleet", "help", "language", "sheet_template", "sheets_pdf", "own_variables"),
        *("users_files", "secret_file", "enrol", "pass_user", "pass_hours", "invite_user", "invite_hours"),
        *("status_page", "status_data", "status_slices", "status_user"),
    }
)
"""The options of the role's entry points, without the prefix, that are not part of the wanted state."""
OF_OTHERS = frozenset(
    {
        *("store", "store_vault_id", "hosts"),
        *("rollout_batches", "rollout_leave_out", "rollout_data", "rollout_junit"),
    }
)
"""Further variables that the lookup and the playbooks read, without the prefix."""

OF_PLAYS = frozenset({"hosts", "rollout_batches"})
"""The variables that Ansible needs before it reads the variables of hosts, without the prefix."""

FORMS = {
    "issuer": "a text",
    "enrolment_dir": "a text",
    "sheet_template": "a text",
    "enrol": "a list",
    "own_variables": "a list",
    "status_slices": "a list",
}
"""Variables that the role itself uses before an action checks them, without the prefix. A list may also be a text."""

OWN = f"{PREFIX}own_variables"
"""The option in which users list variables of their own."""

_OF_CONTROLLERS = ("ansible_", "awx_", "tower_", "semaphore_", "molecule_", "_")
"""The prefixes of variables that Ansible itself reads, or that controllers add to each run."""

_SETS_ENABLED = {"fleet.auth.enable": True, "fleet.auth.disable": False}
"""The playbooks that set `twofactor_enabled` themselves."""


class Playbook(t.NamedTuple):
    """A playbook of the collection, and the parameters it has beside the variables of the role."""

    name: str
    takes: t.Sequence[str] = ()
    prompts: bool = False
    """Whether it asks for parameters that are not given."""


def known() -> frozenset[str]:
    """The names of all variables that the collection reads."""
    return frozenset(f"{PREFIX}{name}" for name in (*argument_spec(), *OF_THE_ROLE, *OF_OTHERS))


def mistyped(names: t.Iterable[t.Any], own: t.Any, host: str) -> list[str]:
    """A sentence for each of these names that begins with the role's prefix, and is not one of its variables.

    :param names: of all variables of the host.
    :param own: the value of `twofactor_own_variables`.
    """
    ours = {str(name) for name in names if str(name).startswith(PREFIX)}
    return [
        f"{host} has a variable {name}, and there is no such option{_nearest(name, known())}. "
        f"Correct the name where it is set, or list it in {OWN} if it is a variable of your own."
        for name in sorted(ours - known() - _names(own))
    ]


def unknown(extra: t.Iterable[t.Any], own: t.Any, playbook: Playbook) -> list[str]:
    """A sentence for each of these extra variables (`-e`) that the playbook does not read."""
    readable = known() | _names(own) | set(playbook.takes)
    return [
        _sentence(name, playbook)
        for name in sorted(map(str, extra))
        if name not in readable and not name.startswith(_OF_CONTROLLERS)
    ]


def contradicting(extra: t.Mapping[str, t.Any], playbook: Playbook) -> list[str]:
    """A sentence if an extra variable would make a playbook do the opposite of what it is for."""
    name = f"{PREFIX}enabled"
    value, wanted = str(extra.get(name)).lower(), _SETS_ENABLED.get(playbook.name)
    if name not in extra or wanted is None or value in map(str, BOOLEANS_TRUE if wanted else BOOLEANS_FALSE):
        return []
    return [
        f"-e {name}={value} contradicts {playbook.name}, which sets it to {str(wanted).lower()}. Leave it out, or run "
        f"{next(one for one in _SETS_ENABLED if one != playbook.name)}."
    ]


def empty(names: t.Iterable[str], host: str) -> list[str]:
    """A sentence for each of these empty variables of a host that the role itself reads.

    An option of the wanted state without a value is the same as one that is not set.
    """
    ours = {f"{PREFIX}{name}" for name in OF_THE_ROLE}
    return [
        f"{name} of {host} is empty. Give it a value, or remove the line." for name in sorted(ours.intersection(names))
    ]


def unusable(values: t.Mapping[str, t.Any], host: str) -> list[str]:
    """A sentence for each of these variables of a host whose value the role cannot use.

    Variables without a value are reported by `empty`.
    """
    sentences = []
    for name, form in FORMS.items():
        value = values.get(f"{PREFIX}{name}")
        if not (value is None or isinstance(value, str) or (form == "a list" and isinstance(value, list))):
            is_bare = isinstance(value, int | float) and form == "a text"
            remedy = "Put it in quotes, if that value is meant." if is_bare else "Correct it where it is set."
            sentences.append(f"{PREFIX}{name} of {host} must be {form}, and is {kind(value)}. {remedy}")
    return sentences


def unread(names: t.Iterable[str], host: str) -> list[str]:
    """A sentence for each of these variables that a playbook cannot read from a host.

    :param names: of all variables that are set for the host, and not for the run or the play.
    """
    return [
        f"{host} has a variable {name}, and no playbook reads it there: Ansible chooses the hosts and the batches of a "
        f"run before it reads the variables of hosts. Give it with -e, and remove it from the inventory."
        for name in sorted({f"{PREFIX}{name}" for name in OF_PLAYS}.intersection(names))
    ]


def mistaken(names: t.Iterable[str], host: str) -> list[str]:
    """A sentence for each of these variables of a host that a playbook would take for its parameter."""
    return [
        f"{host} has a variable {name} in the inventory, and this playbook would take it for its parameter. Give the "
        f"parameter with -e {name}=…, or give the variable another name."
        for name in names
    ]


def _sentence(name: str, playbook: Playbook) -> str:
    if f"{PREFIX}{name}" in known():
        meant = f"; the variable of the role is {PREFIX}{name}"
    else:
        meant = _nearest(name, {*playbook.takes, *known()})
    takes = " and ".join([*playbook.takes, "the variables of the role"])
    return (
        f"-e {name} is not a parameter of {playbook.name}{meant}. It takes {takes}. "
        f"Set a variable of your own in the inventory, or list it in {OWN}."
    )


def _nearest(name: str, readable: t.Iterable[str]) -> str:
    """A guess at the name that was meant, with or without the prefix of the role."""
    by_word = {one.removeprefix(PREFIX): one for one in sorted(readable, reverse=True)}
    found = difflib.get_close_matches(name.removeprefix(PREFIX), by_word, n=1, cutoff=0.6)
    return f"; did you mean {by_word[found[0]]}" if found else ""


def _names(own: t.Any) -> set[str]:
    """The names that a user has listed; a single one may be given without a list."""
    listed = [own] if isinstance(own, str) else own if isinstance(own, list) else ()
    return {str(name) for name in listed}
