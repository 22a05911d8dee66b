# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that every host gets alike. They are passed with the options of a module.

Ansible sends nothing but Python to a host along with a module. So files that are not Python, or that the module does
not import, are read on the controller, and only those that the module needs.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._wanted.handed import pack
from ansible_collections.fleet.auth.plugins.plugin_utils._asking import AskingNormalAction

_COLLECTION = Path(__file__).resolve().parents[2]
FOLDER = _COLLECTION / "roles" / "twofactor" / "files"
NAMES = {
    places.RECOVERY_COMMAND: "twofactor-recover",
    places.TMPFILES: "tmpfiles.conf",
    places.KEY_ACCEPTED: "ssh-key-accepted",
    places.KEY_DECLARED: "ssh-key-declared",
    places.FIRST_FACTOR_FAILED: "first-factor-failed",
    places.PASSWORD_METHOD: "ssh-password-method",
    places.LIMITS_SUFFICE: "limits-suffice",
    places.JUDGE: "pam.d/twofactor-judge",
    places.NOTE: "pam.d/twofactor-note",
    places.GUARD_PROGRAM: "guard",
    places.GUARD_SERVICE_UNIT: "systemd/fleet-auth-guard.service",
    places.GUARD_PATH_UNIT: "systemd/fleet-auth-guard.path",
    places.UNDO: "undo",
    places.BOOT_UNIT: "systemd/fleet-auth-undo-at-boot.service",
    places.PASSES_SCRIPT: "end-passes",
    places.PASSES_SERVICE_UNIT: "systemd/fleet-auth-passes.service",
    places.PASSES_TIMER_UNIT: "systemd/fleet-auth-passes.timer",
    places.SELF_SERVICE_PROGRAM: "self-service.py",
    places.CODE_SERVICE: "pam.d/twofactor-code",
    places.ENROL_COMMAND: "twofactor-enrol",
    places.OFFER: "offer.sh",
    places.SELF_SERVICE_SERVICE_UNIT: "systemd/fleet-auth-self-service.service",
    places.SELF_SERVICE_SOCKET_UNIT: "systemd/fleet-auth-self-service.socket",
    f"{places.PAGE_DIRECTORY}/manifest.json": "cockpit/manifest.json",
    f"{places.PAGE_DIRECTORY}/index.html": "cockpit/index.html",
    f"{places.PAGE_DIRECTORY}/page.css": "cockpit/page.css",
    f"{places.PAGE_DIRECTORY}/page.js": "cockpit/page.js",
}
"""By path on the host, the file in the role."""
_READS_SHARED = re.compile(r"^\. (shared/\w+)\n", re.MULTILINE)
MODULES = (
    "_apply/actions",
    "_apply/credential_files",
    "_apply/files",
    "_apply/invitations",
    "_apply/journal",
    "_apply/lock",
    "_apply/pending",
    "_backends/backend",
    "_backends/backends",
    "_backends/credential",
    "_backends/google_authenticator",
    "_backends/hotp",
    "_backends/oath",
    "_backends/secretfile",
    "_backends/usersfile",
    "_host/invitations",
    "_host/nss",
    "_places",
    "_self_service/conversation",
    "_self_service/pam_client",
    "_self_service/program",
    "_self_service/terminal",
    "_texts/code_step",
    "_texts/dispatch",
    "_texts/invitation",
    "_texts/pam",
    "_texts/pam_conf",
    "_texts/pam_modules",
    "_texts/placement",
    "_texts/proof",
    "_texts/succeed_if",
    "_wanted/bounds",
    "_wanted/naming",
    "_wanted/secret",
    "_wanted/security_key",
    "_wanted/settings",
)
"""The module_utils of the self-service command and its helper. They import each other by relative paths."""


def text(name: str) -> str:
    """The content of a file of the role, as a host gets it.

    A script that reads functions from `shared/` has them in itself on the host: it works even if nothing else is left.
    """
    return _READS_SHARED.sub(_functions, (FOLDER / name).read_text(encoding="utf-8"))


def _functions(line: re.Match[str]) -> str:
    """The functions of a shared file, without its header."""
    return (FOLDER / line[1]).read_text(encoding="utf-8").partition("\n\n")[2]


def texts(paths: t.Iterable[str]) -> dict[str, str]:
    """The contents of these files, by path on the host."""
    return {path: text(NAMES[path]) for path in paths}


def self_service() -> dict[str, str]:
    """The contents of all files of the self-service page and of the helper behind it, by path on the host."""
    page = [path for path in NAMES if path.startswith(f"{places.PAGE_DIRECTORY}/")]
    utils = _COLLECTION / "plugins" / "module_utils"
    return {
        **texts([*places.FOR_SELF_SERVICE, *page]),
        **{f"{places.SELF_SERVICE_LIBRARY}/{name}.py": (utils / f"{name}.py").read_text("utf-8") for name in MODULES},
    }


def for_wanted_state(options: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The files that a host should have, for these options of a module."""
    if not _is_on(options.get("enabled", True)):
        return {}
    return {
        **texts([*places.FOR_LOGINS, *places.FOR_GUARD]),
        **(self_service() if _is_on(options.get("self_service", False)) else {}),
    }


def _is_on(option: t.Any) -> bool:
    """Whether an option is on. The module itself reports a value that is not a boolean."""
    return bool(boolean(option, strict=False))


class FilePassingAction(AskingNormalAction):
    """Runs the module of the same name, as Ansible does for a module without an action, and passes files to it."""

    def files(self) -> dict[str, str]:
        """The files that the module gets, by path on the host."""
        return for_wanted_state(self._task.args)

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        self._task.args = {**self._task.args, "files": pack(self.files())}
        done: dict[str, t.Any] = super().run(tmp, task_vars)
        return done
