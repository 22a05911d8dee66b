# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import re
import secrets
import shlex
import tempfile
import time
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.utils.display import Display

from ansible_collections.fleet.auth.plugins.module_utils._wanted.bounds import is_account_name, is_label
from ansible_collections.fleet.auth.plugins.module_utils._wanted.secret import decode_secret
from ansible_collections.fleet.auth.plugins.plugin_utils._asking import AskingAction
from ansible_collections.fleet.auth.plugins.plugin_utils._failures import show_failure_once
from ansible_collections.fleet.auth.plugins.plugin_utils._languages import known, texts
from ansible_collections.fleet.auth.plugins.plugin_utils._pages import PageAction, on_controller, put, put_before
from ansible_collections.fleet.auth.plugins.plugin_utils._sheets import PDF
from ansible_collections.fleet.auth.plugins.plugin_utils._visible import in_one_line

_PROGRESS_SECONDS = 2.0
_DAY = re.compile(rb"\b\d{4}-\d\d-\d\d\b")
_AT_ONCE = 50
"""How many sheets are rendered in one go, because Ansible compiles a template anew for each rendering."""

_TRIAL = {
    "user": "user",
    "device": "device",
    "secret": "A" * 32,
    "digits": None,
    "interval": 30,
    "recovery_codes": [{"number": 1, "code": "000000"}],
}
"""A made-up enrolment, with which a template is tried."""

_RULES = {"interval": "interval", "digits": "otp_digits"}
"""Properties of the codes in an enrolment, each with the option of the wanted state that sets it."""

_Enrolment = dict[str, t.Any]
_Sheet = tuple[_Enrolment, str]

display = Display()


class ActionModule(AskingAction, PageAction):
    """Reads secrets on the host, and writes the sheets on the controller, so that no variable ever holds a secret."""

    _supports_check_mode = True

    @show_failure_once
    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, variables)
        _validation, given = self.validate_argument_spec(
            {
                "users": {"type": "list", "elements": "str", "required": True},
                "directory": {"type": "str", "required": True},
                "place": {"type": "str", "default": variables["inventory_hostname"]},
                "language": {"type": "str", "default": "en", "choices": known()},
                "template": {"type": "str", "default": "sheet.html.j2"},
                "known": {"type": "list", "elements": "raw"},
            }
        )
        if not given["users"]:
            return {**result, "changed": self._prepare(given, variables), "sheets": []}
        try:
            answer = self._execute_module(
                "fleet.auth.twofactor_enrolment_info", {"users": given["users"]}, None, variables
            )
        except AnsibleConnectionFailure as error:
            # A play that goes on after an unreachable host would take the sheets for written.
            users = ",".join(given["users"])
            raise AnsibleActionFail(
                f"No sheet was written: {variables['inventory_hostname']} could not be reached any more. Its secrets "
                f"are there; make the sheets with fleet.auth.enrol -e users={users}. What ssh said: {error.message}"
            ) from None
        if answer.get("failed"):
            return {**result, **answer}
        place, host = given["place"], variables["inventory_hostname"]
        enrolments = answer["enrolments"]
        if given["known"] is not None:
            wanted = {name: self._templar.template(variables.get(f"twofactor_{of}")) for name, of in _RULES.items()}
            enrolments = _shared_enrolments(enrolments, given["known"], host, wanted)
        changed, paths = False, []
        more = {"place": place, "texts": texts(given["language"])}
        rendered = self._rendered(given["template"], enrolments, {**variables, **more})
        for enrolment, sheet in _with_progress(rendered, len(enrolments), host):
            path = Path(on_controller(given["directory"]), _file_name(enrolment, place))
            changed |= self._write(path, sheet, enrolment["user"])
            paths.append(str(path))
        return {**result, "changed": changed, "sheets": paths}

    def _prepare(self, given: t.Mapping[str, t.Any], variables: dict[str, t.Any]) -> bool:
        """Check that sheets can be made, and make their directory. Return whether the directory was missing."""
        template = given["template"]
        if Path(template).is_absolute() and not Path(template).is_file():
            raise AnsibleActionFail(
                f"There is no template {template} on the machine where you start Ansible. Name one that exists."
            )
        more = {"place": given["place"], "texts": texts(given["language"])}
        try:
            ((_one, sheet),) = self._rendered(template, [_TRIAL], {**variables, **more})
        except AnsibleError as error:
            raise AnsibleActionFail(f"No sheet can be made from the template {template}: {_cause(error)}") from None
        if not sheet.strip():
            raise AnsibleActionFail(
                f"The template {template} makes an empty page. Put the contents of a sheet into it."
            )
        directory = on_controller(given["directory"])
        try:
            missing = not directory.is_dir()
            if not missing and directory.stat().st_mode & 0o002:
                raise AnsibleActionFail(
                    f"Everybody may write in {directory}. Name a directory of its own for the sheets, or take that "
                    f"right away: chmod o-w {shlex.quote(str(directory))}"
                )
            if self._task.check_mode:
                _check_creatable(directory)
            else:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=directory, prefix=".") as file:
                    file.write(sheet.encode())
        except OSError as error:
            raise AnsibleActionFail(
                f"No sheet can be written to {directory}: {error.strerror}. See that it is a directory with free "
                "space, in which the account that starts Ansible may write, or name another one."
            ) from None
        return missing

    def _rendered(
        self, template: str, enrolments: t.Sequence[_Enrolment], variables: t.Mapping[str, t.Any]
    ) -> t.Iterator[_Sheet]:
        """Yield each enrolment with its sheet."""
        end = secrets.token_hex()
        render = self.renderer(template, variables, "{% for enrolment in enrolments %}", f"{end}{{% endfor %}}")
        for start in range(0, len(enrolments), _AT_ONCE):
            batch = enrolments[start : start + _AT_ONCE]
            yield from zip(batch, render(enrolments=batch).split(end)[:-1], strict=True)

    def _write(self, path: Path, text: str, user: str) -> bool:
        """Write the sheet of a user atomically; only its owner can read it. Return whether it has changed."""
        try:
            if _is_there(path, text):
                return False
            if not self._task.check_mode:
                put(path, text)
                # The PDF shows the old sheet, with a secret that may no longer be valid.
                path.with_name(PDF).unlink(missing_ok=True)
        except OSError as error:
            raise AnsibleActionFail(
                f"The enrolment sheet {path} cannot be written: {error.strerror}. Correct that, and make it with "
                f"fleet.auth.enrol -e user={user}: the secret stays the same."
            ) from None
        return True


def _check_creatable(directory: Path) -> None:
    """Raise OSError if the directory, or its nearest existing parent, is not a directory or not writable."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    for number, right in (errno.ENOTDIR, existing.is_dir()), (errno.EACCES, os.access(existing, os.W_OK | os.X_OK)):
        if not right:
            raise OSError(number, os.strerror(number))


def _cause(error: BaseException) -> str:
    """The message of the innermost cause of a template's error."""
    while error.__cause__:
        error = error.__cause__
    return error.message if isinstance(error, AnsibleError) else str(error)


def _is_there(path: Path, text: str) -> bool:
    """Whether this sheet exists already, readable by its owner alone. It may have been made on another day.

    Raises OSError.
    """
    there = put_before(path)
    return there is not None and _DAY.sub(b"", there) == _DAY.sub(b"", text.encode())


def _with_progress(sheets: t.Iterable[_Sheet], total: int, host: str) -> t.Iterator[_Sheet]:
    """Yield the sheets, and print every few seconds how many are done."""
    last_shown = time.monotonic()
    for number, sheet in enumerate(sheets):
        if time.monotonic() - last_shown > _PROGRESS_SECONDS:
            display.display(f"{host}: {number} of {total} sheets")
            last_shown = time.monotonic()
        yield sheet


def _shared_enrolments(
    enrolments: t.Sequence[_Enrolment], known: t.Sequence[t.Any], host: str, wanted: t.Mapping[str, t.Any]
) -> t.Sequence[_Enrolment]:
    """The enrolments whose secrets are in the variables, and so are the same on all hosts.

    Recovery codes are left out, because each host has its own.

    :param wanted: the interval and the digits that the variables set, by their names in an enrolment; None if not set.

    Raises AnsibleActionFail if a host has other secrets, or another interval or number of digits.
    """
    secrets_of = {
        (str(user.get("name")), str(device.get("name", ""))): device["secret"]
        for user in known
        if isinstance(user, t.Mapping)
        for device in ({"secret": user.get("secret")}, *(user.get("devices") or ()))
        if isinstance(device, t.Mapping) and device.get("secret")
    }
    shared = [one for one in enrolments if (one["user"], one["device"]) in secrets_of]
    for enrolment in shared:
        if decode_secret(enrolment["secret"]) != decode_secret(secrets_of[enrolment["user"], enrolment["device"]]):
            raise AnsibleActionFail(
                f"No sheet was written: {host} has another secret of {enrolment['user']} than the variables, but the "
                f"sheet is for all hosts. Run the playbook that enrols {enrolment['user']} on {host} first."
            )
        for name, value in wanted.items():
            if None not in (value, enrolment[name]) and float(value) != enrolment[name]:
                raise AnsibleActionFail(
                    f"No sheet was written: on {host} the {name} of the codes of {enrolment['user']} is "
                    f"{enrolment[name]}, but twofactor_{_RULES[name]} is {value}. The sheet is for all "
                    f"hosts. Run the playbook that brings {host} to the variables first."
                )
    left_out = ", ".join(dict.fromkeys(one["user"] for one in shared if one["recovery_codes"]))
    if left_out:
        display.warning(
            f"The sheets for all hosts have no recovery codes, because each host has its own: {left_out} on {host}. "
            "For a sheet of one host with its recovery codes, run fleet.auth.enrol with an empty twofactor_fleet."
        )
    return [{**one, "recovery_codes": []} for one in shared]


def _file_name(enrolment: _Enrolment, place: str) -> str:
    """The file name of a sheet. Raises AnsibleActionFail if the file could be outside the directory of the sheets."""
    user, device = enrolment["user"], enrolment["device"]
    wrong = [] if is_account_name(user) else [user]
    wrong += [device] if device and not is_label(device) else []
    for name in wrong:
        refusal = f"No sheet was written: {in_one_line(name, 64)!r} cannot be the name of a file."
        raise AnsibleActionFail(f"{refusal} Leave that account or device out.")
    return f"{user}{f'+{device}' if device else ''}@{place.replace('/', '-')}.html"
