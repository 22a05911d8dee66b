# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks sshd for the settings that its configuration gives each account; sshd(8), -T and -C."""

from __future__ import annotations

import os
import typing as t

from .. import _places as places
from .._texts import sshd_config
from .._wanted.settings import Settings
from .command import Run
from .state import Connection

# Addresses for documentation (RFC 5737, RFC 3849): nobody connects from them, so they stand for any other address.
_SAMPLE_ADDRESSES = ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1")
_ANYWHERE = sshd_config.Origin()


class SshdError(RuntimeError):
    """sshd refuses to report its settings; the text is what it printed."""


class Views(t.NamedTuple):
    """The settings that sshd has for the accounts of a host."""

    settings: t.Mapping[str, sshd_config.Effective]
    """The settings by account, from an address that is not exempt."""
    elsewhere: t.Mapping[sshd_config.Origin, t.Mapping[str, sshd_config.Effective]] = {}
    """The settings by account, for each other address and each port that the configuration names."""
    connection: sshd_config.Effective | None = None
    """The settings for the account and the address of the connection, if there is one."""
    error: str | None = None
    """Why sshd does not report its settings, if it does not."""

    @property
    def pid_file(self) -> str:
        """The path of its PID file; `none` if it writes none."""
        return next((one.first("pidfile") for one in self.settings.values()), "") or places.SSHD_PID_FILE


def views(
    run: Run,
    groups: t.Mapping[str, tuple[str, ...]],
    texts: t.Mapping[str, str],
    address: str,
    connection: Connection | None,
    words: t.Sequence[str] = (),
    exempt: t.Callable[[str], bool] = lambda _address: False,
) -> Views:
    """Ask sshd for the settings of every account, once for each class of accounts that its configuration distinguishes.

    `groups` has the groups of each account, `texts` the files of the configuration, by path. `address` is the address
    to ask about, and `words` are the options of that sshd. It is not asked about addresses that are exempt.
    """
    nothing = dict.fromkeys(groups, sshd_config.Effective())
    if not os.path.exists(places.SSHD):
        return Views(nothing, error=f"{places.SSHD} is not installed")
    patterns = sshd_config.account_patterns(texts)
    # Files that are not in `texts` may have settings for root, or for the address that this run comes from.
    unseen = sshd_config.reads_elsewhere(texts)
    classes = {
        name: (unseen and name == "root", *sshd_config.account_class(patterns, name, groups[name])) for name in groups
    }

    def seen_from(origin: sshd_config.Origin) -> dict[str, sshd_config.Effective]:
        by_class: dict[tuple[t.Any, ...], sshd_config.Effective] = {}
        for name, key in classes.items():
            if key not in by_class:
                by_class[key] = effective(run, origin.connection_spec(name, address), words)
        return {name: by_class[key] for name, key in classes.items()}

    try:
        found = seen_from(_ANYWHERE)
        elsewhere = {one: seen_from(one) for one in sshd_config.origins(texts, exempt) if not exempt(one.address)}
        if connection is None:
            return Views(found, elsewhere)
        if connection.user in found and not (unseen or sshd_config.distinguishes_origins(texts)):
            return Views(found, elsewhere, found[connection.user])
        return Views(
            found, elsewhere, effective(run, _ANYWHERE.connection_spec(connection.user, connection.address), words)
        )
    except SshdError as error:
        return Views(nothing, error=str(error))


def effective(run: Run, connection_spec: str, words: t.Sequence[str] = ()) -> sshd_config.Effective:
    """The settings that the files on disk give the login of `connection_spec`; sshd(8), -C. Raises SshdError."""
    code, out, error = run([places.SSHD, *words, "-T", "-C", connection_spec])
    if code != 0:
        raise SshdError(error.strip() or f"{places.SSHD} -T ended with {code}")
    return sshd_config.parse_effective(out)


def sample_address(settings: Settings) -> str:
    """An address that is not exempt, for which sshd has the settings that apply to any other such address."""
    return next((address for address in _SAMPLE_ADDRESSES if not settings.exempts(address)), "UNKNOWN")
