# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways into a host, and at which of them a code is asked for. Pure."""

from __future__ import annotations

import typing as t

from .. import _places as places
from .._texts import cockpit_conf, pam, pam_modules
from .._texts.login_daemons import ANSWERING, DAEMONS, HARMLESS_SERVICES, LOCAL_SERVICES, LOCKING_SCREENS
from .._texts.pam_conf import ServiceFiles, all_auth_lines, include_targets, is_elsewhere
from .._wanted.bounds import is_sshd_config
from .situation import Situation

_OURS = places.SWITCH.rpartition("/")[2]
COVERED, OPEN, UNKNOWN = "covered", "open", "unknown"
BY_COCKPIT = "cockpit-ssh"
"""The login to another machine on Cockpit's page, which goes to the host itself as well."""


class Door(t.NamedTuple):
    """A way in."""

    name: str
    """What it is called, also in `accepted_doors`: the program, the PAM service, or the configuration of an sshd."""
    kind: str
    """`sshd`, another `daemon`, or a `local` PAM service, for those who are at the machine or on it already."""
    reaches: str
    """What somebody gets to by it."""
    state: str
    """`covered` where a code is asked for, `open` where none is, or `unknown`."""
    seen: str = ""
    """What shows that it is there."""


def doors(situation: Situation, asking: t.Collection[str]) -> list[Door]:
    """Every way in that is known, where these PAM services ask for the code."""
    return [*_sshds(situation, asking), *_daemons(situation, asking), *_local(situation, asking)]


def open_beside(situation: Situation) -> t.Iterator[str]:
    """The ways in from the network that ask for no code once the settings are in force, and that nobody accepted."""
    settings, host = situation.settings, situation.state.hostname
    if not situation.services:
        return
    asking = situation.services
    configs = {one.start.config for one in situation.state.listeners if not one.is_separate}
    can_be_covered = set(filter(is_sshd_config, configs))
    for door in (*_sshds(situation, asking), *_daemons(situation, asking)):
        if door.state == COVERED or door.name in ("sshd", *settings.accepted_doors):
            continue
        asks = "asks for no code" if door.state == OPEN else "may ask for no code"
        accept = f"or accept it: O(accepted_doors): [{door.name}]"
        if door.name == BY_COCKPIT:
            exempt = settings.exempt_addresses
            ask = "set O(ssh) to true" if not settings.ssh else ""
            also = f"{ask} without O(exempt_addresses)" if ask and exempt else ask or "leave O(exempt_addresses) out"
            remedy = (
                f"Write Command = /bin/false into the section [Ssh-Login] of {places.COCKPIT_CONFIG}, by which the "
                f"page logs nobody in to another machine, {also}, {accept}"
            )
        elif door.kind == "sshd":
            cover = f"Name {door.name} in O(sshd_configs), stop it" if door.name in can_be_covered else "Stop it"
            remedy = f"{cover}, {accept}"
        else:
            remedy = f"Stop it, add its PAM service to O(services) if it has one, {accept}"
        yield f"{door.name} on {host} ({door.seen}) lets people in to {door.reaches}, and {asks}. {remedy}."


def cannot_ask(situation: Situation) -> t.Iterator[str]:
    """Services that shall ask for the code, and whose people never see the prompt, or are denied whatever they type."""
    daemons = {service: one.name for one in DAEMONS if not one.shows_prompts for service in one.services}
    for service in situation.services:
        program = daemons.get(service) or ANSWERING.get(service)
        if program:
            stop = f", and stop {program}, or accept it: O(accepted_doors): [{program}]" if service in daemons else ""
            yield (
                f"{service} on {situation.state.hostname} cannot ask for a code: {program} answers each prompt of "
                "PAM's with the password, which would count as a wrong code, and close the code step of the account "
                f"at every service. Take {service} out of O(services){stop}."
            )
        elif service in LOCKING_SCREENS:
            yield (
                f"{service} on {situation.state.hostname} cannot ask for a code: it runs as whoever has locked the "
                "screen, who cannot read what the codes go by, so that a right one would be denied, and the screen "
                f"stay locked. Take {service} out of O(services)."
            )


def beside_sudo(situation: Situation) -> t.Iterator[str]:
    """Where sudo asks another PAM service than the one that shall ask for the code."""
    for one in situation.services_beside_sudo:
        if one.instead_of in situation.services:
            yield (
                f"sudo on {situation.state.hostname} asks the PAM service {one.service} in place of "
                f"{one.instead_of}, at least for some ({one.path} line {one.number}: {one.setting}), and that asks for "
                f"no code. Remove this setting, or add {one.service} to O(services)."
            )


def _sshds(situation: Situation, asking: t.Collection[str]) -> t.Iterator[Door]:
    """The host's own sshd, and further ones that listen."""
    settings, state = situation
    state_of_own = COVERED if "sshd" in asking else OPEN
    if state.sshd_error is None:
        yield Door("sshd", "sshd", "a shell and files", state_of_own, places.SSHD)
    covered = [sshd.start for sshd in state.sshds]
    for listener in state.listeners:
        reaches = f"a shell as {listener.owner}" if listener.owner else "a shell and files"
        if listener.is_separate or not any(listener.start.has_same_options(start) for start in covered):
            yield Door(listener.door, "sshd", reaches, OPEN, listener.seen)
        elif listener.start.config in settings.sshd_configs:
            yield Door(listener.start.config, "sshd", reaches, state_of_own, listener.seen)


def _daemons(situation: Situation, asking: t.Collection[str]) -> t.Iterator[Door]:
    """Other programs that let people in from the network."""
    for daemon in DAEMONS:
        seen = situation.state.daemons.get(daemon.name)
        if seen:
            covered = bool(daemon.services) and all(service in asking for service in daemon.services)
            state = COVERED if covered else UNKNOWN if daemon.may_be_off else OPEN
            yield Door(daemon.name, "daemon", daemon.reaches, state, seen)
    yield from _by_cockpit(situation, asking)


def _by_cockpit(situation: Situation, asking: t.Collection[str]) -> t.Iterator[Door]:
    """What Cockpit's page lets people log in to by ssh, the host itself among it; sshd has to ask there.

    sshd sees an address of the host's own then, or of another one with a Cockpit, which may be exempt.
    """
    settings, state = situation
    seen, text = state.daemons.get("cockpit"), state.text(places.COCKPIT_CONFIG)
    if not seen or "cockpit" not in asking or state.sshd_error or not cockpit_conf.logs_in_by_ssh(text):
        return
    of_host = OPEN if "sshd" not in asking else UNKNOWN if settings.exempt_addresses else COVERED
    yield Door(BY_COCKPIT, "daemon", "what sshd has, on a web page", of_host, seen)


def _local(situation: Situation, asking: t.Collection[str]) -> t.Iterator[Door]:
    """The PAM services of the machine itself."""
    files = situation.state.service_files
    for service, reaches in LOCAL_SERVICES.items():
        if service in files.texts:
            state = COVERED if service in asking else OPEN
            yield Door(service, "local", reaches, state, files.path(service))
    for service in _further_services(files):
        state = COVERED if service in asking else UNKNOWN
        path = _in_one_line(files.path(service))
        yield Door(_in_one_line(service), "local", "what its program lets people do", state, path)


def _in_one_line(name: str) -> str:
    """A name for people to read, with escapes where it has what cannot be printed."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _further_services(files: ServiceFiles) -> list[str]:
    """The PAM services that ask for a password, and of which nothing else is known."""
    known = {"sshd", *LOCAL_SERVICES, *HARMLESS_SERVICES, *(one for daemon in DAEMONS for one in daemon.services)}
    included = {name for text in files.texts.values() for name in include_targets(text)}
    return [
        name
        for name in sorted(files.texts.keys() - known - included)
        if not is_elsewhere(name)
        and name.partition("-")[0] != _OURS
        and not pam.is_copy(name)
        and any(pam_modules.is_first_factor(one.step.name) for one in all_auth_lines(name, files.texts))
    ]
