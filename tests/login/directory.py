# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A directory and its contents: accounts with passwords, groups, sudo rules, and Kerberos keys."""

from __future__ import annotations

import itertools
import typing as t
from collections.abc import Sequence

from hosts import Host
from login.people import PASSWORD

_BASE = "dc=example,dc=test"
_ADMIN = ("-x", "-D", f"cn=admin,{_BASE}", "-w", "directory")
_numbers = itertools.count(5001)

_CHANGE = f"""
set -e
cat >/run/change.ldif
[ ! -s /run/change.ldif ] || ldapmodify {" ".join(_ADMIN)} -f /run/change.ldif >/dev/null
for principal; do
    case $principal in
    */*) echo "addprinc -randkey $principal" ;;
    *) echo "addprinc -pw \\"{PASSWORD}\\" $principal" ;;
    esac
done | kadmin.local >/dev/null
"""


class Directory:
    """The directory of a fleet. `commit` adds all pending entries, for all hosts of the fleet at once."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._ldif: list[str] = []
        self._principals: list[str] = []

    def account(
        self, name: str, *, uid: int | None = None, group: int | None = None, key: str = "", password: bool = True
    ) -> int:
        """Add an account with the home /home/NAME. With the *uid* of another account it is a second name of that one.

        :param group: the gid of its primary group. If omitted, it is the account's uid, and the group has no name.
        :param key: a public key that sshd gets from the directory.
        :returns: the account's uid.
        """
        number = uid or next(_numbers)
        classes = ["account", "posixAccount", *(["ldapPublicKey"] if key else [])]
        self._add(
            f"uid={name},ou=people",
            {
                "objectClass": classes,
                "uid": [name],
                "cn": [name],
                "uidNumber": [str(number)],
                "gidNumber": [str(group or number)],
                "homeDirectory": [f"/home/{name}"],
                "loginShell": ["/bin/bash"],
                **({"sshPublicKey": [key]} if key else {}),
            },
        )
        self._principals += [name] if password else []
        return number

    def group(self, name: str, members: Sequence[str] = ()) -> int:
        """Add a group with these members, and return its gid."""
        number = next(_numbers)
        self._add(
            f"cn={name},ou=groups",
            {"objectClass": ["posixGroup"], "cn": [name], "gidNumber": [str(number)], "memberUid": [*members]},
        )
        return number

    def rule(self, user: str, *options: str) -> None:
        """Add a rule with which sudo lets this user run everything."""
        values = {"sudoUser": [user], "sudoHost": ["ALL"], "sudoCommand": ["ALL"]}
        name = f"rule-{user.lstrip('%')}"
        self._add(
            f"cn={name},ou=sudoers",
            {"objectClass": ["sudoRole"], "cn": [name], **values, "sudoOption": [*options]},
        )

    def service(self, principal: str) -> None:
        """Add a Kerberos service with a random key, such as host/web12."""
        self._principals.append(principal)

    def commit(self) -> None:
        """Write everything that was added since the last commit to the directory."""
        self.host.run("sh", "-c", _CHANGE, "sh", *self._principals, input="\n".join(self._ldif))
        self._ldif, self._principals = [], []

    def keytab(self, *principals: str) -> bytes:
        """The keys of these principals, as a keytab."""
        words = " ".join(f"ktadd -k /run/keytab {one}" for one in principals)
        self.host.run(f"rm -f /run/keytab; echo '{words}' | kadmin.local >/dev/null")
        return self.host.read("/run/keytab")

    def _add(self, name: str, values: t.Mapping[str, Sequence[str]]) -> None:
        lines = [f"{attribute}: {value}" for attribute, found in values.items() for value in found]
        self._ldif.append("\n".join([f"dn: {name},{_BASE}", "changetype: add", *lines, ""]))
