# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has come of a code on the hosts of a fleet, in sentences. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.fleet.auth.plugins.plugin_utils import _report

_NAMED = 10
"""How many hosts of a sentence are named."""


def was_right(answers: t.Iterable[tuple[str, _report.Answer | None]]) -> bool:
    """Whether the code was right on a host at least."""
    return any(_report.was_reached(answer) and answer.get("valid") for _host, answer in answers)


def sentences(answers: t.Iterable[tuple[str, _report.Answer | None]]) -> list[str]:
    """What has come of it, each thing once: where it was right, where it was not, and who could not say.

    :param answers: hosts, and what the action twofactor_verify has returned for each. Of a host that failed, or was
        lost, Ansible has told already.
    """
    told = [(host, one) for host, one in answers if _report.was_reached(one) and not one.get("failed")]
    told.sort(key=lambda one: not one[1].get("valid"))
    right = was_right(told)
    of_all = dict.fromkeys(str(one["msg"]) for _host, one in told if "refusals" in one)
    hosts = [host for host, _one in told]
    by_host = [(host, _said(host, one, hosts, right=right)) for host, one in told if "refusals" not in one]
    return [*of_all, *(_of_hosts(hosts, text) for hosts, text in _report.gathered(by_host))]


def _said(host: str, answer: _report.Answer, hosts: t.Sequence[str], *, right: bool) -> str:
    """What a host has said; what a wrong code may have been is no matter where it was right on another one.

    Where these are the host's own words, they are told as its own if they name another host.
    """
    if right and answer.get("valid") is False:
        return f"It was not right on {host}: a host with a secret of its own has an entry of its own in the app."
    text = str(answer.get("msg") or "It said nothing.")
    return f"{host}: {text}" if "valid" not in answer and _report.names_another(text, host, hosts) else text


def _of_hosts(hosts: list[str], text: str) -> str:
    """The text with the names of its hosts, which stand in front where it has no place for them."""
    names = _report.enumerated(hosts, most=_NAMED)
    placed = text.replace("on the host", f"on {names}", 1) if len(hosts) > 1 else text
    return placed if names in placed else f"{names}: {text}"
