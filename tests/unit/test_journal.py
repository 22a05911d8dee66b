# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal, run by a real shell in a directory that stands for the root of a host.

All programs that the script calls are real, except for systemctl, sshd and logger.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import threading
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._apply import (
    credential_files,
    files,
    journal,
    lock,
    pending,
    transaction,
)
from ansible_collections.fleet.auth.plugins.module_utils._apply.actions import Actions, ApplyError
from ansible_collections.fleet.auth.plugins.module_utils._apply.journal import undo
from ansible_collections.fleet.auth.plugins.module_utils._backends import backends, google_authenticator, hotp, oath
from ansible_collections.fleet.auth.plugins.module_utils._plan.changes import (
    Change,
    Edit,
    Enrol,
    Listen,
    MakeDirectory,
    Move,
    Plan,
    ReloadSshd,
    Remove,
    RemoveMoved,
    Renew,
    Revision,
    StopListening,
    Write,
)
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings, User
from unit import scripts

NEVER_USED = "HOTP/T30 alice - 3132333435363738393031323334353637383930\n"
USED = NEVER_USED.rstrip() + "\t0\t755224\t2026-11-24T03:00:00L\n"

_HOST_PATH = re.compile(
    r"""(?<=[\s"'=>])/(?=(etc|var|run|usr(?= )|usr/libexec|usr/local|usr/sbin/sshd|usr/share/cockpit)\b)"""
)
_COMMANDS = ("cat", "flock", "mkdir", "mv", "rmdir", "touch")

# A reload copies the current drop-in to `in-force`.
_SYSTEMCTL = """\
echo "systemctl $*" >>"$ROOT/calls"
case "$1 $2" in
"reload ssh.service")
    [ ! -e "$ROOT/reload-fails" ] || exit 1
    rm -f "$ROOT/in-force"
    if [ -e "$ROOT/{drop_in}" ]; then cp "$ROOT/{drop_in}" "$ROOT/in-force"; fi ;;
"show "*) echo 0 ;;
"is-active --quiet") case $3 in *.socket) exit 3 ;; esac ;;
esac
exit 0
"""
# Kills the script and everything that it has started right before the command where the countdown ends.
_COUNTED = """\
if [ -e "$ROOT/kill" ]; then
    read -r left <"$ROOT/kill"
    echo $((left - 1)) >"$ROOT/kill"
    [ "$left" != 0 ] || kill -9 0
fi
"""
# Removals of files that do not exist are not counted, because they change nothing.
_COUNTED_IF_THERE = f"""\
for path; do
    if [ -e "$path" ] || [ -L "$path" ]; then
{_COUNTED}        break
    fi
done
"""


class Root:
    """A directory that stands for the root of a host. sshd uses the drop-in as it was at the last reload."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tools = path / "tools"
        self._tools.mkdir()
        self._tool("logger", "exit 0\n")
        self._tool("systemctl", _COUNTED + _SYSTEMCTL.format(drop_in=places.DROP_IN.lstrip("/")))
        for name, counted in {**dict.fromkeys(_COMMANDS, _COUNTED), "rm": _COUNTED_IF_THERE}.items():
            real = shutil.which(name)
            assert real, f"{name} is needed"
            self._tool(name, f'{counted}exec {real} "$@"\n')
        self.write("/usr/sbin/sshd", "#!/bin/sh\nexit 1\n", 0o755)
        for directory in (*journal.STAGING_DIRECTORIES, places.BOOT_LINK.rpartition("/")[0]):
            self.at(directory).mkdir(parents=True, exist_ok=True)
        self.at("/var/lib/fleet-auth").rmdir()

    def at(self, path: str) -> Path:
        """The place of a host's path in this root; a path inside the root is returned unchanged."""
        return Path(path) if Path(path).is_relative_to(self.path) else self.path / path.lstrip("/")

    def write(self, path: str, text: str, mode: int = 0o644) -> str:
        """Write a file."""
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).write_text(text)
        self.at(path).chmod(mode)
        return path

    def text(self, path: str) -> str | None:
        """The content of a file, or None if there is no such file."""
        return self.at(path).read_text() if self.at(path).exists() else None

    def moved(self, script: str) -> str:
        """A script written for the root of a host, changed to run in this root."""
        assert "\nPATH=/usr/local/sbin:" in script
        script = re.sub(r"^PATH=.*$", f"PATH={self._tools}:/usr/bin:/bin", script, flags=re.MULTILINE)
        return _HOST_PATH.sub(f"{self.path}/", script)

    def run(
        self, *undos: journal.Undo, arguments: t.Sequence[str] = ("--now",), **replaced: str
    ) -> subprocess.CompletedProcess[str]:
        """Write a journal with these steps, and undo them."""
        self.write(places.UNDO, self.undo_script(**replaced), 0o700)
        self.write(places.JOURNAL, self.journal(*undos))
        return self.again(*arguments)

    def undo_script(self, **replaced: str) -> str:
        """The undo script for this root, with these texts replaced."""
        text = self.moved(scripts.script("undo"))
        for before, after in replaced.items():
            assert before in text
            text = text.replace(before, after)
        return text

    def journal(self, *undos: journal.Undo, token: str = "cafe") -> str:  # noqa: S107 - the name of a change
        """A journal with these steps; its paths are in this root."""
        moved = [
            one._replace(arguments=tuple(str(self.at(a)) if a.startswith("/") else a for a in one.arguments))
            for one in undos
        ]
        return journal.render(moved, token, 1.0)

    def again(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Undo the existing journal."""
        return self.start(str(self.at(places.UNDO)), *arguments)

    def start(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script with the shell that Ansible and systemd use."""
        done = subprocess.run(
            ["/bin/sh", script, *arguments],
            env={"ROOT": str(self.path), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            start_new_session=True,
        )
        assert not done.stderr, done.stderr
        return done

    def kill_at(self, number: int) -> None:
        """Have the next script killed right before it starts this command, counted from 0."""
        (self.path / "kill").write_text(f"{number}\n")

    def tree(self) -> dict[str, tuple[int, str]]:
        """Mode and content of everything that a change is about, without the files that it needs for itself."""
        return {
            str(path.relative_to(self.path)): (path.lstat().st_mode, path.read_text() if path.is_file() else "")
            for top in ("etc", "usr", "run")
            for path in sorted((self.path / top).rglob("*"))
            if not re.search(r"\.fleet-auth-|at-boot|fleet-auth\.lock", path.name)
        }

    def leftovers(self) -> list[str]:
        """Files that must be gone after a change has ended."""
        named = [path for path in self.path.rglob("*") if re.search(r"\.fleet-auth-|at-boot", path.name)]
        there = [self.at(places.JOURNAL).parent] if self.at(places.JOURNAL).parent.exists() else []
        return [str(path) for path in (*named, *there)]

    def _tool(self, name: str, body: str) -> None:
        tool = self._tools / name
        tool.write_text(f"#!/bin/sh\n{body}")
        tool.chmod(0o755)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


# One verb at a time

NEW, OLD, PATH = "/etc/pam.d/.sshd.fleet-auth-1", "/etc/pam.d/.sshd.fleet-auth-1.old", "/etc/pam.d/sshd"
CREDENTIAL = "/etc/oath/alice"
STAGED_CREDENTIAL = "/etc/oath/.alice.fleet-auth-1"


def test_replaced_file_is_restored_with_its_mode(root: Root) -> None:
    root.write(PATH, "new")
    root.write(OLD, "old", 0o640)
    assert root.run(undo("unwrite", NEW, OLD, PATH)).returncode == 0
    assert root.text(PATH) == "old"
    assert stat.S_IMODE(root.at(PATH).stat().st_mode) == 0o640


def test_created_file_is_removed(root: Root) -> None:
    root.write(PATH, "new")
    assert root.run(undo("uncreate", NEW, PATH)).returncode == 0
    assert root.text(PATH) is None


def test_removed_file_is_restored(root: Root) -> None:
    root.write(OLD, "old")
    assert root.run(undo("unremove", OLD, PATH)).returncode == 0
    assert root.text(PATH) == "old"


def test_removed_directory_is_restored_with_its_content(root: Root) -> None:
    root.write("/run/.fleet-auth.fleet-auth-1.old/faillock/alice", "tally")
    root.at("/run/fleet-auth").rmdir()
    assert root.run(undo("unremove", "/run/.fleet-auth.fleet-auth-1.old", "/run/fleet-auth")).returncode == 0
    assert root.text("/run/fleet-auth/faillock/alice") == "tally"


def test_removed_and_recreated_directory_has_the_content_of_both(root: Root) -> None:
    root.write("/etc/ssh/.sshd_config.d.fleet-auth-1.old/50-before.conf", "before")
    root.write("/etc/ssh/sshd_config.d/60-since.conf", "since")
    step = undo("unremove", "/etc/ssh/.sshd_config.d.fleet-auth-1.old", "/etc/ssh/sshd_config.d")
    assert root.run(step).returncode == 0
    assert sorted(path.name for path in root.at("/etc/ssh/sshd_config.d").iterdir()) == [
        "50-before.conf",
        "60-since.conf",
    ]
    assert root.leftovers() == []


def test_mode_and_owner_of_a_directory_are_restored(root: Root) -> None:
    root.at("/etc/oath").chmod(0o700)
    owner = root.at("/etc/oath").stat()
    assert root.run(undo("reown", "0750", f"{owner.st_uid}:{owner.st_gid}", "/etc/oath")).returncode == 0
    assert stat.S_IMODE(root.at("/etc/oath").stat().st_mode) == 0o750


def test_created_directory_is_removed_if_it_is_empty(root: Root) -> None:
    root.write("/usr/libexec/kept/file", "")
    root.at("/usr/libexec/made").mkdir()
    assert root.run(undo("unmake", "/usr/libexec/made"), undo("unmake", "/usr/libexec/kept")).returncode == 0
    assert not root.at("/usr/libexec/made").exists()
    assert root.text("/usr/libexec/kept/file") == ""


def test_new_credential_is_removed_unless_it_was_used(root: Root) -> None:
    root.write(CREDENTIAL, NEVER_USED)
    root.write("/etc/oath/bob", USED)
    steps = (
        undo("unenrol", STAGED_CREDENTIAL, CREDENTIAL),
        undo("unenrol", "/etc/oath/.bob.fleet-auth-2", "/etc/oath/bob"),
    )
    assert root.run(*steps).returncode == 0
    assert root.text(CREDENTIAL) is None
    assert root.text("/etc/oath/bob") == USED


@pytest.mark.parametrize(("now", "afterwards"), [(NEVER_USED, "before\n"), (USED, USED)])
def test_changed_credential_is_restored_unless_it_was_used_since(root: Root, now: str, afterwards: str) -> None:
    root.write(f"{STAGED_CREDENTIAL}.kept", NEVER_USED)
    root.write(f"{STAGED_CREDENTIAL}.old", "before\n", 0o600)
    root.write(CREDENTIAL, now, 0o600)
    step = undo("unrenew", STAGED_CREDENTIAL, f"{STAGED_CREDENTIAL}.old", CREDENTIAL)
    assert root.run(step).returncode == 0
    assert root.text(CREDENTIAL) == afterwards


@pytest.mark.parametrize(
    "step",
    [
        undo("unwrite", NEW, OLD, PATH),
        undo("uncreate", NEW, PATH),
        undo("unenrol", NEW, PATH),
        undo("unrenew", NEW, OLD, PATH),
        undo("unremove", OLD, PATH),
    ],
)
def test_step_that_was_not_carried_out_is_not_undone(root: Root, step: journal.Undo) -> None:
    root.write(PATH, NEVER_USED)
    if step.arguments[0] == NEW:
        root.write(NEW, "new")
    assert root.run(step).returncode == 0
    assert root.text(PATH) == NEVER_USED


def test_versions_of_one_file_are_restored_one_after_the_other(root: Root) -> None:
    stages = [f"/etc/pam.d/.twofactor.fleet-auth-{number}" for number in (1, 2, 3)]
    steps = [undo("unwrite", stage, f"{stage}.old", "/etc/pam.d/twofactor") for stage in stages]
    seen = []
    for number in itertools.count():
        root.write("/etc/pam.d/twofactor", "fourth")
        for stage, text in zip(stages, ("first", "second", "third"), strict=True):
            root.write(f"{stage}.old", text)
        root.kill_at(number)
        if root.run(*steps).returncode == 0:
            break
        seen.append(root.text("/etc/pam.d/twofactor"))
    assert list(dict.fromkeys(seen)) == ["fourth", "third", "second", "first"]


@pytest.mark.parametrize("name", ["o'neil $HOME `id` ;", " a  b ", "back\\slash\\n", '"', "*", "-rf", "Á\x81é\u0301"])
def test_special_characters_in_names_are_kept(root: Root, name: str) -> None:
    path = root.write(f"/etc/oath/{name}", NEVER_USED)
    assert root.run(undo("unenrol", "/etc/oath/.x.fleet-auth-1", path)).returncode == 0
    assert root.text(path) is None


# The whole journal


def test_all_leftovers_of_the_change_are_removed(root: Root) -> None:
    root.write(places.BOOT_UNIT, "")
    root.at(places.BOOT_LINK).symlink_to(places.BOOT_UNIT)
    for directory in journal.STAGING_DIRECTORIES:
        root.write(f"{directory}/.file.fleet-auth-7.old", "")
    root.write("/etc/.directory.fleet-auth-8.old/file", "")
    done = root.run()
    assert (done.returncode, done.stdout) == (0, "fleet.auth: the change of two-factor login was undone\n")
    assert root.leftovers() == []
    assert "systemctl stop fleet-auth-undo.timer" in (root.path / "calls").read_text()


def systemctl_calls(root: Root) -> list[str]:
    """What systemctl was called with, except for the timer of the change."""
    calls = (root.text("/calls") or "").splitlines()
    return [call for call in calls if call.startswith("systemctl") and "fleet-auth-undo" not in call]


def test_units_are_read_once_if_one_listens_again(root: Root) -> None:
    root.write(OLD, "old")
    done = root.run(undo("listen", "page.socket"), undo("unwrite", NEW, OLD, PATH), undo("unlisten", "page.socket"))
    assert done.returncode == 0
    assert systemctl_calls(root) == [
        "systemctl disable --quiet --no-reload --now page.socket",
        "systemctl enable --quiet --no-reload page.socket",
        "systemctl daemon-reload",
        "systemctl start page.socket",
    ]


def test_units_are_read_once_after_all_that_listened_are_gone(root: Root) -> None:
    done = root.run(undo("unlisten", "page.socket"), undo("unlisten", "guard.path"))
    assert done.returncode == 0
    assert systemctl_calls(root) == [
        "systemctl disable --quiet --no-reload --now guard.path",
        "systemctl disable --quiet --no-reload --now page.socket",
        "systemctl daemon-reload",
    ]


def test_missing_tally_is_created(root: Root) -> None:
    root.write("/etc/tmpfiles.d/.fleet-auth.conf.fleet-auth-1.old", scripts.script("tmpfiles.conf"))
    step = undo("unremove", "/etc/tmpfiles.d/.fleet-auth.conf.fleet-auth-1.old", places.TMPFILES)
    assert root.run(step).returncode == 0
    assert stat.S_IMODE(root.at(places.TALLY_DIRECTORY).stat().st_mode) == 0o700


def test_no_tally_is_created_if_there_was_none(root: Root) -> None:
    assert root.run(undo("unmake", "/run/fleet-auth")).returncode == 0
    assert not root.at("/run/fleet-auth").exists()


def test_process_with_the_title_of_an_sshd_does_not_keep_a_change_from_being_undone(root: Root) -> None:
    """Any account can start one, and have it name a pipe as the configuration."""
    pipe = root.path / "pipe"
    os.mkfifo(pipe)
    title = f"sshd: /usr/sbin/sshd -f {pipe} [listener] 0 of 10-100 startups"
    root.write("/etc/ssh/sshd_config.d/.x.fleet-auth-1.old", "old")
    new = "/etc/ssh/sshd_config.d/.x.fleet-auth-1"
    with subprocess.Popen([title, "90"], executable="/bin/sleep") as stranger:
        try:
            assert root.run(undo("unwrite", new, f"{new}.old", places.DROP_IN)).returncode == 0
        finally:
            stranger.kill()
    assert root.text(places.DROP_IN) == "old"


def test_failed_undo_is_reported_and_tried_again(root: Root) -> None:
    root.write(places.DROP_IN, "new")
    root.write("/etc/ssh/sshd_config.d/.x.fleet-auth-1.old", "old")
    root.write("/reload-fails", "")
    new = "/etc/ssh/sshd_config.d/.x.fleet-auth-1"
    for done in (root.run(undo("unwrite", new, f"{new}.old", places.DROP_IN)), root.again("--now")):
        assert done.returncode == 1
        assert "could not be undone: sshd cannot be reloaded (see 'sshd -t' and" in done.stdout
        assert root.text(places.DROP_IN) == "old"
        assert root.at(places.JOURNAL).exists()
    root.at("/reload-fails").unlink()
    assert root.again("--now").returncode == 0
    assert root.text("/in-force") == "old"
    assert root.leftovers() == []


def test_steps_before_a_failed_one_are_not_undone(root: Root) -> None:
    root.write(PATH, "new")
    root.write(OLD, "old")
    root.at("/etc/pam.d/twofactor/full").mkdir(parents=True)
    steps = (
        undo("unwrite", NEW, OLD, PATH),
        undo("uncreate", "/etc/pam.d/.twofactor.fleet-auth-2", "/etc/pam.d/twofactor"),
    )
    done = root.run(*steps, **{'rm -f "$2"': 'rm -f "$2" 2>/dev/null'})
    assert (done.returncode, root.text(PATH)) == (1, "new")
    root.at("/etc/pam.d/twofactor/full").rmdir()
    root.at("/etc/pam.d/twofactor").rmdir()
    assert root.again("--now").returncode == 0
    assert root.text(PATH) == "old"


def test_tally_is_removed_if_no_code_is_asked_for(root: Root) -> None:
    root.write(f"{places.TALLY_DIRECTORY}/alice", "tally")
    assert root.run(undo("unmake", "/run/fleet-auth"), undo("unmake", places.TALLY_DIRECTORY)).returncode == 0
    assert not root.at("/run/fleet-auth").exists()


def test_lock_of_a_killed_change_is_removed_and_that_of_a_login_kept(root: Root) -> None:
    root.write("/etc/oath/alice.lock", "fleet.auth\n")
    root.write("/etc/oath/bob.lock", "")
    assert root.run().returncode == 0
    assert root.text("/etc/oath/alice.lock") is None
    assert root.text("/etc/oath/bob.lock") == ""


def test_script_that_is_stopped_half_way_says_so(root: Root) -> None:
    root.write(places.UNDO, root.undo_script(**{"free_credentials || give_up": "exit 2"}))
    root.write(places.JOURNAL, root.journal())
    done = subprocess.run(["/bin/sh", root.at(places.UNDO), "--now"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"{root.at(places.UNDO)} was stopped half-way; run it again\n")


@contextlib.contextmanager
def lock_held(root: Root) -> Iterator[t.IO[str]]:
    with root.at(places.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def test_change_under_way_is_waited_for(root: Root) -> None:
    root.write(PATH, "new")
    with lock_held(root) as lock:

        def end() -> None:
            root.at(PATH).write_text("done")
            root.write(OLD, "old")
            fcntl.flock(lock, fcntl.LOCK_UN)

        timer = threading.Timer(0.5, end)
        timer.start()
        done = root.run(undo("unwrite", NEW, OLD, PATH), arguments=())
        timer.join()
    assert done.returncode == 0
    assert root.text(PATH) == "old"


@pytest.mark.parametrize("meanwhile", ["the next change", "confirmed"])
def test_undo_after_waiting_leaves_newer_or_confirmed_changes_alone(root: Root, meanwhile: str) -> None:
    root.write(PATH, "new")
    root.write(OLD, "old")
    step = undo("unwrite", NEW, OLD, PATH)
    with lock_held(root) as lock:

        def end() -> None:
            if meanwhile == "confirmed":
                root.at(places.JOURNAL).unlink()
            else:
                root.write(places.JOURNAL, root.journal(step, token="beef"))
            fcntl.flock(lock, fcntl.LOCK_UN)

        timer = threading.Timer(0.5, end)
        timer.start()
        done = root.run(step, arguments=())
        timer.join()
    assert (done.returncode, done.stdout) == (0, "")
    assert (root.text(PATH), root.text(OLD)) == ("new", "old")
    assert root.at(places.JOURNAL).exists() == (meanwhile != "confirmed")


def test_missing_or_incomplete_journal_undoes_nothing(root: Root) -> None:
    root.write(PATH, "new")
    root.write(OLD, "old")
    root.write(places.UNDO, root.undo_script(), 0o700)
    for text in (None, "", "unwrite"):
        if text is not None:
            root.write(places.JOURNAL, text)
        assert root.again("--now").returncode == 0
        assert root.text(PATH) == "new"


def test_wait_for_a_hanging_change_ends(root: Root) -> None:
    root.write(PATH, "new")
    root.write(OLD, "old")
    with lock_held(root):
        done = root.run(undo("unwrite", NEW, OLD, PATH), arguments=(), **{"flock -w 15": "flock -w 1"})
    assert done.returncode == 0
    assert root.text(PATH) == "old"


def test_script_writes_its_process_number_into_the_lock(root: Root) -> None:
    done = root.run(arguments=())
    assert done.returncode == 0
    assert (root.text(places.LOCK) or "").strip().isdigit()


def test_token_and_time_are_read_back() -> None:
    text = journal.render([undo("uncreate", "a", "b")], "5f2b9c0a41d3e877", 3260.756)
    assert journal.token_of(text) == "5f2b9c0a41d3e877"
    assert journal.made_at(text) == 3260.76
    assert (journal.token_of("torn"), journal.made_at("torn")) == ("", 0.0)


# A change that dies


class Killed(BaseException):
    """The effect of kill -9: nothing of the program runs any more."""


@pytest.fixture
def changing(root: Root, monkeypatch: pytest.MonkeyPatch) -> Root:
    """A root in which `_apply` and its journals work."""
    monkeypatch.setattr(journal, "STAGING_DIRECTORIES", [str(root.at(d)) for d in journal.STAGING_DIRECTORIES])
    monkeypatch.setattr(backends, "LOCKS", [str(root.at(lock)) for lock in backends.LOCKS])
    for name in ("JOURNAL", "UNDO", "STATE_DIRECTORY", "LOCK", "BOOT_UNIT", "BOOT_LINK", "SYSTEMD"):
        monkeypatch.setattr(places, name, str(root.at(getattr(places, name))))
    for backend in (oath, google_authenticator):
        monkeypatch.setattr(backend, "DIRECTORY", str(root.at(backend.DIRECTORY)))
    for name in ("chown", "fchown"):
        monkeypatch.setattr(os, name, lambda *_arguments: None)
    monkeypatch.setattr(places, "FOR_A_CHANGE", {places.UNDO: 0o700, places.BOOT_UNIT: 0o644})
    Path(places.SYSTEMD).mkdir(parents=True)
    return root


def actions_in(root: Root) -> Actions:
    def run(words: t.Sequence[str]) -> tuple[int, str, str]:
        if words[0] == "/bin/sh":
            done = root.start(*words[1:])
            return done.returncode, done.stdout, done.stderr
        if words[:2] == ["systemctl", "is-active"] and words[-1].endswith(".socket"):
            return 3, "", ""
        if words[:2] == ["systemctl", "reload"]:
            (root.path / "in-force").write_text(root.text(places.DROP_IN) or "")
        return 0, "", ""

    return Actions(run, lambda _user, _address: {})


def carry_out(root: Root, changes: tuple[Change, ...], actions: Actions) -> None:
    handed = {places.UNDO: root.undo_script(), places.BOOT_UNIT: ""}
    with transaction.applied(Plan(changes), actions, 60, handed):
        pass


def prepared(root: Root) -> tuple[Change, ...]:
    """A host and a change to it, with a step of each kind and files that are written more than once."""
    shutil.rmtree(root.at("/usr/libexec/fleet-auth"), ignore_errors=True)
    root.write("/etc/pam.d/sshd", "sshd before\n")
    root.write("/etc/pam.d/twofactor", "switch before\n")
    root.write(places.DROP_IN, "drop-in before\n", 0o600)
    root.write("/in-force", "drop-in before\n")
    root.write("/etc/security/twofactor-access.conf", "rules before\n")
    root.write("/etc/oath/alice", NEVER_USED, 0o600)
    root.write("/etc/oath/bob.lock", "", 0o600)
    root.write("/etc/oath/carol", NEVER_USED.replace("alice", "carol"), 0o600)
    root.write("/run/fleet-auth/faillock/alice", "tally", 0o600)

    def at(path: str) -> str:
        return str(root.at(path))

    def write(path: str, text: str) -> Write:
        return Write(at(path), text, 0o644)

    alice, bob = Settings(users=(User("alice"),), interval=60), NEVER_USED.replace("alice", "bob")
    move = Move(
        "carol",
        path=at("/etc/google-authenticator/carol"),
        interval=30,
        before=at("/etc/oath/carol"),
        lock=at("/etc/oath/carol.lock"),
        source="oath",
        target="google_authenticator",
        revision=Revision(Settings(backend="google_authenticator"), "carol", "oath", 0.0),
    )
    return (
        Remove(at("/etc/oath/bob.lock")),
        MakeDirectory(at("/usr/libexec/fleet-auth"), 0o755),
        Renew("alice", at("/etc/oath/alice"), 60, at("/etc/oath/alice.lock"), Revision(alice, "alice", "oath", 0.0)),
        Enrol("bob", at("/etc/oath/bob"), 30, bob),
        write("/usr/libexec/fleet-auth/helper", "helper"),
        write("/etc/pam.d/sshd", "sshd after\n"),
        write(places.DROP_IN, "drop-in between\n"),
        ReloadSshd(()),
        move,
        write("/etc/pam.d/twofactor", "switch between\n"),
        write("/etc/pam.d/twofactor", "switch after\n"),
        write(places.DROP_IN, "drop-in after\n"),
        ReloadSshd(()),
        Remove(at("/etc/security/twofactor-access.conf")),
        RemoveMoved(move),
        Remove(at("/run/fleet-auth/faillock")),
    )


def die_at_rename(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the process die at this call of rename, counted from 0."""
    rename, calls = os.rename, itertools.count()

    def rename_or_die(source: str, target: str) -> None:
        if next(calls) == number:
            raise Killed
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_or_die)


_RENAMES = 14  # unit, script and journal first, then one for each step except directories and reloads


@pytest.mark.parametrize("number", range(_RENAMES))
def test_change_that_died_at_any_point_is_undone(changing: Root, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    changes = prepared(changing)
    before = changing.tree()
    with monkeypatch.context() as patch:
        die_at_rename(patch, number)
        with pytest.raises(Killed):
            carry_out(changing, changes, actions_in(changing))
    if pending.is_pending():
        assert transaction.undo(actions_in(changing)) == "Everything was put back as it was."
        assert changing.leftovers() == []
        assert changing.tree() == before
    else:
        assert number < 3
        assert before.items() <= changing.tree().items()
    assert changing.text("/in-force") == "drop-in before\n"


def test_undo_that_was_killed_at_any_point_is_finished_by_the_next(changing: Root) -> None:
    for number in itertools.count():
        changes = prepared(changing)
        before = changing.tree()
        carry_out(changing, changes, actions_in(changing))
        assert changing.text("/in-force") == "drop-in after\n"
        changing.kill_at(number)
        first = changing.again("--now")
        changing.at("/kill").unlink()
        if pending.is_pending():
            assert first.returncode == -9
            assert changing.again("--now").returncode == 0
            assert changing.tree() == before, number
        assert before.items() <= changing.tree().items(), number
        assert changing.text("/in-force") == "drop-in before\n", number
        if first.returncode == 0:
            break
    assert number > 20


def test_credential_used_since_the_change_stays(changing: Root) -> None:
    carry_out(changing, prepared(changing), actions_in(changing))
    changed = changing.text("/etc/oath/alice") or ""
    assert changed.startswith("HOTP/T60 ")
    used = changed.rstrip() + " 0 755224 2026-11-24T03:00:00L\n"
    changing.at(changing.write("/etc/oath/alice.new", used)).rename(changing.at("/etc/oath/alice"))
    assert transaction.undo(actions_in(changing)) == "Everything was put back as it was."
    assert changing.text("/etc/oath/alice") == used
    assert changing.leftovers() == []


def test_code_used_after_a_move_stays_used_when_the_move_is_undone(changing: Root) -> None:
    carry_out(changing, prepared(changing), actions_in(changing))
    there = changing.text("/etc/google-authenticator/carol") or ""
    used = changing.write("/etc/google-authenticator/carol~", there.replace("REUSE", "REUSE 7"), 0o400)
    changing.at(used).rename(changing.at("/etc/google-authenticator/carol"))
    assert transaction.undo(actions_in(changing)) == "Everything was put back as it was."
    assert changing.text("/etc/google-authenticator/carol") is None
    key = hotp.hotp(bytes.fromhex(NEVER_USED.split()[3]), 7, 6)
    back = NEVER_USED.replace("alice", "carol").replace("\n", f" 0 {key} 1970-01-01T00:00:00L\n")
    assert changing.text("/etc/oath/carol") == back
    assert changing.at("/etc/oath/carol").stat().st_mode & 0o777 == 0o600
    assert changing.leftovers() == []


def test_process_that_survives_a_killed_run_unlocks_its_credentials(changing: Root) -> None:
    mine, a_logins = (changing.at(f"/etc/oath/{name}.lock") for name in ("alice", "bob"))
    a_logins.touch()
    child = os.fork()
    if child == 0:
        with lock.exclusive(60.0):
            mine.write_text("fleet.auth\n")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with lock.exclusive(60.0):  # waits for the surviving process
        assert not mine.exists()
        assert a_logins.exists()


def test_second_run_waits_for_confirmation_but_not_for_a_dead_run(
    changing: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not pending.awaits_confirmation()
    with monkeypatch.context() as patch:
        die_at_rename(patch, 5)
        with pytest.raises(Killed):
            carry_out(changing, prepared(changing), actions_in(changing))
    assert (pending.is_pending(), pending.awaits_confirmation()) == (True, False)
    assert transaction.undo(actions_in(changing)) == "Everything was put back as it was."
    carry_out(changing, prepared(changing), actions_in(changing))
    assert pending.awaits_confirmation()
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    monkeypatch.setattr(time, "clock_gettime", lambda _clock: now + 61)
    assert not pending.awaits_confirmation()
    assert transaction.undo(actions_in(changing)) == "Everything was put back as it was."


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_existing_lock_gets_the_right_mode_and_is_respected(changing: Root, mode: int) -> None:
    changing.write(places.LOCK, "", mode)
    with lock_held(changing), pytest.raises(ApplyError, match=r"another run of fleet\.auth"), lock.exclusive(0.3):
        pass
    with lock.exclusive(0.3) as waited:
        assert waited < 0.3
        assert stat.S_IMODE(Path(places.LOCK).stat().st_mode) == 0o600


def test_lock_held_by_another_account_does_not_stop_a_run(changing: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_is_unprivileged", lambda _process: True)
    with (
        lock_held(changing),
        lock.exclusive(0.3),
        Path(places.LOCK).open() as again,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(again, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_login_during_a_rewrite_of_a_credential_is_kept(changing: Root) -> None:
    path = changing.at(changing.write("/etc/google-authenticator/alice", "before"))

    def rewrite(text: str) -> str:
        if text == "before":
            changing.at(changing.write(f"{path}~V8lWsh", "used")).rename(path)
        return f"{text} and changed"

    assert credential_files.rewrite(str(path), f"{path}~", rewrite)
    assert path.read_text() == "used and changed"


def test_rewritten_credential_keeps_comments_in_any_characters(changing: Root) -> None:
    path = changing.at(changing.write("/etc/google-authenticator/joerg", ""))
    path.write_bytes("# Jörgs Telefon\n".encode() + b"# \xff\n")
    assert credential_files.rewrite(str(path), f"{path}~", lambda text: f"{text}changed\n")
    assert path.read_bytes() == "# Jörgs Telefon\n".encode() + b"# \xff\nchanged\n"


def test_failed_record_of_a_used_code_leaves_no_lock_for_the_next_login(
    changing: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(changing.at(changing.write("/etc/oath/alice", NEVER_USED)))

    def full(_source: str, _target: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        credential_files.rewrite(path, f"{path}.lock", lambda _text: USED)
    assert {file.name: file.read_text() for file in Path(path).parent.iterdir()} == {"alice": NEVER_USED}


_READ_BY_DAEMON = struct.pack(
    "<I" + "HHI" * 5,
    2,
    *(1, 6, ~0 & 0xFFFFFFFF),
    *(2, 4, 1),
    *(4, 4, ~0 & 0xFFFFFFFF),
    *(16, 4, ~0 & 0xFFFFFFFF),
    *(32, 4, ~0 & 0xFFFFFFFF),
)
"""An access list (acl(5)) that lets another user read a file, in the form of the attribute."""


def test_edited_file_keeps_its_attributes_and_inherits_none(changing: Root) -> None:
    path = changing.at(changing.write("/etc/pam.d/sshd", "before\n"))
    os.setxattr(path, "user.note", b"mine")
    os.setxattr(path, "system.posix_acl_access", _READ_BY_DAEMON)
    plain = changing.at(changing.write("/etc/pam.d/sudo", "before\n"))
    os.setxattr(path.parent, "system.posix_acl_default", _READ_BY_DAEMON)
    wanted = {one: {name: os.getxattr(one, name) for name in os.listxattr(one)} for one in (path, plain)}
    steps = [*itertools.pairwise(("before\n", "between\n", "after\n"))]
    edits = [Edit(str(one), text, 0o644, former=former) for one in (path, plain) for former, text in steps]
    carry_out(changing, tuple(edits), actions_in(changing))
    assert (path.read_text(), plain.read_text()) == ("after\n", "after\n")
    assert {one: {name: os.getxattr(one, name) for name in os.listxattr(one)} for one in wanted} == wanted


@pytest.mark.parametrize("when", ["before staging", "after staging"])
def test_file_that_somebody_changes_during_a_run_keeps_that_change(
    changing: Root, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    path = changing.at(changing.write("/etc/pam.d/sshd", "before\n"))
    edit = Edit(str(path), "after\n", 0o644, former="before\n")
    if when == "before staging":
        path.write_text("of somebody\n")
    else:
        sync = files.sync_directory

        def sync_and_write(directory: str) -> None:
            sync(directory)
            path.write_text("of somebody\n")

        monkeypatch.setattr(files, "sync_directory", sync_and_write)
    with pytest.raises(ApplyError, match=r"sshd was changed by something else since .* Run again\."):
        carry_out(changing, (edit,), actions_in(changing))
    assert path.read_text() == "of somebody\n"
    assert changing.leftovers() == []


def test_attribute_that_cannot_be_kept_is_reported_and_nothing_is_changed(
    changing: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = changing.at(changing.write("/etc/pam.d/sshd", "before\n"))
    os.setxattr(path, "user.note", b"mine")
    before = changing.tree()

    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "setxattr", refuse)
    with pytest.raises(ApplyError, match=r"attribute user\.note cannot be kept: .*sshd.*Nothing was changed"):
        carry_out(changing, (Edit(str(path), "after\n", 0o644, former="before\n"),), actions_in(changing))
    assert changing.tree() == before
    assert changing.leftovers() == []


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EPERM, "see 'lsattr -d .*/etc/pam.d .*/etc/pam.d/sshd'"), (errno.EROFS, "see 'findmnt -T .*/etc/pam.d'")],
)
def test_file_that_cannot_be_replaced_is_reported_and_nothing_is_changed(
    changing: Root, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    path = changing.write("/etc/pam.d/sshd", "before\n")
    before = changing.tree()

    def held(source: str, _target: str) -> None:
        raise OSError(number, os.strerror(number), source)

    monkeypatch.setattr(os, "link", held)
    with pytest.raises(ApplyError, match=f"/etc/pam.d/sshd.* {remedy}.*Nothing was changed"):
        carry_out(changing, (Edit(str(changing.at(path)), "after\n", 0o644, former="before\n"),), actions_in(changing))
    assert changing.tree() == before
    assert changing.leftovers() == []


def test_failed_change_is_undone_and_says_so(changing: Root) -> None:
    changes = prepared(changing)
    before = changing.tree()
    actions = actions_in(changing)

    def run(words: t.Sequence[str]) -> tuple[int, str, str]:
        return (1, "", "no") if words[:2] == ["systemctl", "reload"] else actions.run(words)

    with pytest.raises(ApplyError, match=r"does not reload: no\. Everything was put back as it was\."):
        carry_out(changing, changes, actions._replace(run=run))
    assert changing.tree() == before
    assert changing.leftovers() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            (StopListening("page.socket"), Listen("page.socket")),
            [
                "disable --quiet --no-reload --now page.socket",
                "enable --quiet --no-reload page.socket",
                "daemon-reload",
                "start page.socket",
            ],
        ),
        (
            (StopListening("page.socket"), StopListening("guard.path")),
            [
                "disable --quiet --no-reload --now page.socket",
                "disable --quiet --no-reload --now guard.path",
                "daemon-reload",
            ],
        ),
        ((), []),
    ],
    ids=["listens again", "gone", "none"],
)
def test_change_has_systemd_read_its_units_once(
    changing: Root, changes: tuple[Change, ...], expected: list[str]
) -> None:
    actions = actions_in(changing)
    called: list[str] = []

    def run(words: t.Sequence[str]) -> tuple[int, str, str]:
        if words[0] == "systemctl":
            called.append(" ".join(words[1:]))
        return actions.run(words)

    carry_out(changing, changes, actions._replace(run=run))
    assert [call for call in called if "fleet-auth-undo" not in call] == expected


def test_unit_that_does_not_start_fails_the_change(changing: Root) -> None:
    actions = actions_in(changing)

    def run(words: t.Sequence[str]) -> tuple[int, str, str]:
        return (1, "", "no") if words[:2] == ["systemctl", "start"] else actions.run(words)

    with pytest.raises(ApplyError, match=r"'systemctl start page\.socket' failed: no\. Everything was put back"):
        carry_out(changing, (Listen("page.socket"),), actions._replace(run=run))


def test_change_with_a_bug_is_undone_and_keeps_the_traceback(changing: Root) -> None:
    changes = prepared(changing)
    before = changing.tree()
    actions = actions_in(changing)

    def run(words: t.Sequence[str]) -> tuple[int, str, str]:
        if words[:2] == ["systemctl", "reload"]:
            raise KeyError("a bug")
        return actions.run(words)

    with pytest.raises(RuntimeError, match=r"fleet\.auth itself failed .*Everything was put back") as raised:
        carry_out(changing, changes, actions._replace(run=run))
    assert not isinstance(raised.value, ApplyError)
    assert isinstance(raised.value.__cause__, KeyError)
    assert changing.tree() == before
    assert changing.leftovers() == []


def test_change_of_an_unknown_type_changes_nothing(changing: Root) -> None:
    changes = prepared(changing)
    before = changing.tree()
    with pytest.raises(TypeError, match="nothing stages a str"):
        carry_out(changing, (changes[5], t.cast(Change, "what is this")), actions_in(changing))
    assert before.items() <= changing.tree().items()
    assert not pending.is_pending()


# Shell


def test_name_that_the_journal_cannot_contain_prevents_the_change(changing: Root) -> None:
    before = changing.tree()
    path = f"{changing.path}/etc/oath/new\tname"
    with pytest.raises(ApplyError, match=r"has a tab or a line break in its name; rename or remove it\. Nothing was"):
        carry_out(changing, (Write(path, "text", 0o600),), actions_in(changing))
    assert changing.tree() == before
    assert changing.leftovers() == []
