# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""People's own page in Cockpit, as files: the page, the program behind it, and the units that start that."""

from __future__ import annotations

import json
import typing as t

from .._backends import backends
from .._wanted.settings import Settings

SOCKET = "/run/fleet-auth/self-service.sock"
UNIT = "fleet-auth-self-service.socket"
PAGE_DIRECTORY = "/usr/share/cockpit/fleet-auth"
PACKAGE = "fleet_auth"
LIBRARY = f"/usr/libexec/fleet-auth/{PACKAGE}"
PROGRAM = "/usr/libexec/fleet-auth/self-service"
CONFIG = "/usr/libexec/fleet-auth/self-service.json"
MODULES = (
    "_apply/actions",
    "_apply/credential_files",
    "_apply/files",
    "_apply/journal",
    "_apply/lock",
    "_apply/pending",
    "_backends/backend",
    "_backends/backends",
    "_backends/credential",
    "_backends/google_authenticator",
    "_backends/hotp",
    "_backends/oath",
    "_backends/usersfile",
    "_self_service/conversation",
    "_self_service/page_files",
    "_self_service/pam_client",
    "_self_service/program",
    "_texts/code_step",
    "_texts/pam",
    "_texts/pam_conf",
    "_texts/placement",
    "_texts/recovery",
    "_texts/sshd_config",
    "_wanted/bounds",
    "_wanted/secret",
    "_wanted/settings",
)
"""What the program is made of: this collection's own modules, which import each other by relative paths."""
WINGS = tuple(sorted({f"{LIBRARY}/{name.partition('/')[0]}" for name in MODULES}))
DIRECTORIES = (LIBRARY, *WINGS, PAGE_DIRECTORY)
CODE_SERVICE = "/etc/pam.d/twofactor-code"
"""The PAM service by which the program asks whether a code is right, and for nothing else."""

_UNITS = "/etc/systemd/system"
UNIT_PATH = f"{_UNITS}/{UNIT}"
LISTENING = (SOCKET, f"{_UNITS}/sockets.target.wants/{UNIT}")
"""What is there where systemd listens now, and at each boot."""
_SERVICE_UNIT = f"{_UNITS}/fleet-auth-self-service.service"
_PAGE = ("manifest.json", "index.html", "page.css", "page.js", "qrcode.js")

FILES = (
    *(f"{LIBRARY}/{name}.py" for name in MODULES),
    *(f"{PAGE_DIRECTORY}/{name}" for name in _PAGE),
    PROGRAM,
    CONFIG,
    CODE_SERVICE,
    _SERVICE_UNIT,
    UNIT_PATH,
)
"""Every file of it."""
PLACES = (UNIT_PATH, _SERVICE_UNIT, PROGRAM, CONFIG, CODE_SERVICE, *WINGS, LIBRARY, PAGE_DIRECTORY)
"""What has to go for all of it to be gone."""

_PROGRAM_TEXT = f"""\
#!/usr/bin/python3 -IB
# Managed by fleet.auth. Serves the page on which people enrol themselves.
import sys

sys.path.insert(0, "/usr/libexec/fleet-auth")

from {PACKAGE}._self_service.program import main

main()
"""

_CODE_SERVICE_TEXT = """\
# Whether a code is right, for people's own page. Managed by fleet.auth: changes made here are lost.
auth substack twofactor
auth required pam_permit.so
"""

_CREDENTIALS = " ".join(f"-{directory}" for directory in backends.DIRECTORIES)
_UNIT_TEXTS = {
    _SERVICE_UNIT: f"""\
[Unit]
Description=People's own two-factor login
PartOf={UNIT}

[Service]
ExecStart=/usr/bin/python3 -IB {PROGRAM}
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
ReadWritePaths={_CREDENTIALS} /run/fleet-auth/faillock -/run/fleet-auth.lock
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
    UNIT_PATH: f"""\
[Unit]
Description=People's own two-factor login

[Socket]
ListenStream={SOCKET}
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
        **{f"{LIBRARY}/{name}.py": sources.get(name, "") for name in MODULES},
        **{f"{PAGE_DIRECTORY}/{name}": sources.get(name, "") for name in _PAGE},
        PROGRAM: _PROGRAM_TEXT,
        CONFIG: config(settings),
        CODE_SERVICE: _CODE_SERVICE_TEXT,
        **_UNIT_TEXTS,
    }
