# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries a plan out, as one transaction: all of it, or the host as it was.

Before the first change the journal holds what every file was. A change that fails puts it all back; a change that was
killed is put back by the next run. Credentials are no part of it: what a login wrote there meanwhile is never undone.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import signal
import stat
import time
import typing as t

from ansible_collections.fleet.auth.plugins.module_utils import _changes

LOCK = "/run/fleet-auth.lock"
LOCK_SECONDS = 10.0

_SSHD = "/usr/sbin/sshd"
_UNITS = ("ssh.service", "sshd.service")
_SECRET_BYTES = 20  # as long as the hash of RFC 4226, section 4, R6
_CREDENTIAL_LOCK_SECONDS = 5.0
_STALE_SECONDS = 60.0


class ApplyError(RuntimeError):
    """A change failed. The text says what, and in which state the host is."""


class Actions(t.NamedTuple):
    """What a plan needs of the host beside its files."""

    run: t.Callable[[t.Sequence[str]], tuple[int, str, str]]
    effective: t.Callable[[str, str], t.Mapping[str, tuple[str, ...]]]
    """The settings of sshd's files for a user from an address."""


@contextlib.contextmanager
def exclusive() -> t.Iterator[None]:
    """One run at a time on a host. Raises ApplyError where another one does not end in time."""
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
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
                        f"another run of fleet.auth (process {holder}) is changing {os.uname().nodename}, and holds "
                        f"{LOCK}. Wait for it to end, and run again."
                    ) from None
                time.sleep(0.1)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        yield
    finally:
        os.close(descriptor)


def apply(plan: _changes.Plan, actions: Actions) -> None:
    """Carry the changes out in their order. Raises ApplyError, with the host as it was before."""
    reloaded = False
    _write_journal(plan)
    made: list[_changes.Enrol] = []
    try:
        for change in plan.changes:
            if isinstance(change, _changes.ReloadSshd):
                _check_sshd(change, actions)
                reloaded = True
                _reload_sshd(actions)
            elif isinstance(change, _changes.Enrol):
                _enrol(change)
                made.append(change)
            else:
                _FILE_CHANGES[type(change)](change)
    except Exception as error:
        for enrolment in made:
            _forget(enrolment)
        restored = _restore(actions, reload=reloaded)
        raise ApplyError(f"{_describe(error)} {restored}") from None
    _remove_journal()


def finish_interrupted(actions: Actions) -> bool:
    """Put back what a change left that died half-way. Returns whether there was one."""
    if not os.path.exists(_changes.JOURNAL):
        return False
    _restore(actions, reload=True)
    return True


def _describe(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename or 'the disk'}."
    return str(error)


# The journal


def _write_journal(plan: _changes.Plan) -> None:
    os.makedirs(os.path.dirname(_changes.JOURNAL), mode=0o700, exist_ok=True)
    before: dict[str, t.Any] = {}
    for change in plan.changes:
        if isinstance(change, (_changes.Write, _changes.Remove)) and change.path not in before:
            before[change.path] = _as_it_was(change.path)
    _replace(_changes.JOURNAL, json.dumps({"version": 1, "files": before}).encode("ascii"), 0o600, 0, 0)


def _as_it_was(path: str) -> dict[str, t.Any] | None:
    try:
        status = os.stat(path)
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    return {
        "content": base64.b64encode(content).decode("ascii"),
        "mode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
    }


def _restore(actions: Actions, reload: bool) -> str:
    """Put everything back, the last change first, and say so."""
    try:
        with open(_changes.JOURNAL, "rb") as file:
            before = json.load(file)["files"]
        for path in reversed(list(before)):
            was = before[path]
            if was is None:
                _unlink(path)
            else:
                _replace(path, base64.b64decode(was["content"]), was["mode"], was["uid"], was["gid"])
        if reload:
            _reload_sshd(actions)
    except (OSError, ValueError, ApplyError) as error:
        return (
            f"Putting everything back failed as well ({_describe(error)}) The journal is kept in {_changes.JOURNAL}: "
            "run again, or 'twofactor-recover' as root turns two-factor login off."
        )
    _remove_journal()
    return "Everything was put back as it was."


def _remove_journal() -> None:
    _unlink(_changes.JOURNAL)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(_changes.JOURNAL))


# Files


def _write(change: _changes.Write) -> None:
    os.makedirs(os.path.dirname(change.path), mode=0o755, exist_ok=True)
    _replace(change.path, change.content.encode("utf-8", "surrogateescape"), change.mode, change.uid, change.gid)


def _remove(change: _changes.Remove) -> None:
    _unlink(change.path)
    _sync_directory(change.path)


def _make_directory(change: _changes.MakeDirectory) -> None:
    os.makedirs(change.path, mode=0o755, exist_ok=True)
    os.chown(change.path, 0, 0)
    os.chmod(change.path, change.mode)


def _remove_directory(change: _changes.RemoveDirectory) -> None:
    if change.with_files:
        for name in os.listdir(change.path):
            _unlink(os.path.join(change.path, name))
    with contextlib.suppress(OSError):
        os.rmdir(change.path)


_FILE_CHANGES: dict[type, t.Callable[[t.Any], None]] = {
    _changes.Write: _write,
    _changes.Remove: _remove,
    _changes.MakeDirectory: _make_directory,
    _changes.RemoveDirectory: _remove_directory,
}


def _replace(path: str, content: bytes, mode: int, uid: int, gid: int) -> None:
    """Readers see the old file or the new one, and so does a host that loses its power."""
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.fleet-auth")
    _unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        _unlink(temporary)
        raise
    _sync_directory(path)


def _sync_directory(path: str) -> None:
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


# Credentials


def _enrol(change: _changes.Enrol) -> None:
    with _credential_lock(change.path):
        before = None
        with contextlib.suppress(FileNotFoundError), open(change.path, encoding="ascii") as file:
            before = file.read()
        text = change.text(before, secrets.token_bytes(_SECRET_BYTES))
        _replace(change.path, text.encode("ascii"), 0o600, 0, 0)


def use_code(path: str, use: t.Callable[[str], str | None]) -> bool:
    """Let `use` take a code from a credential file: it gets the text, and returns it with the code used up."""
    with _credential_lock(path):
        with open(path, encoding="ascii") as file:
            used = use(file.read())
        if used is not None:
            _replace(path, used.encode("ascii"), 0o600, 0, 0)
    return used is not None


def _forget(enrolment: _changes.Enrol) -> None:
    """Take a credential back that this change made, unless somebody has used it already."""
    if not enrolment.new:
        return
    with contextlib.suppress(OSError, ValueError), open(enrolment.path, encoding="ascii") as file:
        if enrolment.is_unused(file.read()):
            _unlink(enrolment.path)


@contextlib.contextmanager
def _credential_lock(path: str) -> t.Iterator[None]:
    """The lock that pam_oath takes while it writes a credential file back."""
    lock = f"{path}.lock"
    deadline = time.monotonic() + _CREDENTIAL_LOCK_SECONDS
    while True:
        try:
            os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            break
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - os.stat(lock).st_mtime > _STALE_SECONDS:
                    _unlink(lock)
                    continue
            if time.monotonic() > deadline:
                raise ApplyError(f"{lock} is held by a login that does not end; run again.") from None
            time.sleep(0.05)
    try:
        yield
    finally:
        _unlink(lock)


# sshd


def _check_sshd(change: _changes.ReloadSshd, actions: Actions) -> None:
    code, _out, error = actions.run([_SSHD, "-t"])
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
    for unit in _UNITS:
        if actions.run(["systemctl", "is-active", "--quiet", unit])[0] == 0:
            code, _out, error = actions.run(["systemctl", "reload", unit])
            if code != 0:
                raise ApplyError(f"{unit} does not reload: {error.strip()}.")
            return
    with contextlib.suppress(OSError, ValueError), open("/run/sshd.pid", encoding="ascii") as file:
        os.kill(int(file.read()), signal.SIGHUP)
