# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of hosts: the right ones, and all kinds of wrong ones."""

from __future__ import annotations

import copy
import importlib
import json
import random
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

Answer = dict[str, t.Any]
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
USER: Answer = {
    "enrolled": True,
    "proven": False,
    "in_scope": True,
    "recovered": False,
    "locked": False,
    "devices": ["tablet"],
    "recovery_codes_left": 9,
    "pass_until": "2026-11-25T07:00:00Z",
    "self_made": "2026-11-28/cockpit",
    "security_keys": ["blue"],
    "security_keys_only": False,
    "key_denied": None,
}
CLOCK: Answer = {
    "in_sync": True,
    "service": "chrony",
    "source": "192.0.2.1",
    "error_seconds": 0.002,
    "reason": "in sync",
}
STATUS: Answer = {"changed": False, "enforced": {"sshd": True}, "users": {"alice": USER}, "time_sync": CLOCK}
_RIGHT: dict[str, Answer] = {
    "twofactor": {
        **STATUS,
        "changed": True,
        "diff": [{"before_header": "/etc/x", "after_header": "/etc/x", "before": "", "after": "x\n"}],
        "refusals": [],
        "missing_packages": ["libpam-oath"],
        "changes": ["write /etc/pam.d/twofactor"],
        "os_family": "debian",
        "confirmation": "",
        "to_enrol": ["alice"],
        "unproven": ["alice"],
    },
    "twofactor_info": {
        **STATUS,
        "exempt": ["ansible"],
        "changes": ["write x"],
        "missing_packages": ["libpam-oath"],
        "refusals": ["no"],
        "drift": ["lost"],
        "pending": False,
        "would_be_locked_out": [{"user": "carol", "services": ["sshd"], "message": "carol has no credential."}],
    },
    "twofactor_enrolment_info": {
        "changed": False,
        "enrolments": [
            {
                "user": "alice",
                "device": "",
                "secret": SECRET,
                "interval": 30,
                "digits": 6,
                "recovery_codes": [{"number": 1, "code": "123456"}],
            }
        ],
    },
    "twofactor_adopt": {
        "changed": True,
        "adopted": ["alice"],
        "left": {"bob": "line 2 is damaged"},
        "void_recovery_codes": ["alice"],
        "diff": [],
    },
    "twofactor_accept": {"changed": True, "self_made": "2026-11-28/cockpit"},
    "twofactor_confirm": {"changed": True},
    "twofactor_invitation": {"changed": True, "code": "ABCD-EFGH-IJKL-MNOP", "until": "2026-11-25T07:00:00Z"},
    "twofactor_pass": {"changed": True, "code": "755224", "until": "2026-11-25T07:00:00Z"},
    "twofactor_verify": {"changed": True, "valid": True},
    "time_sync_info": {"changed": False, "time_sync": CLOCK},
}
"""Answer of each module on a host with something to do, as far as a test needs it."""


def _whole(module: str, answer: Answer) -> Answer:
    """The answer; return values that are not in it are the samples of the documentation.

    `msg` is left out: unless a host fails, only the action of a module gives one.
    """
    documentation = importlib.import_module(f"ansible_collections.fleet.auth.plugins.modules.{module}").RETURN
    samples = {name: one["sample"] for name, one in (yaml.safe_load(documentation) or {}).items() if name != "msg"}
    return {**samples, **answer}


RIGHT = {module: _whole(module, answer) for module, answer in _RIGHT.items()}
"""Complete answer of each module on a host with something to do."""
ARGUMENTS: dict[str, Answer] = {
    "twofactor": {"users": [{"name": "alice"}]},
    "twofactor_info": {"users": [{"name": "alice"}]},
    "twofactor_enrolment_info": {"users": ["alice"]},
    "twofactor_adopt": {},
    "twofactor_accept": {"user": "alice"},
    "twofactor_confirm": {"confirmation": "5f2b9c0a41d3e877"},
    "twofactor_invitation": {"user": "alice", "hours": 8},
    "twofactor_pass": {"user": "alice", "hours": 8},
    "twofactor_verify": {"user": "alice", "code": "123456"},
    "time_sync_info": {},
}

CLIPBOARD = "\x1b]52;c;aGVsbG8=\x07"


def strange_values(outside: str) -> list[t.Any]:
    """Strange values to put in the place of right ones. `outside` is a directory that nothing may be written to."""
    texts = [
        *(
            "",
            "x",
            "\0",
            "a\0b",
            "alice\n",
            "\r\nok: [good1]\n",
            "good1  on  sshd  9  9",
            "\u202eecila",
            "\x9b2J",
            "\udc80",
        ),
        *(
            CLIPBOARD,
            "\x1b[2J\x1b[H",
            "\x1b]0;title\x07",
            "\x1b]8;;http://example.com\x07x",
            "\x85",
            "\u2028",
            "\ufeff",
        ),
        # Printable text that looks like other text, and text that is drawn over its neighbours.
        *(
            "g\u043e\u043ed1",
            "alice\u3164",
            "\u2800",
            "a" + "\u0301" * 500,
            "\u2067x\u2069\u200f",
            "\ufffe",
            "\ue000",
            "\U0010ffff",
        ),
        # Text that only looks like a number, and times that do not exist.
        *(
            "3",
            "-1",
            "0x10",
            "1_000",
            "true",
            "NaN",
            "\uff11\uff12\uff13\uff14\uff15\uff16",
            "\u0661\u0662\u0663\u0664\u0665\u0666",
        ),
        *(
            "0000-00-00T00:00:00Z",
            "-001-01-01T00:00:00Z",
            "2026-99-99T99:99:99Z",
            "9999-12-31T23:59:60Z",
            "9999-99-99/x",
        ),
        *(
            "../../outside/alice",
            f"{outside}/alice",
            "..",
            ".",
            "/",
            "../alice",
            "alice/../../x",
            "~root/x",
            "-rf",
            "a" * 300,
        ),
        *("../../../../evil/pwn", f"{outside}/../evil/pwn", f"file://{outside}", "$(touch pwned)", "`touch pwned`"),
        *("{{ lookup('pipe', 'touch pwned') }}", "{% for x in [1] %}{{ 7 * 7 }}{% endfor %}", "{{ undefined_name }}"),
        *("<script>alert(1)</script>", '"><form action="https://example.com">', "</title><base href=//example.com>"),
        *("&#x3c;b&#x3e;", "]]>", "<!--", "javascript:alert(1)", "!vault |", "!unsafe x", "9" * 5000, "1e999", "null"),
    ]
    return [
        *texts,
        *(None, True, False, 0, -1, 10**30, 10**4000, 0.5, -0.0, float("nan"), float("inf"), 1e308),
        *([], {}, [None], [[]], [{}], ["x"], [CLIPBOARD], {"x": 1}, {CLIPBOARD: CLIPBOARD}, {"": None}, [["../x"]] * 3),
        *([1] * 10_000, {str(number): {} for number in range(2000)}, _nested(200)),
        *({"__ansible_type": "_AnsibleTaggedStr", "value": "x"}, {"__ansible_unsafe": "x"}, {"__ansible_vault": "x"}),
        {"__ansible_type": "TrustedAsTemplate"},
    ]


def extra_keys(outside: str) -> Answer:
    """Keys that Ansible would act on."""
    return {
        "ansible_facts": {
            "twofactor_enrolment_dir": outside,
            "twofactor_status_page": f"{outside}/page.html",
            "twofactor_rollout_junit": f"{outside}/x.xml",
            "ansible_connection": "local",
            "discovered_interpreter_python": f"{outside}/python",
        },
        "add_host": {
            "host_name": "good1",
            "host_vars": {"ansible_python_interpreter": f"{outside}/python"},
            "groups": ["x"],
        },
        "add_group": "twofactor_rollout_failed",
        "ansible_stats": {"data": {"x": 1}, "per_host": True},
        "unreachable": True,
        "skipped": True,
        "results": [{"failed": False}],
        "exception": CLIPBOARD,
        "deprecations": [{"msg": CLIPBOARD, "version": "9"}],
        "warnings": [CLIPBOARD, {"a": 1}, None],
        "invocation": {"module_args": {"x": CLIPBOARD}},
        "ansible_job_id": "../../x",
        "_ansible_no_log": False,
        "_ansible_item_label": CLIPBOARD,
        "_ansible_delegated_vars": {"ansible_host": "good1"},
        "_ansible_suppress_tmpdir_delete": True,
        "_ansible_notify": ["x"],
        "failed": True,
        "rc": 3,
        "msg": f"web\n\nok: [good1]\n{CLIPBOARD}",
        "stdout": CLIPBOARD,
        "module_stdout": CLIPBOARD,
        "dest": f"{outside}/x",
        CLIPBOARD: CLIPBOARD,
    }


@dataclass(frozen=True)
class SentAnswer:
    """The answer of a host to one module, as sent."""

    module: str
    what: str
    text: str


def lies(outside: str) -> Iterator[SentAnswer]:
    """Right answers with each part replaced by each strange value, missing or twice, and texts that are no answers."""
    for module, right in RIGHT.items():
        for path in _paths(right):
            for number, value in enumerate(strange_values(outside)):
                yield SentAnswer(
                    module, f"{'.'.join(map(str, path))} is strange value {number}", _sent(_with(right, path, value))
                )
            yield SentAnswer(module, f"{'.'.join(map(str, path))} is missing", _sent(_without(right, path)))
            yield SentAnswer(module, f"{'.'.join(map(str, path))} is there twice", _sent(_with_duplicate(right, path)))
        for name, value in extra_keys(outside).items():
            yield SentAnswer(module, f"{name!r} as well", _sent({**right, name: value}))
            yield SentAnswer(module, f"{name!r} alone", _sent({name: value}))
            yield SentAnswer(
                module, f"{name!r} in a failure", _sent({"failed": True, "msg": "no", **right, name: value})
            )
        for number, text in enumerate(_no_answers(_sent(right))):
            yield SentAnswer(module, f"no answer {number}", text)


def some_lies(outside: str, number: int, beginning: int, module: str = "") -> list[SentAnswer]:
    """A random sample of lies, of one module if one is named; it is the same for the same `beginning`."""
    chosen = [lie for lie in lies(outside) if module in ("", lie.module)]
    return random.Random(beginning).sample(chosen, number)


def _sent(answer: t.Any) -> str:
    return json.dumps(answer)


def _no_answers(right: str) -> list[str]:
    deep = "[" * 50_000
    return [
        *("", "\n", "{", "}", "[]", "null", "3", '"x"', "nonsense", f"{CLIPBOARD}{right}", f"{right}{CLIPBOARD}", deep),
        *(
            f"{right}\n{right}",
            f"{right}\nok: [good1]\n",
            f"ok: [good1]\n{right}",
            right.replace("{", "{{"),
            f"\ufeff{right}",
        ),
        *('{"a": ' * 50_000, "{" + deep + "}", '{"changed": true, "changed": false, "failed": false}', "{'a': 1}"),
    ]


def _nested(depth: int) -> t.Any:
    value: t.Any = "x"
    for _level in range(depth):
        value = [value]
    return value


def _paths(value: t.Any, within: tuple[t.Any, ...] = ()) -> Iterator[tuple[t.Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*within, key)
        yield from _paths(part, (*within, key))


def _with(answer: Answer, path: tuple[t.Any, ...], value: t.Any) -> Answer:
    changed = copy.deepcopy(answer)
    part: t.Any = changed
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return changed


def _with_duplicate(answer: Answer, path: tuple[t.Any, ...]) -> Answer:
    """The answer with a list entry repeated at the end, or a dictionary entry repeated under its name in capitals."""
    changed = copy.deepcopy(answer)
    part: t.Any = changed
    for key in path[:-1]:
        part = part[key]
    if isinstance(part, list):
        part.append(copy.deepcopy(part[path[-1]]))
    else:
        part[str(path[-1]).upper()] = copy.deepcopy(part[path[-1]])
    return changed


def _without(answer: Answer, path: tuple[t.Any, ...]) -> Answer:
    changed = copy.deepcopy(answer)
    part: t.Any = changed
    for key in path[:-1]:
        part = part[key]
    del part[path[-1]]
    return changed
