# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans to turn two-factor login on, or to change its policy. Pure."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import replace

from .. import _places as places
from .._backends import backends
from .._backends.credential import MakeKey
from .._host.state import OWN_DIRECTORIES, FileState, Sshd
from .._texts import code_step, drop_in, pam, security_keys, sshd_config
from .._texts.code_step import CodeStep
from .._texts.found import OWN_RIGHTS, OriginalState, Rights
from .._wanted.security_key import SecurityKey
from . import (
    accounts,
    cockpit,
    credentials,
    doors,
    guard,
    locked_out,
    people,
    refusals,
    self_service,
    services,
    warnings,
)
from .changes import Change, Enrol, Expectation, Move, Plan, ReloadSshd, Renew, Revision, Write
from .draft import Draft, remove_stale_locks
from .services import Services
from .situation import Situation


def plan(situation: Situation, make_key: MakeKey) -> Plan:
    """Return refusals if anybody would be locked out or something else is wrong, or else the changes in order."""
    settings, state = situation
    missing = tuple(_missing_packages(situation))
    pam_services = services.services(situation, declared_keys=bool(settings.declared_keys))
    asking_services = pam_services.asking_services
    warned = [
        *warnings.drift(situation, asking_services),
        *warnings.doors(situation, asking_services),
        *warnings.unread(situation),
        *warnings.ended_passes(situation),
        *guard.alert_warnings(state),
        *pam_services.warnings,
        *doors.open_doors(situation),
        *warnings.security_keys(situation),
        *warnings.origins(situation),
    ]
    refused = [*refusals.host(situation), *accounts.refusals(situation), *pam_services.refused]
    refused += [*cockpit.refusals(situation), *doors.cannot_ask(situation), *doors.other_sudo_services(situation)]
    (warned if state.asks_for_code else refused).extend(credentials.held_at_logins(situation))
    if settings.ssh:
        refused += refusals.sshd(situation)
    if not refused:
        refused += _locked_out(situation, asking_services)
    refused += refusals.become(situation)
    revised = {} if refused else credentials.revised(situation, make_key)
    if not refused:
        refused += refusals.enrolments(situation, revised)
    if refused:
        return Plan(refusals=tuple(refused), warnings=tuple(warned), missing_packages=missing)

    changes = _Steps(situation, pam_services, revised).in_order()
    if "sshd" in asking_services and not any(change.path == places.DROP_IN for change in _written(changes)):
        refused += refusals.expectations(state, _expectations(situation, state.text(places.DROP_IN)))
    refused += [*refusals.files(state, changes), *refusals.modules(state, changes), *refusals.clock(situation)]
    warned += warnings.clock(situation)
    return Plan(
        changes=() if refused else tuple(changes),
        refusals=tuple(refused),
        warnings=tuple(warned),
        missing_packages=missing,
        to_enrol=() if refused else tuple(credentials.to_enrol(situation, revised)),
    )


def _written(changes: t.Iterable[Change]) -> t.Iterator[Write]:
    """The changes that write a file, those that edit one among them."""
    return (change for change in changes if isinstance(change, Write))


def _missing_packages(situation: Situation) -> t.Iterator[str]:
    """The packages that the host lacks to ask for codes, or to serve the self-service page."""
    settings, state = situation
    if settings.backend not in state.code_modules:
        yield backends.BACKENDS[settings.backend].PACKAGES[state.os_family]
    if settings.self_service and not state.has_qrencode:
        yield places.QRENCODE_PACKAGE


def _locked_out(situation: Situation, asking_services: t.Collection[str]) -> list[str]:
    """Refuse because of everyone who would be locked out if these services asked for the code."""
    found = locked_out.locked_out(situation, asking_services, situation.enrolled_afterwards)
    reasons = [(one.user, one.reason) for one in found]
    return [*people.sentences([*reasons, *locked_out.left_without_keys(situation)])]


def _expectations(situation: Situation, drop_in_text: str | None, *, widened: bool = False) -> tuple[Expectation, ...]:
    """What sshd must report with this drop-in, for one account of each class that its configuration distinguishes.

    Root and Ansible's own account are classes of their own. Accounts out of scope keep the settings from before us.
    `widened` says whether the drop-in combines two policies; see `drop_in.combined`.
    """
    return tuple(one for sshd in situation.state.sshds for one in _expected_of(sshd, situation, drop_in_text, widened))


def _expected_of(sshd: Sshd, situation: Situation, drop_in_text: str | None, widened: bool) -> t.Iterator[Expectation]:
    """Yield what one sshd must report with this drop-in."""
    state, settings = situation.state, situation.settings
    patterns = sshd_config.account_patterns(state.sshd_files(sshd.start, drop_in_text or "").texts)
    seen: set[tuple[t.Any, ...]] = set()
    for account in state.accounts.values():
        in_scope, keys_only = situation.in_scope(account), situation.keys_only(account)
        keys_only = keys_only or (widened and drop_in.is_keys_only(account.sshd))
        key = (
            account.name if account.name in ("root", state.ansible_user) else None,
            (in_scope, keys_only),
            sshd_config.account_class(patterns, account.name, account.groups),
        )
        if key in seen:
            continue
        seen.add(key)
        for origin, effective in sshd.views.items():
            if in_scope or keys_only:
                wanted = drop_in.expected(settings, sshd.any_account, account.name, keys_only=keys_only)
                yield Expectation(account.name, state.sample_address, wanted, sshd.start, origin)
            elif state.text(places.DROP_IN) is None:
                before = effective[account.name]
                as_before = {keyword: before.get(keyword, ()) for keyword in drop_in.expected(settings)}
                yield Expectation(account.name, state.sample_address, as_before, sshd.start, origin)


def _joined(
    wanted: t.Mapping[str, t.Iterable[SecurityKey]], in_force: t.Mapping[str, t.Iterable[SecurityKey]]
) -> dict[str, list[SecurityKey]]:
    """The keys in force and those wanted, by account, of the accounts for which any are wanted."""
    return {
        user: [*{key.words: key for key in (*in_force.get(user, ()), *keys)}.values()] for user, keys in wanted.items()
    }


class _Steps:
    """The steps that turn two-factor login on, or change its policy.

    Each step returns its changes. It finds the files in the draft as earlier steps leave them, so only `in_order` may
    call the steps.
    """

    def __init__(self, situation: Situation, pam_services: Services, revised: t.Mapping[str, str]) -> None:
        self.situation = situation
        self.settings, self.state = situation
        self.services = pam_services.texts
        """The new files of the services that must ask for the code, by service."""
        self.services_meanwhile = pam_services.texts
        if situation.checks_declared_keys and not self.settings.declared_keys:
            self.services_meanwhile = services.services(situation, declared_keys=True).texts
        """The same while the policy changes: valid security keys stay valid until the new policy is in place."""
        self.revised = revised
        """The new texts of the credentials, by user."""
        self.asking_services = pam_services.asking_services
        self.backend = backends.BACKENDS[self.settings.backend]
        self.was_on = self.state.asks_for_code
        protected = self.state.protected_services
        self.covered = [service for service in pam_services.covered if service in protected]
        """The services that from now on ask because they include another one, and whose own block is removed."""
        self.leaving = [service for service in protected if service not in pam_services.asking_services]
        self.draft = Draft(self.state)
        self.original = self._original_state()

    def in_order(self) -> list[Change]:
        """The changes of all steps, in order."""
        leaving_asked = self.leaving if self.was_on else []
        leaving_unasked = [] if self.was_on else self.leaving
        directories = [*remove_stale_locks(self.state), *self._directories()]
        changes = [
            *self._enrol(),
            *self._helpers(),
            *cockpit.configure(self.draft, self.situation),
            # From here on the added services run the switch too, which asks nobody there yet.
            *self._let_added_services_pass(),
            *self._protect(self.services_meanwhile),
            *self.draft.unprotect(self.covered),
            *self.draft.unprotect(leaving_unasked),
            # People with security keys alone need the list of these before sshd reads no other list.
            *self.draft.security_keys(places.KEYS_ONLY_DIRECTORY, self._keys_for_sshd_meanwhile()),
            # sshd sends to PAM everyone whom the old policy or the new one sends.
            *self._widen_drop_in(),
            # A security key is valid only while sshd asks it for its PIN.
            *self.draft.security_keys(places.KEYS_DIRECTORY, self._keys_meanwhile()),
            # The old backend is asked until the switch.
            *self._moves,
            # The switch: after this one rename PAM asks according to the new policy.
            *self._policy(leaving_asked),
            *self.draft.security_keys(places.KEYS_DIRECTORY, self.settings.declared_keys),
            *self.draft.forget_security_keys(places.KEYS_DIRECTORY, self.settings.declared_keys),
            *self._protect(self.services),
            *self._narrow_drop_in(),
            *self.draft.security_keys(places.KEYS_ONLY_DIRECTORY, self.settings.keys_for_sshd),
            *self.draft.forget_security_keys(places.KEYS_ONLY_DIRECTORY, self.settings.keys_for_sshd),
            *self.draft.unprotect(leaving_asked),
            *self._policy([]),
            *self._tidy(),
            # The self-service page and command use what is then in force.
            *self_service.install(self.draft, self.situation),
            # The guard compares with what is then in force.
            *guard.set_up(self.draft, self.situation, self.services, self.asking_services),
        ]
        return [*directories, *self._write_original_state(changes), *changes]

    def _keys_meanwhile(self) -> dict[str, list[SecurityKey]]:
        """The declared security keys; while the policy changes, also those that were declared until now."""
        changing = bool(self._changing(self._policy_files()))
        return _joined(self.settings.declared_keys, self.situation.keys_in_force if changing else {})

    def _keys_for_sshd_meanwhile(self) -> dict[str, list[SecurityKey]]:
        """The same for the accounts that may have to log in with security keys alone; the drop-in says which these are.

        Somebody whose key is replaced may no longer need one by the new drop-in.
        """
        changing = self.state.text(places.DROP_IN) != self._drop_in
        return _joined(self.settings.keys_for_sshd, self.situation.keys_only_lists if changing else {})

    def _directories(self) -> list[Change]:
        """Make our directories; of those for credentials, only that of the wanted backend."""
        needed = (
            (path, mode)
            for path, mode in OWN_DIRECTORIES.items()
            if path == self.backend.DIRECTORY or path not in backends.DIRECTORIES
        )
        return [change for path, mode in needed for change in self.draft.directory(path, mode)]

    def _original_state(self) -> OriginalState:
        """The credential directories that existed before us. One that holds only credentials may be our own."""
        record = OriginalState.parse(self.state.text(places.ORIGINAL_STATE))
        if places.LIBEXEC in self.state.files:
            return record
        existing = {}
        for path in backends.DIRECTORIES:
            file = self.state.files.get(path)
            rights = Rights(file.mode, file.uid, file.gid) if file else OWN_RIGHTS
            if file and (rights != OWN_RIGHTS or not (self.state.inside.get(path) or self.draft.credentials[path])):
                existing[path] = rights
        return replace(record, directories={**existing, **record.directories})

    def _write_original_state(self, changes: t.Iterable[Change]) -> list[Change]:
        """Note what turning two-factor login off must undo and could not find out from other files."""
        written = {change.path.rpartition("/")[0] for change in _written(changes)}
        made = self.original.made | (written & self.state.missing)
        text = replace(self.original, made=made).render()
        return self.draft.write(places.ORIGINAL_STATE, text, 0o644) if text else []

    def _enrol(self) -> list[Change]:
        """Make the missing credentials, and renew those that are not as wanted, in their backend."""
        changes: list[Change] = []
        for name, text in self.revised.items():
            path, interval = backends.credential_path(self.settings.backend, name), self._interval(name)
            file = self.state.credentials.get(name)
            if file is None:
                changes.append(Enrol(name, path, interval, text))
            elif not (self.situation.moving or self._is_right(file, text)):
                changes.append(Renew(name, path, interval, path + self.backend.LOCK, self._revision(name)))
        return changes

    def _is_right(self, file: FileState, text: str) -> bool:
        """Whether a credential is as wanted; a login may leave it with any of its backend's modes."""
        return any(file == FileState(text, mode) for mode in self.backend.MODES)

    def _helpers(self) -> list[Change]:
        """Write the helpers that PAM calls, the recovery command, and the file that makes our directories at boot."""
        contents, modes = self.settings.files, places.FOR_LOGINS
        paths = (*pam.helpers(self.services_meanwhile.values()), places.RECOVERY_COMMAND, places.TMPFILES)
        return [change for path in paths for change in self.draft.write(path, contents[path], modes[path])]

    def _let_added_services_pass(self) -> list[Change]:
        """Have the switch ask nobody in the services that are about to run it."""
        switch, protected = self.state.text(places.SWITCH), self.state.protected_services
        files = self.state.service_files
        added = [
            service for service in self.services if service not in protected and not pam.asks_by_include(service, files)
        ]
        if self.was_on and added:
            return self.draft.write(places.SWITCH, code_step.except_services(t.cast(str, switch), added), 0o644)
        if self.services and not self.was_on and (not protected or self.state.code_step.passes_everyone):
            # A switch that is damaged or gone lets nobody in, and stays as it is until the new one is in place.
            return self.draft.write(places.SWITCH, code_step.PASS_THROUGH, 0o644)
        return []

    def _protect(self, services: t.Mapping[str, str]) -> list[Change]:
        """Put our block into the files of these services."""
        texts = {f"{places.PAM_D}/{service}": text for service, text in services.items()}
        modes = {path: None if path in self.draft.files else 0o644 for path in texts}
        return [change for path, text in texts.items() for change in self.draft.write(path, text, modes[path])]

    # sshd

    @functools.cached_property
    def _drop_in(self) -> str:
        """The drop-in of the new policy."""
        shows_no_prompts = any(
            drop_in.shows_no_prompts(self.state.sshd_files(sshd.start), sshd.any_account) for sshd in self.state.sshds
        )
        return drop_in.render(self.settings, self.situation.named_afterwards, shows_no_prompts)

    def _widen_drop_in(self) -> list[Change]:
        """While the policy changes, have sshd send to PAM the accounts of the old drop-in and of the new one."""
        with_new_keys = [
            user for user in self.settings.declared_keys if security_keys.path(user) not in self.draft.files
        ]
        if "sshd" not in self.services or not (with_new_keys or self._changing(self._policy_files())):
            return []
        old = self.state.text(places.DROP_IN)
        return self._write_drop_in(
            drop_in.combined(self._drop_in, old) if old not in (None, self._drop_in) else self._drop_in, widened=True
        )

    def _narrow_drop_in(self) -> list[Change]:
        """Have sshd send to PAM only the accounts that PAM now asks, also if it has not read yet that it should."""
        if "sshd" in self.services:
            is_unread = self.state.unread_by_sshd and self.state.text(places.DROP_IN) == self._drop_in
            return self._write_drop_in(self._drop_in) or (self._reload_sshd(self._drop_in) if is_unread else [])
        return self.draft.remove_drop_in()

    def _write_drop_in(self, text: str, *, widened: bool = False) -> list[Change]:
        """Put a drop-in in place and reload sshd, unless the drop-in is there already."""
        written = self.draft.write(places.DROP_IN, text, 0o644)
        return [*written, *self._reload_sshd(text, widened=widened)] if written else []

    def _reload_sshd(self, text: str, *, widened: bool = False) -> list[Change]:
        """Reload sshd, which then has to do what this drop-in says."""
        return [ReloadSshd(_expectations(self.situation, text, widened=widened), self.state.drop_in_readers)]

    # PAM

    def _policy_files(self, leaving: t.Sequence[str] = (), suffix: str = "") -> dict[str, str]:
        """The files from which PAM knows who is asked for what. The switch comes last, since it names the other one."""
        settings, policy = self.settings, {}
        if settings.exempt_addresses:
            policy[places.EXEMPT_ORIGINS + suffix] = code_step.exempt_origins(settings)
        by_groups = self.settings.scope == "groups"
        named = self.situation.members_afterwards if by_groups else self.situation.named_afterwards
        uids = self.situation.uids_afterwards
        step = CodeStep.wanted(settings, named, self.backend.pam_line(settings), suffix, uids)
        policy[places.SWITCH] = step._replace(excepted_services=tuple(leaving)).render()
        return policy

    def _changing(self, policy: t.Mapping[str, str]) -> list[str]:
        """Which of these files are not yet as wanted."""
        return [path for path, text in policy.items() if self.draft.text(path) != text]

    def _policy(self, leaving: t.Sequence[str]) -> list[Change]:
        """Put the policy in force. Services that are `leaving` no longer ask, though their block is still there."""
        policies = [self._policy_files(leaving)]
        in_use = self.was_on and self.draft.text(places.EXEMPT_ORIGINS) is not None
        if in_use and len(self._changing(policies[0])) > 1:
            # One rename cannot change two files, so the switch uses a new list until the old one is replaced.
            policies.insert(0, self._policy_files(leaving, places.NEXT))
        texts = [item for policy in policies for item in policy.items()]
        return [change for path, text in texts for change in self.draft.write(path, text, 0o644)]

    # Credentials

    @functools.cached_property
    def _moves(self) -> list[Move]:
        """The moves of credentials into the wanted backend; none if they are there already."""
        if not self.situation.moving:
            return []
        source, target = self.state.backend, self.settings.backend
        old = {name: backends.credential_path(source, name) for name in self.revised if name in self.state.credentials}
        return [
            Move(
                name,
                path=backends.credential_path(target, name),
                interval=self._interval(name),
                before=before,
                lock=before + backends.BACKENDS[source].LOCK,
                source=source,
                target=target,
                revision=self._revision(name),
            )
            for name, before in old.items()
        ]

    def _revision(self, name: str) -> Revision:
        """How to derive a credential's new text from the one that is found under its lock."""
        return Revision(self.settings, name, self.state.backend, self.state.now)

    def _interval(self, name: str) -> int | None:
        """For how many seconds the first device of a user shows each code afterwards."""
        return credentials.interval(self.situation, name, self.revised[name])

    # What is left

    def _tidy(self) -> list[Change]:
        """Remove what nothing refers to any longer: helpers, lists of addresses, credentials and their directories."""
        draft, policy = self.draft, self._policy_files()
        called = pam.helpers(self.services.values())
        unused = [path for path in (*pam.HELPERS, *places.GATES) if path not in called]
        unused += [path for path in (places.EXEMPT_ORIGINS, places.EXEMPT_ORIGINS + places.NEXT) if path not in policy]
        changes = draft.remove(*unused)

        moving = self.situation.moving
        gone = {*self.situation.absent_users, *(self.revised if moving else ())} & set(self.state.credentials)
        paths = [backends.credential_path(self.state.backend, name) for name in sorted(gone)]
        if not moving:
            paths += credentials.leftovers(self.situation)
        moves = {move.before: move for move in self._moves}
        for path in paths:
            changes += draft.remove_credential(path, moves.get(path))

        removed = {*self.state.stale_locks, *paths}
        directories = (
            path
            for path, names in draft.credentials.items()
            if path != self.backend.DIRECTORY
            and path not in self.original.directories
            and not names
            # If the directory holds anything else, that stays, and so does the directory.
            and all(f"{path}/{name}" in removed for name in self.state.inside.get(path, ()))
        )
        return [*changes, *draft.remove(*directories)]
