# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The PAM services that must ask for the code: their new files, and what prevents them. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .. import _places as places
from .._backends import backends
from .._host.state import HostState
from .._texts import pam, placement, succeed_if, vendor_copy
from .._texts.pam_conf import ServiceFiles
from .._texts.placement import Block, OtherFactor, PamError
from .situation import Situation


@dataclass
class Services:
    """What becomes of the services that must ask for the code."""

    texts: dict[str, str] = field(default_factory=dict)
    """The new file of each service that gets our block, by service."""
    covered: list[str] = field(default_factory=list)
    """The services that include one of these, and so ask without a block of their own."""
    refused: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """Warnings about the lines around the code step."""

    @property
    def asking_services(self) -> list[str]:
        """All services that ask for the code."""
        return [*self.texts, *self.covered]


def services(situation: Situation, *, declared_keys: bool) -> Services:
    """What becomes of the services of the settings, and why some cannot change.

    `declared_keys` says whether sshd asks for no code after a declared security key.
    """
    state, host = situation.state, situation.state.hostname
    result = Services(refused=[*_missing(situation)])
    files = state.service_files
    plain = pam.without_ours(files)
    present = [one for one in situation.wanted_services if one in files.texts and not _link(state, one)]
    copies = _copies(present, files, plain)
    plain = plain._replace(texts={**plain.texts, **copies})
    included = {one: pam.included(one, plain) & {*present} for one in present}
    blocks: dict[str, Block] = {}
    # A file that is included comes before those that include it.
    for service in sorted(present, key=lambda one: (len(included[one]), present.index(one))):
        try:
            asking_blocks = {one: blocks[one] for one in included[service] if one in blocks}
            if asking_blocks:
                pam.check_covered(service, plain, asking_blocks, backends.MODULES)
                result.covered.append(service)
                others = placement.other_factors_of_covered(service, plain, asking_blocks)
                result.warnings += _other_factor_warnings(others, service, host)
            elif not included[service]:
                lines = _account_lines(situation) if service == "sshd" else ()
                text = plain.texts[service]
                text, blocks[service] = pam.protect(
                    service, text, plain, backends.MODULES, lines, declared_keys=declared_keys
                )
                first_line = vendor_copy.first_line(service, copies[service]) if service in copies else ""
                result.texts[service] = first_line + text
                result.warnings += _other_factor_warnings(
                    placement.other_factors(blocks[service], plain), service, host
                )
        except PamError as error:
            result.refused.append(f"on {host}, {error}")
    result.texts = {one: result.texts[one] for one in present if one in result.texts}
    result.refused += damaged(state, [one for one in state.protected_services if one not in situation.wanted_services])
    return result


def _missing(situation: Situation) -> t.Iterator[str]:
    """Refuse services that have no file, or one that we must not change."""
    state = situation.state
    for service in situation.wanted_services:
        link, file = _link(state, service), state.files.get(f"{places.PAM_D}/{service}")
        if link:
            yield (
                f"{places.PAM_D}/{service} on {state.hostname} is a symbolic link to {link}, which something else "
                f"manages. Make it a file of its own, or leave {service} out of the services that ask for codes."
            )
        elif file and file.kind:
            yield (
                f"{places.PAM_D}/{service} on {state.hostname} is a {file.kind}, not a file. Put the file itself "
                f"there, or leave {service} out of the services that ask for codes."
            )
        elif service not in state.service_files.texts and service != "cockpit":
            yield (
                f"there is no {places.PAM_D}/{service} on {state.hostname}, nor one in {places.VENDOR_PAM_D}. Take "
                f"{service} out of the services that ask for codes."
            )


def _link(state: HostState, service: str) -> str | None:
    """The target of a service's file, if it is a symbolic link."""
    file = state.files.get(f"{places.PAM_D}/{service}")
    return file.link if file else None


def _copies(present: t.Iterable[str], files: ServiceFiles, plain: ServiceFiles) -> dict[str, str]:
    """The current vendor's files of the services for which only a copy in /etc/pam.d can have our block."""
    return {
        one: files.vendors[one]
        for one in present
        if one in files.vendors and (one in files.only_vendors or vendor_copy.is_untouched(plain.texts[one]))
    }


def _other_factor_warnings(others: t.Iterable[OtherFactor], service: str, host: str) -> t.Iterator[str]:
    """Warn of other second factors in a service, and say who is asked for them."""
    for other in others:
        who = "a login that gets that far asks for both"
        if service == "sshd" and other.place == "before":
            who = "a login with a password or with a key asks for both"
        elif service == "sshd":
            lines = "behind the code step" if other.place == "after" else "of the password"
            who = (
                "a login with a password asks for both, and a login with a key for the code alone: with a key, sshd "
                f"skips every auth line {lines}"
            )
        asks = "asks" if other.is_known else "can deny, and may ask"
        yield f"{other.where}, on {host} {asks} for another factor beside the code of {service}, {other.line!r}: {who}."


def damaged(state: HostState, names: t.Iterable[str]) -> list[str]:
    """Refuse service files with a block of ours that cannot be removed."""
    refusals = []
    for service in names:
        try:
            pam.unprotect(service, state.files[f"{places.PAM_D}/{service}"].content)
        except PamError as error:
            refusals.append(f"on {state.hostname}, {error}")
    return refusals


def _account_lines(situation: Situation) -> t.Sequence[str]:
    """The lines of our block for sshd's account stack."""
    settings, accounts = situation.settings, situation.state.accounts
    if settings.scope == "everyone":
        return ()
    names, uids, groups = situation.named_afterwards, situation.uids_afterwards, settings.exempt_groups
    if settings.scope == "groups":
        names, groups = situation.members_afterwards.union(settings.exempt_users), (*settings.scope_groups, *groups)
    # The drop-in of sshd names these too, whatever the scope is.
    keys_only = {accounts[name].uid for name in settings.keys_only_users if name in accounts}
    same_uid = [one for one in accounts.values() if one.uid in keys_only]
    known = {one.name for one in same_uid if situation.keys_only(one) or situation.in_scope(one)}
    return succeed_if.denies_other_names(names | known, uids | keys_only, groups)
