# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal of a change under way: a shell script that puts the host back.

It is there before the first file of the host is touched. The run itself starts it when a step fails, the next run when
it finds it, a timer when nobody confirms the change, a boot after a loss of power, and at the console anybody who is
root. Everything it needs was laid ready beside the files in question, so that it only renames and needs no room.

A step is undone only if it was carried out, which the files laid ready tell; so the script may be killed and started
again at any point. Their order is the safety here as well: where a step cannot be undone, those before it stay.
"""

from __future__ import annotations

import re
import shlex
import typing as t

from .. import _places as places
from .._backends import backends
from .._texts import recovery

Undo = t.Tuple[str, ...]
"""A function of the script and its arguments."""

_FUNCTIONS = """\
# unwrite NEW OLD PATH: PATH was replaced by NEW, and OLD is what it was
unwrite() {
    if [ ! -e "$1" ]; then
        put_back "$2" "$3"
    fi
}

# uncreate NEW PATH: PATH was not there before NEW took its name
uncreate() {
    if [ ! -e "$1" ]; then
        rm -f "$2" || give_up
        after "$2"
    fi
}

# unenrol NEW PATH: the same for a credential, which stays if somebody has logged in with it
unenrol() {
    if [ ! -e "$1" ] && ! grep -qsE "$used" "$2"; then
        rm -f "$2" || give_up
    fi
}

# unrenew NEW OLD PATH: as unwrite, for a credential, which stays if somebody has logged in with it: then it is not what
# the change made of it, NEW.kept, any more
unrenew() {
    if [ ! -e "$1" ] && [ -e "$2" ] && [ "$(cat "$1.kept")" = "$(cat "$3")" ]; then
        put_back "$2" "$3"
    fi
}

# unremove OLD PATH: PATH was renamed to OLD
unremove() {
    put_back "$1" "$2"
}

# listen UNIT: systemd listened, by the files that are there again. What people may do by themselves keeps nobody out.
listen() {
    systemctl daemon-reload
    systemctl enable --quiet --now "$1" || say "systemd does not start $1"
}

# unlisten UNIT: systemd did not listen
unlisten() {
    systemctl disable --quiet --now "$1" 2>/dev/null || true
}

# unmake PATH: the directory was not there, and neither was anybody asked for the codes that its tallies count. It stays
# if there is anything else in it.
unmake() {
    if [ "$1" = "$tally" ]; then
        rm -f "$1"/*
    fi
    rmdir "$1" 2>/dev/null || [ -z "$(ls -A "$1" 2>/dev/null)" ] || return 0
    [ ! -d "$1" ] || give_up
}

# OLD is not there if this script has been here before, and was killed then, perhaps just before the reload.
put_back() {
    if [ -e "$1" ]; then
        mv -f "$1" "$2" || give_up
    fi
    after "$2"
}

after() {
    if [ "$1" = "$drop_in" ]; then
        reload_sshd || give_up
    fi
}
"""


def _by_backend(number: int, function: str, arguments: str) -> str:
    """A call of the function that the backend has which is the argument of this number."""
    calls = (f"{name}) {function}_{name} {arguments} ;;" for name in backends.BACKENDS)
    return f"case ${number} in {' '.join(calls)} esac"


_UNMOVE = f"""
# unmove OLD NEW KEPT FROM TO PATH: PATH was renamed to OLD once it was moved to NEW, into another backend. If that is
# not what the change made of it, KEPT, any more, a code was used, which stays so if there is room to note it
unmove() {{
    put_back "$1" "$6"
    if [ -e "$2" ] && [ -e "$3" ] && [ "$(cat "$2")" != "$(cat "$3")" ]; then
        noted=${{6%/*}}/.${{6##*/}}.fleet-auth-undo
        last=$({_by_backend(5, "last_step", '"$2"')})
        if (umask 077 && {_by_backend(4, "keep_used", '"$6" "$last"')} >"$noted") && [ -s "$noted" ]; then
            mv -f "$noted" "$6"
        fi
        rm -f "$noted"
    fi
}}
{"".join(backend.UNMOVE for backend in backends.BACKENDS.values())}"""


def render(undos: t.Sequence[Undo], token: str, made: float) -> str:
    """The script that undoes these steps, the last one first.

    `token` names the change; `made` is the time since boot, in seconds, at which it began.
    """
    steps = "".join(f"    {shlex.join(undo)}\n" for undo in reversed(undos) if undo[0] != "unmake")
    directories = "".join(f"    {shlex.join(undo)}\n" for undo in reversed(undos) if undo[0] == "unmake")
    unmove = _UNMOVE if any(undo[0] == "unmove" for undo in undos) else ""
    return f"""\
#!/bin/sh
# Puts back what a change of two-factor login by fleet.auth replaced.
# made={made:.2f}
token={token}
{recovery.SHELL_PRELUDE}
tally={places.TALLY_DIRECTORY}
used='{backends.USED}'

say() {{
    told=yes
    echo "fleet.auth: $1"
    logger -t fleet-auth -p auth.notice -- "$1" 2>/dev/null
}}

give_up() {{
    say "the change of two-factor login could not be undone; 'sh $journal' tries again"
    exit 1
}}

{_FUNCTIONS}{unmove}
undo() {{
    free_credentials || give_up
{steps}    forget_change || give_up
{directories}    # A boot has made no tally where it did not find the rule for it.
    if [ -e {places.TMPFILES} ]; then
        mkdir -p "$tally" && chmod 0700 "$tally"
    fi
    rm -f "$journal" || give_up
    rmdir "${{journal%/*}}" 2>/dev/null
    say "the change of two-factor login was undone"
}}

main() {{
    # --now: whoever starts it has made sure that no other change is under way.
    [ "${{1-}}" = --now ] || take_turns
    # Whoever had to wait may find the journal of the next change.
    if grep -qsx "token=$token" "$journal"; then
        undo
    fi
    exit 0
}}

main "$@"
"""


def token_of(script: str) -> str:
    """The name of the change that a journal belongs to."""
    found = re.search(r"^token=(\w+)$", script, re.MULTILINE)
    return found.group(1) if found else ""


def made_at(script: str) -> float:
    """When the change began, in seconds since boot."""
    found = re.search(r"^# made=([0-9.]+)$", script, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


BOOT_UNIT_TEXT = f"""\
[Unit]
Description=Undo a change of two-factor login that nobody confirmed
ConditionPathExists={places.JOURNAL}
Before=ssh.service sshd.service

[Service]
Type=oneshot
ExecStart=/bin/sh {places.JOURNAL}

[Install]
WantedBy=multi-user.target
"""
