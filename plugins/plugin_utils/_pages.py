# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages and reports that an action makes on the controller."""

from __future__ import annotations

import os
import tempfile
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

from ansible_collections.fleet.auth.plugins.plugin_utils._visible import in_one_line


class PageAction(ActionBase):
    """An action that makes pages."""

    def renderer(
        self, template: str, variables: t.Mapping[str, t.Any], before: str = "", after: str = ""
    ) -> t.Callable[..., str]:
        """A function that renders a template, with the variables of the host and those that it is called with.

        :param before: Jinja that goes before the text of the template, such as the head of a loop over it.
        :param after: Jinja that goes behind it.
        """
        found = self._loader.get_text_file_contents(self._find_needle("templates", template))
        text = trust_as_template(f"{before}{found}{after}")

        def render(**more: t.Any) -> str:
            templar = self._templar.copy_with_new_env(available_variables={**variables, **more})
            return t.cast(str, templar.template(text, overrides={"trim_blocks": True}))

        return render


def on_controller(path: str) -> Path:
    """Where a path is that an option names.

    It is relative to where Ansible was started, as any path on a command line is, and not to the playbook: one of a
    collection is in a folder in which nobody looks. Raises AnsibleActionFail where it is the path of nothing.
    """
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):
        # The home of an account that there is not, links that lead in a circle, a character that no path has.
        raise AnsibleActionFail(
            f"{in_one_line(path, 500)!r} is no path on the machine where you start Ansible. Correct it where it is set."
        ) from None


def put(path: Path, content: str | bytes) -> None:
    """Put a content in place of a file at once, for its owner alone. Raises OSError, and leaves nothing then."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        try:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.rename(file.name, path)
        except OSError:
            os.unlink(file.name)
            raise


def told_by_hosts(variables: t.Mapping[str, t.Any], *names: str) -> t.Iterator[tuple[t.Any, ...]]:
    """Each host of the play, whether it was reached or not, with its variables of these names; None without one."""
    for host in variables["ansible_play_hosts_all"]:
        # Ansible puts all variables of a host together anew each time that it is asked for them.
        known = variables["hostvars"][host]
        yield (host, *map(known.get, names))


def write_report(path: str, text: str) -> None:
    """Put a report in its place, making the directories above it that are missing; see `on_controller`."""
    place = on_controller(path)
    if place.exists() and not (place.is_file() or place.is_dir()):
        # It would be replaced: by root, the device itself.
        raise AnsibleActionFail(
            f"The report {path} cannot be written: it is a device or a pipe. Name a file, or leave the report out."
        )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        put(place, text)
    except OSError as error:
        raise AnsibleActionFail(
            f"The report {path} cannot be written: {error.strerror}. Name a file in a directory that has room, and in "
            "which whoever starts Ansible may write."
        ) from None
