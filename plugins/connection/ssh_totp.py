# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ssh_totp
short_description: ssh that answers the prompt for a one-time password
version_added: 1.0.0
description:
  - Connects as P(ansible.builtin.ssh#connection) does, with all its options, to hosts that ask the account of Ansible
    for a code (TOTP, RFC 6238), after a key as well as after a password.
  - It logs in once, and everything else comes over that connection. So O(ssh_args) must keep C(ControlMaster) and
    C(ControlPersist), as they do unless they are changed; without them it refuses to log in.
  - A host takes a code once. A login that has to be made anew within the same time step, after
    C(meta=reset_connection), C(ControlPersist) running out or a reboot, waits for the next code. So do all processes of
    one person on this controller. Other hosts do not matter, even where they share the secret.
  - A code or a password that was refused is not followed by another one until Ansible is run again, whatever
    O(reconnection_retries), C(ignore_unreachable) and M(ansible.builtin.wait_for_connection) say. Neither is the
    account locked, nor the address of the controller penalised.
  - Where O(totp_secret) is not set, it is P(ansible.builtin.ssh#connection) and nothing more.
author:
  - The fleet.auth contributors (!UNKNOWN)
requirements:
  - pyotp and segno on the controller
extends_documentation_fragment:
  - fleet.auth.ssh
options:
  totp_secret:
    description:
      - The secret of O(remote_user) on the host, in base32, 1 to 64 bytes, as in its provisioning URI.
      - The variable may come from a vault or a lookup. It is on no command line, in no file, in no environment and in
        no output.
      - A secret that is no base32 makes the host unreachable, with a message that does not repeat it.
    type: string
    vars:
      - name: ansible_totp_secret
  totp_digits:
    description: The length of a code, 6 to 8 digits, as the account was enrolled.
    type: int
    default: 6
    vars:
      - name: ansible_totp_digits
  totp_interval:
    description: How long a code lasts in seconds, 5 to 120, as the account was enrolled.
    type: int
    default: 30
    vars:
      - name: ansible_totp_interval
  totp_prompt:
    description:
      - A part of the prompt for the code.
      - The default is what hosts ask that this collection has set up.
    type: string
    default: One-time password
    vars:
      - name: ansible_totp_prompt
notes:
  - "O(password_mechanism) has no effect beside O(totp_secret): the password is given at the same terminal as the code."
  - "Controllers, or containers of one, that do not share O(control_path_dir) do not know of each other's codes. Where
    they log in to one account in the same time step, the host refuses the second. Give each an account of its own."
  - A jump host (C(ProxyJump)) has to let in without a prompt.
  - "When a code was used is noted in O(control_path_dir), one file for each account of a host, 0600: the time from
    which the next code may be used, and nothing else."
  - ssh must know the host key. Its question about a new one cannot be answered here.
seealso:
  - plugin: ansible.builtin.ssh
    plugin_type: connection
  - module: fleet.auth.twofactor
"""

EXAMPLES = r"""
# group_vars/all.yml: a key and a code
ansible_connection: fleet.auth.ssh_totp
ansible_user: deploy
ansible_totp_secret: "{{ vault_deploy_totp_secret }}"

# A password and a code
# ansible_password: "{{ vault_deploy_password }}"

# An account that was enrolled with other settings than the default
# ansible_totp_digits: 8
# ansible_totp_interval: 60
"""

import contextlib
import hashlib
import os
import subprocess
import time
import typing as t

from ansible import constants as C  # noqa: N812 - the name that all of Ansible has for it
from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection.ssh import AnsibleControlPersistBrokenPipeError
from ansible.plugins.connection.ssh import Connection as SSHConnection
from ansible.utils.display import Display
from ansible.utils.path import makedirs_safe, unfrackpath

from ansible_collections.fleet.auth.plugins.plugin_utils._otpauth import code_at
from ansible_collections.fleet.auth.plugins.plugin_utils._ssh_login import (
    CODE,
    PASSWORD,
    Answers,
    Note,
    explain,
    log_in,
    note_in_hand,
)

display = Display()

# How long the host may take from one prompt to the next, beside the time in which it has to answer at all.
_PATIENCE = 30


class Connection(SSHConnection):
    """Logs in by itself, and leaves everything else to ansible.builtin.ssh.

    Two of its private methods are overridden, by which all its ssh, sftp and scp processes go: `_build_command`, so
    that none of them asks for anything, and `_bare_run`, so that the connection is there before each of them starts.
    """

    def set_options(
        self,
        task_keys: t.Any = None,
        var_options: t.Any = None,
        direct: t.Any = None,
    ) -> None:
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        if self._secret:
            # Else sshpass would stand in front of commands that need no password any more.
            self.set_option("password_mechanism", "disable")

    @property
    def _secret(self) -> str | None:
        return t.cast("str | None", self.get_option("totp_secret"))

    @property
    def _password(self) -> str | None:
        return t.cast("str | None", self.get_option("password") or self._play_context.password)

    def _build_command(self, binary: str, subsystem: str, *other_args: bytes | str) -> list[bytes]:
        command = super()._build_command(binary, subsystem, *other_args)
        # The first value of an option wins, so what comes first cannot be undone by any other.
        return [command[0], b"-oBatchMode=yes", *command[1:]] if self._secret else command

    def _bare_run(
        self, cmd: list[bytes], in_data: bytes | None, sudoable: bool = True, checkrc: bool = True
    ) -> tuple[int, bytes, bytes]:
        if not self._secret:
            return t.cast(
                "tuple[int, bytes, bytes]", super()._bare_run(cmd, in_data, sudoable=sudoable, checkrc=checkrc)
            )
        self._ensure_logged_in()
        # Without checkrc a failed ssh is returned, and core then makes the exception of it.
        status, output, errors = super()._bare_run(cmd, in_data, sudoable=sudoable, checkrc=False)
        if status == 255 and b"Permission denied (" in errors and not self._is_logged_in():
            # ControlPersist ran out in the moment between. Nothing has run, and core tries this once more.
            raise AnsibleControlPersistBrokenPipeError("The connection ended before it was used.")
        return status, output, errors

    def _is_logged_in(self) -> bool:
        return self._ask_ssh("-O", "check").returncode == 0

    def _ensure_logged_in(self) -> None:
        if self._is_logged_in():
            return
        settings = self._effective_settings()
        if settings.get("controlmaster", "false") == "false" or settings.get("controlpersist", "no") == "no":
            raise AnsibleError(
                "fleet.auth.ssh_totp needs a connection that stays, because each login uses up a code. "
                "Let ssh_args keep '-o ControlMaster=auto -o ControlPersist=60s'."
            )
        account = f"{settings['user']}@{settings['hostname']}:{settings['port']}"
        name = f"totp-{hashlib.sha256(account.encode()).hexdigest()[:16]}"
        # Temporary files live as long as this run of Ansible.
        refused = os.path.join(C.DEFAULT_LOCAL_TMP, name)  # type: ignore[attr-defined]  # made at run time
        directory = unfrackpath(self.get_option("control_path_dir"))
        makedirs_safe(directory, 0o700)
        with note_in_hand(os.path.join(directory, name)) as note:
            # Another process may have logged in, or been refused, while this one waited for the note.
            if self._is_logged_in():
                return
            with contextlib.suppress(FileNotFoundError), open(refused) as file:
                raise AnsibleAuthenticationFailure(f"Not tried again in this run. {file.read()}")
            self._log_in(account, note, refused)

    def _log_in(self, account: str, note: Note, refused: str) -> None:
        self._code(at=0)  # A secret that is none shows before anything is sent.
        wait = min(note.next_code_at - time.time(), self.get_option("totp_interval"))
        if wait > 0:
            display.v(f"Waiting {wait:.0f} seconds for the next code, because this one was used", host=self.host)
            time.sleep(wait)

        def next_code() -> str:
            now, interval = int(time.time()), self.get_option("totp_interval")
            # Noted first: whatever ends this process now, no code is used twice.
            note.next_code_at = (now // interval + 1) * interval
            return self._code(at=now)

        answers = Answers(
            {CODE: next_code, PASSWORD: lambda: self._password},
            recognised_by={
                CODE: self.get_option("totp_prompt"),
                PASSWORD: self.get_option("sshpass_prompt") or "assword",
            },
        )
        display.vvv(f"Logging in as {account}, with a code where it is asked for", host=self.host)
        login = log_in(self._login_command(), answers, patience=_PATIENCE + self.get_option("timeout"))
        if login.ok:
            return
        failure = explain(login, answers.asked, has_password=bool(self._password))
        text = f"Logging in as {account} failed. {failure.text}"
        if failure.final:
            with open(refused, "w") as file:
                file.write(text)
        # Core retries a connection failure, and leaves an authentication failure at that.
        raise (AnsibleAuthenticationFailure if failure.answered else AnsibleConnectionFailure)(text)

    def _code(self, *, at: int) -> str:
        try:
            return code_at(
                str(self._secret),
                digits=self.get_option("totp_digits"),
                interval=self.get_option("totp_interval"),
                at=at,
            )
        except AnsibleError as error:
            raise AnsibleAuthenticationFailure(f"There is no code of ansible_totp_secret: {error.message}") from None

    def _login_command(self) -> list[bytes]:
        program, *options = super()._build_command(self.get_option("ssh_executable"), "ssh", self.host, "exit 0")
        methods = b"gssapi-with-mic,gssapi-keyex,hostbased,publickey,keyboard-interactive"
        return [
            program,
            b"-oBatchMode=no",
            b"-oKbdInteractiveAuthentication=yes",
            b"-oNumberOfPasswordPrompts=1",
            b"-oPreferredAuthentications=" + methods + (b",password" if self._password else b""),
            *options,
        ]

    def _effective_settings(self) -> dict[str, str]:
        """What ssh makes of the command line and of its configuration: two names of one host are one host here."""
        asked = self._ask_ssh("-G")
        if asked.returncode:
            raise AnsibleConnectionFailure(f"ssh does not take its options: {asked.stderr.decode(errors='replace')}")
        lines = asked.stdout.decode(errors="replace").splitlines()
        return dict(line.split(" ", 1) for line in lines if " " in line)

    def _ask_ssh(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = self._build_command(self.get_option("ssh_executable"), "ssh", *words, self.host)
        return subprocess.run(  # noqa: S603 - no shell, and the words are those that core gives ssh
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
