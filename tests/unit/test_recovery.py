# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recovery command, run by sh on a copy of a host's files. The model of sshd and PAM tries the result."""

from __future__ import annotations

import re
import subprocess
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._backends import oath
from ansible_collections.fleet.auth.plugins.module_utils._host.state import HostState
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import PASS_THROUGH
from unit import scripts
from unit.builders import account, file, host_state, settings, with_sshd_settings
from unit.simulator import Logins, Machine, carried_out

_PATH = "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
_ABSOLUTE = re.compile(r"(?<![\w./}])/(?=(?:etc|run|var|usr/local|usr/libexec|usr/sbin)\b)")
PEOPLE = ("alice", "bob", "carol")


def on(*people: str, **options: t.Any) -> HostState:
    """A host where two-factor login is on for sshd and sudo."""
    target = settings(
        *(people or PEOPLE), **{"ssh": True, "services": ["sudo"], "exempt_users": ["ansible"], **options}
    )
    return carried_out(target, host_state())


class Box:
    """The files of a host under a directory, with stubs for the commands that would do harm."""

    def __init__(self, root: Path, state: HostState) -> None:
        self.root = root
        self.state = state
        for path, now in state.files.items():
            there = self.path(path)
            there.parent.mkdir(parents=True, exist_ok=True)
            if path in state.files and not now.content and now.mode & 0o100:
                there.mkdir(exist_ok=True)
            else:
                there.write_text(now.content, encoding="utf-8", errors="surrogateescape")
        self.command("id", 'case "$*" in -u) echo 0 ;; *nobody) exit 1 ;; *1001) echo alice ;; *) echo "$3" ;; esac')
        self.command("logger", f'echo "$*" >>{root}/log')
        self.command("systemctl", f'case "$*" in *.socket) exit 3 ;; reload*) echo "$2" >>{root}/reloads ;; esac')

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def set_switch(self, text: str | None) -> None:
        """Damage the switch, or remove it."""
        if text is None:
            self.path(places.SWITCH).unlink()
        else:
            self.path(places.SWITCH).write_text(text)

    def command(self, name: str, body: str) -> None:
        """Let the script find this stub in place of a command."""
        stub = self.root / "bin" / name
        stub.parent.mkdir(exist_ok=True)
        stub.write_text(f"#!/bin/sh\n{body}\n")
        stub.chmod(0o755)

    def recover(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = scripts.script("twofactor-recover")
        assert _PATH in command
        text = command.replace(_PATH, f"PATH={self.root}/bin:/bin")
        shebang, script = _ABSOLUTE.sub(f"{self.root}/", text).split("\n", 1)
        assert shebang == "#!/bin/sh"
        assert not _ABSOLUTE.search(script.replace(f"{self.root}/", ""))
        assert "/etc/pam.d" not in script.replace(f"{self.root}/etc", "")
        return subprocess.run(
            ["/bin/sh", "-s", "--", *arguments], input=script, capture_output=True, text=True, check=False
        )

    @property
    def after(self) -> HostState:
        """The host with its current files."""
        files = {}
        for path in {*self.state.files, places.SWITCH, places.DROP_IN}:
            there = self.path(path)
            if there.is_file():
                text = there.read_text(encoding="utf-8", errors="surrogateescape")
                files[path] = replace(self.state.files.get(path, file("")), content=text)
            elif there.is_dir():
                files[path] = self.state.files[path]
        return with_sshd_settings(replace(self.state, files=files))

    @property
    def reloads(self) -> list[str]:
        there = self.root / "reloads"
        return there.read_text().splitlines() if there.exists() else []

    @property
    def log(self) -> str:
        there = self.root / "log"
        return there.read_text() if there.exists() else ""


@pytest.fixture
def box(tmp_path: Path) -> t.Callable[[HostState], Box]:
    return lambda state: Box(tmp_path, state)


def logins(state: HostState) -> Logins:
    return Machine.booted(state).logins()


SCOPES: list[dict[str, t.Any]] = [
    {},
    {"scope": "enrolled", "exempt_users": ["ansible", "daemon"]},
    {"scope": "groups", "scope_groups": ["staff", "admins"], "exempt_groups": ["guests"]},
    {"exempt_addresses": ["192.0.2.0/24"], "exempt_groups": ["guests"]},
]


class TestEveryone:
    @pytest.mark.parametrize("mode", [None, 0o666])
    def test_waits_for_a_lock_that_no_other_account_can_hold(
        self, box: t.Callable[[HostState], Box], mode: int | None
    ) -> None:
        host = box(on())
        lock = host.path(places.LOCK)
        if mode is not None:
            lock.touch()
            lock.chmod(mode)
        assert host.recover().returncode == 0
        assert lock.stat().st_mode & 0o7777 == 0o600

    @pytest.mark.parametrize("options", SCOPES)
    def test_gets_in_as_before(self, box: t.Callable[[HostState], Box], options: dict[str, t.Any]) -> None:
        host = box(on(**options))
        done = host.recover()
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "twofactor-recover: two-factor login is off for everyone on this host; secrets are kept\n"
        assert logins(host.after) == logins(host_state())
        assert host.after.text(places.SWITCH) == PASS_THROUGH
        assert host.path(places.SWITCH).stat().st_mode & 0o777 == 0o644
        assert host.reloads == ["ssh.service"]
        assert host.log == (
            "-t twofactor-recover -p auth.notice -- "
            "two-factor login is off for everyone on this host; secrets are kept\n"
        )

    @pytest.mark.parametrize("state", [host_state(), on()])
    def test_gets_in_when_it_is_run_again(self, box: t.Callable[[HostState], Box], state: HostState) -> None:
        host = box(state)
        host.recover()
        before = host.after
        done = host.recover()
        assert (done.returncode, done.stdout) == (0, "twofactor-recover: two-factor login was off already\n")
        assert host.after == before

    def test_changes_nothing_if_it_was_never_on(self, box: t.Callable[[HostState], Box]) -> None:
        host = box(host_state())
        assert host.recover().returncode == 0
        assert host.after == host_state()
        assert host.reloads == []

    @pytest.mark.parametrize("switch", [None, "", "auth requisite pam_deny.so\n", "\0garbage"])
    def test_gets_in_if_the_switch_is_missing_or_damaged(
        self, box: t.Callable[[HostState], Box], switch: str | None
    ) -> None:
        host = box(on())
        host.set_switch(switch)
        assert host.recover().returncode == 0
        assert logins(host.after) == logins(host_state())

    def test_gets_in_on_a_full_disk(self, box: t.Callable[[HostState], Box]) -> None:
        host = box(on())
        host.command("mv", "exit 1")
        assert host.recover().returncode == 0
        assert host.after.text(places.SWITCH) == ""
        assert logins(host.after) == logins(host_state())
        assert [path.name for path in host.path("/etc/pam.d").iterdir() if path.name.startswith("twofactor.")] == []

    def test_gets_rid_of_a_change_that_died_half_way(self, box: t.Callable[[HostState], Box]) -> None:
        host = box(on())
        journal, staged = host.path(places.JOURNAL), host.path(f"{places.PAM_D}/.sshd.fleet-auth-new")
        journal.parent.mkdir(parents=True)
        journal.write_text("")
        host.path(places.UNDO).write_text("exit 1\n")
        staged.write_text("half")
        assert host.recover().returncode == 0
        assert not any(path.exists() for path in (journal, journal.parent, staged))

    @pytest.mark.parametrize("status", [0, 1])
    @pytest.mark.parametrize(("steps", "undone"), [("unmove\ta\tb\tc\n", True), ("unwrite\ta\tb\tc\n", False)])
    def test_keeps_one_of_two_credentials_after_a_half_finished_move(
        self, box: t.Callable[[HostState], Box], steps: str, undone: bool, status: int
    ) -> None:
        host = box(on())
        journal = host.path(places.JOURNAL)
        journal.parent.mkdir(parents=True)
        journal.write_text(steps)
        host.path(places.UNDO).write_text(f'echo "$*" >{host.root}/undone\nexit {status}\n')
        done = host.recover()
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
        assert (host.root / "undone").exists() == undone
        assert not journal.exists()

    def test_is_no_longer_locked(self, box: t.Callable[[HostState], Box]) -> None:
        host = box(on())
        tally = host.path(places.TALLY_DIRECTORY) / "alice"
        tally.write_text("x")
        host.recover()
        assert not tally.exists()
        assert tally.parent.is_dir()

    def test_is_warned_if_sshd_does_not_reload(self, box: t.Callable[[HostState], Box]) -> None:
        host = box(on())
        host.command("systemctl", 'case "$*" in *.socket) exit 3 ;; reload*) exit 1 ;; esac')
        done = host.recover()
        assert (done.returncode, done.stdout) == (1, "")
        assert "twofactor-recover: sshd does not reload; see 'sshd -t'\n" in done.stderr
        assert "-p auth.err" in host.log
        assert host.after.text(places.SWITCH) == PASS_THROUGH

    def test_is_asked_again_after_the_next_run_of_the_playbook(self, box: t.Callable[[HostState], Box]) -> None:
        state = on()
        host = box(state)
        host.recover()
        again = carried_out(settings(*PEOPLE, ssh=True, services=["sudo"], exempt_users=["ansible"]), host.after)
        assert logins(again) == logins(state)


class TestOneUser:
    @pytest.mark.parametrize("options", SCOPES)
    @pytest.mark.parametrize("name", PEOPLE)
    def test_alone_gets_in_as_before(
        self, box: t.Callable[[HostState], Box], options: dict[str, t.Any], name: str
    ) -> None:
        state = on(**options)
        host = box(state)
        done = host.recover("--user", name)
        assert (done.returncode, done.stderr) == (0, "")
        assert (
            done.stdout == f"twofactor-recover: {name} needs no code on this host until the next run of the playbook\n"
        )
        assert f"-p auth.notice -- {name} needs no code" in host.log
        before, now, kept = logins(host_state()), logins(host.after), logins(state)
        assert now == {login: (before if login[1] == name else kept)[login] for login in kept}

    def test_is_unchanged_when_it_is_run_again(self, box: t.Callable[[HostState], Box]) -> None:
        host = box(on(exempt_addresses=["192.0.2.0/24"]))
        host.recover("--user", "bob")
        before = host.after
        done = host.recover("--user", "bob")
        assert (done.returncode, done.stdout) == (0, "twofactor-recover: bob needed no code already\n")
        assert host.after == before

    def test_waits_for_a_change_that_died_half_way_to_be_undone(self, box: t.Callable[[HostState], Box]) -> None:
        host = box(on())
        journal = host.path(places.JOURNAL)
        journal.parent.mkdir(parents=True)
        journal.write_text("")
        host.path(places.UNDO).write_text(f'echo "$*" >{host.root}/undone; rm $0 {journal}\n')
        assert host.recover("--user", "alice").returncode == 0
        assert (host.root / "undone").read_text() == "--now\n"

    def test_may_be_followed_by_others(self, box: t.Callable[[HostState], Box]) -> None:
        host = box(on())
        for name in PEOPLE:
            assert host.recover("--user", name).returncode == 0
        assert logins(host.after) == {
            login: granted if login[1] in PEOPLE else logins(on())[login]
            for login, granted in logins(host_state()).items()
        }

    @pytest.mark.parametrize(("first", "second"), [("a.b", "axb"), ("axb", "a.b"), ("ab", "abc"), ("abc", "ab")])
    def test_is_not_mistaken_for_another_one(self, box: t.Callable[[HostState], Box], first: str, second: str) -> None:
        people = (account("root", uid=0, has_password=False, has_key=False), account(first), account(second))
        target = settings(first, second, ssh=True, services=[])
        host = box(carried_out(target, host_state(*people)))
        assert "until the next run" in host.recover("--user", first).stdout
        assert "until the next run" in host.recover("--user", second).stdout
        before = logins(host_state(*people))
        assert {login: granted for login, granted in logins(host.after).items() if login[1] != "root"} == {
            login: granted for login, granted in before.items() if login[1] != "root"
        }

    def test_is_no_longer_locked_and_nobody_else_is_let_off(self, box: t.Callable[[HostState], Box]) -> None:
        host = box(on())
        tallies = {name: host.path(places.TALLY_DIRECTORY) / name for name in PEOPLE}
        for tally in tallies.values():
            tally.write_text("x")
        host.recover("--user", "bob")
        assert {name for name, tally in tallies.items() if tally.exists()} == {"alice", "carol"}

    @pytest.mark.parametrize("state", [host_state(), carried_out(settings(enabled=False), on())])
    def test_needs_no_code_if_nobody_does(self, box: t.Callable[[HostState], Box], state: HostState) -> None:
        host = box(state)
        done = host.recover("--user", "alice")
        assert done.stdout == "twofactor-recover: two-factor login is off on this host; alice needs no code\n"
        assert done.returncode == 0
        assert host.after == state

    @pytest.mark.parametrize("switch", [None, "auth requisite pam_deny.so\n"])
    def test_is_refused_if_the_switch_is_missing_or_damaged(
        self, box: t.Callable[[HostState], Box], switch: str | None
    ) -> None:
        host = box(on())
        host.set_switch(switch)
        done = host.recover("--user", "alice")
        assert done.returncode == 1
        assert "is gone or damaged, and denies everyone; leave --user out, which lets everyone in" in done.stderr

    def test_is_seen_by_the_next_run(self, box: t.Callable[[HostState], Box]) -> None:
        host = box(on())
        host.recover("--user", "alice")
        assert host.after.code_step.recovered == ("alice",)
        assert on().code_step.recovered == ()

    def test_gets_advice_on_a_full_disk(self, box: t.Callable[[HostState], Box]) -> None:
        state = on()
        host = box(state)
        host.command("mv", "exit 1")
        done = host.recover("--user", "alice")
        assert done.returncode == 1
        assert done.stderr == (
            f"twofactor-recover: cannot write {host.path(places.SWITCH)}; if the disk is full, leave --user out: for "
            "everyone this needs no room\n"
        )
        assert host.after == state

    def test_is_asked_again_after_the_next_run_of_the_playbook(self, box: t.Callable[[HostState], Box]) -> None:
        state = on()
        host = box(state)
        host.recover("--user", "alice")
        again = carried_out(settings(*PEOPLE, ssh=True, services=["sudo"], exempt_users=["ansible"]), host.after)
        assert again.files[places.SWITCH] == state.files[places.SWITCH]
        assert logins(again) == logins(state)


class TestUsage:
    def test_is_shown_on_request(self, box: t.Callable[[HostState], Box]) -> None:
        host = box(on())
        done = host.recover("--help")
        assert done.returncode == 0
        assert done.stdout.startswith("usage: twofactor-recover ")
        assert host.after == on()

    @pytest.mark.parametrize("arguments", [["alice"], ["--user"], ["--user", "alice", "bob"], ["-u", "alice"], [""]])
    def test_is_shown_for_invalid_arguments(self, box: t.Callable[[HostState], Box], arguments: list[str]) -> None:
        host = box(on())
        done = host.recover(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("usage: twofactor-recover ")
        assert host.after == on()

    @pytest.mark.parametrize("name", ["", "*", "../x", "a b", "-x", ".x", "a,!b", "a/b", "a;b", "$(id)", "a\nb", "é"])
    def test_rejects_invalid_names(self, box: t.Callable[[HostState], Box], name: str) -> None:
        host = box(on())
        done = host.recover("--user", name)
        assert (done.returncode, done.stdout) == (2, "")
        told = f"'{name}' is not the name of an account; see 'getent passwd' for the existing accounts"
        assert done.stderr == f"twofactor-recover: {told}\n"
        assert host.after == on()

    def test_rejects_a_name_without_an_account(self, box: t.Callable[[HostState], Box]) -> None:
        host = box(on())
        done = host.recover("--user", "nobody")
        assert (done.returncode, done.stdout) == (2, "")
        told = "there is no account nobody on this host; see 'getent passwd' for the existing accounts"
        assert done.stderr == f"twofactor-recover: {told}\n"
        assert host.after == on()

    def test_rejects_the_number_of_an_account(self, box: t.Callable[[HostState], Box]) -> None:
        """Nobody logs in with a number, so nobody would be let in."""
        host = box(on())
        done = host.recover("--user", "1001")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == ("twofactor-recover: 1001 is the number of alice; try: twofactor-recover --user alice\n")
        assert host.after == on()

    @pytest.mark.parametrize("arguments", [[], ["--user", "alice"]])
    def test_is_for_root_alone(self, box: t.Callable[[HostState], Box], arguments: list[str]) -> None:
        host = box(on())
        host.command("id", "echo 1000")
        done = host.recover(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "twofactor-recover: only root can do this; try: sudo twofactor-recover\n"
        assert host.after == on()


def test_boot_creates_tally_and_lock_and_clears_leftovers_of_dead_logins() -> None:
    assert scripts.script("tmpfiles.conf").split("\n")[1:] == [
        f"d {places.TALLY_DIRECTORY} 0700 root root -",
        f"f {places.LOCK} 0600 root root -",
        f"r! {oath.DIRECTORY}/*.lock",
        f"r! {oath.DIRECTORY}/*.new",
        "r! /etc/google-authenticator/*~*",
        "",
    ]


@pytest.mark.parametrize(
    ("flags", "advice"),
    [
        ("----i---------e-------", ": chattr holds it; run 'chattr -ia {0}', and this again"),
        ("--------------e-------", "; see what 'dmesg' says of the disk, and run this again"),
    ],
)
def test_undeletable_drop_in_is_named_and_the_rest_is_done(tmp_path: Path, flags: str, advice: str) -> None:
    host = Box(tmp_path, on())
    drop_in = host.path(places.DROP_IN)
    host.command("rm", f'case "$*" in *{drop_in.name}) exit 1 ;; esac; exec /bin/rm "$@"')
    host.command("lsattr", f'case "$2" in {drop_in}) echo "{flags} $2" ;; esac')
    done = host.recover()
    assert done.returncode == 1
    told = f"nobody is asked for a code any more, but cannot remove {drop_in}{advice.format(drop_in)}\n"
    assert told in done.stderr
    assert host.after.code_step.passes_everyone
    assert not host.path(places.SELF_SERVICE_PROGRAM).exists()
