# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad options end a run on the controller, before any host is touched."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import typing as t
from pathlib import Path

from ansible import constants as C  # noqa: N812 - as Ansible names it everywhere
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action.normal import ActionModule as NormalAction

from ansible_collections.fleet.auth.plugins.module_utils._backends import backends
from ansible_collections.fleet.auth.plugins.module_utils._wanted.options import argument_spec
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings, SettingsError
from ansible_collections.fleet.auth.plugins.plugin_utils._pages import put

_Spec = t.Mapping[str, t.Mapping[str, t.Any]]

# Longer than that of any option, and shorter than any secret.
_NAME = re.compile(r"\w{1,24}", re.ASCII)


class GatedAction(NormalAction):
    """Runs the module of its own name, as Ansible runs one that has no action, but not with bad options.

    The module checks its options again, as it does not know who calls it.
    """

    FURTHER: t.ClassVar[frozenset[str]] = frozenset({"files"})
    """The options that the module has beside those of the wanted state; the module alone checks them."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        given = {name: value for name, value in self._task.args.items() if name not in self.FURTHER}
        found = problems_once(given, Path(C.DEFAULT_LOCAL_TMP))  # type: ignore[attr-defined]
        if found:
            return {"failed": True, "msg": f"Nothing was changed: {' '.join(found)}", "refusals": found}
        done: dict[str, t.Any] = super().run(tmp, task_vars)
        return done


def problems_once(options: t.Mapping[str, t.Any], directory: Path) -> list[str]:
    """The same as `problems`, but found only once in a run for hosts that are given the same options.

    :param directory: that of the run, for its owner alone, which Ansible removes at the end. Each host of a play is
        served by a process of its own, so that a file is what they have in common.
    """
    text = json.dumps(options, default=repr)
    path = directory / f"fleet-auth-options-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"
    with contextlib.suppress(OSError):
        return t.cast(list[str], json.loads(path.read_bytes()))
    found = problems(options)
    with contextlib.suppress(OSError):
        put(path, json.dumps(found))
    return found


def problems(options: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the options of the wanted state, a sentence for each problem, which never has a secret."""
    spec = argument_spec()
    # Ansible's own check repeats the value of what should have been a dictionary, and a secret may be in it.
    found = list(_misshapen(spec, options))
    if found:
        return found
    checked = ArgumentSpecValidator(spec).validate(options)
    found = [_sentence(error) for error in checked.errors if not isinstance(error, UnsupportedError)]
    found = [remove_values(sentence, checked._no_log_values) for sentence in found]
    found += [_unknown(spec, name) for name in sorted(checked.unsupported_parameters, key=str)]
    if found:
        return found
    try:
        Settings.from_options(checked.validated_parameters, backends.beyond)
    except SettingsError as error:
        return list(error.problems)
    return []


def _misshapen(spec: _Spec, options: t.Mapping[str, t.Any], within: str = "") -> t.Iterator[str]:
    for name, option in spec.items():
        if "options" not in option or options.get(name) is None:
            continue
        value, where = options[name], f"{within}{name}"
        if option["type"] == "dict" and isinstance(value, str):
            continue  # key=value, as on a command line
        if option["type"] == "dict" and not isinstance(value, t.Mapping):
            yield f"{where} must be a dictionary, and is {_kind(value)}."
        elif option["type"] == "list" and not isinstance(value, list):
            yield f"{where} must be a list of dictionaries, and is {_kind(value)}."
        else:
            for entry in value if isinstance(value, list) else [value]:
                if isinstance(entry, t.Mapping):
                    yield from _misshapen(option["options"], entry, f"{where}: ")
                else:
                    yield f"{where} must be a list of dictionaries, and has an entry that is {_kind(entry)}."


def _kind(value: object) -> str:
    """What a person who writes YAML calls it; the value itself may be a secret."""
    kinds: dict[t.Any, str] = {list: "a list", t.Mapping: "a dictionary", str: "a text", type(None): "empty"}
    return next(
        (kind for types, kind in kinds.items() if isinstance(value, types)), "a number, a date or a truth value"
    )


def _sentence(error: Exception) -> str:
    return f"{str(error).rstrip('.')}."


def _unknown(spec: _Spec, name: str | tuple[str, ...]) -> str:
    path = (name,) if isinstance(name, str) else name
    for step in path[:-1]:
        spec = spec[step]["options"]
    # Where a comma stands for `, secret:`, the secret is the name of an option.
    last = path[-1] if _NAME.fullmatch(str(path[-1])) else "(a name that is not shown)"
    return (
        f"There is no option {'.'.join([*path[:-1], last])}. Supported parameters include: {', '.join(sorted(spec))}."
    )
