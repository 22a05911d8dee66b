# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard of a host: its configuration, and what it has seen since the last run. Pure."""

from __future__ import annotations

import re
import typing as t
from dataclasses import replace

from .. import _places as places
from .._host.state import HostState
from .._texts import cockpit_conf, drop_in, guard, pam, pam_conf, pam_modules, sshd_config
from .._texts.patterns import matching_paths
from .._wanted.settings import Settings
from .changes import Change, Listen
from .draft import Draft
from .situation import Situation

_OFF = "off"


def set_up(
    draft: Draft, situation: Situation, protected: t.Collection[str], asking_services: t.Sequence[str]
) -> list[Change]:
    """Set up the wanted guard, which compares with the files as they are in the draft, or remove it.

    `protected` are the services whose file has our block, `asking_services` are all that ask for the code.
    """
    settings, state = situation
    if settings.guard == _OFF or not state.has_systemd or not asking_services:
        return draft.remove_guard()
    contents = settings.files
    stacks = _stacks(replace(state, files=draft.files), protected, asking_services)
    further = _further_watched(situation, draft, asking_services, stacks)
    units = {
        places.GUARD_SERVICE_UNIT: contents[places.GUARD_SERVICE_UNIT],
        places.GUARD_PATH_UNIT: guard.watching(contents[places.GUARD_PATH_UNIT], _for_systemd(state, further)),
    }
    is_on = mode(state) != _OFF and all(draft.text(path) == text for path, text in units.items())
    config = _config(draft, situation, protected, asking_services, stacks, (*places.GUARD_WATCHED, *further))
    texts = {places.GUARD_PROGRAM: contents[places.GUARD_PROGRAM], places.GUARD_CONFIG: config, **units}
    return [
        *(() if is_on else draft.stop_guard()),
        *draft.directory(places.GUARD_DIRECTORY, 0o700),
        # This run reports them.
        *draft.remove(places.GUARD_ALERTS),
        *(
            change
            for path, text in texts.items()
            for change in draft.write(path, text, places.FOR_GUARD.get(path, 0o644))
        ),
        *([] if is_on else [Listen(places.GUARD_UNIT)]),
    ]


def mode(state: HostState) -> str:
    """What the guard does on a host: `warn`, `repair`, or `off` if there is no guard, or one that does not watch."""
    found = re.match(r"mode\t(\w+)\n", state.text(places.GUARD_CONFIG) or "")
    return found[1] if found and places.GUARD_LINK in state.files and not _is_stopped(state) else _OFF


def _is_stopped(state: HostState) -> bool:
    return places.GUARD_UNIT in state.stopped_units


def alerts(state: HostState) -> list[guard.Alert]:
    """What the guard has seen since the last run."""
    return guard.alerts(state.text(places.GUARD_ALERTS))


def alert_warnings(state: HostState) -> t.Iterator[str]:
    """Yield a sentence about each of these alerts, and one if there can be no alerts since the guard does not watch."""
    if _is_stopped(state):
        yield (
            f"the guard of {state.hostname} has failed or been stopped, so it has not seen what changed there since. "
            f"See 'systemctl status {places.GUARD_UNIT}'. A run of fleet.auth.enable starts it again."
        )
    for alert in alerts(state):
        until = f" This lasted until {alert.until}." if alert.until else ""
        yield f"the guard of {state.hostname} saw on {alert.since}: {alert.text}.{until}"


def _further_watched(
    situation: Situation, draft: Draft, asking_services: t.Collection[str], stacks: t.Iterable[str]
) -> tuple[str, ...]:
    """What the guard watches on this host beside `GUARD_WATCHED`: directories, and files that may not exist yet."""
    state = situation.state
    units = (*places.GUARD_WATCHED_UNITS, *_variable_files(state)) if places.DROP_IN in draft.files else ()
    past_pam = (places.COCKPIT_DIRECTORY, *places.KEYTABS) if "cockpit" in asking_services else ()
    vendor = [places.VENDOR_PAM_D] if any(path.startswith(f"{places.VENDOR_PAM_D}/") for path in draft.files) else []
    further = [path for path in (places.EXEMPT_ORIGINS, *_key_lists(draft)) if path in draft.files]
    lists = sorted({path.rpartition("/")[0] for path in further})
    # The files of authselect and the like are elsewhere, and links in /etc/pam.d lead to them.
    by_path = list(filter(pam_conf.is_elsewhere, stacks))
    linked = (draft.files.get(path) for path in (*by_path, *(f"{places.PAM_D}/{name}" for name in stacks)))
    files = [*(file.link for file in linked if file and file.link), *(sshd.start.config for sshd in state.sshds)]
    files += [*state.sshd_included, *by_path]
    elsewhere = {path.rpartition("/")[0] for path in files} - {*places.GUARD_WATCHED, *vendor}
    return (*units, *past_pam, *vendor, *lists, *sorted(elsewhere), *state.module_directories)


def _for_systemd(state: HostState, watched: t.Iterable[str]) -> list[str]:
    """The paths at which systemd watches for changes, so that it starts the guard.

    If a watched file does not exist, systemd watches its directory for it, and begins anew to watch all paths with each
    file that comes there; what changes in that moment is missed. So directories are watched in place of such files.
    """
    unused = "/etc/sysconfig/" if state.os_family == "debian" else "/etc/default/"
    usual = (*places.SSHD_SERVICE_OPTIONS, *places.KEYTABS)
    paths = (one.rpartition("/")[0] if one in usual else one for one in watched if not one.startswith(unused))
    return [*dict.fromkeys(paths)]


def _key_lists(draft: Draft) -> list[str]:
    """The lists of the security keys that are declared."""
    inside = (f"{places.KEYS_DIRECTORY}/", f"{places.KEYS_ONLY_DIRECTORY}/")
    return sorted(path for path in draft.files if path.startswith(inside))


def _config(
    draft: Draft,
    situation: Situation,
    protected: t.Collection[str],
    asking_services: t.Collection[str],
    stacks: t.Mapping[str, t.Sequence[str]],
    watched: t.Iterable[str],
) -> str:
    """The text of the guard's configuration file; the script explains each kind of line."""
    state = replace(situation.state, files=draft.files)
    own = (places.SWITCH, places.DROP_IN, places.EXEMPT_ORIGINS, *pam.HELPERS, *_key_lists(draft))
    texts = {path: text for path, text in ((path, draft.text(path)) for path in own) if text is not None}
    lines = [guard.line("mode", situation.settings.guard)]
    lines += [guard.line("watch", path) for path in watched]
    lines += [guard.line("file", guard.digest(text), path) for path, text in texts.items()]
    files = state.service_files
    for service in protected:
        lines.append(guard.line("block", guard.digest(guard.auth_part(files.texts[service])), service))
        lines += [guard.line("line", service, line) for line in guard.block(files.texts[service])]
    for name, services in stacks.items():
        lines.append(guard.line("stack", guard.digest(guard.auth_part(files.texts[name])), name, ", ".join(services)))
    lines += [guard.line("modules", path) for path in state.module_directories]
    needed = sorted(pam_modules.named_in("".join(texts.values())))
    lines += [guard.line("module", name) for name in needed] if state.module_directories else []
    if places.DROP_IN in texts:
        lines += [*_start_lines(state), *_sshd_lines(situation)]
    if "cockpit" in asking_services:
        lines += _cockpit_lines(draft.text(places.COCKPIT_CONFIG))
    return "".join(lines)


def _stacks(state: HostState, protected: t.Collection[str], asking_services: t.Sequence[str]) -> dict[str, list[str]]:
    """The PAM files without our block through which these services ask, each with its services."""
    files = state.service_files
    stacks: dict[str, list[str]] = {}
    ours = {pam_conf.service_name(path) for path in (places.SWITCH, *pam.HELPERS)}
    for service in asking_services:
        for name in sorted({service, *pam.included(service, files)} - ours - {*protected}):
            if name in files.texts:
                stacks.setdefault(name, []).append(service)
    return stacks


def _start_lines(state: HostState) -> t.Iterator[str]:
    """Yield lines about the files that determine how sshd is started."""
    for pattern in (*places.SSHD_STARTS, *_variable_files(state)):
        paths = matching_paths(pattern, state.files)
        yield guard.line(
            "start", guard.digest("".join(guard.starting(one, state.text(one) or "") for one in paths)), pattern
        )


def _variable_files(state: HostState) -> list[str]:
    """The files of variables that the units of sshd read on this host, beside the usual ones."""
    return [path for path in state.sshd_variables if path not in places.SSHD_SERVICE_OPTIONS]


def _cockpit_lines(text: str | None) -> t.Iterator[str]:
    """Yield lines about what lets people into Cockpit past PAM."""
    yield guard.line("cockpit", guard.digest(cockpit_conf.past_pam(text)), places.COCKPIT_CONFIG)
    if cockpit_conf.accepts_kerberos(text):
        yield from (guard.line("keytab", path) for path in places.KEYTABS)


def _other_sshd_lines(files: sshd_config.Files, settings: Settings) -> t.Iterator[str]:
    """Yield lines about what one sshd reads beside our drop-in, as far as it decides who is asked for a code."""
    keywords = sorted(drop_in.keywords(settings))
    include_lines = sshd_config.include_lines(files)
    yield from (guard.line("pattern", pattern) for pattern in include_lines.patterns)
    count = guard.includes(files.texts.get(files.config, ""), include_lines.line)
    text = guard.others(files, keywords, count)
    yield guard.line("before", guard.digest(text), str(count), files.config, " ".join(keywords))


def _sshd_lines(situation: Situation) -> t.Iterator[str]:
    """Yield what each sshd must report, for one account that needs a code of each class its files distinguish."""
    settings, state = situation
    names = dict.fromkeys(["root", *sorted({*situation.enrolled_afterwards, *settings.declared_keys})])
    accounts = [state.accounts[name] for name in names if name in state.accounts]
    groups = sorted({*settings.scope_groups, *settings.exempt_groups, *settings.security_keys_only_groups})
    for sshd in state.sshds:
        # Our own drop-in is left out: it does not distinguish these accounts.
        patterns = sshd_config.account_patterns(state.sshd_files(sshd.start, "").texts)
        yield guard.line("sshd")
        yield from (guard.line("word", word) for word in sshd.start.words)
        yield from _other_sshd_lines(state.sshd_files(sshd.start), settings)
        seen: set[t.Any] = set()
        for account in accounts:
            keys_only = situation.keys_only(account)
            expected = drop_in.expected(settings, sshd.any_account, account.name, keys_only=keys_only)
            key = (
                (account.name == "root", frozenset(expected.items())),
                sshd_config.account_class(patterns, account.name, account.groups),
            )
            if key not in seen and (keys_only or situation.in_scope(account)):
                seen.add(key)
                yield guard.line("user", state.sample_address, account.name)
                yield from (guard.line("in" if one in account.groups else "outside", one) for one in groups)
                yield from (guard.line("set", keyword, " ".join(value)) for keyword, value in expected.items())
