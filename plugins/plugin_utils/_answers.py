# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The answers that the modules of this collection can give. Nothing else is accepted from a host. Pure.

A host may be under the control of an attacker, who can then send any answer. So each answer is built anew here from the
parts that fit: the names, types and bounds below, which are those of the modules' RETURN documentation. Ansible itself
would obey an answer that adds hosts or sets variables.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.fleet.auth.plugins.module_utils._backends import backends
from ansible_collections.fleet.auth.plugins.module_utils._wanted import bounds
from ansible_collections.fleet.auth.plugins.plugin_utils._kinds import (
    LONG,
    MANY,
    Bool,
    InvalidAnswer,
    Kind,
    Listed,
    Mapped,
    Nullable,
    Number,
    Record,
    Text,
    Words,
    checked_fields,
)
from ansible_collections.fleet.auth.plugins.plugin_utils._visible import in_one_line, visible

Answer = dict[str, t.Any]


@dataclass(frozen=True)
class Shape:
    """What a module returns beside `changed`."""

    success: t.Mapping[str, Kind] = field(default_factory=dict)
    """Present if the module did not fail."""
    always: t.Mapping[str, Kind] = field(default_factory=dict)
    """Present if the module did not fail; optional if it failed."""
    sometimes: t.Mapping[str, Kind] = field(default_factory=dict)
    """Optional if the module did not fail."""
    differs: bool = False
    """Whether the module returns a diff."""
    asked: t.Mapping[str, t.Callable[[Answer], t.Iterable[str]]] = field(default_factory=dict)
    """By part of the answer, the accounts in it; each must be one that the module was asked for."""


def _matching(pattern: str) -> t.Callable[[str], object]:
    return re.compile(pattern, re.ASCII).fullmatch


FAMILIES = frozenset(family for backend in backends.BACKENDS.values() for family in backend.PACKAGES)
BOOL, SENTENCE, SENTENCES = Bool(), Words(), Listed(Words())
ANYTHING = Text(1 << 30, "a text", lambda _text: True)
COUNT = Number(0, MANY)
LABEL = Text(64, "the name of a device, or empty", lambda name: not name or bounds.is_label(name))
NAME = Text(257, "the name of an account that can be a file name", bounds.is_account_name)
"""The name of an account that can be enrolled: it becomes the name of a file."""
ANY_NAME = Text(512, "a name that can be printed")
"""The name of any account on the host."""
DOORS = ("sshd", "daemon", "local")
DOOR_STATES = ("covered", "open", "unknown")
"""The kinds of ways in, and whether a way in asks for a code. Reports have no list for any other word."""
DOOR = Text(16, f"one of {', '.join(DOORS)}", DOORS.__contains__)
DOOR_STATE = Text(16, f"one of {', '.join(DOOR_STATES)}", DOOR_STATES.__contains__)
SERVICE = Text(255, "the name of a PAM service")
PACKAGE = Text(64, "the name of a package", _matching(r"[a-z0-9][A-Za-z0-9.+_-]*"))
FAMILY = Text(64, "a known family of systems", lambda name: name in FAMILIES)
TIME = Text(20, "a time in UTC", _matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"))
SELF_MADE = Text(64, "a day and a place", _matching(r"\d{4}-\d\d-\d\d/[a-z-]+"))
CODE = Text(8, "a code", _matching(r"\d{6,8}"))
RECOVERY_CODE = Text(32, "a recovery code", _matching(r"\d{6,32}"))
INVITATION = Text(32, "the code of an invitation", _matching(r"[A-Z2-7]{4}(-[A-Z2-7]{4})*"))
SECRET = Text(128, "a secret in base32", _matching(r"[A-Z2-7]+"))

TIME_SYNC = Record(
    {
        "in_sync": BOOL,
        "service": Nullable(Text(64)),
        "source": Nullable(Text(512)),
        "error_seconds": Nullable(Number(0, 1e12, whole=False)),
        "reason": SENTENCE,
    }
)
USER = Record(
    {
        "enrolled": BOOL,
        "proven": BOOL,
        "in_scope": BOOL,
        "recovered": BOOL,
        "locked": BOOL,
        "devices": Listed(ANY_NAME, 1000),
        "recovery_codes_left": COUNT,
        "pass_until": Nullable(TIME),
        "self_made": Nullable(SELF_MADE),
        "security_keys": Listed(ANY_NAME, 1000),
        "security_keys_only": BOOL,
        "key_denied": Nullable(SENTENCE),
    }
)
GUARD = Record(
    {
        "mode": Text(6, "a mode of the guard", lambda mode: mode in bounds.GUARD),
        "alerts": Listed(Record({"since": TIME, "until": Nullable(TIME), "text": SENTENCE}), 1000),
    }
)
STATUS: dict[str, Kind] = {
    "guard": GUARD,
    "enforced": Mapped(SERVICE, BOOL, 1000),
    "asks": Listed(SERVICE, 1000),
    "let_off": Listed(ANY_NAME),
    "users": Mapped(ANY_NAME, USER),
    "time_sync": Nullable(TIME_SYNC),
}
SENTENCES_WITH_USERS = Listed(Record({"message": SENTENCE, "users": Listed(ANY_NAME)}), 1000)
"""All accounts that a sentence is about. The sentence itself names only the first ten."""
PLANNED: dict[str, Kind] = {
    "missing_packages": Listed(PACKAGE, 100),
    "refusals": SENTENCES,
    "refused": SENTENCES_WITH_USERS,
    "warned": SENTENCES_WITH_USERS,
}

SHAPES = {
    "time_sync_info": Shape({"time_sync": TIME_SYNC}),
    "twofactor": Shape(
        {
            "changes": SENTENCES,
            "os_family": FAMILY,
            "confirmation": Text(16, "the name of a change", _matching(r"(\w{16})?")),
            "to_enrol": Listed(NAME),
            "unproven": Listed(NAME),
            "users": STATUS["users"],
        },
        always={**PLANNED, **{name: kind for name, kind in STATUS.items() if name != "users"}},
        differs=True,
        asked={"unproven": lambda answer: answer["unproven"]},
    ),
    "twofactor_accept": Shape({"self_made": Nullable(SELF_MADE)}),
    "twofactor_adopt": Shape(
        {
            "adopted": Listed(NAME),
            "left": Mapped(ANY_NAME, SENTENCE),
            "void_recovery_codes": Listed(NAME),
            "differences": Mapped(NAME, SENTENCE),
            "security_keys": Mapped(NAME, Listed(SENTENCE, 100)),
        },
        differs=True,
    ),
    "twofactor_confirm": Shape(),
    "twofactor_enrolment_info": Shape(
        {
            "enrolments": Listed(
                Record(
                    {
                        "user": NAME,
                        "device": LABEL,
                        "secret": SECRET,
                        "interval": Number(1, 3600),
                        "digits": Nullable(Number(*bounds.OTP_DIGITS)),
                        "recovery_codes": Listed(Record({"number": Number(1, 1000), "code": RECOVERY_CODE}), 1000),
                    }
                )
            )
        },
        asked={"enrolments": lambda answer: (one["user"] for one in answer["enrolments"])},
    ),
    "twofactor_info": Shape(
        {
            **PLANNED,
            **STATUS,
            "exempt": Listed(ANY_NAME),
            "changes": SENTENCES,
            "lets_in": Listed(SERVICE, 1000),
            "denying": Listed(SERVICE, 1000),
            "drift": SENTENCES,
            "invitations": Mapped(ANY_NAME, Record({"until": TIME, "tries": COUNT})),
            "doors": Listed(
                Record({"name": ANY_NAME, "kind": DOOR, "reaches": SENTENCE, "state": DOOR_STATE, "seen": SENTENCE}),
                1000,
            ),
            "pending": BOOL,
            "would_be_locked_out": Listed(
                Record({"user": ANY_NAME, "services": Listed(SERVICE, 1000), "message": SENTENCE})
            ),
        }
    ),
    "twofactor_invitation": Shape({"until": TIME}, sometimes={"code": INVITATION}),
    "twofactor_pass": Shape({"until": TIME}, sometimes={"code": CODE}),
    "twofactor_verify": Shape({"valid": BOOL}, always={"can_be_checked": BOOL}),
}
"""By module, what it answers. A test compares this with the module's documentation."""

_FAILURE_OUTPUT = ("msg", "module_stdout", "module_stderr")
_IGNORED = {
    "_ansible_parsed",
    "ansible_parsed",
    "_ansible_new_secrets",
    "invocation",
    "deprecations",
    "exception",
    "rc",
}
"""What Ansible adds to an answer, or puts in place of one that it cannot read; nobody needs it."""
_COMMON = {*_IGNORED, *_FAILURE_OUTPUT, "changed", "failed", "warnings"}


def refuse_strange_names(module: str, answer: t.Mapping[str, t.Any]) -> None:
    """Raise InvalidAnswer if an answer has a top-level name that the module does not return.

    Ansible would act on some of these, or show them.
    """
    shape = SHAPES[module]
    known = {*_COMMON, *shape.success, *shape.always, *shape.sometimes, *(["diff"] if shape.differs else [])}
    for name in answer:
        if name not in known:
            raise InvalidAnswer(f"{in_one_line(str(name), 40)!r} is unknown")


def accepted(module: str, answer: t.Any, users: t.Collection[str] | None = None) -> Answer:
    """The answer of a module, built anew from the parts that fit. Raises InvalidAnswer.

    :param answer: what came from the host, as Ansible has parsed it.
    :param users: the accounts that the module was asked for; None if it was asked for none by name.
    """
    shape = SHAPES[module]
    if not isinstance(answer, dict):
        raise InvalidAnswer("it is not a dictionary")
    refuse_strange_names(module, answer)
    given = {key: value for key, value in answer.items() if key not in _IGNORED}
    common: Answer = {"changed": Bool().checked(given.pop("changed", False), "changed")}
    warnings = Listed(SENTENCE, 1000).checked(_texts(given.pop("warnings", None)), "warnings")
    if warnings:
        common["warnings"] = warnings
    if given.pop("failed", False):
        return {**common, **_failure(shape, given)}
    if shape.differs and "diff" in given:
        common["diff"] = _diff(given.pop("diff"))
    success = {**shape.success, **shape.always}
    checked = checked_fields({**success, **shape.sometimes}, given, required=success)
    for name, accounts in shape.asked.items():
        if users is not None and not set(accounts(checked)) <= set(users):
            raise InvalidAnswer(f"{name} contains an account that was not asked for")
    return {**common, **checked}


def cleaned(module: str | None, text: str) -> tuple[str, t.Any]:
    """The JSON of an answer without what Ansible shows while it reads it, and apart from it the warnings in it.

    Ansible shows warnings, deprecations and names that it does not know as the host has sent them. Anything but a JSON
    object is left as it is. Raises InvalidAnswer.

    :param module: the module of this collection; None for one of Ansible's own, whose answer is reduced.
    """
    try:
        answer = json.loads(text)
    except ValueError:
        return text, []
    if not isinstance(answer, dict):
        return text, []
    if module is None:
        return json.dumps(reduced(answer)), []
    refuse_strange_names(module, answer)
    shown = ("deprecations", "warnings", "_ansible_new_secrets")
    return json.dumps({name: value for name, value in answer.items() if name not in shown}), answer.get("warnings")


MANAGERS = ("dnf", "dnf5")
"""The package managers of RHEL and similar systems, by the names of Ansible's modules for them."""


def reduced(answer: t.Mapping[str, t.Any]) -> Answer:
    """The parts used of an answer of one of Ansible's own modules: whether it failed or changed anything, and texts.

    From facts, only the package manager is used, as `manager`.
    """
    facts = answer.get("ansible_facts")
    manager = facts.get("ansible_pkg_mgr") if isinstance(facts, dict) else answer.get("manager")
    texts = {
        name: visible(value[:LONG], keep="\n\t")
        for name, value in answer.items()
        if name in ("stdout", "stderr", *_FAILURE_OUTPUT) and isinstance(value, str)
    }
    if "msg" in texts:
        texts["msg"] = in_one_line(texts["msg"])
    code = answer.get("rc")
    failed = bool(answer.get("failed")) or code not in (None, 0)
    numbers = {"rc": code} if isinstance(code, int) else {}
    managers = {"manager": manager} if isinstance(manager, str) and manager in MANAGERS else {}
    return {"changed": answer.get("changed") is True, "failed": failed, **managers, **numbers, **texts}


def _texts(warnings: t.Any) -> t.Any:
    """Warnings as texts. The host may have sent them as texts, or as records of an event with a message."""
    if not isinstance(warnings, list):
        return warnings or []
    events = ((one, one.get("event") if isinstance(one, dict) else None) for one in warnings)
    return [event.get("msg") if isinstance(event, dict) else one for one, event in events]


def _failure(shape: Shape, given: Answer) -> Answer:
    """The parts used of the answer of a module that failed: its message, its output, and what it always returns."""
    messages = {name: given.pop(name) for name in _FAILURE_OUTPUT if name in given}
    message = messages.pop("msg", None)
    output = {name: visible(value[:4000], keep="\n\t") for name, value in messages.items() if isinstance(value, str)}
    checked = {name: kind.checked(given[name], name) for name, kind in shape.always.items() if name in given}
    return {
        "failed": True,
        "msg": in_one_line(message, LONG) if isinstance(message, str) and message else "It failed, and said nothing.",
        **output,
        **checked,
    }


_MOST_COMPARED = 10_000_000
"""How many pairs of lines a host's diffs may compare: about a second's work, in a process that all hosts share."""


def _comparable(parts: list[dict[str, str]]) -> list[dict[str, str]]:
    """The parts of a diff. A part that would take long to compare says only how many lines it has."""
    budget, comparable = _MOST_COMPARED, []
    for part in parts:
        lines = {name: part.get(name, "").count("\n") + 1 for name in ("before", "after")}
        budget -= lines["before"] * lines["after"]
        placeholders = {name: f"{count} lines, too many to compare\n" for name, count in lines.items()}
        comparable.append(part if budget >= 0 else {**part, **placeholders})
    return comparable


def _diff(diff: t.Any) -> list[dict[str, str]]:
    """The diff of a change: one part for each file, with two headings and two texts."""
    parts = Listed(Mapped(Text(32), ANYTHING)).checked(diff, "diff")
    unknown = {key for part in parts for key in part} - {"before", "after", "before_header", "after_header"}
    if unknown:
        raise InvalidAnswer("diff has an unknown part")
    return [
        {key: visible(text, keep="" if key.endswith("header") else "\n\t") for key, text in part.items()}
        for part in _comparable(parts)
    ]
