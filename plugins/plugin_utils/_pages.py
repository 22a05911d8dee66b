# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writing of pages and reports on the controller."""

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
        """A function that renders a template, with these variables and those that the function is called with.

        :param before: Jinja to put before the text of the template, such as the start of a loop around it.
        :param after: Jinja to put after it.
        """
        source = self._loader.get_text_file_contents(self._find_needle("templates", template))
        text = trust_as_template(f"{before}{source}{after}")

        def render(**more: t.Any) -> str:
            templar = self._templar.copy_with_new_env(available_variables={**variables, **more})
            return t.cast(str, templar.template(text, overrides={"trim_blocks": True}))

        return render


def on_controller(path: str) -> Path:
    """The absolute path of a path that an option names.

    A relative path starts in the directory in which Ansible was started, as on a command line. It does not start at the
    playbook: a collection's playbook is in a folder in which nobody looks. Raises AnsibleActionFail for an impossible
    path.
    """
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):
        # The home of an account that does not exist, a loop of links, or a character that is not allowed in a path.
        raise AnsibleActionFail(
            f"{in_one_line(path, 500)!r} cannot be a path on the machine where you start Ansible. "
            "Correct it where it is set."
        ) from None


def put(path: Path, content: str | bytes) -> None:
    """Replace a file atomically; only its owner can read it. Raises OSError, and then leaves no temporary file."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        try:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.rename(file.name, path)
        except OSError:
            os.unlink(file.name)
            raise


def put_before(path: Path) -> bytes | None:
    """The content of a file that `put` has written; None if there is none, or if it is a link or others can read it.

    A link will be replaced, and its target stays. Raises OSError.
    """
    if path.is_symlink() or not path.is_file() or path.stat().st_mode & 0o7777 != 0o600:
        return None
    return path.read_bytes()


def variables_of_hosts(variables: t.Mapping[str, t.Any], *names: str) -> t.Iterator[tuple[t.Any, ...]]:
    """Yield each host of the play, reached or not, and its variables of these names; None for an undefined one."""
    for host in variables["ansible_play_hosts_all"]:
        # Ansible computes all variables of a host anew each time that it is asked for them.
        known = variables["hostvars"][host]
        yield (host, *map(known.get, names))


def write_report(path: str, text: str) -> None:
    """Write a report, and create missing parent directories; see `on_controller` for the path."""
    target = on_controller(path)
    if target.exists() and not (target.is_file() or target.is_dir()):
        # It would be replaced; as root, that would replace the device itself.
        raise AnsibleActionFail(
            f"The report {path} cannot be written: it is a device or a pipe. Name a file, or leave the report out."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        put(target, text)
    except OSError as error:
        raise AnsibleActionFail(
            f"The report {path} cannot be written: {error.strerror}. Name a file in a directory that has free space, "
            "and in which the account that starts Ansible may write."
        ) from None
