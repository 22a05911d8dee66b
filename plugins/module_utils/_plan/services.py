# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The PAM services that shall ask for the code: their files as they shall be, and what stands in the way. Pure."""

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
    """What becomes of the services that shall ask for the code."""

    texts: dict[str, str] = field(default_factory=dict)
    """The files of those that get our block, by service, as they shall be."""
    covered: list[str] = field(default_factory=list)
    """Those that include one of the former, and so ask as they are."""
    refused: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """What people should know of the lines around the code step."""

    @property
    def asking(self) -> list[str]:
        """All of them."""
        return [*self.texts, *self.covered]


def services(situation: Situation, *, declared_keys: bool) -> Services:
    """The services of the settings, and what stands in the way of those that have to change.

    `declared_keys` says whether sshd shall ask for no code after a security key that is declared.
    """
    state, host = situation.state, situation.state.hostname
    found = Services(refused=[*_missing(situation)])
    files = state.service_files
    plain = pam.without_ours(files)
    present = [one for one in situation.wanted_services if one in files.texts and not _link(state, one)]
    copies = _copies(present, files, plain)
    plain = plain._replace(texts={**plain.texts, **copies})
    inner = {one: pam.included(one, plain) & {*present} for one in present}
    blocks: dict[str, Block] = {}
    # What is included comes before what includes it.
    for service in sorted(present, key=lambda one: (len(inner[one]), present.index(one))):
        try:
            asking = {one: blocks[one] for one in inner[service] if one in blocks}
            if asking:
                pam.check_covered(service, plain, asking, backends.MODULES)
                found.covered.append(service)
                others = placement.other_factors_of_covered(service, plain, asking)
                found.told += _said_of(others, service, host)
            elif not inner[service]:
                lines = _account_lines(situation) if service == "sshd" else ()
                text = plain.texts[service]
                text, blocks[service] = pam.protect(
                    service, text, plain, backends.MODULES, lines, declared_keys=declared_keys
                )
                first = vendor_copy.first_line(service, copies[service]) if service in copies else ""
                found.texts[service] = first + text
                found.told += _said_of(placement.other_factors(blocks[service], plain), service, host)
        except PamError as error:
            found.refused.append(f"on {host}, {error}")
    found.texts = {one: found.texts[one] for one in present if one in found.texts}
    found.refused += damaged(state, [one for one in state.protected_services if one not in situation.wanted_services])
    return found


def _missing(situation: Situation) -> t.Iterator[str]:
    """The services that have no file, or one that is not ours to change."""
    state = situation.state
    for service in situation.wanted_services:
        link, file = _link(state, service), state.files.get(f"{places.PAM_D}/{service}")
        if link:
            yield (
                f"{places.PAM_D}/{service} on {state.hostname} is a symbolic link to {link}, which something else "
                f"manages. Make it a file of its own, or leave {service} out."
            )
        elif file and file.kind:
            yield (
                f"{places.PAM_D}/{service} on {state.hostname} is a {file.kind}, and no file. Put the file itself "
                f"there, or leave {service} out."
            )
        elif service not in state.service_files.texts and service != "cockpit":
            yield (
                f"there is no {places.PAM_D}/{service} on {state.hostname}, nor one in {places.VENDOR_PAM_D}. Take "
                f"{service} out."
            )


def _link(state: HostState, service: str) -> str | None:
    """Where the file of a service leads, if it is a symbolic link."""
    file = state.files.get(f"{places.PAM_D}/{service}")
    return file.link if file else None


def _copies(present: t.Iterable[str], files: ServiceFiles, plain: ServiceFiles) -> dict[str, str]:
    """The vendor's files of the services of which only a copy can have our block, as they are now."""
    return {
        one: files.vendors[one]
        for one in present
        if one in files.vendors and (one in files.only_vendors or vendor_copy.is_untouched(plain.texts[one]))
    }


def _said_of(others: t.Iterable[OtherFactor], service: str, host: str) -> t.Iterator[str]:
    """Second factors that a service has beside ours, and who is asked for them."""
    for other in others:
        who = "whoever gets that far is asked for both"
        if service == "sshd" and other.place == "before":
            who = "whoever comes with a password or with a key is asked for both"
        elif service == "sshd":
            lines = "behind the code step" if other.place == "after" else "of the password"
            who = (
                "whoever comes with a password is asked for both, and whoever comes with a key for the code alone: "
                f"keys pass over every line for auth {lines}"
            )
        asks = "asks" if other.is_known else "can deny, and may ask"
        yield f"{other.where}, on {host} {asks} for another factor beside the code of {service}, {other.line!r}: {who}."


def damaged(state: HostState, names: t.Iterable[str]) -> list[str]:
    """Service files with a block of ours that cannot be taken out."""
    found = []
    for service in names:
        try:
            pam.unprotect(service, state.files[f"{places.PAM_D}/{service}"].content)
        except PamError as error:
            found.append(f"on {state.hostname}, {error}")
    return found


def _account_lines(situation: Situation) -> t.Sequence[str]:
    """The lines that sshd's account stack needs."""
    settings, accounts = situation.settings, situation.state.accounts
    if settings.scope == "everyone":
        return ()
    names, uids, groups = situation.named_afterwards, situation.uids_afterwards, settings.exempt_groups
    if settings.scope == "groups":
        names, groups = situation.members_afterwards.union(settings.exempt_users), (*settings.scope_groups, *groups)
    # sshd names them as well, whoever else is in scope.
    keys_only = {accounts[name].uid for name in settings.keys_only_users if name in accounts}
    same = [one for one in accounts.values() if one.uid in keys_only]
    known = {one.name for one in same if situation.keys_only(one) or situation.in_scope(one)}
    return succeed_if.denies_other_names(names | known, uids | keys_only, groups)
