# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interface of a backend. Types only, which are not needed on a host.

A backend is a Python module that has all of these members. Any that read a credential file raise CredentialError.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from .._texts.code_step import CodeStep
    from .._wanted.settings import Settings, User
    from .credential import Clock, Credential, MakeKey


class Backend(t.Protocol):
    """How one PAM module asks for codes, and how its credential files are written."""

    # The PAM module, and the package that it comes from

    MODULE: str
    """The file of the PAM module, such as `pam_oath.so`."""
    PACKAGES: dict[str, str]
    """The name of its package, by family of distributions."""

    def unfit(self, module: bytes | None, release: tuple[str, str], /) -> str | None:
        """Why the module of this host cannot be used; None if it can.

        `module` is the content of its file, or None if it is not installed yet; `release` is ID and VERSION_ID of
        os-release(5).
        """

    # What the module can do

    DIGITS: t.Collection[int]
    INTERVALS: t.Collection[int]
    """For how many seconds a code may be shown."""
    IN_WORDS: str
    """`DIGITS` and `INTERVALS` in words, for a message."""
    DEVICES: bool
    """Whether a user can have more than one device."""
    RECOVERY_WINDOW: int
    """The least window with which all recovery codes are valid."""

    # The line of the code step that asks for the code

    def pam_line(self, settings: Settings, /) -> str:
        """The module of the code step, with its arguments."""

    def code_length(self, step: CodeStep, /) -> int | None:
        """The length of the codes that a code step asks for; None if it does not ask for codes of this backend."""

    # Where credential files are, and what a login leaves beside them

    DIRECTORY: str
    """The directory of the credential files, each of which has its user's name."""
    MODES: tuple[int, ...]
    """The modes that a credential file may have; the first is that of a new one."""
    LOCK: str
    """The suffix of the lock file that the module creates while it writes a credential file, such as `.lock`."""
    LEFT_BEHIND: tuple[str, ...]
    """Patterns of the names of files that an interrupted login leaves behind, as in glob(7)."""

    # How to read and change a credential file: texts in, texts out

    def read(self, text: str, user: str, now: float | None = None, /) -> Credential:
        """Parse a credential file. With `now`, in seconds since the epoch, also find which codes are used."""

    def render(self, credential: Credential, user: str, settings: Settings, make_key: MakeKey, /) -> str:
        """Convert a credential of another backend to a file of this one; recovery codes are new, a pass is left out.

        Raises CredentialError if this backend cannot hold it.
        """

    def revise(self, text: str | None, wanted: User, settings: Settings, make_key: MakeKey, /) -> str:
        """Change a file to what the settings say for its user; `text` is None if there is no file yet."""

    def adjust(self, text: str, settings: Settings, /) -> str:
        """Apply what is set for all users to the file of a user that the settings do not name."""

    def with_self_made(self, text: str, user: str, when_and_where: str, /) -> str:
        """Note when and where a user made the credential alone; if that text is empty, note that it was accepted."""

    def with_pass(self, text: str, user: str, key: bytes, until: str, /) -> str:
        """Give a user a pass that ends at a time (ISO 8601, UTC), in place of the last pass."""

    def pass_code(self, key: bytes, digits: int, /) -> str:
        """The code of a pass that was given with this key; `digits` is the length of codes."""

    def recovery_codes(self, text: str, user: str, digits: int, /) -> list[tuple[int, str]]:
        """The recovery codes that have not been used, in their order, each with its number from 1."""

    def use_code(self, text: str, user: str, code: str, step: CodeStep, clock: Clock, /) -> str | None:
        """Use a code as a login would. Returns the file in which the code is used, or None if the code is wrong."""
