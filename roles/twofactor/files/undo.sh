#!/bin/sh
# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Managed by fleet.auth. Undoes a change of two-factor login, as the journal beside this script says. Each line of the
# journal is a step: the name of a function below and its arguments, separated by tabs. A step is undone only if it was
# carried out, which the staged files show, so this script may be killed and started again at any point. It only renames
# and removes files, so it needs no disk space. The one exception is noting a code that was used meanwhile.
set -u
PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022

told=no
trap '[ $? = 0 ] || [ $told = yes ] || echo "$0 was stopped half-way; run it again" >&2' EXIT

drop_in=/etc/ssh/sshd_config.d/00-twofactor.conf
journal=/var/lib/fleet-auth/undo
undo=/var/lib/fleet-auth/undo.sh
outdated=no
tab=$(printf '\t')

reload_sshd() {
    before=$(ls -i /run/sshd.pid 2>/dev/null)
    signal_sshd || return
    signal_further
    # sshd writes its PID file again once it listens with the new configuration, perhaps some time after the signal.
    left=50
    while [ -n "$before" ] && [ "$left" -gt 0 ]; do
        now=$(ls -i /run/sshd.pid 2>/dev/null)
        [ -n "$now" ] && [ "$now" != "$before" ] && break
        left=$((left - 1))
        sleep 0.1
    done
    return 0
}

# Reload each further sshd of this host that reads the drop-in, if its configuration is valid. Those in containers,
# which /proc shows as well, are skipped, and so is the one that is reloaded already.
signal_further() {
    grep -lsaE '^sshd: .* \[listener\]' /proc/[0-9]*/cmdline | while read -r title; do
        process=${title%/cmdline}
        [ "$(readlink "$process/ns/pid")" = "$(readlink /proc/self/ns/pid)" ] || continue
        [ "${process#/proc/}" != "$reloaded" ] || continue
        is_sshd_of_root "$process" || continue
        config=$(sed -n 's/^sshd: .* -f *\([^ ]*\) .*/\1/p' "$title")
        config=${config:-/etc/ssh/sshd_config}
        [ -f "$config" ] || continue
        if grep -qsi '^[[:blank:]]*include.*sshd_config\.d' "$config" && /usr/sbin/sshd -t -f "$config"; then
            kill -HUP "${process#/proc/}"
        fi
    done || :
}

# is_sshd_of_root PROCESS: any account can give a process the title of an sshd, or start the program
is_sshd_of_root() {
    program=$(readlink -f /usr/sbin/sshd)
    case $(readlink "$1/exe") in
    "$program" | "$program"*" (deleted)") grep -qsE '^Uid:([[:space:]]+0){4}$' "$1/status" ;;
    *) return 1 ;;
    esac
}

signal_sshd() {
    reloaded=$(cat /run/sshd.pid 2>/dev/null)
    for unit in ssh sshd; do
        if systemctl is-active --quiet "$unit.service" 2>/dev/null; then
            reload_unit "$unit" || return
            reloaded=$(main_process "$unit")
            return 0
        fi
    done
    [ -z "$reloaded" ] || kill -HUP "$reloaded" 2>/dev/null
    return 0
}

reload_unit() {
    # With socket activation, a reload fails, so restart. Sessions survive that, and it does not count towards the start
    # limit.
    if systemctl is-active --quiet "$1.socket"; then
        systemctl reset-failed "$1.service"
        systemctl restart "$1.service"
        return
    fi
    systemctl reload "$1.service" && return
    # If the unit's own reload is broken, that must not keep anybody out.
    /usr/sbin/sshd -t && kill -HUP "$(main_process "$1")"
}

main_process() {
    systemctl show --property=MainPID --value "$1.service"
}

# Wait for another change under way, but not for long if it hangs. Fails if it does not end.
take_turns() {
    if command -v flock >/dev/null && (umask 077 && : >>/run/fleet-auth.lock) 2>/dev/null; then
        chmod 0600 /run/fleet-auth.lock
        exec 9>>/run/fleet-auth.lock
        flock -w 15 9 && echo "$$" >/run/fleet-auth.lock
    fi
}

# End what holds the lock and does not end by itself: it would go on in the middle of what this script does. A change that
# this cuts short is undone like any other.
end_holder() {
    holder=$(cat /run/fleet-auth.lock)
    find "/proc/${holder:-none}/fd" -lname /run/fleet-auth.lock 2>/dev/null | grep -q . || return
    # A script that it has started would go on without it.
    pkill -KILL -P "$holder" -x sh 2>/dev/null
    kill -KILL "$holder"
}

free_credentials() {
    for lock in /etc/oath/*.lock /etc/google-authenticator/*~; do
        if grep -qsx fleet.auth "$lock"; then
            rm -f "$lock" || return
        fi
    done
}

forget_change() {
    systemctl stop fleet-auth-undo.timer 2>/dev/null
    free_credentials || return
    rm -f /etc/systemd/system/fleet-auth-undo-at-boot.service \
        /etc/systemd/system/multi-user.target.wants/fleet-auth-undo-at-boot.service || return
    # The old files first: without the new file beside it, an old file would be taken for one that a step has replaced.
    for ending in .old ''; do
        for directory in /etc /etc/pam.d /etc/ssh /usr /usr/local /etc/ssh/sshd_config.d /etc/cockpit /etc/profile.d \
            /etc/security /etc/security/twofactor-keys /etc/security/twofactor-only-keys /etc/tmpfiles.d \
            /usr/local/bin /usr/local/sbin /usr/libexec /usr/libexec/fleet-auth /usr/libexec/fleet-auth/fleet_auth \
            /usr/libexec/fleet-auth/fleet_auth/* /usr/share/cockpit /usr/share/cockpit/fleet-auth /run /run/fleet-auth \
            /etc/systemd/system /var/lib /var/lib/fleet-auth /var/lib/fleet-auth-guard /var/lib/fleet-auth-invitations \
            /etc/oath /etc/google-authenticator; do
            rm -rf "$directory"/.*.fleet-auth-*"$ending" || return
        done
    done
}

tally=/run/fleet-auth/faillock
alerts=/var/lib/fleet-auth-guard/alerts
used='^HOTP[^[:space:]]*[[:space:]]+([^[:space:]]+[[:space:]]+){3}|^" DISALLOW_REUSE [0-9]'

say() {
    told=yes
    echo "fleet.auth: $1"
    logger -t fleet-auth -p auth.notice -- "$1" 2>/dev/null
}

# held FILE: what keeps the file from being changed, and what to do; nothing if that is not known
held() {
    if [ -d "${1%/*}" ] && ! [ -w "${1%/*}" ]; then
        echo ": it is mounted read-only (see 'findmnt -T $1'); remount it read-write, and run this again"
        return
    fi
    for path in "$1" "${1%/*}"; do
        if lsattr -d "$path" 2>/dev/null | grep -q '^[^ ]*[ia]'; then
            echo ": chattr holds it; run 'chattr -ia $path', and this again"
            return
        fi
    done
}

# give_up [WHY]: says why the change is not undone, if that is known, and ends
give_up() {
    say "the change of two-factor login could not be undone${1:+: $1}; 'sh $undo' tries again"
    exit 1
}

# cannot_change FILE: gives up, and says what keeps the file from being changed
cannot_change() {
    give_up "cannot change $1$(held "$1")"
}

# unwrite NEW OLD PATH: PATH was replaced by NEW, and OLD is the former file
unwrite() {
    if [ ! -e "$1" ]; then
        put_back "$2" "$3"
    fi
}

# uncreate NEW PATH: PATH did not exist before NEW was renamed to it
uncreate() {
    if [ ! -e "$1" ]; then
        rm -f "$2" || cannot_change "$2"
        after "$2"
    fi
}

# unenrol NEW PATH: the same for a credential, which stays if somebody has logged in with it
unenrol() {
    if [ ! -e "$1" ] && ! grep -qsE "$used" "$2"; then
        rm -f "$2" || cannot_change "$2"
    fi
}

# unrenew NEW OLD PATH: as unwrite, for a credential, which stays if somebody has logged in with it. In that case it
# differs from NEW.kept, the text that the change wrote
unrenew() {
    if [ ! -e "$1" ] && [ -e "$2" ] && [ "$(cat "$1.kept")" = "$(cat "$3")" ]; then
        put_back "$2" "$3"
    fi
}

# unremove OLD PATH: PATH was renamed to OLD
unremove() {
    put_back "$1" "$2"
}

# listen UNIT: systemd listened with this unit, whose files exist again. A failure is no reason to give up, because
# nobody is locked out without the self-service page
listen() {
    { systemctl enable --quiet --no-reload "$1" && read_units && systemctl start "$1"; } ||
        say "systemd does not start $1"
}

# unlisten UNIT: systemd did not listen with this unit
unlisten() {
    systemctl disable --quiet --no-reload --now "$1" 2>/dev/null
    outdated=yes
}

# Have systemd read its units, whose files have changed.
read_units() {
    systemctl daemon-reload && outdated=no
}

# unmake PATH: the directory did not exist, so its tallies or the guard's notes are not needed. It stays if it contains
# anything else
unmake() {
    case $1 in
    "$tally") rm -f "$1"/* ;;
    "${alerts%/*}") rm -f "$alerts" ;;
    esac
    rmdir "$1" 2>/dev/null || [ -z "$(ls -A "$1" 2>/dev/null)" ] || return 0
    [ ! -d "$1" ] || cannot_change "$1"
}

# reown MODE OWNER PATH: the directory had this mode and this owner
reown() {
    [ -d "$3" ] || return 0
    chown "$2" "$3" || cannot_change "$3"
    chmod "$1" "$3" || cannot_change "$3"
}

# put_back OLD PATH: OLD may be gone if this script was killed after it had moved the file, perhaps just before the
# reload
put_back() {
    if [ -d "$1" ] && [ -d "$2" ]; then
        # Somebody has made the directory again: move the kept files into it.
        for kept in "$1"/* "$1"/.[!.]*; do
            [ ! -e "$kept" ] || mv -f "$kept" "$2" || cannot_change "$2"
        done
        rmdir "$1" || cannot_change "$1"
    elif [ -e "$1" ]; then
        mv -f "$1" "$2" || cannot_change "$2"
    fi
    after "$2"
}

after() {
    if [ "$1" = "$drop_in" ]; then
        reload_sshd || give_up "sshd cannot be reloaded (see 'sshd -t' and 'journalctl -u ssh -u sshd')"
    elif [ "$1" = /etc/cockpit/cockpit.conf ]; then
        systemctl stop 'cockpit-wsinstance-*.service' 2>/dev/null
        systemctl try-restart cockpit.service 2>/dev/null
    fi
    return 0
}

# unmove OLD NEW KEPT FROM TO PATH: PATH was renamed to OLD after its credential was moved to NEW, for another backend.
# If NEW differs from KEPT, the text that the change wrote, a code was used. It stays used if there is disk space for
# noting that
unmove() {
    put_back "$1" "$6"
    if [ -e "$2" ] && [ -e "$3" ] && [ "$(cat "$2")" != "$(cat "$3")" ]; then
        noted=${6%/*}/.${6##*/}.fleet-auth-undo
        case $5 in
        oath) last= ;;
        google_authenticator) last=$(last_step_google_authenticator "$2") ;;
        esac
        if (umask 077 && keep_used "$4" "$6" "$last" >"$noted") && [ -s "$noted" ]; then
            mv -f "$noted" "$6"
        fi
        rm -f "$noted"
    fi
}

# hotp KEY COUNTER: the code of six digits (RFC 4226). KEY is hexadecimal, and is never on a command line
hotp() {
    inner=$(sha1 "$(padded "$1" 54)$(printf '%016x' "$2")")
    digest=$(sha1 "$(padded "$1" 92)$inner")
    at=$((0x${digest#"${digest%?}"} * 2))
    while [ "$at" -gt 0 ]; do
        digest=${digest#?} at=$((at - 1))
    done
    printf '%06d' "$(((0x${digest%"${digest#????????}"} & 0x7fffffff) % 1000000))"
}

# padded KEY BYTE: the key XORed with BYTE, as a block of HMAC (RFC 2104)
padded() {
    rest=$1 number=0
    while [ "$number" -lt 64 ]; do
        printf '%02x' "$((0x0${rest%"${rest#??}"} ^ $2))"
        rest=${rest#??} number=$((number + 1))
    done
}

# sha1 BYTES: the SHA-1 of BYTES, which are hexadecimal
sha1() {
    rest=$1 escapes=
    while [ -n "$rest" ]; do
        escapes="$escapes\\0$(printf '%03o' "0x${rest%"${rest#??}"}")"
        rest=${rest#??}
    done
    printf '%b' "$escapes" | sha1sum | cut -c1-40
}

# keep_used BACKEND CREDENTIAL STEP: the credential with all codes marked as used up to that time step, or up to now
keep_used() {
    case $1 in
    oath) keep_used_oath "$2" "$3" ;;
    google_authenticator) keep_used_google_authenticator "$2" ;;
    esac
}

keep_used_oath() {
    if [ "$2" = 0 ]; then
        cat "$1"
        return
    fi
    code=$(hotp "$(awk '/^HOTP\/T/ { print $4; exit }' "$1")" "$2")
    awk -v history="0 $code 1970-01-01T00:00:00L" '
        /^HOTP\/T/ && !done { $0 = $1 " " $2 " " $3 " " $4 " " history; done = 1 }
        { print }
    ' "$1"
}

# last_step_google_authenticator CREDENTIAL: the time step of the last code that was used, or 0
last_step_google_authenticator() {
    awk '
        $2 == "DISALLOW_REUSE" { for (n = 3; n <= NF; n++) if ($n > 0 + last) last = $n }
        END { print 0 + last }
    ' "$1"
}

# The time step of the last code is not known from another backend, so all codes that are right now are marked as used.
keep_used_google_authenticator() {
    awk -v now="$(date +%s)" '
        { line[NR] = $0 }
        $2 == "STEP_SIZE" { step = $3 }
        $2 == "WINDOW_SIZE" { total = $3 }
        END {
            now = int(now / (step ? step : 30))
            reach = int((total ? total : 3) / 2)
            for (n = 1; n <= NR; n++) {
                if (line[n] ~ /^" DISALLOW_REUSE/)
                    for (one = now - reach; one <= now + reach; one++) line[n] = line[n] " " one
                print line[n]
            }
        }
    ' "$1"
}

# undo_each WHAT: undoes the steps of the journal, either all `steps` or, after them, the `directories`
undo_each() {
    while IFS=$tab read -r step a b c d e f <&3; do
        case $1:$step in
        steps:unwrite) unwrite "$a" "$b" "$c" ;;
        steps:uncreate) uncreate "$a" "$b" ;;
        steps:unenrol) unenrol "$a" "$b" ;;
        steps:unrenew) unrenew "$a" "$b" "$c" ;;
        steps:unremove) unremove "$a" "$b" ;;
        steps:unmove) unmove "$a" "$b" "$c" "$d" "$e" "$f" ;;
        steps:reown) reown "$a" "$b" "$c" ;;
        steps:listen) listen "$a" ;;
        steps:unlisten) unlisten "$a" ;;
        directories:unmake) unmake "$a" ;;
        esac
    done 3<"$journal"
}

undo() {
    free_credentials || give_up
    undo_each steps
    [ $outdated = no ] || read_units
    forget_change || give_up
    undo_each directories
    # If the host was booted without the rule for it, there is no tally directory.
    if [ -e /etc/tmpfiles.d/fleet-auth.conf ]; then
        mkdir -p "$tally" && chmod 0700 "$tally"
    fi
    rm -f "$journal" || cannot_change "$journal"
    rm -f "$undo"
    rmdir "${journal%/*}" 2>/dev/null
    say "the change of two-factor login was undone"
}

# Whether the journal is still that of the change that this script was started for, which it may not be after waiting.
is_current() {
    [ -n "$change" ] && grep -qsxF "$change" "$journal"
}

main() {
    change=$(grep -s "^token$tab" "$journal")
    # --now: the caller has made sure that no other change is under way.
    [ "${1-}" = --now ] || take_turns || { is_current && end_holder && take_turns; }
    if is_current; then
        undo
    fi
    exit 0
}

main "$@"
