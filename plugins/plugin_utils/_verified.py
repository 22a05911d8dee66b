# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sentences about the check of a code on the hosts of a fleet. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.fleet.auth.plugins.plugin_utils import _report

_NAMED = 10
"""How many hosts a sentence names."""


def was_right(answers: t.Iterable[tuple[str, _report.Answer | None]]) -> bool:
    """Whether the code was right on at least one host."""
    return any(_report.was_reached(answer) and answer.get("valid") for _host, answer in answers)


def sentences(answers: t.Iterable[tuple[str, _report.Answer | None]]) -> list[str]:
    """Where the code was right, where it was not, and which hosts could not check it. Each sentence comes once.

    :param answers: hosts, and what the action twofactor_verify has returned for each. Hosts that failed or were not
        reached are left out: Ansible has reported them already.
    """
    answered = [(host, one) for host, one in answers if _report.was_reached(one) and not one.get("failed")]
    answered.sort(key=lambda one: not one[1].get("valid"))
    right = was_right(answered)
    of_all = dict.fromkeys(str(one["msg"]) for _host, one in answered if "refusals" in one)
    hosts = [host for host, _one in answered]
    by_host = [(host, _sentence(host, one, hosts, right=right)) for host, one in answered if "refusals" not in one]
    return [*of_all, *(_with_hosts(hosts, text) for hosts, text in _report.gathered(by_host))]


def _sentence(host: str, answer: _report.Answer, hosts: t.Sequence[str], *, right: bool) -> str:
    """The sentence about a host. If the code was right on another host, it does not guess why it was wrong on this one.

    The host's own words get its name in front if they contain the name of another host.
    """
    if right and answer.get("valid") is False:
        return f"It was not right on {host}: a host with a secret of its own has an entry of its own in the app."
    text = str(answer.get("msg") or "It said nothing.")
    return f"{host}: {text}" if "valid" not in answer and _report.names_another(text, host, hosts) else text


def _with_hosts(hosts: list[str], text: str) -> str:
    """The text with the names of its hosts: in place of "the host" if the text has that, or else in front."""
    names = _report.enumerated(hosts, most=_NAMED)
    placed = text.replace("on the host", f"on {names}", 1) if len(hosts) > 1 else text
    return placed if names in placed else f"{names}: {text}"
