# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ends a pass on the host itself: a script and a systemd timer, there for as long as there is a pass."""

from __future__ import annotations

from .. import _places as places
from .._backends import backends
from .._texts import recovery

HOURS = (1, 24)
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
"""How a label names a time, for strftime(3): later ones sort after earlier ones."""

_END_PASSES = "".join(
    f"""\
for path in {backend.DIRECTORY}/*; do
    case $path in
    {" | ".join(backend.LEFT_BEHIND)}) ;;
    *) [ ! -f "$path" ] || end_pass "$path" '{backend.LOCK}' '{backend.PASSES}' '{backend.END_PASSES}' ;;
    esac
done
"""
    for backend in backends.BACKENDS.values()
)

# Runs of the playbooks wait for it, or it for them. Where a login holds a lock, the next minute will do.
SCRIPT_TEXT = f"""\
#!/bin/sh
# Managed by fleet.auth. Removes passes that were used or whose time is over, and itself when there is none left.
{recovery.SHELL_PRELUDE}
umask 077
now=$(date -u +{TIME_FORMAT})

# end_pass CREDENTIAL ENDING PATTERN PROGRAM: a lock's name has that ending, the first line of a pass is like PATTERN,
# and PROGRAM leaves out a pass that has ended
end_pass() {{
    ready=${{1%/*}}/.${{1##*/}}.fleet-auth-pass
    grep -q "$3" "$1" || return 0
    if echo {places.CREDENTIAL_LOCK_TEXT} >"$ready" && ln "$ready" "$1$2"; then
        awk -v now="$now" "$4" "$1" >"$ready.new" && mv -f "$ready.new" "$1"
        rm -f "$1$2"
    fi
    rm -f "$ready" "$ready.new"
    ! grep -q "$3" "$1" || left=yes
}}

take_turns
free_credentials
left=no
{_END_PASSES}if [ "$left" = no ]; then
    systemctl disable --quiet --now {places.PASSES_TIMER}
    rm -f {places.PASSES_TIMER_UNIT} {places.PASSES_SERVICE_UNIT} {places.PASSES_SCRIPT}
fi
told=yes
"""

FILES = {
    places.PASSES_SCRIPT: (SCRIPT_TEXT, 0o755),
    places.PASSES_SERVICE_UNIT: (
        f"""\
[Unit]
Description=End passes for two-factor login whose time is over

[Service]
Type=oneshot
ExecStart=/bin/sh {places.PASSES_SCRIPT}
""",
        0o644,
    ),
    places.PASSES_TIMER_UNIT: (
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
