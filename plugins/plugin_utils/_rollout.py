# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of a report on a rollout: how far it is on each host. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from xml.etree import ElementTree

from ansible_collections.fleet.auth.plugins.plugin_utils import _report

OUTCOMES = {
    "failed": "could not report what it needs, and was not touched; or failed during its change, and follows its old "
    "policy, or will as soon as it has rolled itself back; or failed after its change, and follows its new policy",
    "unreachable": "could not be asked, and was not touched",
    "refused": "would be refused, and was not touched",
    "waiting": "needs a change that has not begun",
    "proven": "has been changed, and a new connection got in",
    "right": "is as wanted",
}
"""The outcomes of a host, the worst first."""

_PHRASES = {
    "failed": (
        "failed, and follows its old policy, or will as soon as it has rolled itself back",
        "failed, and follow their old policy, or will as soon as they have rolled themselves back",
    ),
    "unreachable": ("could not be reached, and was not touched", "could not be reached, and were not touched"),
    "refused": ("was refused and not touched", "were refused and not touched"),
    "waiting": ("needs a change that has not begun", "need a change that has not begun"),
    "proven": ("was changed, and a new connection got in", "were changed, and new connections got in"),
    "right": ("is as wanted", "are as wanted"),
}
_PLAN_FAILED = (
    "could not report what it needs, and was not touched",
    "could not report what they need, and were not touched",
)
"""The outcomes as sentences about one host and about several; a host may also have failed before its change."""
_FAILED_AFTERWARDS = (
    "was changed and follows its new policy, but something failed afterwards",
    "were changed and follow their new policy, but something failed afterwards",
)
"""The same for hosts that have failed after their change."""

UNREADY = frozenset({"failed", "unreachable", "refused"})
"""The outcomes that, before the first change, mean that the host cannot be changed."""
WELL = frozenset({"proven", "right"})
"""The final outcomes of hosts that need nothing more."""


@dataclass(frozen=True)
class Line(_report.Line):
    """One host; the notes say why it was refused or has failed."""

    outcome: str
    asks: str = ""
    """Which services ask for codes, and the accounts that are let off; empty if not known."""
    enforced: tuple[str, ...] = ()
    """The services that ask for a code: before the change, or after it once it was made."""
    to_enrol: tuple[str, ...] = ()
    """Accounts that get a new secret by the change."""
    changes: tuple[str, ...] = ()
    """What will be changed, or was changed."""
    refused: tuple[str, ...] = ()
    """All accounts of those refusals that name only the first ten."""
    begun: bool = False
    """Whether the change of this host has begun."""
    in_force: bool = False
    """Whether it follows its new policy."""

    @property
    def phrases(self) -> tuple[str, str]:
        """The outcome as a sentence about one host, and about several."""
        if self.outcome == "failed" and not self.begun:
            return _PLAN_FAILED
        return _FAILED_AFTERWARDS if self.outcome == "failed" and self.in_force else _PHRASES[self.outcome]

    @property
    def word(self) -> str:
        """The outcome."""
        return self.outcome

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of the table."""
        known = self.outcome != "unreachable"
        return (
            self.host,
            self.outcome,
            self.asks,
            str(len(self.changes)) if known else "",
            ", ".join(self.to_enrol),
        )


def line(host: str, plan: _report.Answer | None, result: _report.Answer | None) -> Line:
    """The line of one host. Never fails, whatever the host said.

    :param plan: what the module twofactor has returned in check mode; None if it did not run.
    :param result: `ok`, whether all succeeded, and if not `msg`; `enforced`, `asks` and `let_off` if the change is in
        force. None if it has not begun.
    """
    try:
        return _line(host, plan, result)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return Line(host, "failed", notes=(_report.UNREADABLE,), begun=result is not None)


def _line(host: str, plan: _report.Answer | None, result: _report.Answer | None) -> Line:
    """The line of one host, from its plan and from the result of its change, if any."""
    if not _report.was_reached(plan):
        return Line(host, "unreachable", notes=_report.notes_of(plan))
    if "changes" not in plan:
        outcome = "refused" if plan.get("refusals") else "failed"
        notes = tuple(plan.get("refusals") or _report.notes_of(plan))
        return Line(
            host,
            outcome,
            asks=_report.asks(plan),
            enforced=_report.enforced(plan),
            notes=notes,
            refused=_report.all_users(plan, "refused"),
        )
    changes = _report.to_do(plan)
    outcome = "waiting" if changes else "right"
    if result is not None:
        outcome = "proven" if result["ok"] else "failed"
    in_force = result is not None and "enforced" in result
    now = result if result and in_force else plan
    return Line(
        host,
        outcome,
        asks=_report.asks(now),
        enforced=_report.enforced(now),
        to_enrol=tuple(plan["to_enrol"]),
        changes=changes,
        notes=(*_recovered_notes(plan, outcome), *_report.notes_of(result)),
        begun=result is not None,
        in_force=in_force,
    )


def _recovered_notes(plan: _report.Answer, outcome: str) -> tuple[str, ...]:
    """A note with the people who were let off: after the change they need a code again, and should know beforehand."""
    names = ", ".join(plan["let_off"])
    if not names:
        return ()
    if outcome == "proven":
        return (f"twofactor-recover had let {names} off, and after the change they are asked for a code again.",)
    return (f"twofactor-recover has let {names} off, and after a change they are asked for a code again.",)


def sentences(lines: t.Sequence[Line]) -> list[str]:
    """Sentences about each host that is not well or has notes: how it has ended there, and why."""
    texts: list[str] = []
    well = {_PHRASES[outcome] for outcome in WELL}
    for phrases in dict.fromkeys((_PHRASES["failed"], _FAILED_AFTERWARDS, _PLAN_FAILED, *_PHRASES.values())):
        matching = [one for one in lines if one.phrases == phrases]
        # Hosts without notes share one sentence. Hosts that are well, and have no notes, get none.
        for hosts, why in _report.gathered((one.host, " ".join(one.notes)) for one in matching):
            if why or phrases not in well:
                texts.append(f"{_report.enumerated(hosts)} {_number(hosts, *phrases)}{f': {why}' if why else '.'}")
    return texts


def outlook(lines: t.Sequence[Line], *, leave_out: bool) -> str:
    """A text, shown before the first change, that says what will be changed.

    :param leave_out: whether hosts that are not ready are left out, instead of ending the rollout.
    """
    parts = []
    changing = ((one.host, _changes_in_words(one)) for one in lines if one.outcome == "waiting")
    for hosts, what in _report.gathered(changing):
        parts.append(f"Changes for {_report.enumerated(hosts)}: {what}")
    right = [one.host for one in lines if one.outcome == "right"]
    if right:
        parts.append(f"{_report.enumerated(right)} {_number(right, *_PHRASES['right'])}.")
    unready = [one.host for one in lines if one.outcome in UNREADY]
    if unready:
        goes_on = (
            f"The rollout goes on without {_number(unready, 'it', 'them')}."
            if leave_out
            else "Nothing is changed on any host. Correct that, or go on without "
            f"{_number(unready, 'it', 'them')}: set twofactor_rollout_leave_out to true."
        )
        parts.append(
            f"{_report.enumerated(unready)} {_number(unready, 'is', 'are')} not ready; "
            f"the report at the end says why. {goes_on}"
        )
    return "\n".join(parts)


def _changes_in_words(host_line: Line) -> str:
    secrets = f" New secrets: {', '.join(host_line.to_enrol)}." if host_line.to_enrol else ""
    return " ".join([f"{', '.join(host_line.changes)}.{secrets}", *host_line.notes])


def next_steps(lines: t.Sequence[Line], sheets: str, *, ssh: bool) -> str:
    """The next steps for people once hosts were changed; empty if nobody has a new secret.

    :param sheets: the directory of the enrolment sheets; empty if none are written.
    :param ssh: whether sshd should ask for codes.
    """
    enrolled = [(one.host, ", ".join(one.to_enrol)) for one in lines if one.outcome == "proven" and one.to_enrol]
    if not enrolled:
        return ""
    whose = "; ".join(f"{names} on {_report.enumerated(hosts)}" for hosts, names in _report.gathered(enrolled))
    if not sheets:
        users = ",".join(dict.fromkeys(name for _host, names in enrolled for name in names.split(", ")))
        return (
            f"New secrets without sheets: {whose}. Make the sheets in a directory that nobody else can read: "
            f"ansible-playbook fleet.auth.enrol -e users={users} -e twofactor_enrolment_dir=DIRECTORY"
        )
    then = (
        "sshd asks for codes."
        if ssh
        else "Once everybody has done that, set twofactor_ssh to true, and run this again. Until then sshd asks nobody."
    )
    return (
        f"New sheets are in {sheets}: {whose}. Hand them out, and have each person prove a code: "
        f"ansible-playbook fleet.auth.verify -e user=NAME. {then}"
    )


def short(host_line: Line) -> str:
    """The outcome of one host in words; for the reason it points to the report."""
    return f"{host_line.host} {host_line.phrases[0]}. The report of this run says why."


def _number(hosts: t.Sequence[str], one: str, several: str) -> str:
    return one if len(hosts) == 1 else several


def summary(lines: t.Sequence[Line]) -> dict[str, t.Any]:
    """The report as data; `complete` says whether all is well."""
    return {"complete": all(one.outcome in WELL for one in lines), **_report.summary(OUTCOMES, lines)}


def table(lines: t.Sequence[Line]) -> str:
    """The report for a terminal."""
    headings = ("host", "outcome", "asks", "changes", "new secrets")
    return _report.table(headings, OUTCOMES, lines, sentences)


def junit(lines: t.Sequence[Line]) -> str:
    """The report as JUnit XML, one test case per host, for CI systems that show such reports."""
    suite = ElementTree.Element("testsuite", name="fleet.auth.rollout", tests=str(len(lines)))
    counts = {"failure": 0, "error": 0, "skipped": 0}
    for host_line in lines:
        case = ElementTree.SubElement(suite, "testcase", classname="fleet.auth.rollout", name=host_line.host)
        if host_line.outcome not in WELL:
            kind = {"waiting": "skipped", "unreachable": "error"}.get(host_line.outcome, "failure")
            counts[kind] += 1
            what = ElementTree.SubElement(case, kind, message=f"{host_line.outcome}: {host_line.phrases[0]}")
            what.text = "\n".join(host_line.notes)
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(counts[kind]))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
