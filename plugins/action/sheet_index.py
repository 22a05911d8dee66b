# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ansible_collections.fleet.auth.plugins.plugin_utils import _languages, _printing, _sheets
from ansible_collections.fleet.auth.plugins.plugin_utils._controller import ControllerAction
from ansible_collections.fleet.auth.plugins.plugin_utils._pages import (
    PageAction,
    on_controller,
    put,
    put_before,
    variables_of_hosts,
)

_AGAIN = "Make sheets with fleet.auth.enable or fleet.auth.enrol first, and name their twofactor_enrolment_dir."

display = Display()


class ActionModule(ControllerAction, PageAction):
    """Writes an index, and a PDF for printing, next to the sheets of the hosts of the play."""

    OPTIONS: t.ClassVar = {
        "directory": {"type": "str", "required": True},
        "pdf": {"type": "bool", "default": False},
        "language": {"type": "str", "default": "en", "choices": _languages.known()},
        "template": {"type": "str", "default": "index.html.j2"},
    }

    def do(self, given: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        if given["pdf"]:
            _printing.need_weasyprint()
        directory = on_controller(given["directory"])
        try:
            sheets, strange = _sheets.find(directory, _places(variables))
            if not sheets:
                raise AnsibleActionFail(f"{directory} has no sheets of the hosts of this run. {_AGAIN}")
            render = self.renderer(given["template"], variables)
            index = render(sheets=_rows(sheets), texts=_languages.texts(given["language"]))
            files = {_sheets.INDEX: index.encode()}
            if given["pdf"]:
                files[_sheets.PDF] = _printing.printed(_with_progress(sheets))
            # Two PDFs of the same pages differ, so it is written each time.
            new = [name for name in files if name == _sheets.PDF or put_before(directory / name) != files[name]]
            for name in new if not self._task.check_mode else ():
                put(directory / name, files[name])
        except OSError as error:
            raise AnsibleActionFail(
                f"The index of the sheets in {directory} cannot be made: {error.strerror}. {_AGAIN}"
            ) from None
        paths = {name: str(directory / name) for name in files}
        display.display(_summary(sheets, strange, paths, new, check_mode=self._task.check_mode))
        return {
            "changed": bool(new),
            "files": list(paths.values()),
            "sheets": [one.path.name for one in sheets],
            "left_out": strange,
        }


def _places(variables: t.Mapping[str, t.Any]) -> dict[str, set[str]]:
    """The places that sheets of the play's hosts are named after, each with the accounts that are `absent` there."""
    places: dict[str, set[str]] = {}
    for host, fleet in variables_of_hosts(variables, "twofactor_fleet"):
        # Without templating: looking up everybody's secrets would take long.
        users = variables["hostvars"].raw_get(host).get("twofactor_users")
        absent = {
            str(user.get("name"))
            for user in (users if isinstance(users, list) else ())
            if isinstance(user, t.Mapping) and user.get("state") == "absent"
        }
        places.setdefault(str(fleet or host), absent).intersection_update(absent)
    return places


def _rows(sheets: t.Iterable[_sheets.Sheet]) -> list[dict[str, t.Any]]:
    """The sheets, as the template needs them."""
    return [
        {"user": one.user, "place": one.place, "device": one.device, "keys": one.keys, "link": one.link, "day": one.day}
        for one in sheets
    ]


def _with_progress(sheets: t.Sequence[_sheets.Sheet]) -> t.Iterator[str]:
    for number, sheet in enumerate(sheets):
        if number and number % 20 == 0:
            display.display(f"{number} of {len(sheets)} sheets are in the PDF")
        yield sheet.path.read_text(encoding="utf-8")


def _summary(
    sheets: t.Sized, strange: t.Sequence[str], paths: t.Mapping[str, str], new: t.Container[str], *, check_mode: bool
) -> str:
    """What was done, in sentences.

    :param paths: the files, by name.
    :param new: the names of those that were written or, in check mode, would be.
    """
    written = " and ".join(path for name, path in paths.items() if name in new)
    kept = " and ".join(path for name, path in paths.items() if name not in new)
    reasons = "because their host is not in this run, the account is absent there, or they are links"
    sentences = [
        f"Sheets: {len(sheets)}.",
        *([f"{'Would be written' if check_mode else 'Written'}: {written}."] if written else []),
        *([f"Up to date: {kept}."] if kept else []),
        *([] if check_mode else ["Delete these files along with the sheets."]),
        *([f"Left out, {reasons}: {', '.join(strange)}."] if strange else []),
    ]
    return " ".join(sentences)
