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
import glob
import os
import secrets
import shutil
import time
import typing as t

from .._plan.changes import Plan
from . import credential_files, files, journal
from .actions import Actions, ApplyError
from .pending import pending_change
from .staging import Staging


@contextlib.contextmanager
def applied(plan: Plan, actions: Actions, rollback_after: int) -> t.Iterator[str]:
    """Carry the changes out in their order, and enter with the token that confirms them.

    Until somebody confirms, the change is rolled back at the next boot, and after `rollback_after` seconds unless that
    is 0. Whatever is raised, here or inside the `with` block, it is rolled back at once. ApplyError says so, where the
    host was at fault; where fleet.auth itself was, a RuntimeError says so, and keeps the traceback.
    """
    token = secrets.token_hex(8)
    staging = Staging()
    _sweep()
    try:
        staging.stage(plan.changes)
        _arm(journal.render(staging.undos, token, time.clock_gettime(time.CLOCK_BOOTTIME)), actions, rollback_after)
    except (OSError, ApplyError) as error:
        with contextlib.suppress(OSError):
            files.unlink(journal.PATH)
            _clean_up(actions)
        for _function, *arguments in reversed([undo for undo in staging.undos if undo[0] == "unmake"]):
            with contextlib.suppress(OSError):
                os.rmdir(arguments[0])
        raise ApplyError(f"{_describe(error)} Nothing was changed.") from error
    try:
        for step in staging.steps:
            step(actions)
        yield token
    except (OSError, ApplyError) as error:
        raise ApplyError(f"{_describe(error)} {undo(actions)}") from error
    except Exception as error:
        raise RuntimeError(f"fleet.auth itself failed in the middle of a change. {undo(actions)}") from error


def undo(actions: Actions) -> str:
    """Roll the change back by running its journal, and say whether that went well."""
    code, out, error = actions.run(["/bin/sh", journal.PATH, "--now"])
    if code == 0:
        return "Everything was put back as it was."
    return (
        f"Putting everything back failed as well: {(error or out).strip()}. 'sh {journal.PATH}' on the host tries "
        "again; 'twofactor-recover' turns two-factor login off."
    )


def confirm(token: str, actions: Actions) -> bool:
    """Make the change with this token stay. Returns False where it was put back already."""
    pending = pending_change()
    if pending is None or pending[0] != token:
        return False
    files.unlink(journal.PATH)
    files.sync_directory(journal.PATH)
    # It stays now, whatever happens here; what cannot be removed, the next run removes.
    with contextlib.suppress(OSError):
        _clean_up(actions)
    return True


def clean_up(actions: Actions) -> None:
    """Remove what is left of a change that was confirmed or undone by a run that was killed before it had tidied up."""
    if any(map(os.path.lexists, (journal.BOOT_LINK, journal.BOOT_UNIT, os.path.dirname(journal.PATH)))):
        _clean_up(actions)
    else:
        _sweep()


def _describe(error: Exception) -> str:
    """An error in words for a person."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename or 'the disk'}."
    return str(error)


def _arm(script: str, actions: Actions, rollback_after: int) -> None:
    """Have the host roll the change back by itself: at the next boot, and by a timer if one is wanted.

    The journal is written last. From then on a rollback finds something to do.
    """
    if rollback_after:
        # The timer comes first: without a journal it does nothing.
        _stop_timer(actions)
        code, _out, error = actions.run(
            [
                "systemd-run",
                f"--unit={journal.TIMER}",
                f"--on-active={rollback_after}",
                "--timer-property=AccuracySec=1s",
                "--property=Restart=on-failure",
                "--property=RestartSec=10",
                "--collect",
                "/bin/sh",
                "-c",
                f"[ ! -e {journal.PATH} ] || exec /bin/sh {journal.PATH}",
            ]
        )
        if code != 0:
            raise ApplyError(f"systemd starts no timer that would put the host back: {error.strip()}.")
    if os.path.isdir(journal.SYSTEMD):
        os.makedirs(os.path.dirname(journal.BOOT_LINK), mode=0o755, exist_ok=True)
        files.replace(journal.BOOT_UNIT, journal.BOOT_UNIT_TEXT.encode("ascii"), 0o644)
        with contextlib.suppress(FileExistsError):
            os.symlink(journal.BOOT_UNIT, journal.BOOT_LINK)
    os.makedirs(os.path.dirname(journal.PATH), mode=0o700, exist_ok=True)
    files.replace(journal.PATH, script.encode("utf-8", "surrogateescape"), 0o700)


def _clean_up(actions: Actions) -> None:
    """Remove the timer, the boot unit and the staged files of a change that is confirmed or undone."""
    _stop_timer(actions)
    for path in (journal.BOOT_LINK, journal.BOOT_UNIT):
        files.unlink(path)
    _sweep()
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(journal.PATH))


def _sweep() -> None:
    """Remove staged files, kept ones, and the locks on credentials of runs that were killed."""
    credential_files.free()
    for directory in journal.STAGING_DIRECTORIES:
        for path in glob.glob(f"{directory}/{journal.STAGED}"):
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                files.unlink(path)


def _stop_timer(actions: Actions) -> None:
    """End the timer that would put the host back, and what it may have started."""
    if os.path.isdir(journal.SYSTEMD):
        actions.run(["systemctl", "stop", f"{journal.TIMER}.timer", f"{journal.TIMER}.service"])
