# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks options on the controller, so that bad ones end a run before any host is touched."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
import typing as t
from pathlib import Path

from ansible import constants as C  # noqa: N812 - as Ansible names it everywhere
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.fleet.auth.plugins.module_utils._backends import backends
from ansible_collections.fleet.auth.plugins.module_utils._wanted.bounds import is_account_name
from ansible_collections.fleet.auth.plugins.module_utils._wanted.naming import PREFIX, named, of_the_role
from ansible_collections.fleet.auth.plugins.module_utils._wanted.options import argument_spec
from ansible_collections.fleet.auth.plugins.module_utils._wanted.secret import decode_secret
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings, SettingsError
from ansible_collections.fleet.auth.plugins.plugin_utils import _commands, _report, _variables
from ansible_collections.fleet.auth.plugins.plugin_utils._asking import AskingNormalAction
from ansible_collections.fleet.auth.plugins.plugin_utils._failures import PLAYBOOK, show_failure_once
from ansible_collections.fleet.auth.plugins.plugin_utils._pages import put
from ansible_collections.fleet.auth.plugins.plugin_utils._types import in_words, kind

_Spec = t.Mapping[str, t.Mapping[str, t.Any]]

# The limit is above the length of any option's name, and below the length of any secret.
_NAME = re.compile(r"\w{1,24}", re.ASCII)


_ANSIBLES_OPTION = re.compile(r"(^value of |^Elements value for option ')(\w+)")

_FORMS = {
    "users": "[alice, {name: bob}]",
    "devices": "[{name: tablet}]",
    "lockout": "{attempts: 5}",
    "time_sync": "{required: true}",
}
"""Examples of options whose form people often get wrong."""


(_PREFIX,) = PREFIX

REPORTED_LATER = "__twofactor_told_later"
"""The variable of a task whose failure is shown later, in a report."""
_FAILURE_PARTS = ("changed", "failed", "msg", "unreachable", "module_stdout", "module_stderr")
_FOR_PEOPLE = ("msg", "refusals", "warnings")
"""The parts of an answer that Ansible shows, and that may contain a command."""


class CheckedAction(AskingNormalAction):
    """Runs the module of the same name, as Ansible does for one without an action, unless a variable is mistyped."""

    @show_failure_once
    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        later = bool(variables.get(REPORTED_LATER))
        try:
            done = self._checked(tmp, variables)
        except AnsibleError as error:
            if not later:
                raise
            # Ansible would print the exception as an error, and end the play for the host, or print "...ignoring".
            how = _report.LOST if isinstance(error, AnsibleConnectionFailure) else "failed"
            return {"changed": False, how: True, "msg": error.message}
        if later:
            return done
        done = _reworded(done, variables, by_variables=_is_ours(self, variables))
        if done.get("failed") and _is_of_the_role(self):
            # Ansible prints a failure twice, with all its values. People who run the role read the sentences in `msg`.
            return {name: done[name] for name in _FAILURE_PARTS if name in done}
        return done

    def _checked(self, tmp: str | None, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """The module's answer, or a refusal that says what is wrong with the names of variables."""
        refusals = [*unread_variables(self, variables), *variable_problems(self, variables)]
        if refusals:
            return refused(refusals)
        done: dict[str, t.Any] = super().run(tmp, variables)
        return done


def _reworded(done: dict[str, t.Any], variables: t.Mapping[str, t.Any], *, by_variables: bool) -> dict[str, t.Any]:
    """The answer of a module, with commands that can be copied, and with the names of options as people set them.

    :param by_variables: whether people set them as variables of the role (`twofactor_ssh`), not as options (`ssh`).
    """

    def reworded(value: t.Any) -> t.Any:
        if isinstance(value, list):
            return list(map(reworded, value))
        if not isinstance(value, str):
            return value
        words = in_words(value)
        return _commands.with_inventory(of_the_role(words) if by_variables else words, variables)

    return {name: reworded(part) if name in _FOR_PEOPLE else part for name, part in done.items()}


class GatedAction(CheckedAction):
    """Like CheckedAction, but does not run the module with bad options of the wanted state either.

    The module checks its options again, because it does not know who calls it.
    """

    FURTHER: t.ClassVar[frozenset[str]] = frozenset({"files", _PREFIX})
    """The options that the module has beside those of the wanted state; only the module checks them."""

    def _checked(self, tmp: str | None, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        if isinstance(self._task.args.get("users"), list):
            self._task.args = {**self._task.args, "users": entries(self._task.args["users"])}
        prefix = "twofactor_" if _is_of_the_role(self) else ""
        self._task.args = {**self._task.args, _PREFIX: prefix}
        given = {name: value for name, value in self._task.args.items() if name not in self.FURTHER}
        # Ansible makes this attribute at run time. Asked for the setting, it would make one more directory each time.
        directory = Path(C.DEFAULT_LOCAL_TMP)  # type: ignore[attr-defined]
        refusals = problems_once({**given, _PREFIX: prefix}, directory)
        if refusals:
            return refused(refusals)
        return super()._checked(tmp, variables)


def refused(refusals: list[str]) -> dict[str, t.Any]:
    """The result of a task that touched no host because of these problems."""
    return {"failed": True, "msg": f"Nothing was changed: {' '.join(refusals)}", "refusals": refusals}


def unread_variables(action: ActionBase, variables: t.Mapping[str, t.Any]) -> list[str]:
    """A sentence for each variable that a playbook of the collection does not read.

    These are extra variables (`-e`), and variables of plays that are set in the inventory.
    """
    playbook = variables.get(PLAYBOOK)
    if playbook is None:
        return []
    extra = load_extra_vars(action._loader)
    sentences = _variables.unknown(extra, variables.get(_variables.OWN), _variables.Playbook(**playbook))
    sentences += _variables.contradicting(extra, _variables.Playbook(**playbook))
    of_plays = [f"{_variables.PREFIX}{name}" for name in _variables.OF_PLAYS]
    set_there = _set_for_the_host(of_plays, variables, extra)
    return [*sentences, *_variables.unread(set_there, variables["inventory_hostname"])]


def parameters_of_the_host(action: ActionBase, variables: t.Mapping[str, t.Any]) -> list[str]:
    """The parameters of the playbook that are variables of the inventory, and so are not meant for it."""
    playbook = variables.get(PLAYBOOK)
    if playbook is None or playbook.get("prompts"):
        return []
    return [*_set_for_the_host(playbook.get("takes", ()), variables, load_extra_vars(action._loader))]


def _set_for_the_host(
    names: t.Iterable[str], variables: t.Mapping[str, t.Any], extra: t.Container[str]
) -> t.Iterator[str]:
    """Those of these variables whose values come from the inventory, and not from the run or the play."""
    for name in names:
        if name in variables and name not in extra:
            of_the_host = variables["hostvars"].raw_get(variables["inventory_hostname"])
            if of_the_host.get(name) == variables[name]:
                yield name


def variable_problems(action: ActionBase, variables: t.Mapping[str, t.Any]) -> list[str]:
    """A sentence for each problem in a host's variables, if the role or a playbook of the collection runs the action.

    Recovery does not call this: a mistake in the settings must not keep anyone out.
    """
    if not _is_ours(action, variables):
        return []
    host = variables["inventory_hostname"]
    sentences = _variables.mistyped(variables, variables.get(_variables.OWN), host)
    sentences += _variables.mistaken(parameters_of_the_host(action, variables), host)
    sentences += _variables.empty((name for name, value in variables.items() if value is None), host)
    formed = {name: variables.get(name) for name in (f"{_variables.PREFIX}{form}" for form in _variables.FORMS)}
    return [*sentences, *_variables.unusable({name: _rendered(action, value) for name, value in formed.items()}, host)]


def _rendered(action: ActionBase, value: t.Any) -> t.Any:
    """The value of a variable. If it cannot be templated, its text as written; Ansible reports the error itself."""
    with contextlib.suppress(AnsibleError):
        return action._templar.template(value)
    return value


def _is_ours(action: ActionBase, variables: t.Mapping[str, t.Any]) -> bool:
    """Whether the action is run by the role or by a playbook of the collection."""
    return _is_of_the_role(action) or PLAYBOOK in variables


def _is_of_the_role(action: ActionBase) -> bool:
    """Whether the action is run by a task of the role, and not by a user's own task."""
    role = action._task._role
    return role is not None and role.get_name() == "fleet.auth.twofactor"


def entries(users: list[t.Any]) -> list[t.Any]:
    """The entries of `users`, with a dictionary for each plain name. A secret in the wrong place is not a name."""
    return [{"name": str(one)} if isinstance(one, str) and _is_name(one) else one for one in users]


def _is_name(text: str) -> bool:
    with contextlib.suppress(ValueError):
        decode_secret(text)
        return False
    return is_account_name(text)


def problems_once(options: t.Mapping[str, t.Any], directory: Path) -> list[str]:
    """The same as `problems`, but computed only once in a run for all hosts with the same options.

    :param directory: the temporary directory of the run. Only its owner can read it, and Ansible removes it at the end.
        The result is kept in a file there, because each host of a play has a process of its own.
    """
    try:
        text = json.dumps(options, default=repr)
    except TypeError:  # a name is not a text; `problems` reports that
        return problems(options)
    path = directory / f"fleet-auth-options-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"
    with contextlib.suppress(OSError):
        return t.cast(list[str], json.loads(path.read_bytes()))
    sentences = problems(options)
    with contextlib.suppress(OSError):
        put(path, json.dumps(sentences))
    return sentences


def problems(options: t.Mapping[str, t.Any]) -> list[str]:
    """A sentence for each problem in the options of the wanted state. It never contains a secret."""
    return [named(problem, options.get(_PREFIX, "")) for problem in _problems(options)]


def _problems(options: t.Mapping[str, t.Any]) -> list[str]:
    """A sentence for each problem in the options: in their form first, then in their types, then in their values."""
    spec = {**argument_spec(), **PREFIX}
    # Ansible's own check raises an exception if a name is not a text. It also repeats a value that should have been a
    # dictionary, and that may contain a secret.
    sentences = list(_non_text_names(spec, options)) or list(_form_problems(spec, options))
    if sentences:
        return sentences
    checked = ArgumentSpecValidator(spec).validate(options)
    sentences = [_sentence(error) for error in checked.errors if not isinstance(error, UnsupportedError)]
    sentences = [remove_values(sentence, checked._no_log_values) for sentence in sentences]
    sentences += [_unknown(spec, name) for name in sorted(checked.unsupported_parameters, key=str)]
    if sentences:
        return sentences
    try:
        Settings.from_options(checked.validated_parameters, backends.unsupported)
    except SettingsError as error:
        return list(error.problems)
    return []


def _non_text_names(spec: _Spec, options: t.Mapping[t.Any, t.Any]) -> t.Iterator[str]:
    """A sentence for each option in which a name is not a text. YAML turns some names into numbers or dates."""
    for where in [f"O({name})" for name in spec if not _has_names(options.get(name))]:
        yield f"{where} has a name in it that is not a text, but for example a number or a date. Correct or remove it."
    for name in options:
        if not isinstance(name, str):
            yield f"An option has {kind(name)} in place of a name. Correct or remove it."


def _has_names(value: t.Any) -> bool:
    """Whether all names in the value are texts, at any depth."""
    if isinstance(value, t.Mapping):
        return all(isinstance(name, str) and _has_names(inner) for name, inner in value.items())
    return not isinstance(value, list) or all(map(_has_names, value))


def _form_problems(spec: _Spec, options: t.Mapping[str, t.Any], within: str = "") -> t.Iterator[str]:
    """A sentence for each option that does not have the right form, at any depth.

    An option with suboptions must be a dictionary or a list of dictionaries. Ansible itself would convert a text.
    """
    for name, option in spec.items():
        value, where = options.get(name), f"{within}{name}"
        if option["type"] == "int" and isinstance(value, float) and not math.isfinite(value):
            yield f"{_marked(where)} must be a whole number, and is {value}. Give one."
        if option["type"] == "str" and isinstance(value, t.Mapping | list):
            yield f"{_marked(where)} must be a text, and is {kind(value)}."
        if option.get("elements") == "str" and isinstance(value, list):
            for number, entry in enumerate(value, start=1):
                if isinstance(entry, t.Mapping | list):
                    yield f"{_marked(where)} must be a list of texts, and entry {number} is {kind(entry)}."
        if "options" not in option or value is None:
            continue
        if option["type"] == "dict" and isinstance(value, str):
            continue  # key=value, as on a command line
        if option["type"] == "dict" and not isinstance(value, t.Mapping):
            yield f"{_marked(where)} must be a dictionary, such as {_FORMS[name]}, and is {kind(value)}."
        elif option["type"] == "list" and not isinstance(value, list):
            yield f"{_marked(where)} must be a list, such as {_FORMS[name]}, and is {kind(value)}."
        else:
            for number, entry in enumerate(value if isinstance(value, list) else [value], start=1):
                if isinstance(entry, t.Mapping):
                    yield from _form_problems(option["options"], entry, f"{where}: ")
                else:
                    form = f"must be a list, such as {_FORMS[name]}, and entry {number} is {kind(entry)}."
                    yield f"{_marked(where)} {form}"


def _marked(where: str) -> str:
    """The path of an option or suboption, with the option's name marked as `O(name)`; see `naming`."""
    return re.sub(r"\w+", r"O(\g<0>)", where, count=1)


def _sentence(error: Exception) -> str:
    text = f"{in_words(str(error), 'O({})'.format).rstrip('.')}."
    # Ansible names an option by its name, and a suboption together with its option: "name found in users".
    return text if " found in " in text else _ANSIBLES_OPTION.sub(lambda match: f"{match[1]}O({match[2]})", text)


def _unknown(spec: _Spec, name: str | tuple[str, ...]) -> str:
    path = (name,) if isinstance(name, str) else name
    for step in path[:-1]:
        spec = spec[step]["options"]
    # If somebody forgot `secret:` after a comma, the secret itself is taken for the name of an option.
    last = path[-1] if _NAME.fullmatch(str(path[-1])) else "(a name that is not shown)"
    known = ", ".join(sorted(spec.keys() - PREFIX.keys()))
    return f"There is no option {'.'.join([*path[:-1], last])}. Supported parameters include: {known}."
