# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logins with real OpenSSH, as by a person with a password and a phone."""

from __future__ import annotations

from .ssh import ConnectionFailed, Login, code, credential, fresh_step, login, sftp

__all__ = ["ConnectionFailed", "Login", "code", "credential", "fresh_step", "login", "sftp"]
