# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command that gets people back in, and what a boot has to put right."""

from __future__ import annotations

from .. import _places as places
from .._backends import backends
from .._self_service import page_files
from . import pam

STAGING_DIRECTORIES = (*places.STAGING_DIRECTORIES, *backends.DIRECTORIES)
"""Where a change lays files ready."""

_STALE_LOCKS = "".join(f"r! {pattern}\n" for pattern in backends.LEFT_BEHIND)
# tmpfiles.d(5): the tally of wrong codes has to be there for anything to be counted; pam_oath takes a lock that was
# left behind for one in use, for ever.
TMPFILES_RULES = f"""\
# Managed by fleet.auth.
d {places.TALLY_DIRECTORY} 0700 root root -
f {places.LOCK} 0600 root root -
{_STALE_LOCKS}"""

# What the shell scripts share. sshd that does not run needs no reload. A shell that cannot start a process ends at
# once, and its own message goes where the command's would have gone.
SHELL_PRELUDE = f"""\
set -u
PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022

told=no
trap '[ $? = 0 ] || [ $told = yes ] || echo "$0 was stopped half-way; run it again" >&2' EXIT

drop_in={places.DROP_IN}
journal={places.JOURNAL}

reload_sshd() {{
    before=$(ls -i {places.SSHD_PID_FILE} 2>/dev/null)
    signal_sshd || return
    # sshd writes its file anew once it listens with its new configuration, which may be a while after the signal.
    left=50
    while [ -n "$before" ] && [ "$left" -gt 0 ]; do
        now=$(ls -i {places.SSHD_PID_FILE} 2>/dev/null)
        [ -n "$now" ] && [ "$now" != "$before" ] && break
        left=$((left - 1))
        sleep 0.1
    done
    return 0
}}

signal_sshd() {{
    for unit in {" ".join(places.SSHD_UNITS)}; do
        if systemctl is-active --quiet "$unit.service" 2>/dev/null; then
            # A reload ends in vain where systemd has the port. Sessions outlive a restart, which is not counted.
            if systemctl is-active --quiet "$unit.socket"; then
                systemctl reset-failed "$unit.service"
                systemctl restart "$unit.service"
                return
            fi
            systemctl reload "$unit.service" && return
            # A unit whose own way to reload is broken must not keep anybody out.
            {places.SSHD} -t && kill -HUP "$(systemctl show --property=MainPID --value "$unit.service")"
            return
        fi
    done
    if [ -s {places.SSHD_PID_FILE} ]; then
        kill -HUP "$(cat {places.SSHD_PID_FILE})" 2>/dev/null
    fi
    return 0
}}

# Another change under way ends first; one that hangs stops nobody.
take_turns() {{
    if command -v flock >/dev/null && touch {places.LOCK} 2>/dev/null; then
        exec 9>>{places.LOCK}
        flock -w 15 9 && echo "$$" >{places.LOCK}
    fi
}}

free_credentials() {{
    for lock in {" ".join(backends.LOCKS)}; do
        if grep -qsx {places.CREDENTIAL_LOCK_TEXT} "$lock"; then
            rm -f "$lock" || return
        fi
    done
}}

forget_change() {{
    systemctl stop {places.UNDO_TIMER}.timer 2>/dev/null
    free_credentials && rm -f {places.BOOT_UNIT} {places.BOOT_LINK} || return
    # What was kept goes first: without the new file beside it, it would be taken for what a step has replaced.
    for ending in .old ''; do
        for directory in {" ".join(STAGING_DIRECTORIES)}; do
            rm -rf "$directory"/{places.STAGED}"$ending" || return
        done
    done
}}
"""

SCRIPT = f"""\
#!/bin/sh
# Managed by fleet.auth. Switches two-factor login off on this host, at once, with no network, no Ansible and no Python.
{SHELL_PRELUDE}
switch={places.SWITCH}
pass_through='{pam.PASS_THROUGH.rstrip()}'
tally={places.TALLY_DIRECTORY}

usage() {{
    told=yes
    cat <<'END'
usage: twofactor-recover               two-factor login off for everyone on this host
       twofactor-recover --user NAME   no code for one account, and its wrong codes forgotten
       twofactor-recover --help
Passwords, keys and everybody's secrets stay as they are. The next run of the playbook fleet.auth.enable turns
two-factor login on again, for everyone it names.
END
}}

say() {{
    told=yes
    echo "twofactor-recover: $1"
    logger -t twofactor-recover -p auth.notice -- "$1" 2>/dev/null
}}

fail() {{
    told=yes
    echo "twofactor-recover: $1" >&2
    logger -t twofactor-recover -p auth.err -- "$1" 2>/dev/null
    exit "${{2-1}}"
}}

# A file is replaced by a rename, so that a login reads the old text or the new one.
replace() {{
    new="${{1%/*}}/.${{1##*/}}.fleet-auth-recover"
    if cat >"$new" && chmod 0644 "$new" && mv -f "$new" "$1"; then
        return 0
    fi
    rm -f "$new"
    return 1
}}

# Where the switch is gone, a service may still send people to it, and they are denied.
sends_people() {{
    [ -e "$switch" ] || grep -qs '^auth substack twofactor$' {places.PAM_D}/*
}}

passes_everyone() {{
    [ "$(cat "$switch" 2>/dev/null)" = "$pass_through" ]
}}

# Where the page stays, on a disk that is broken, it has nothing to do: nobody is asked for a code.
remove_self_service() {{
    if [ -e {places.SELF_SERVICE_SOCKET_UNIT} ]; then
        systemctl disable --quiet --now {places.SELF_SERVICE_UNIT} 2>/dev/null
    fi
    rm -rf {" ".join(page_files.PLACES)}
}}

recover_everyone() {{
    changed=no
    if [ -e "${{journal%/*}}" ]; then
        # In the middle of a move, one of two credentials has to go, and only the journal knows which.
        if grep -qs '^    unmove ' "$journal"; then
            /bin/sh "$journal" --now >/dev/null
        fi
        rm -f "$journal"
        forget_change && rmdir "${{journal%/*}}"
    fi
    if sends_people && ! passes_everyone; then
        # With no room on the disk an empty file has to do: it asks for no code either.
        echo "$pass_through" | replace "$switch" || true >"$switch" || fail "cannot write $switch"
        changed=yes
    fi
    if [ -e "$drop_in" ]; then
        rm -f "$drop_in" || fail "cannot remove $drop_in"
        changed=yes
    fi
    # Also where there is nothing to change: this command may have been stopped just before, the last time.
    if [ "$changed" = yes ] || [ -e "$switch" ]; then
        reload_sshd || fail "sshd does not reload; see 'sshd -t'"
    fi
    rm -f "$tally"/*
    remove_self_service
    if [ "$changed" = yes ]; then
        say "two-factor login is off for everyone on this host; secrets are kept"
    else
        say "two-factor login was off already"
    fi
}}

recover_user() {{
    rm -f "$tally/$1"
    if [ -e "$journal" ]; then
        /bin/sh "$journal" --now
    fi
    if ! grep -qsE '^auth .* ({"|".join(one.MODULE for one in backends.BACKENDS.values())}) ' "$switch"; then
        if sends_people && ! passes_everyone && {{ [ ! -e "$switch" ] || [ -s "$switch" ]; }}; then
            fail "$switch is gone or damaged, and denies everyone; without --user this command lets everyone in"
        fi
        say "two-factor login is off on this host; $1 needs no code"
        return
    fi
    changed=no
    pattern=$(printf '%s' "$1" | sed 's/[.]/[.]/g')
    if ! grep -q "^auth .* quiet user = $pattern\\$" "$switch"; then
        # A jump over every line of the code step.
        lines=$(grep -c '^auth ' "$switch")
        {{
            echo "auth [success=$lines default=ignore] pam_succeed_if.so quiet user = $1"
            cat "$switch"
        }} | replace "$switch" || fail "cannot write $switch; is the disk full? \\
Without --user this command needs no room"
        changed=yes
    fi
    if [ -e "$drop_in" ]; then
        if grep '^Match User ' "$drop_in" | grep -qvE "^Match User [^ ]*,!$pattern(,| |\\$)"; then
            sed "s/^Match User [^ ]*/&,!$1/" "$drop_in" | replace "$drop_in" || fail "cannot write $drop_in"
            changed=yes
        fi
        # In any case: this command may have been stopped just before, the last time.
        reload_sshd || fail "sshd does not reload; see 'sshd -t'"
    fi
    if [ "$changed" = yes ]; then
        say "$1 needs no code on this host until the next run of the playbook"
    else
        say "$1 needed no code already"
    fi
}}

case "${{1-}}" in
--help)
    usage
    exit 0
    ;;
"") [ $# -eq 0 ] || {{ usage >&2; exit 2; }} ;;
--user)
    [ $# -eq 2 ] || {{ usage >&2; exit 2; }}
    case "$2" in
    "" | [!A-Za-z0-9_]* | *[!A-Za-z0-9_.@-]*)
        fail "'$2' is not the name of an account" 2
        ;;
    esac
    ;;
*)
    usage >&2
    exit 2
    ;;
esac

[ "$(id -u)" -eq 0 ] || fail "only root can do this; try: sudo twofactor-recover"

take_turns
if [ $# -eq 0 ]; then
    recover_everyone
elif id -- "$2" >/dev/null 2>&1; then
    recover_user "$2"
else
    fail "there is no account $2 on this host" 2
fi
"""
