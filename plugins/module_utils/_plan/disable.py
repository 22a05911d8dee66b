# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans to turn two-factor login off. This needs no clock in sync, no credentials and nobody's consent. Pure."""

from __future__ import annotations

import typing as t

from .. import _places as places
from .._backends import backends
from .._host.state import OWN_DIRECTORIES, OWN_FILES
from .._texts import drop_in
from .._texts.code_step import PASS_THROUGH
from .._texts.found import OWN_RIGHTS, OriginalState
from . import cockpit, credentials, refusals, self_service, services
from .changes import Change, GiveBack, Plan, Remove, RemoveMoved
from .draft import Draft, remove_stale_locks
from .situation import Situation


def plan(situation: Situation) -> Plan:
    """Remove everything of ours, the switch first; credentials stay unless they are to be purged."""
    settings, state = situation
    refused = [*refusals.timer(situation), *services.damaged(state, state.protected_files)]
    if refused:
        return Plan(refusals=tuple(refused), warnings=_warnings(situation))
    draft = Draft(state)
    changes: list[Change] = [
        *remove_stale_locks(state),
        *(draft.write(places.SWITCH, PASS_THROUGH, 0o644) if state.asks_for_code else ()),
        *draft.remove_drop_in(),
        *draft.unprotect(state.protected_files),
        *cockpit.configure(draft, situation),
        *self_service.remove(draft),
        *draft.remove_guard(),
        *draft.forget_security_keys(places.KEYS_DIRECTORY),
        *draft.forget_security_keys(places.KEYS_ONLY_DIRECTORY),
        *draft.remove(*OWN_FILES),
        *(_purge(situation, draft) if settings.purge_credentials else ()),
    ]
    changes += _give_back(situation, draft, changes)
    refused = [*refusals.files(state, changes)]
    return Plan(() if refused else tuple(changes), tuple(refused), warnings=_warnings(situation))


def _give_back(situation: Situation, draft: Draft, done: t.Sequence[Change]) -> list[Change]:
    """Remove the directories that two-factor login made, and restore mode and owner of those that it found."""
    state = situation.state
    record = OriginalState.parse(state.text(places.ORIGINAL_STATE))
    changes: list[Change] = draft.remove(*sorted(set(OWN_DIRECTORIES) - set(backends.DIRECTORIES), reverse=True))
    gone = {change.path for change in (*done, *changes) if isinstance(change, (Remove, RemoveMoved))}

    def is_empty(path: str) -> bool:
        return all(f"{path}/{name}" in gone for name in state.inside.get(path, ()))

    for path in backends.DIRECTORIES:
        now, before = state.files.get(path), record.directories.get(path)
        if now is None:
            continue
        rights = (now.mode, now.uid, now.gid)
        if before is not None:
            changes += [GiveBack(path, *before)] if rights != before else []
        elif not draft.credentials[path] and is_empty(path):
            # If our own directory is gone, two-factor login is off already, and nobody knows who made this one.
            emptied = any(one.startswith(f"{path}/") for one in gone)
            if places.LIBEXEC in state.files or (rights == OWN_RIGHTS and emptied):
                changes += draft.remove(path)
    # Inner directories go before outer ones.
    made = sorted(record.made.intersection(places.SHARED_DIRECTORIES) - state.missing, reverse=True)
    return [*changes, *(Remove(path) for path in made if is_empty(path))]


def _purge(situation: Situation, draft: Draft) -> list[Change]:
    """Remove the credentials, and copies of them that a move left in another backend."""
    paths = [backends.credential_path(situation.state.backend, user) for user in sorted(situation.enrolled)]
    return [change for path in [*paths, *credentials.leftovers(situation)] for change in draft.remove_credential(path)]


def _warnings(situation: Situation) -> tuple[str, ...]:
    """Warn of files that stay in spite of a purge, and of settings that go with our drop-in. Nothing keeps it on."""
    settings, state = situation
    damaged = sorted(set(state.credentials) - situation.enrolled) if settings.purge_credentials else ()
    paths = ((user, backends.credential_path(state.backend, user)) for user in damaged)
    return (
        *(f"{path} is not a credential of {user}; it was left alone." for user, path in paths),
        *(
            f"{places.DROP_IN} on {state.hostname}, line {number}, had a setting that fleet.auth has not written, and "
            f"that is gone with the file: {line!r}. Put it into another file in {places.DROP_IN_DIRECTORY}."
            for number, line in drop_in.foreign_lines(state.own_text(places.DROP_IN) or "")
        ),
    )
