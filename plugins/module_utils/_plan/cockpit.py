# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cockpit's ways in that bypass PAM and so the code: Kerberos, certificates, and other login programs. Pure."""

from __future__ import annotations

import typing as t

from .. import _places as places
from .._host.state import HostState
from .._texts import cockpit_conf
from .changes import Change, RestartCockpit
from .draft import Draft
from .situation import Situation


def ways_without_code(situation: Situation) -> t.Iterator[str]:
    """Yield the ways into Cockpit without a code on the host as it is, in sentences that say what to do."""
    yield from _ways_past_pam(situation, situation.state.text(places.COCKPIT_CONFIG))


def refusals(situation: Situation) -> t.Iterator[str]:
    """Refuse ways into Cockpit that would stay open when Cockpit asks for codes as the settings say."""
    if "cockpit" not in situation.services:
        return
    file = situation.state.files.get(places.COCKPIT_CONFIG)
    if file and file.link and situation.settings.cockpit_negotiate == "none":
        yield (
            f"{places.COCKPIT_CONFIG} on {situation.state.hostname} is a symbolic link to {file.link}, which something "
            "else manages. Write action = none into its section [Negotiate] there, and leave O(cockpit_negotiate) out."
        )
        return
    yield from _ways_past_pam(situation, wanted(situation))


def wanted(situation: Situation) -> str | None:
    """The text that Cockpit's configuration file must have; None if there must be no file."""
    text = cockpit_conf.without_block(situation.state.text(places.COCKPIT_CONFIG))
    settings = situation.settings
    closes = settings.enabled and settings.cockpit_negotiate == "none" and "cockpit" in situation.services
    return cockpit_conf.without_kerberos(text) if closes and cockpit_conf.accepts_kerberos(text) else text


def configure(draft: Draft, situation: Situation) -> list[Change]:
    """Give Cockpit the wanted configuration, and restart it unless it has read just that."""
    path, text = places.COCKPIT_CONFIG, wanted(situation)
    mode = None if path in draft.files else 0o644
    changes = draft.remove(path) if text is None else draft.write(path, text, mode)
    return [*changes, RestartCockpit()] if changes or situation.state.unread_by_cockpit else []


def _ways_past_pam(situation: Situation, text: str | None) -> t.Iterator[str]:
    """Yield the ways past PAM if this is the text of Cockpit's configuration."""
    state, path = situation.state, places.COCKPIT_CONFIG
    yield from dict.fromkeys(_unusual_starts(state))
    number = cockpit_conf.certificate_line(text)
    if number is not None:
        yield (
            f"Cockpit on {state.hostname} lets in anyone who has a certificate in the browser, without a code "
            f"({path} line {number}: ClientCertAuthentication). Set it to no there, or leave cockpit out of "
            "O(services)."
        )
    header = cockpit_conf.header_of_origin(text)
    if header and situation.settings.exempt_addresses:
        yield (
            f"Cockpit on {state.hostname} takes the address of the client from a header of its request ({path} line "
            f"{header[0]}: ForwardedForHeader = {header[1]}), so anyone who reaches Cockpit without its proxy can "
            "claim an exempt address. Remove that line, leave O(exempt_addresses) out, or leave cockpit out of "
            "O(services)."
        )
    for entry in cockpit_conf.own_programs(text):
        yield (
            f"Cockpit on {state.hostname} has another login program than its own, {entry.program!r}, and asks for no "
            f"code there ({path} line {entry.number}: {entry.setting} in [{entry.section}]). Remove that line, or "
            "leave cockpit out of O(services)."
        )
    if not state.keytabs or not cockpit_conf.accepts_kerberos(text):
        return
    broken = cockpit_conf.unreadable_line(text)
    keys = "; ".join(f"{keytab}: {', '.join(names)}" for keytab, names in sorted(state.keytabs.items()))
    remedy = (
        f"Correct line {broken} of {path}, because of which Cockpit ignores the whole file, and"
        if broken
        else "To turn that off,"
    )
    yield (
        f"Cockpit on {state.hostname} lets in anyone who has a Kerberos ticket, without a code: it accepts tickets for "
        f"every key that it finds ({keys}). {remedy} set O(cockpit_negotiate) to none, which writes action = none into "
        f"the section [Negotiate] of {path}; or leave cockpit out of O(services)."
    )


def _unusual_starts(state: HostState) -> t.Iterator[str]:
    """Yield starts of Cockpit as another program, with `--local-session` or the like, or with another configuration."""
    remedy = "Remove that there, or leave cockpit out of O(services)."
    for start in state.cockpit_starts:
        if not cockpit_conf.is_own_program(start.program) or any(word.startswith("--local-") for word in start.words):
            yield (
                f"Cockpit on {state.hostname} is started as '{' '.join((start.program, *start.words))}' "
                f"({start.source}), which may let people in without a code. {remedy}"
            )
        if start.hiding:
            yield (
                f"Cockpit on {state.hostname} sees other files in {places.PAM_D} or {places.COCKPIT_DIRECTORY} than "
                f"the host has, by its unit {start.hiding}, and these may let people in without a code. {remedy}"
            )
        if start.config_directories not in ("", "/etc"):
            yield (
                f"Cockpit on {state.hostname} looks for its configuration in another place than "
                f"{places.COCKPIT_CONFIG}, and the settings there may let people in without a code "
                f"(XDG_CONFIG_DIRS={start.config_directories} in {start.source}). {remedy}"
            )
