# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""People's own page in Cockpit, as files: the page, the program behind it, and the units that start that."""

from __future__ import annotations

import json
import typing as t

from .. import _places as places
from .._backends import backends
from .._wanted.settings import Settings

MODULES = (
    "_places",
    "_apply/credential_files",
    "_apply/files",
    "_apply/journal",
    "_apply/transaction",
    "_backends/backends",
    "_backends/codes",
    "_backends/google_authenticator",
    "_backends/oath",
    "_plan/changes",
    "_self_service/conversation",
    "_self_service/page_files",
    "_self_service/pam_client",
    "_self_service/program",
    "_texts/dispatch",
    "_texts/pam",
    "_texts/pam_conf",
    "_texts/recovery",
    "_wanted/settings",
)
"""What the program is made of: this collection's own modules, which import each other by relative paths."""
WINGS = tuple(sorted({f"{places.SELF_SERVICE_LIBRARY}/{name.partition('/')[0]}" for name in MODULES if "/" in name}))
DIRECTORIES = (places.SELF_SERVICE_LIBRARY, *WINGS, places.PAGE_DIRECTORY)
_PAGE = ("manifest.json", "index.html", "page.css", "page.js")

FILES = (
    *(f"{places.SELF_SERVICE_LIBRARY}/{name}.py" for name in MODULES),
    *(f"{places.PAGE_DIRECTORY}/{name}" for name in _PAGE),
    places.SELF_SERVICE_PROGRAM,
    places.SELF_SERVICE_CONFIG,
    places.CODE_SERVICE,
    places.SELF_SERVICE_SERVICE_UNIT,
    places.SELF_SERVICE_SOCKET_UNIT,
)
"""Every file of it."""
PLACES = (
    places.SELF_SERVICE_SOCKET_UNIT,
    places.SELF_SERVICE_SERVICE_UNIT,
    places.SELF_SERVICE_PROGRAM,
    places.SELF_SERVICE_CONFIG,
    places.CODE_SERVICE,
    *WINGS,
    places.SELF_SERVICE_LIBRARY,
    places.PAGE_DIRECTORY,
)
"""What has to go for all of it to be gone."""

_PROGRAM_TEXT = f"""\
#!/usr/bin/python3 -IB
# Managed by fleet.auth. Serves the page on which people enrol themselves.
import sys

sys.path.insert(0, "{places.LIBEXEC}")

from {places.SELF_SERVICE_PACKAGE}._self_service.program import main

main()
"""

_CODE_SERVICE_TEXT = """\
# Whether a code is right, for people's own page. Managed by fleet.auth: changes made here are lost.
auth substack twofactor
auth required pam_permit.so
"""

_CREDENTIALS = " ".join(f"-{directory}" for directory in backends.DIRECTORIES)
_UNIT_TEXTS = {
    places.SELF_SERVICE_SERVICE_UNIT: f"""\
[Unit]
Description=People's own two-factor login
PartOf={places.SELF_SERVICE_UNIT}

[Service]
ExecStart=/usr/bin/python3 -IB {places.SELF_SERVICE_PROGRAM}
StandardInput=socket
StandardOutput=journal
UMask=0077
LimitCORE=0
MemoryMax=512M
TasksMax=256
TimeoutStopSec=20
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER
NoNewPrivileges=yes
ProtectSystem=strict
ReadOnlyPaths=/run
ReadWritePaths={_CREDENTIALS} {places.TALLY_DIRECTORY} -{places.LOCK}
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
PrivateNetwork=yes
IPAddressDeny=any
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
""",
    places.SELF_SERVICE_SOCKET_UNIT: f"""\
[Unit]
Description=People's own two-factor login

[Socket]
ListenStream={places.SELF_SERVICE_SOCKET}
SocketMode=0666
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
""",
}


def config(settings: Settings) -> str:
    """What the program has to know of the settings beside the switch: how codes are, and who is given a secret."""
    codes = {"otp_digits": settings.otp_digits, "interval": settings.interval, "window": settings.window}
    given = [user.name for user in settings.users if user.present and user.secret is not None]
    return json.dumps({"codes": codes, "given": sorted(given)}) + "\n"


def texts(settings: Settings, sources: t.Mapping[str, str]) -> dict[str, str]:
    """All files by path. `sources` are the texts of the modules and of the page, by name."""
    return {
        **{f"{places.SELF_SERVICE_LIBRARY}/{name}.py": sources.get(name, "") for name in MODULES},
        **{f"{places.PAGE_DIRECTORY}/{name}": sources.get(name, "") for name in _PAGE},
        places.SELF_SERVICE_PROGRAM: _PROGRAM_TEXT,
        places.SELF_SERVICE_CONFIG: config(settings),
        places.CODE_SERVICE: _CODE_SERVICE_TEXT,
        **_UNIT_TEXTS,
    }
