# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleActionFail

from ansible_collections.fleet.auth.plugins.plugin_utils import _person, _status
from ansible_collections.fleet.auth.plugins.plugin_utils._controller import ReportAction
from ansible_collections.fleet.auth.plugins.plugin_utils._pages import (
    on_controller,
    variables_of_hosts,
    write_report,
)

_RIGHT = "Name files that runs of fleet.auth.status have written with twofactor_status_data."


class ActionModule(ReportAction):
    """Reports the state of two-factor login on the hosts of the play."""

    OPTIONS: t.ClassVar = {
        "answer": {"type": "str"},
        "slices": {"type": "list", "elements": "str", "default": []},
        "page": {"type": "str", "default": ""},
        "data": {"type": "str", "default": ""},
        "user": {"type": "str", "default": ""},
        "template": {"type": "str", "default": "status.html.j2"},
    }
    RULES: t.ClassVar = {"required_one_of": [["answer", "slices"]]}

    def do(self, given: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        if given["user"] and given["slices"]:
            raise AnsibleActionFail(
                f"Reports of slices cannot be limited to one person, such as {given['user']}. Leave user or the slices "
                "out."
            )
        answers: list[tuple[t.Any, ...]] = []
        if given["slices"]:
            lines = _merged(variables["ansible_play_hosts_all"], given["slices"])
        else:
            answers = list(variables_of_hosts(variables, given["answer"]))
            lines = [_status.line(*one) for one in answers]
        summary = _status.summary(lines)
        table = _status.table(lines)
        if given["user"]:
            table = _person.table([_person.line(one[0], one[1], given["user"]) for one in answers], given["user"])
        self.publish(table, summary, given["data"], variables)
        if given["page"]:
            render = self.renderer(given["template"], variables)
            write_report(given["page"], render(report=_status.page(lines)))
        counts = {verdict: summary[verdict] for verdict in _status.VERDICTS}
        return {"hosts": summary["hosts"], "counts": counts}


def _merged(hosts: t.Sequence[str], paths: t.Sequence[str]) -> list[_status.Line]:
    reports = []
    for path in paths:
        try:
            reports.append(json.loads(on_controller(path).read_bytes()))
            _status.merged((), reports[-1:])
        except OSError as error:
            raise AnsibleActionFail(f"The report {path} of a slice cannot be read: {error.strerror}.") from None
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            raise AnsibleActionFail(f"The report {path} of a slice is not JSON. {_RIGHT}") from None
        except ValueError as error:
            raise AnsibleActionFail(f"{path} {error}. {_RIGHT}") from None
    return _status.merged(hosts, reports)
