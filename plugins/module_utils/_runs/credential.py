# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the credential of one person, in the backend that this host uses."""

from __future__ import annotations

import os
import typing as t

from .. import _places as places
from .._backends import backends
from .._backends.credential import Credential, CredentialError
from .._host.files import read_file
from .._texts.code_step import CodeStep
from .._wanted.bounds import is_account_name
from .main import Failure

if t.TYPE_CHECKING:
    from .._backends.backend import Backend


class NoCredential(Failure):
    """The user has no credential."""


class StoredCredential(t.NamedTuple):
    """A credential on this host, and its backend."""

    backend: Backend
    path: str
    text: str
    content: Credential

    @property
    def lock(self) -> str:
        """The lock file that keeps logins from writing the old credential back."""
        return self.path + self.backend.LOCK

    def __repr__(self) -> str:
        return f"StoredCredential({self.path!r})"


def code_step() -> CodeStep:
    """What the code step of this host says."""
    file = read_file(places.SWITCH)
    return CodeStep.parse(file.content if file else None)


def find(user: str, step: CodeStep) -> StoredCredential:
    """A user's credential, in the backend in use, or in any while none is. Raises NoCredential or another Failure."""
    host = os.uname().nodename
    if not is_account_name(user):
        raise NoCredential(f"{user!r} is not the name of an account that has a credential on {host}. Correct the name.")
    paths = {one: backends.credential_path(one, user) for one in backends.BACKENDS}
    chosen = backends.in_use(step, [one for one, path in paths.items() if os.path.isfile(path)], next(iter(paths)))
    backend, path = backends.BACKENDS[chosen], paths[chosen]
    file = read_file(path)
    if file is None:
        raise NoCredential(
            f"{user} has no credential on {host}. Enrol {user} with the option users of fleet.auth.twofactor."
        )
    try:
        return StoredCredential(backend, path, file.content, backend.read(file.content, user))
    except CredentialError as error:
        raise Failure(
            f"The credential of {user} on {host}, {path}, {error}. Restore it, or remove it and enrol anew."
        ) from error
