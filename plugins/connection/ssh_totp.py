# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ssh_totp
short_description: ssh that answers the prompt for a one-time password
version_added: 1.0.0
description:
  - Connects like P(ansible.builtin.ssh#connection), with all its options, to hosts that ask the account of Ansible for
    a code (TOTP, RFC 6238), after a key or after a password.
  - It logs in once, and everything else uses that connection. So O(ssh_args) must contain C(ControlMaster) and
    C(ControlPersist), as in the default. Without them, the plugin refuses to log in.
  - A host accepts each code only once. If a new login is needed within the same time step, after
    C(meta=reset_connection), the end of C(ControlPersist) or a reboot, it waits for the next code. All processes of
    one person on this controller wait for each other in the same way. Logins to other hosts do not matter, even if they
    share the secret.
  - After a code or a password was refused, no other one is sent until Ansible is run again, regardless of
    O(reconnection_retries), C(ignore_unreachable) and M(ansible.builtin.wait_for_connection). So neither is the account
    locked nor the address of the controller penalised.
  - Jump hosts (C(ProxyJump), in O(ssh_common_args) or in ssh's configuration) may ask for codes as well, all of them or
    some. The plugin logs in to each of them separately, before the host and on a terminal of its own, and answers only
    with what O(totp_jump_hosts) has for that jump host. So no host on the way gets the password or the code of another
    one.
  - All hosts behind a jump host share one login to it.
  - If neither O(totp_secret) nor O(totp_jump_hosts) is set, the plugin does the same as
    P(ansible.builtin.ssh#connection).
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
      - The variable may come from a vault or a lookup. The secret is never on a command line, in a file, in an
        environment or in output.
      - A secret that is not base32 makes the host unreachable, with a message that does not repeat the secret.
    type: string
    vars:
      - name: ansible_totp_secret
  totp_digits:
    description: The length of a code, 6 to 8 digits, with which the account was enrolled.
    type: int
    default: 6
    vars:
      - name: ansible_totp_digits
  totp_interval:
    description: For how many seconds a code is shown, 5 to 120, with which the account was enrolled.
    type: int
    default: 30
    vars:
      - name: ansible_totp_interval
  totp_prompt:
    description:
      - A part of the prompt for the code.
      - The default matches hosts that this collection has set up.
    type: string
    default: One-time password
    vars:
      - name: ansible_totp_prompt
  totp_jump_hosts:
    description:
      - The answers for the jump hosts on the way, by their names in C(ProxyJump). A jump host that is not listed must
        accept a key alone.
      - Each entry is a dictionary. Its C(secret), C(digits), C(interval) and C(prompt) are for the jump host what
        O(totp_secret), O(totp_digits), O(totp_interval) and O(totp_prompt) are for the host. C(password) is its
        password, if it asks for one.
      - The user, port and key of a jump host come from C(ProxyJump) and ssh's configuration.
    type: dict
    vars:
      - name: ansible_totp_jump_hosts
notes:
  - "O(password_mechanism) has no effect together with O(totp_secret) or O(totp_jump_hosts): the password is given at
    the same terminal as the code."
  - "Controllers, or containers of one controller, that do not share O(control_path_dir) do not know each other's codes.
    If two of them log in to the same account in the same time step, the host refuses the second. Give each an account
    of its own."
  - "A command of C(ProxyCommand) has no terminal on which it could ask. Write C(ProxyJump bastion) in place of
    C(ProxyCommand ssh -W %h:%p bastion)."
  - "For each account of a host there is a file in O(control_path_dir), with mode 0600. It contains only the time from
    which the next code may be used."
  - ssh must know the host key, because its question about a new one cannot be answered here.
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

# A bastion that asks for a code as well
# ansible_ssh_common_args: -o ProxyJump=deploy@bastion.example.com
# ansible_totp_jump_hosts:
#   bastion.example.com:
#     secret: "{{ vault_bastion_totp_secret }}"
"""

import contextlib
import dataclasses
import hashlib
import os
import subprocess
import time
import typing as t
from collections.abc import Sequence

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
    Failure,
    Names,
    Note,
    explain,
    locked_note,
    log_in,
)
from ansible_collections.fleet.auth.plugins.plugin_utils._types import connection_message
from ansible_collections.fleet.auth.plugins.plugin_utils._way import (
    NO_WAY,
    Credentials,
    by_program,
    chain,
    configuration,
    credentials_of,
    through,
    without_jump,
)

display = Display()

# How many seconds the host may take from one prompt to the next, in addition to the connection timeout.
_PATIENCE = 30
_PAUSE = 30
"""Seconds for which an unreachable jump host is not tried again, because each host behind it would try."""

_FOR_GOOD = "in this run"
_HOST = Names("ansible_totp_secret", "ansible_password", "ansible_ssh_private_key_file")


@dataclasses.dataclass(frozen=True)
class _Stop:
    """A host that the plugin logs in to: the one that Ansible works on, or a jump host on the way to it.

    title: its name in messages. account: user@host:port. way: the accounts of the jump hosts before it. check, login:
    the commands that check for a connection, and that make one.
    """

    title: str
    account: str
    way: tuple[str, ...]
    credentials: Credentials
    names: Names
    check: Sequence[bytes | str]
    login: Sequence[bytes | str]

    def code(self, *, at: int) -> str:
        """The code of the time step that contains *at*, in seconds since 1970."""
        credentials = self.credentials
        try:
            return code_at(str(credentials.secret), digits=credentials.digits, interval=credentials.interval, at=at)
        except AnsibleError as error:
            raise AnsibleAuthenticationFailure(
                f"No code can be made from {self.names.secret}: {error.message}"
            ) from None


class Connection(SSHConnection):
    """Logs in by itself, and leaves everything else to ansible.builtin.ssh.

    Two private methods of that plugin, which all its ssh, sftp and scp processes use, are overridden: `_build_command`,
    so that no process asks for anything or makes a connection of its own, and `_bare_run`, so that the connection
    exists before each process starts.
    """

    def set_options(self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Any = None) -> None:
        try:
            super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        except AnsibleError as error:
            raise AnsibleError(connection_message(str(error))) from None
        if self._logs_in:
            # Otherwise sshpass would be in front of commands that no longer need a password.
            self.set_option("password_mechanism", "disable")

    @property
    def _logs_in(self) -> bool:
        return bool(self.get_option("totp_secret") or self.get_option("totp_jump_hosts"))

    @property
    def _ssh(self) -> str:
        return t.cast(str, self.get_option("ssh_executable"))

    @property
    def _control_path_dir(self) -> str:
        return t.cast(str, unfrackpath(self.get_option("control_path_dir")))

    def _build_command(self, binary: str, subsystem: str, *other_args: bytes | str) -> list[bytes]:
        command = super()._build_command(binary, subsystem, *other_args)
        # The first value of an option wins, so later ones cannot override these.
        return [command[0], b"-oBatchMode=yes", NO_WAY, *without_jump(command[1:])] if self._logs_in else command

    def _bare_run(
        self, cmd: list[bytes], in_data: bytes | None, sudoable: bool = True, checkrc: bool = True
    ) -> tuple[int, bytes, bytes]:
        """Run a command over the connection that is logged in, and log in first if there is none."""
        if not self._logs_in:
            return t.cast(
                "tuple[int, bytes, bytes]", super()._bare_run(cmd, in_data, sudoable=sudoable, checkrc=checkrc)
            )
        self._ensure_logged_in()
        # Without checkrc, a failed ssh is returned, and ansible-core then raises the exception.
        status, output, errors = super()._bare_run(cmd, in_data, sudoable=sudoable, checkrc=False)
        if status == 255 and b"UNKNOWN port 65535" in errors and not _succeeds(self._check_command()):
            # ControlPersist ended in between. Nothing has run, and ansible-core tries once more.
            raise AnsibleControlPersistBrokenPipeError("The connection ended before it was used.")
        return status, output, errors

    def _check_command(self) -> list[bytes]:
        return self._build_command(self._ssh, "ssh", "-O", "check", self.host)

    def _ensure_logged_in(self) -> None:
        if _succeeds(self._check_command()):
            return
        stops = self._stops()
        for stop in stops:
            if stop.credentials.secret:
                stop.code(at=0)  # An invalid secret is found before anything is sent.
        makedirs_safe(self._control_path_dir, 0o700)
        for stop in stops:
            self._ensure_connection(stop)

    def _stops(self) -> list[_Stop]:
        """The jump hosts on the way, in the order in which they are reached, and the host last."""
        # The command of ansible-core for the host, without the options that this connection adds.
        goal = super()._build_command(self._ssh, "ssh", "-G", self.host)
        settings = _settings(goal)
        persist = settings.get("controlpersist", "no")
        if settings.get("controlmaster", "false") == "false" or persist == "no":
            raise AnsibleError(
                "fleet.auth.ssh_totp needs a persistent connection, because each login uses up a code. "
                "Keep '-o ControlMaster=auto -o ControlPersist=60s' in ssh_args."
            )
        jump_hosts = self.get_option("totp_jump_hosts") or {}
        plain = [self._ssh, *configuration(goal)]
        on_the_way = chain(settings, lambda jump: _settings([*plain, *jump.words, "-G", jump.name]))
        way = _by_its_program(on_the_way[0][1] if on_the_way else settings)
        stops: list[_Stop] = []
        for jump, its_settings in on_the_way:
            account, before = _account(its_settings), tuple(stop.account for stop in stops)
            name = hashlib.sha256("\n".join([*plain, *before, account]).encode()).hexdigest()[:10]
            socket = os.path.join(self._control_path_dir, f"jump-{name}").replace("%", "%%")
            there = [*plain, f'-oControlPath="{socket}"']
            credentials, entry = credentials_of(jump_hosts, jump.name), f"ansible_totp_jump_hosts['{jump.name}']"
            stays = ["-N", "-oControlMaster=auto", f"-oControlPersist={persist}", "-oClearAllForwardings=yes"]
            limit = f"-oConnectTimeout={self.get_option('timeout')}"
            stop = _Stop(
                f"{account}, a jump host,",
                account,
                before,
                credentials,
                Names(f"{entry}.secret", f"{entry}.password", "IdentityFile in ssh's configuration"),
                check=[*there, "-O", "check", jump.name],
                login=[there[0], *_asking(credentials), *way, limit, *there[1:], *stays, *jump.words, jump.name],
            )
            stops.append(stop)
            way = [through(there, jump)]
        program, *options = without_jump(super()._build_command(self._ssh, "ssh", self.host, "exit 0"))
        credentials = self._credentials()
        account, before = _account(settings), tuple(stop.account for stop in stops)
        login = [program, *_asking(credentials), *way, *options]
        return [*stops, _Stop(account, account, before, credentials, _HOST, check=self._check_command(), login=login)]

    def _credentials(self) -> Credentials:
        """The answers for the host."""
        return Credentials(
            secret=self.get_option("totp_secret"),
            password=self.get_option("password") or self._play_context.password,
            digits=self.get_option("totp_digits"),
            interval=self.get_option("totp_interval"),
            prompt=self.get_option("totp_prompt"),
            password_prompt=self.get_option("sshpass_prompt") or "assword",
        )

    def _ensure_connection(self, stop: _Stop) -> None:
        """Log in, unless there is a connection or another try would only be refused again."""
        if _succeeds(stop.check):
            return
        # Files in this directory live as long as this run of Ansible, which makes the attribute when it starts.
        directory = C.DEFAULT_LOCAL_TMP  # type: ignore[attr-defined]
        failed = os.path.join(directory, _file_name(*stop.way, stop.account))
        with locked_note(os.path.join(self._control_path_dir, _file_name(stop.account))) as note:
            # Another process may have logged in, or failed to, while this one waited for the lock.
            if _succeeds(stop.check):
                return
            with contextlib.suppress(FileNotFoundError), open(failed) as file:
                until, text = file.read().split("\n", 1)
                if until == _FOR_GOOD:
                    raise AnsibleAuthenticationFailure(f"Not tried again in this run. {text}")
                if time.time() < float(until):
                    raise AnsibleConnectionFailure(f"Not tried again so soon. {text}")
            failure = self._log_in(stop, note)
            if not failure:
                return
            text = f"Logging in as {stop.title} failed. {failure.text}"
            if failure.final or stop.names is not _HOST:
                with open(failed, "w") as file:
                    file.write(f"{_FOR_GOOD if failure.final else time.time() + _PAUSE}\n{text}")
        # ansible-core retries after a connection failure, and does not after an authentication failure.
        raise (AnsibleAuthenticationFailure if failure.answered else AnsibleConnectionFailure)(text)

    def _log_in(self, stop: _Stop, note: Note) -> Failure | None:
        """Log in at one stop with a code that was not used before. Return how that failed, or None."""
        credentials = stop.credentials
        wait = min(note.next_code_at - time.time(), credentials.interval) if credentials.secret else 0
        if wait > 0:
            display.v(f"Waiting {wait:.0f} seconds for the next code, because this one was used", host=self.host)
            time.sleep(wait)

        def next_code() -> str | None:
            if not credentials.secret:
                return None
            now = int(time.time())
            # Noted before the code is used, so that no code is used twice even if this process is killed now.
            note.next_code_at = (now // credentials.interval + 1) * credentials.interval
            return stop.code(at=now)

        answers = Answers(
            {CODE: next_code, PASSWORD: lambda: credentials.password},
            recognised_by={CODE: credentials.prompt, PASSWORD: credentials.password_prompt},
        )
        display.vvv(f"Logging in as {stop.title} with a code where it is asked for", host=self.host)
        login = log_in(stop.login, answers, patience=_PATIENCE + self.get_option("timeout"))
        if login.ok:
            return None
        return explain(
            login,
            answers.asked,
            has_password=bool(credentials.password),
            has_secret=bool(credentials.secret),
            names=stop.names,
        )


def _asking(credentials: Credentials) -> list[bytes]:
    """The options of an ssh that may ask for anything that there is an answer for."""
    methods = b"gssapi-with-mic,gssapi-keyex,hostbased,publickey,keyboard-interactive"
    return [
        b"-oBatchMode=no",
        b"-oKbdInteractiveAuthentication=yes",
        b"-oNumberOfPasswordPrompts=1",
        b"-oPreferredAuthentications=" + methods + (b",password" if credentials.password else b""),
    ]


def _by_its_program(settings: t.Mapping[str, str]) -> list[bytes]:
    """The option of ssh for a host that its configuration reaches with a ProxyCommand."""
    command = settings.get("proxycommand", "none")
    return [] if command == "none" else [by_program(command, run_by=os.environ.get("SHELL") or "/bin/sh")]


def _account(settings: t.Mapping[str, str]) -> str:
    return f"{settings['user']}@{settings['hostname']}:{settings['port']}"


def _file_name(*accounts: str) -> str:
    return f"totp-{hashlib.sha256(' '.join(accounts).encode()).hexdigest()[:16]}"


def _settings(command: Sequence[bytes | str]) -> dict[str, str]:
    """What `ssh -G` prints for the command line and the configuration, so that two names of one host are one host."""
    asked = _run(command)
    if asked.returncode:
        raise AnsibleConnectionFailure(f"ssh does not accept its options: {asked.stderr.decode(errors='replace')}")
    lines = asked.stdout.decode(errors="replace").splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


def _succeeds(command: Sequence[bytes | str]) -> bool:
    return _run(command).returncode == 0


def _run(command: Sequence[bytes | str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - no shell, and the words are those that core gives ssh
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
