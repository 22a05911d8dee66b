# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ends a pass on the host itself: a script and a systemd timer, there for as long as there is a pass."""

from __future__ import annotations

from ansible_collections.fleet.auth.plugins.module_utils import _oath, _recovery

HOURS = (1, 24)
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
"""How a label names a time, for strftime(3): later ones sort after earlier ones."""
TIMER = "fleet-auth-passes.timer"
SCRIPT = "/usr/libexec/fleet-auth-end-passes"

_SERVICE = "fleet-auth-passes.service"
_UNITS = "/etc/systemd/system"

# Runs of the playbooks wait for it, or it for them. Where a login holds a lock, the next minute will do.
SCRIPT_TEXT = f"""\
#!/bin/sh
# Managed by fleet.auth. Removes passes that were used or whose time is over, and itself when there is none left.
{_recovery.SHELL_PRELUDE}
umask 077
now=$(date -u +{TIME_FORMAT})

has_pass() {{
    grep -q '^# fleet[.]auth pass=' "$1"
}}

# The label of a pass and its token are two lines. A login adds three fields to the four of a token.
without_ended() {{
    awk -F= -v now="$now" '
        /^# fleet[.]auth pass=/ {{
            label = $0
            over = $2 <= now
            if (getline <= 0 || over || split($0, fields, /[ \t]+/) > 4) next
            print label
        }}
        {{ print }}
    ' "$1"
}}

end_pass() {{
    credential={_oath.DIRECTORY}/$1
    ready={_oath.DIRECTORY}/.$1.fleet-auth-pass
    has_pass "$credential" || return 0
    if echo fleet.auth >"$ready" && ln "$ready" "$credential.lock"; then
        without_ended "$credential" >"$ready.new" && mv -f "$ready.new" "$credential"
        rm -f "$credential.lock"
    fi
    rm -f "$ready" "$ready.new"
    ! has_pass "$credential" || left=yes
}}

take_turns
free_credentials
left=no
for path in {_oath.DIRECTORY}/*; do
    case $path in
    *.lock | *.new) ;;
    *) [ ! -f "$path" ] || end_pass "${{path##*/}}" ;;
    esac
done
if [ "$left" = no ]; then
    systemctl disable --quiet --now {TIMER}
    rm -f {_UNITS}/{TIMER} {_UNITS}/{_SERVICE} {SCRIPT}
fi
told=yes
"""

FILES = {
    SCRIPT: (SCRIPT_TEXT, 0o755),
    f"{_UNITS}/{_SERVICE}": (
        f"""\
[Unit]
Description=End passes for two-factor login whose time is over

[Service]
Type=oneshot
ExecStart=/bin/sh {SCRIPT}
""",
        0o644,
    ),
    f"{_UNITS}/{TIMER}": (
        """\
[Unit]
Description=End passes for two-factor login whose time is over

[Timer]
OnCalendar=minutely
AccuracySec=1s
Persistent=true

[Install]
WantedBy=timers.target
""",
        0o644,
    ),
}
"""The text and the mode of each file, by path."""
