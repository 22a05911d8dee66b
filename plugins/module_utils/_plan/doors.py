# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways into a host, and which of them ask for a code. Pure."""

from __future__ import annotations

import typing as t

from .. import _places as places
from .._texts import cockpit_conf, pam, pam_modules
from .._texts.login_daemons import (
    ANSWERING,
    DAEMONS,
    HARMLESS_SERVICES,
    LOCAL_SERVICES,
    LOCKING_SCREENS,
    NEVER_ASKING,
)
from .._texts.pam_conf import ServiceFiles, all_auth_lines, include_targets, is_elsewhere, service_name
from .._wanted.bounds import is_sshd_config
from .situation import Situation

_OURS = service_name(places.SWITCH)
COVERED, OPEN, UNKNOWN = "covered", "open", "unknown"
COCKPIT_SSH = "cockpit-ssh"
"""The login to another machine on Cockpit's page, which can lead to the host itself as well."""


class Door(t.NamedTuple):
    """A way in."""

    name: str
    """Its name, also in `accepted_doors`: the program, the PAM service, or the configuration file of an sshd."""
    kind: str
    """`sshd`, another `daemon`, or a `local` PAM service for people who sit at the machine or are already logged in."""
    reaches: str
    """What it gives access to, such as `a shell and files`."""
    state: str
    """`covered` if it asks for a code, `open` if it asks for none, or `unknown`."""
    seen: str = ""
    """What shows that this door exists, such as a file."""


def doors(situation: Situation, asking_services: t.Collection[str]) -> list[Door]:
    """Every known way in, if these PAM services ask for the code."""
    return [
        *_sshds(situation, asking_services),
        *_daemons(situation, asking_services),
        *_local(situation, asking_services),
    ]


def open_doors(situation: Situation) -> t.Iterator[str]:
    """Warn of ways in from the network that will ask for no code under the settings, and that nobody has accepted."""
    settings, host = situation.settings, situation.state.hostname
    if not situation.services:
        return
    asking_services = situation.services
    configs = {one.start.config for one in situation.state.listeners if not one.is_separate}
    can_be_covered = set(filter(is_sshd_config, configs))
    for door in (*_sshds(situation, asking_services), *_daemons(situation, asking_services)):
        if door.state == COVERED or door.name in ("sshd", *settings.accepted_doors):
            continue
        asks = "asks for no code" if door.state == OPEN else "may ask for no code"
        accept = f"or accept it: O(accepted_doors): [{door.name}]"
        if door.name == COCKPIT_SSH:
            exempt = settings.exempt_addresses
            ask = "set O(ssh) to true" if not settings.ssh else ""
            also = f"{ask} without O(exempt_addresses)" if ask and exempt else ask or "leave O(exempt_addresses) out"
            remedy = (
                f"Write Command = /bin/false into the section [Ssh-Login] of {places.COCKPIT_CONFIG}, so that the "
                f"page logs nobody in to another machine, {also}, {accept}"
            )
        elif door.kind == "sshd":
            cover = f"Name {door.name} in O(sshd_configs), stop" if door.name in can_be_covered else "Stop"
            remedy = f"{cover} and disable it, {accept}"
        else:
            remedy = f"Stop and disable it, add its PAM service to O(services) if it has one, {accept}"
        yield f"{door.name} on {host} ({door.seen}) lets people in to {door.reaches}, and {asks}. {remedy}."


def cannot_ask(situation: Situation) -> t.Iterator[str]:
    """Refuse services that cannot ask for the code: the prompt is never shown, or right codes would be denied."""
    daemons = {service: one.name for one in DAEMONS if not one.shows_prompts for service in one.services}
    for service in situation.services:
        program = daemons.get(service) or ANSWERING.get(service)
        if program:
            stop = f", and stop {program}, or accept it: O(accepted_doors): [{program}]" if service in daemons else ""
            yield (
                f"{service} on {situation.state.hostname} cannot ask for a code: {program} answers every PAM prompt "
                "with the password. That would count as a wrong code, and so close the code step for the account at "
                f"every service. Take {service} out of O(services){stop}."
            )
        elif service in NEVER_ASKING:
            yield (
                f"{service} on {situation.state.hostname} cannot ask for a code: {NEVER_ASKING[service]} has PAM check "
                f"no password. Take {service} out of O(services)."
            )
        elif service in LOCKING_SCREENS:
            yield (
                f"{service} on {situation.state.hostname} cannot ask for a code: it checks passwords with the "
                "rights of the user who has locked the screen, and who cannot read the secret. A right code would be "
                f"denied, and the screen would stay locked. Take {service} out of O(services)."
            )


def other_sudo_services(situation: Situation) -> t.Iterator[str]:
    """Refuse settings that make sudo use another PAM service than the one that must ask for the code."""
    for rule in situation.other_sudo_services:
        if rule.instead_of in situation.services:
            yield (
                f"sudo on {situation.state.hostname} uses the PAM service {rule.service} in place of "
                f"{rule.instead_of}, at least for some users ({rule.path} line {rule.number}: {rule.setting}), and "
                f"{rule.service} asks for no code. Remove this setting, or add {rule.service} to O(services)."
            )


def _sshds(situation: Situation, asking_services: t.Collection[str]) -> t.Iterator[Door]:
    """Yield the host's own sshd, and further ones that listen."""
    settings, state = situation
    state_of_own = COVERED if "sshd" in asking_services else OPEN
    if state.sshd_error is None:
        yield Door("sshd", "sshd", "a shell and files", state_of_own, places.SSHD)
    covered = [sshd.start for sshd in state.sshds]
    for listener in state.listeners:
        reaches = f"a shell as {listener.owner}" if listener.owner else "a shell and files"
        if listener.is_separate or not any(listener.start.has_same_options(start) for start in covered):
            yield Door(listener.door, "sshd", reaches, OPEN, listener.seen)
        elif listener.start.config in settings.sshd_configs:
            yield Door(listener.start.config, "sshd", reaches, state_of_own, listener.seen)


def _daemons(situation: Situation, asking_services: t.Collection[str]) -> t.Iterator[Door]:
    """Yield other programs that let people in from the network."""
    for daemon in DAEMONS:
        seen = situation.state.daemons.get(daemon.name)
        if seen:
            covered = bool(daemon.services) and all(service in asking_services for service in daemon.services)
            state = COVERED if covered else UNKNOWN if daemon.may_be_off else OPEN
            yield Door(daemon.name, "daemon", daemon.reaches, state, seen)
    yield from _cockpit_ssh(situation, asking_services)


def _cockpit_ssh(situation: Situation, asking_services: t.Collection[str]) -> t.Iterator[Door]:
    """Yield the login by ssh on Cockpit's page, if it is on. It can lead to the host itself, where sshd has to ask.

    sshd then sees an address of this host, or of another one that runs Cockpit; such an address may be exempt.
    """
    settings, state = situation
    seen, text = state.daemons.get("cockpit"), state.text(places.COCKPIT_CONFIG)
    if not seen or "cockpit" not in asking_services or state.sshd_error or not cockpit_conf.logs_in_by_ssh(text):
        return
    host_state = OPEN if "sshd" not in asking_services else UNKNOWN if settings.exempt_addresses else COVERED
    yield Door(COCKPIT_SSH, "daemon", "what sshd has, on a web page", host_state, seen)


def _local(situation: Situation, asking_services: t.Collection[str]) -> t.Iterator[Door]:
    """Yield the PAM services of the machine itself."""
    files = situation.state.service_files
    for service, reaches in LOCAL_SERVICES.items():
        if service in files.texts:
            state = COVERED if service in asking_services else OPEN
            yield Door(service, "local", reaches, state, files.path(service))
    for service in _further_services(files):
        state = COVERED if service in asking_services else UNKNOWN
        path = _in_one_line(files.path(service))
        yield Door(_in_one_line(service), "local", "what its program lets people do", state, path)


def _in_one_line(name: str) -> str:
    """A name for people to read: escaped if it has characters that cannot be printed."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _further_services(files: ServiceFiles) -> list[str]:
    """The PAM services that ask for a password and are not known otherwise."""
    known = {"sshd", *LOCAL_SERVICES, *HARMLESS_SERVICES, *(one for daemon in DAEMONS for one in daemon.services)}
    included = {name for text in files.texts.values() for name in include_targets(text)}
    return [
        name
        for name in sorted(files.texts.keys() - known - included)
        if not is_elsewhere(name)
        and name.partition("-")[0] != _OURS
        and not pam.is_copy(name)
        and any(pam_modules.is_first_factor(one.rule.name) for one in all_auth_lines(name, files.texts))
    ]
