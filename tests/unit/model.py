# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small model of sshd and of Linux-PAM: who gets in with the files of a host?

It knows the keywords, criteria and modules that the collection writes and those around them, and stops at any other. It
walks through a stack as libpam's dispatcher does, including jumps and substacks.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import ipaddress
import itertools
import typing as t
import zlib
from dataclasses import dataclass, replace

Files = t.Mapping[str, str]

_SSHD_CONFIG = "/etc/ssh/sshd_config"
_DEFAULTS = {
    "authenticationmethods": "any",
    "authorizedkeyscommand": "none",
    "authorizedkeysfile": ".ssh/authorized_keys .ssh/authorized_keys2",
    "kbdinteractiveauthentication": "yes",
    "passwordauthentication": "yes",
    "permitrootlogin": "without-password",
    "pubkeyacceptedalgorithms": "ssh-ed25519,sk-ssh-ed25519@openssh.com",
    "pubkeyauthentication": "yes",
    "pubkeyauthoptions": "none",
    "usepam": "no",
}
_OLDER_NAMES = {"pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms"}
_LISTS = ("authenticationmethods", "authorizedkeysfile", "allowusers", "denyusers", "allowgroups", "denygroups")
_KEY_ACCEPTED = "/usr/libexec/fleet-auth/ssh-key-accepted"
_PASSWORD_METHOD = "/usr/libexec/fleet-auth/ssh-password-method"
_KEY_DECLARED = "/usr/libexec/fleet-auth/ssh-key-declared"
_DECLARED_KEYS = "/etc/security/twofactor-keys"
_LIMITS_SUFFICE = "/usr/libexec/fleet-auth/limits-suffice"
_FIRST_FACTOR_FAILED = "/usr/libexec/fleet-auth/first-factor-failed"


# sshd


@dataclass(frozen=True)
class _Block:
    criteria: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]

    def concerns(self, user: str, groups: t.Collection[str], address: str) -> bool:
        return all(self._holds(kind, patterns.split(","), user, groups, address) for kind, patterns in self.criteria)

    @staticmethod
    def _holds(kind: str, patterns: list[str], user: str, groups: t.Collection[str], address: str) -> bool:
        if kind == "all":
            return True
        if kind == "host":
            return address.lower() in map(str.lower, patterns)
        if kind == "address":
            try:
                peer = ipaddress.ip_address(address)
            except ValueError:
                return False
            matches = {p for p in patterns if p.lstrip("!") == "*" or peer in ipaddress.ip_network(p.lstrip("!"))}
            return bool(matches) and not any(pattern.startswith("!") for pattern in matches)
        names = {"user": [user], "group": groups}[kind]
        matches = {p for p in patterns for name in names if fnmatch.fnmatchcase(name, p.lstrip("!"))}
        return bool(matches) and not any(pattern.startswith("!") for pattern in matches)


@functools.cache
def _blocks(text: str) -> tuple[_Block, ...]:
    blocks = [_Block((), ())]
    for line in text.split("\n"):
        words = line.split("#")[0].split()
        if words and words[0].lower() == "match":
            words = line.replace("=", " ").split()
            criteria = tuple(itertools.zip_longest(map(str.lower, words[1::2]), words[2::2], fillvalue=""))
            blocks.append(_Block(criteria, ()))
        elif words:
            setting = (words[0].lower(), " ".join(words[1:]))
            blocks[-1] = replace(blocks[-1], settings=(*blocks[-1].settings, setting))
    return tuple(blocks)


def sshd_settings(files: Files, user: str, groups: t.Collection[str], address: str) -> dict[str, tuple[str, ...]]:
    """What `sshd -T -C` prints for a user and an address. Match wins over global lines, the first Match over others."""
    blocks: list[_Block] = []
    for block in _blocks(files.get(_SSHD_CONFIG, "")):
        for keyword, value in block.settings:
            if keyword != "include":
                blocks.append(replace(block, settings=((keyword, value),)))
            for path in sorted(path for path in files if keyword == "include" and fnmatch.fnmatchcase(path, value)):
                blocks += [replace(b, criteria=block.criteria + b.criteria) for b in _blocks(files[path])]
    found: dict[str, str] = {}
    for matching in (True, False):
        for block in blocks:
            if bool(block.criteria) == matching and block.concerns(user, groups, address):
                for keyword, value in block.settings:
                    found.setdefault(_OLDER_NAMES.get(keyword, keyword), value)
    values = {**_DEFAULTS, **found}
    # Before OpenSSH 8.7 its default is the value of ChallengeResponseAuthentication.
    values["kbdinteractiveauthentication"] = found.get("kbdinteractiveauthentication") or found.get(
        "challengeresponseauthentication", "yes"
    )
    return {key: tuple(value.split()) if key in _LISTS else (value,) for key, value in values.items()}


# Linux-PAM

_BY_KEYWORD = {
    "required": {"success": "ok", "ignore": "ignore", "default": "bad"},
    "requisite": {"success": "ok", "ignore": "ignore", "default": "die"},
    "optional": {"success": "ok", "default": "ignore"},
    "sufficient": {"success": "done", "default": "ignore"},
}


class _Module(t.NamedTuple):
    level: int
    control: t.Mapping[str, str]
    name: str
    arguments: tuple[str, ...]


def uid_of(name: str) -> int:
    """The uid of an account: 0 for `root`; a number for any other name, the same in capitals and in small letters."""
    return 0 if name == "root" else 1000 + zlib.crc32(name.lower().encode()) % 50000


@functools.cache
def _parsed(text: str, of: str = "auth") -> tuple[tuple[str, t.Mapping[str, str], tuple[str, ...]], ...]:
    lines: list[tuple[str, t.Mapping[str, str], tuple[str, ...]]] = []
    for line in text.split("\n"):
        line = line.split("#")[0].strip()
        if line.startswith("@include"):
            lines.append(("@include", {}, tuple(line.split()[1:])))
        kind, _space, rest = line.replace("\t", " ").partition(" ")
        if kind.lstrip("-").lower() != of:
            continue
        rest = rest.lstrip()
        if rest.startswith("["):
            control, _bracket, rest = rest[1:].partition("]")
            actions = dict(word.split("=") for word in control.split())
            lines.append(("", {"default": "bad", **actions}, tuple(rest.split())))
        else:
            control, *words = rest.split()
            lines.append((control, _BY_KEYWORD.get(control, {}), tuple(words)))
    return tuple(lines)


class _Refused(Exception):
    """An included file does not exist, so libpam does not even begin."""


@dataclass
class Pam:
    """One authentication: what the service, the person and the host provide, and what the person was asked for."""

    files: Files
    service: str
    user: str
    groups: t.Collection[str]
    address: str
    password: bool | None = None
    """Whether the password is right; None if the person has none to give."""
    code: bool | None = None
    key_accepted: bool = False
    security_key: str = ""
    """If sshd has accepted a security key: its type and the key itself."""
    credentials: t.Collection[str] = ()
    failures: int = 0
    """The tally of wrong codes. The host may have another tally, for wrong passwords."""
    locked: bool = False
    """Whether the host's own tally of wrong passwords has locked the account."""
    answers_itself: bool = False
    """Whether sshd answers each prompt with the password."""
    limits_suffice: bool = True
    """Whether the limits of the caller let a wrong code be counted."""
    noted: bool = False
    """Whether this login has left a note that its first factor was wrong."""
    asked: list[str] = dataclasses.field(default_factory=list)

    def authenticate(self, of: str = "auth") -> bool:
        """Whether the service lets the person in or, for the stack `account`, does not deny the person."""
        try:
            stack = list(self._stack(self.service, 0, of))
        except _Refused:
            return False
        impression, status, position = 0, False, 0
        entries, level = {0: (0, False)}, 0
        while position < len(stack):
            module = stack[position]
            position += 1
            if module.level > level:
                entries[module.level] = impression, status
            level = module.level
            if module.name == "":
                continue
            outcome = self._run(module)
            action = module.control.get(outcome, module.control["default"])
            if action in ("ok", "done"):
                if impression == 0 or (impression > 0 and status):
                    impression, status = 1, outcome == "success"
            elif action in ("bad", "die"):
                impression, status = -1, False
            elif action == "reset":
                impression, status = entries[module.level]
            elif action.isdigit():
                skipped = 0
                while skipped < int(action) and position < len(stack) and stack[position].level >= module.level:
                    position += 1
                    while position < len(stack) and stack[position].level > module.level:
                        position += 1
                    skipped += 1
                if skipped < int(action):
                    impression, status = -1, False
            else:
                assert action == "ignore", action
            if action == "die" or (action == "done" and impression > 0):
                while position < len(stack) and stack[position].level >= module.level:
                    position += 1
        return status and impression > 0

    def _stack(self, name: str, level: int, of: str) -> t.Iterator[_Module]:
        text = self.files.get(f"/etc/pam.d/{name}")
        if text is None:
            raise _Refused(name)
        for keyword, control, words in _parsed(text, of):
            if keyword in ("include", "@include"):
                yield from self._stack(words[0], level, of)
            elif keyword == "substack":
                yield _Module(level, {}, "", ())
                yield from self._stack(words[0], level + 1, of)
            else:
                yield _Module(level, control, words[0], words[1:])

    def _run(self, module: _Module) -> str:
        name = module.name.rpartition("/")[2].removeprefix("pam_").removesuffix(".so")
        return t.cast(str, getattr(self, f"_{name}")(list(module.arguments)))

    def _ask(self, what: str, answer: bool | None) -> str:
        self.asked.append(what)
        return "success" if answer else "auth_err"

    def _permit(self, _arguments: list[str]) -> str:
        return "success"

    _sepermit = _cap = _ssh_add = _group = _usertype = _localuser = _umask = _shells = _nologin = _permit

    def _env(self, _arguments: list[str]) -> str:
        return "ignore"

    _faildelay = _env

    def _deny(self, _arguments: list[str]) -> str:
        return "auth_err"

    _rootok = _cockpit_cert = _sss = _systemd_home = _deny

    def _unix(self, _arguments: list[str]) -> str:
        return self._ask("password", self.password)

    def _oath(self, arguments: list[str]) -> str:
        assert "usersfile=/etc/oath/${USER}" in arguments
        right = self._ask("code", self.code)
        return right if self.user in self.credentials else "auth_err"

    def _google_authenticator(self, arguments: list[str]) -> str:
        assert {"secret=/etc/google-authenticator/${USER}", "user=root", "noskewadj"} <= set(arguments)
        # Without a credential nobody is asked.
        return self._ask("code", self.code) if self.user in self.credentials else "auth_err"

    def _exec(self, arguments: list[str]) -> str:
        if arguments[:3] == ["quiet", "seteuid", _FIRST_FACTOR_FAILED]:
            if _FIRST_FACTOR_FAILED not in self.files:
                return "system_err"
            noted, self.noted = self.noted, arguments[3:] == ["note"]
            return "success" if noted or self.noted else "system_err"
        if arguments == ["quiet", "stdout", "seteuid", _LIMITS_SUFFICE]:
            return "success" if self.limits_suffice and _LIMITS_SUFFICE in self.files else "system_err"
        if arguments == ["quiet", _PASSWORD_METHOD]:
            return "success" if self.answers_itself and _PASSWORD_METHOD in self.files else "system_err"
        if arguments == ["quiet", _KEY_DECLARED]:
            lines = self.files.get(f"{_DECLARED_KEYS}/{self.user}", "").splitlines()
            declared = self.key_accepted and self.security_key in [" ".join(line.split()[:2]) for line in lines]
            return "success" if declared and self.security_key and _KEY_DECLARED in self.files else "auth_err"
        assert arguments == ["quiet", _KEY_ACCEPTED]
        return "success" if self.key_accepted and _KEY_ACCEPTED in self.files else "auth_err"

    def _faillock(self, arguments: list[str]) -> str:
        deny = next((int(word.partition("=")[2]) for word in arguments if word.startswith("deny=")), 3)
        ours = "dir=/run/fleet-auth/faillock" in arguments
        if "preauth" in arguments:
            return "auth_err" if (self.failures >= deny if ours else self.locked) else "success"
        if "authfail" in arguments:
            self.failures += ours
            return "auth_err"
        assert "authsucc" in arguments
        return "success"

    def _succeed_if(self, arguments: list[str]) -> str:
        quiet, subject, operator, value = arguments
        assert quiet == "quiet"
        names = value.split(":")
        holds = {
            ("user", "in"): self.user in names,
            ("user", "notin"): self.user not in names,
            ("uid", "notin"): str(uid_of(self.user)) not in names,
            ("user", "="): self.user == value,
            ("user", "ingroup"): any(group in names for group in self.groups),
            ("user", "notingroup"): not any(group in names for group in self.groups),
            ("service", "in"): self.service in names,
        }[subject, operator]
        return "success" if holds else "auth_err"

    def _access(self, arguments: list[str]) -> str:
        given = dict(word.partition("=")[::2] for word in arguments)
        for line in self.files.get(given["accessfile"], "").split("\n"):
            if not line:
                continue
            permission, users, origin = line.split(":", 2)
            assert users == "ALL"
            if origin == "ALL" or _is_in(self.address, origin):
                return "success" if permission == "+" else "perm_denied"
        return "success"


def _is_in(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network)
    except ValueError:
        return False


# People


@dataclass(frozen=True)
class Client:
    """What somebody can present at a login. A client in batch mode answers no prompts."""

    key: bool = False
    password: bool | None = None
    code: bool | None = None
    batch: bool = False
    security_key: str = ""
    """The key, if it is a security key."""
    verified: bool = True
    """Whether the security key asks for its PIN."""


def use_service(
    files: Files, service: str, user: str, groups: t.Collection[str], client: Client, credentials: t.Collection[str]
) -> bool:
    """Whether a service on the host itself, such as sudo, lets this account in."""
    return Pam(files, service, user, groups, "", client.password, client.code, credentials=credentials).authenticate()


def log_in(
    files: Files,
    user: str,
    groups: t.Collection[str],
    address: str,
    client: Client,
    credentials: t.Collection[str],
    config: Files | None = None,
) -> bool:
    """Whether sshd lets this account in. `config` holds the files as sshd has read them, if they have changed since."""
    sshd = sshd_settings(files if config is None else config, user, groups, address)
    root = sshd["permitrootlogin"][0] if user == "root" else "yes"

    def by(method: str, key_accepted: bool) -> bool:
        if method == "publickey":
            if client.security_key and not client.verified and "verify-required" in sshd["pubkeyauthoptions"][0]:
                return False
            if "ssh-ed25519" not in sshd["pubkeyacceptedalgorithms"][0].split(",") and not client.security_key:
                return False
            (file, *_others) = sshd["authorizedkeysfile"]
            if file.startswith("/") and client.security_key not in files.get(file.replace("%u", user), ""):
                return False
            return client.key and sshd["pubkeyauthentication"] == ("yes",) and root != "no"
        if client.batch or root != "yes" or sshd["usepam"] != ("yes",):
            return False
        pam = Pam(
            files,
            "sshd",
            user,
            groups,
            address,
            client.password,
            client.code,
            key_accepted,
            client.security_key,
            credentials=credentials,
        )
        if method in ("keyboard-interactive", "keyboard-interactive:pam"):
            return sshd["kbdinteractiveauthentication"] == ("yes",) and pam.authenticate()
        assert method == "password"
        # Whatever PAM asks, the answer is the password.
        pam.code, pam.answers_itself = None, True
        return sshd["passwordauthentication"] == ("yes",) and client.password is not None and pam.authenticate()

    account = Pam(files, "sshd", user, groups, address, password=True)
    if sshd["usepam"] == ("yes",) and not account.authenticate("account"):
        return False
    methods = sshd["authenticationmethods"]
    if methods == ("any",):
        methods = ("publickey", "keyboard-interactive", "password")
    return any(
        all(by(method, key_accepted="publickey" in chain.split(",")[:n]) for n, method in enumerate(chain.split(",")))
        for chain in methods
    )
