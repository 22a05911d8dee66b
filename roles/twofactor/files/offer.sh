# shellcheck shell=sh
# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Managed by fleet.auth. At an ssh login with a terminal, tells users without a second factor how to set one up.
if [ -n "${SSH_TTY-}" ] && [ -t 1 ] && [ -S /run/fleet-auth/self-service.sock ]; then
    case $- in
    *i*) /usr/local/bin/twofactor-enrol --offer 2>/dev/null || : ;;
    esac
fi
