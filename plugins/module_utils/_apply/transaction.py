# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries a plan out as one transaction: either all of it is done, or the host stays as it was.

Everything that can fail for lack of space is done first, beside the files that will change: new contents are staged,
old ones are kept. Then the journal is written, and armed. From there on a change consists only of renames, in the order
of the plan. Credentials that logins write meanwhile are not part of it.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import time
import typing as t

from .. import _places as places
from .._plan.changes import Plan
from . import credential_files, files, journal
from .actions import Actions, ApplyError, describe
from .staging import Staging


@contextlib.contextmanager
def applied(plan: Plan, actions: Actions, rollback_after: int, static_files: t.Mapping[str, str]) -> t.Iterator[str]:
    """Carry the changes out in their order, and enter with the token that confirms them.

    `static_files` has the texts of the files that roll a change back, by path.

    Until the change is confirmed, it is rolled back at the next boot, and after `rollback_after` seconds unless that is
    0. If anything is raised, here or inside the `with` block, it is rolled back at once. The error says so: an
    ApplyError if the cause is on the host, or a RuntimeError, which keeps the traceback, if it is in fleet.auth itself.
    """
    token = secrets.token_hex(8)
    staging = Staging()
    _sweep()
    try:
        staging.stage(plan.changes)
        text = journal.render(staging.undos, token, time.clock_gettime(time.CLOCK_BOOTTIME))
        _arm(text, static_files, actions, rollback_after)
    except (OSError, ApplyError) as error:
        with contextlib.suppress(OSError):
            files.unlink(places.JOURNAL)
            _disarm(actions)
        staging.take_back()
        raise ApplyError(f"{describe(error)} Nothing was changed.") from error
    try:
        for step in staging.steps:
            step(actions)
        yield token
        if rollback_after:
            # From now on another run waits for a while, so that this change can be confirmed.
            done = journal.mark_done(text, time.clock_gettime(time.CLOCK_BOOTTIME))
            files.replace(places.JOURNAL, done, 0o600)
    except (OSError, ApplyError) as error:
        raise ApplyError(f"{describe(error)} {undo(actions)}") from error
    except Exception as error:
        raise RuntimeError(f"fleet.auth itself failed in the middle of a change. {undo(actions)}") from error


def undo(actions: Actions) -> str:
    """Roll the change back with its journal. Returns a sentence that says whether that worked."""
    if not os.path.exists(places.JOURNAL):
        return (
            "Meanwhile its timer has undone it, or twofactor-recover has turned two-factor login off. Run again; on a "
            "slow host, with a longer rollback_after."
        )
    # The journal of release 1.0 is itself a script.
    script = places.UNDO if os.path.exists(places.UNDO) else places.JOURNAL
    code, out, error = actions.run([places.SHELL, script, "--now"])
    if code == 0:
        return "Everything was put back as it was."
    return (
        f"Putting everything back failed as well: {(out or error).strip()}. Run 'sh {script}' on the host to try "
        "again, or 'twofactor-recover' to turn two-factor login off."
    )


def confirm(actions: Actions) -> None:
    """Make the change that waits for it permanent."""
    files.unlink(places.JOURNAL)
    files.sync_directory(places.JOURNAL)
    # The change is permanent now, even if this fails; the next run removes what could not be removed here.
    with contextlib.suppress(OSError):
        _disarm(actions)


def clean_up(actions: Actions) -> None:
    """Remove what is left of a confirmed or undone change, if its run was killed before it had cleaned up."""
    if any(map(os.path.lexists, (places.BOOT_LINK, places.BOOT_UNIT, places.STATE_DIRECTORY))):
        _disarm(actions)
    else:
        _sweep()


def _arm(text: str, static_files: t.Mapping[str, str], actions: Actions, rollback_after: int) -> None:
    """Have the host roll the change back by itself: at the next boot, and with a timer unless `rollback_after` is 0.

    The journal is written last. Only from then on does a rollback do anything.
    """
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
            raise ApplyError(f"systemd cannot start the timer that would put the host back: {error.strip()}.")

    def install(path: str) -> None:
        files.replace(path, static_files[path], places.FOR_A_CHANGE[path])

    if os.path.isdir(places.SYSTEMD):
        os.makedirs(os.path.dirname(places.BOOT_LINK), mode=0o755, exist_ok=True)
        install(places.BOOT_UNIT)
        with contextlib.suppress(FileExistsError):
            os.symlink(places.BOOT_UNIT, places.BOOT_LINK)
    os.makedirs(places.STATE_DIRECTORY, mode=0o700, exist_ok=True)
    install(places.UNDO)
    files.replace(places.JOURNAL, text, 0o600)


def _disarm(actions: Actions) -> None:
    """Remove the timer, the boot unit and the staged files of a change that was confirmed or undone."""
    _stop_timer(actions)
    for path in (places.BOOT_LINK, places.BOOT_UNIT, places.UNDO):
        files.unlink(path)
    _sweep()
    with contextlib.suppress(OSError):
        os.rmdir(places.STATE_DIRECTORY)


def _sweep() -> None:
    """Remove what killed runs have left behind: staged files, kept ones, and locks on credentials."""
    credential_files.remove_own_locks()
    for directory in journal.STAGING_DIRECTORIES:
        for path in glob.glob(f"{directory}/{places.STAGED}"):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                with files.same_time(os.path.dirname(path)):
                    files.unlink(path)


def _stop_timer(actions: Actions) -> None:
    """Stop the timer that would roll the change back, and the rollback that it may have started."""
    if os.path.isdir(places.SYSTEMD):
        actions.run(["systemctl", "stop", f"{places.UNDO_TIMER}.timer", f"{places.UNDO_TIMER}.service"])
