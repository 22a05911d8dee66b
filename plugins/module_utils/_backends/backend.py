# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the rest of the house asks of a backend, in parts. Types only, which no host has to read.

A backend is a module of Python that has all of it. Whatever reads a credential file raises CredentialError.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from .._texts.code_step import CodeStep
    from .._wanted.settings import Settings, User
    from .credential import Clock, Credential, MakeKey


class Package(t.Protocol):
    """The PAM module, and where it comes from."""

    MODULE: str
    """The file of the PAM module, such as `pam_oath.so`."""
    PACKAGES: dict[str, str]
    """The package that has it, by family of distributions."""

    def unfit(self, module: bytes | None, release: tuple[str, str], /) -> str | None:
        """Why the module of this host is no good; None where it is.

        `module` is what is in its file, or None where there is none yet; `release` is ID and VERSION_ID of
        os-release(5).
        """


class Abilities(t.Protocol):
    """What the module can do."""

    DIGITS: t.Collection[int]
    INTERVALS: t.Collection[int]
    """For how many seconds a code may be shown."""
    IN_WORDS: str
    """These two."""
    DEVICES: bool
    """Whether somebody can have more than one device."""
    RECOVERY_WINDOW: int
    """The least window with which all recovery codes are right."""


class PamLine(t.Protocol):
    """The line of the code step that asks."""

    def pam_line(self, settings: Settings, /) -> str:
        """The module of the code step, with its arguments."""

    def code_length(self, step: CodeStep, /) -> int | None:
        """How long codes are by a code step; None where it does not ask for codes of this backend."""


class CredentialFiles(t.Protocol):
    """Where credential files are, and what a login leaves beside them."""

    DIRECTORY: str
    """Where the credential files are, each under its user's name."""
    MODES: tuple[int, ...]
    """The modes that a credential file may have; the first is that of a new one."""
    LOCK: str
    """What is added to the name of a credential file for the one that the module makes while it writes that back."""
    LEFT_BEHIND: tuple[str, ...]
    """Patterns of the names of files of a login that was cut off, as in glob(7)."""


class CredentialFormat(t.Protocol):
    """What a credential file says, and how it is changed. Texts in, texts out."""

    def read(self, text: str, user: str, now: float | None = None, /) -> Credential:
        """What a credential file says. With `now`, in seconds since the epoch, also which codes are used."""

    def render(self, credential: Credential, user: str, settings: Settings, make_key: MakeKey, /) -> str:
        """A file that says what one of another backend does; recovery codes are new, and a pass is left out.

        Raises CredentialError where this backend cannot hold it.
        """

    def revise(self, text: str | None, wanted: User, settings: Settings, make_key: MakeKey, /) -> str:
        """Bring a file to what is wanted of its user; `text` is None where there is none yet."""

    def adjust(self, text: str, settings: Settings, /) -> str:
        """Bring a file to what holds for everybody, of a user of whom nothing is wanted."""

    def with_self_made(self, text: str, user: str, when_and_where: str, /) -> str:
        """Note that a user made the credential alone, when and where; or, where that is empty, that it was accepted."""

    def with_pass(self, text: str, user: str, key: bytes, until: str, /) -> str:
        """Give a user a pass until a time (ISO 8601, UTC), in place of the last one."""

    def pass_code(self, key: bytes, digits: int, /) -> str:
        """The code of a pass that was given with this key, where codes have so many digits."""

    def recovery_codes(self, text: str, user: str, digits: int, /) -> list[tuple[int, str]]:
        """The recovery codes that have not been used, in their order, each with its number from 1."""

    def use_code(self, text: str, user: str, code: str, step: CodeStep, clock: Clock, /) -> str | None:
        """Take a code as a login would: the file with the code used up, or None where the code is not right."""


class Backend(Package, Abilities, PamLine, CredentialFiles, CredentialFormat, t.Protocol):
    """All of it."""
