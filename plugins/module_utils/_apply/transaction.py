# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries a plan out, as one transaction: all of it, or the host as it was.

Everything that can fail for want of room is done first and beside the files in question: new contents are laid ready,
old ones are kept. Then the journal is written, and armed. From there on a change is nothing but renames, in the order
of the plan. Credentials that logins write meanwhile are no part of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import secrets
import shutil
import signal
import time
import typing as t

from .. import _places as places
from .._plan.changes import ApplyError, Change, Enrol, MakeDirectory, Plan, ReloadSshd, Remove, Socket, Write
from . import credential_files, files, journal

LOCK_SECONDS = 10.0

_RELOAD_SECONDS = 5.0


class Actions(t.NamedTuple):
    """What a plan needs of the host beside its files."""

    run: t.Callable[[t.Sequence[str]], tuple[int, str, str]]
    effective: t.Callable[[str, str], t.Mapping[str, tuple[str, ...]]]
    """The settings of sshd's files for a user from an address."""


@contextlib.contextmanager
def exclusive() -> t.Iterator[None]:
    """One run at a time on a host. Raises ApplyError where another one does not end in time."""
    descriptor = os.open(places.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
                    raise ApplyError(
                        f"another run of fleet.auth (process {holder}) is changing this host, and holds "
                        f"{places.LOCK}. Nothing was changed. Wait for it to end, and run again."
                    ) from None
                time.sleep(0.1)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        with _survived():
            yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _survived() -> t.Iterator[None]:
    """Have a process that frees the credentials should this one be killed: until then nobody's code would be right."""
    reader, writer = os.pipe()
    survivor = os.fork()
    if survivor == 0:
        try:
            os.setsid()
            os.close(writer)
            if not os.read(reader, 1):
                credential_files.free()
        finally:
            os._exit(0)
    os.close(reader)
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            os.write(writer, b".")
        os.close(writer)
        os.waitpid(survivor, 0)


@contextlib.contextmanager
def applied(plan: Plan, actions: Actions, rollback_after: int, handed: t.Mapping[str, str]) -> t.Iterator[str]:
    """Carry the changes out in their order, and enter with the token that confirms them.

    `handed` has the texts of what puts a host back, by path.

    Until somebody confirms, the host puts itself back at the next boot, and after `rollback_after` seconds unless that
    is 0. Whatever is raised, here or inside, the host is put back to what it was before, and ApplyError says so.
    """
    token = secrets.token_hex(8)
    undos: list[journal.Undo] = []
    _sweep()
    try:
        steps = _stage(plan.changes, undos)
        text = journal.render(undos, token, time.clock_gettime(time.CLOCK_BOOTTIME))
        _arm(text, handed, actions, rollback_after)
    except (OSError, ApplyError) as error:
        with contextlib.suppress(OSError):
            files.unlink(places.JOURNAL)
            _clean_up(actions)
        for directory in [undo.arguments[0] for undo in reversed(undos) if undo.makes_a_directory]:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        raise ApplyError(f"{_describe(error)} Nothing was changed.") from None
    try:
        for step in steps:
            step(actions)
        yield token
    except Exception as error:
        raise ApplyError(f"{_describe(error)} {undo(actions)}") from None


def undo(actions: Actions) -> str:
    """Put the host back as the journal has it, and say whether that went well."""
    # The journal of release 1.0 is a script itself.
    script = places.UNDO if os.path.exists(places.UNDO) else places.JOURNAL
    code, out, error = actions.run([places.SHELL, script, "--now"])
    if code == 0:
        return "Everything was put back as it was."
    return (
        f"Putting everything back failed as well: {(error or out).strip()}. 'sh {script}' on the host tries "
        "again; 'twofactor-recover' turns two-factor login off."
    )


def is_pending() -> bool:
    """Whether there is a change that died half-way, or that nobody has confirmed."""
    return os.path.exists(places.JOURNAL)


def pending_change() -> tuple[str, float] | None:
    """The token of a change that waits to be confirmed, and when it began, in seconds since boot."""
    try:
        with open(places.JOURNAL, encoding="utf-8") as file:
            script = file.read()
    except FileNotFoundError:
        return None
    return journal.token_of(script), journal.made_at(script)


def confirm(token: str, actions: Actions) -> bool:
    """Make the change with this token stay. Returns False where it was put back already."""
    pending = pending_change()
    if pending is None or pending[0] != token:
        return False
    files.unlink(places.JOURNAL)
    files.sync_directory(places.JOURNAL)
    # It stays now, whatever happens here; what cannot be removed, the next run removes.
    with contextlib.suppress(OSError):
        _clean_up(actions)
    return True


def clean_up(actions: Actions) -> None:
    """Remove what is left of a change that has come to its end, and was killed before it had tidied up."""
    if any(map(os.path.lexists, (places.BOOT_LINK, places.BOOT_UNIT, places.STATE_DIRECTORY))):
        _clean_up(actions)
    else:
        _sweep()


def start_timer(timer: str, texts: t.Mapping[str, tuple[str, int]], actions: Actions) -> None:
    """Install files, by path with text and mode, and start the timer that is one of them, now and at each boot."""
    for path, (text, mode) in texts.items():
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        files.replace(path, text.encode("ascii"), mode)
    for words in (["daemon-reload"], ["enable", "--quiet", "--now", timer]):
        code, _out, error = actions.run(["systemctl", *words])
        if code != 0:
            raise ApplyError(f"systemd does not start {timer}: {error.strip()}.")


def _describe(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename or 'the disk'}."
    return str(error)


# Laying ready

_Step = t.Callable[[Actions], None]


def _stage(changes: t.Sequence[Change], undos: list[journal.Undo]) -> list[_Step]:
    """Lay every content ready and keep every old one. What is returned only renames, and reloads sshd."""
    steps: list[_Step] = []
    latest: dict[str, str] = {}
    for number, change in enumerate(changes):
        if isinstance(change, ReloadSshd):
            steps.append(_reload_step(change))
            continue
        if isinstance(change, Socket):
            steps.append(_socket_step(change))
            undos.append(journal.undo("unlisten" if change.listening else "listen", change.unit))
            continue
        if isinstance(change, MakeDirectory):
            if not os.path.isdir(change.path):
                undos.append(journal.undo("unmake", change.path))
            files.make_directory(change.path, change.mode)
            continue
        if not os.path.isdir(os.path.dirname(change.path)):
            undos.append(journal.undo("unmake", os.path.dirname(change.path)))
        new = files.staged(change.path, number)
        old = f"{new}.old"
        if isinstance(change, Remove):
            steps.append(_rename_step(change.path, old))
            if change.moved and change.moved.source:
                made = latest[change.moved.path]
                backends = change.moved.source, change.moved.settings.backend
                undos.append(journal.undo("unmove", old, change.moved.path, f"{made}.kept", *backends, change.path))
            else:
                undos.append(journal.undo("unremove", old, change.path))
        elif isinstance(change, Write) or change.source:
            if isinstance(change, Write):
                content = change.content.encode("utf-8", "surrogateescape")
                files.write(new, content, change.mode, change.uid, change.gid)
                steps.append(_rename_step(new, change.path))
            else:
                credential_files.write(new, change.text(credential_files.read(change.before), secrets.token_bytes))
                steps.append(_move_step(change, new))
            if change.path in latest or os.path.exists(change.path):
                os.link(latest.get(change.path, change.path), old)
                undos.append(journal.undo("unwrite", new, old, change.path))
            else:
                undos.append(journal.undo("uncreate", new, change.path))
            latest[change.path] = new
        elif change.new:
            credential_files.write(new, change.text(None, secrets.token_bytes))
            steps.append(_rename_step(new, change.path))
            undos.append(journal.undo("unenrol", new, change.path))
        else:
            steps.append(_update_step(change, new, old))
            undos.append(journal.undo("unrenew", new, old, change.path))
    for directory in {os.path.dirname(undo.path) for undo in undos if undo.path}:
        files.sync_directory(os.path.join(directory, ""))
    return steps


def _arm(text: str, handed: t.Mapping[str, str], actions: Actions, rollback_after: int) -> None:
    """From now on the host puts itself back: at the next boot, and with a timer if one is wanted."""
    if rollback_after:
        # The timer comes first: without a journal it does nothing.
        _stop_timer(actions)
        code, _out, error = actions.run(
            [
                "systemd-run",
                f"--unit={places.UNDO_TIMER}",
                f"--on-active={rollback_after}",
                "--timer-property=AccuracySec=1s",
                "--property=Restart=on-failure",
                "--property=RestartSec=10",
                "--collect",
                places.SHELL,
                "-c",
                f"[ ! -e {places.JOURNAL} ] || exec {places.SHELL} {places.UNDO}",
            ]
        )
        if code != 0:
            raise ApplyError(f"systemd starts no timer that would put the host back: {error.strip()}.")
    if os.path.isdir(places.SYSTEMD):
        os.makedirs(os.path.dirname(places.BOOT_LINK), mode=0o755, exist_ok=True)
        _write_handed(places.BOOT_UNIT, handed)
        with contextlib.suppress(FileExistsError):
            os.symlink(places.BOOT_UNIT, places.BOOT_LINK)
    os.makedirs(places.STATE_DIRECTORY, mode=0o700, exist_ok=True)
    _write_handed(places.UNDO, handed)
    files.replace(places.JOURNAL, text.encode("utf-8", "surrogateescape"), 0o600)


def _write_handed(path: str, handed: t.Mapping[str, str]) -> None:
    files.replace(path, handed[path].encode("ascii"), places.FOR_A_CHANGE[path])


def _clean_up(actions: Actions) -> None:
    """Remove what a change needed that has come to its end."""
    _stop_timer(actions)
    for path in (places.BOOT_LINK, places.BOOT_UNIT, places.UNDO):
        files.unlink(path)
    _sweep()
    with contextlib.suppress(OSError):
        os.rmdir(places.STATE_DIRECTORY)


def _sweep() -> None:
    """Remove what was laid ready for a change, or kept from it, and the locks of runs that were killed."""
    credential_files.free()
    for directory in journal.STAGING_DIRECTORIES:
        for path in glob.glob(f"{directory}/{places.STAGED}"):
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                files.unlink(path)


def _stop_timer(actions: Actions) -> None:
    if os.path.isdir(places.SYSTEMD):
        actions.run(["systemctl", "stop", f"{places.UNDO_TIMER}.timer", f"{places.UNDO_TIMER}.service"])


def _socket_step(change: Socket) -> _Step:
    def step(actions: Actions) -> None:
        if change.listening:
            actions.run(["systemctl", "daemon-reload"])
        verb = "enable" if change.listening else "disable"
        code, _out, error = actions.run(["systemctl", verb, "--quiet", "--now", change.unit])
        if code != 0:
            raise ApplyError(f"systemd does not {verb} {change.unit}: {error.strip()}.")

    return step


# Files


def _rename_step(source: str, target: str) -> _Step:
    def step(_actions: Actions) -> None:
        os.rename(source, target)
        files.sync_directory(target)

    return step


# Credentials


def _update_step(change: Enrol, new: str, old: str) -> _Step:
    def step(_actions: Actions) -> None:
        with credential_files.locked(change.lock):
            credential_files.lay_ready(new, change.path, lambda text: change.text(text, secrets.token_bytes))
            os.link(new, f"{new}.kept")
            os.link(change.path, old)
            os.rename(new, change.path)
        files.sync_directory(change.path)

    return step


def _move_step(change: Enrol, new: str) -> _Step:
    """What was laid ready is made anew, for people may have used codes since."""

    def step(_actions: Actions) -> None:
        with credential_files.locked(change.lock):
            credential_files.lay_ready(new, change.before, lambda text: change.text(text, secrets.token_bytes))
            files.unlink(f"{new}.kept")
            os.link(new, f"{new}.kept")
            os.rename(new, change.path)
        files.sync_directory(change.path)

    return step


# sshd


def _reload_step(change: ReloadSshd) -> _Step:
    def step(actions: Actions) -> None:
        _check_sshd(change, actions)
        _reload_sshd(actions)

    return step


def _check_sshd(change: ReloadSshd, actions: Actions) -> None:
    code, _out, error = actions.run([places.SSHD, "-t"])
    if code != 0:
        raise ApplyError(f"sshd refuses its configuration: {error.strip()}.")
    for expectation in change.expectations:
        effective = actions.effective(expectation.user, expectation.address)
        for keyword, wanted in expectation.settings.items():
            if effective.get(keyword, ()) != wanted:
                raise ApplyError(
                    f"sshd would not do what was meant for {expectation.user}: {keyword} is "
                    f"'{' '.join(effective.get(keyword, ()))}' instead of '{' '.join(wanted)}', because another part "
                    "of its configuration wins."
                )


def _reload_sshd(actions: Actions) -> None:
    before = _pid_file()
    for unit in places.SSHD_UNITS:
        if _is_active(actions, f"{unit}.service"):
            verb = "reload"
            if _is_active(actions, f"{unit}.socket"):
                # A reload ends in vain where systemd has the port. Sessions outlive a restart, which is not counted.
                verb = "restart"
                actions.run(["systemctl", "reset-failed", f"{unit}.service"])
            code, _out, error = actions.run(["systemctl", verb, f"{unit}.service"])
            if code != 0:
                raise ApplyError(f"{unit}.service does not {verb}: {error.strip()}.")
            break
    else:
        with contextlib.suppress(OSError, ValueError), open(places.SSHD_PID_FILE, encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGHUP)
    # sshd writes its file anew once it listens with its new configuration, which may be a while after the signal.
    deadline = time.monotonic() + _RELOAD_SECONDS
    while before is not None and _pid_file() in (None, before) and time.monotonic() < deadline:
        time.sleep(0.01)


def _is_active(actions: Actions, unit: str) -> bool:
    return actions.run(["systemctl", "is-active", "--quiet", unit])[0] == 0


def _pid_file() -> tuple[int, int] | None:
    try:
        status = os.stat(places.SSHD_PID_FILE)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
