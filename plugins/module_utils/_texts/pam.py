# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The block that makes a PAM service ask for a code, and the files that it calls; pam.conf(5). Text in, text out.

A marked block replaces the primary authentication of a protected service. The block contains the lines that it
replaces, so it can be removed without any other record, and every other byte of the file stays.
"""

from __future__ import annotations

import itertools
import re
import typing as t

from .. import _places as places
from . import placement
from .pam_conf import ServiceFiles, include_targets, service_name
from .placement import Block, PamError

_BEGIN = "# BEGIN fleet.auth twofactor: in place of the next line"
_REPLACED = "#| "
_END = "# END fleet.auth twofactor"

HELPERS = (
    places.KEY_ACCEPTED,
    places.KEY_DECLARED,
    places.PASSWORD_METHOD,
    places.LIMITS_SUFFICE,
    places.FIRST_FACTOR_FAILED,
    places.JUDGE,
    places.NOTE,
)
"""The files that a block calls, or the code step: `PASSWORD_METHOD` where sshd asks, `LIMITS_SUFFICE` everywhere."""


# Names of copies that package managers and editors leave next to a file; dpkg(1), ucf(1), rpm(8), pam-auth-update(8).
_COPY = re.compile(
    r".*(~|#|[.](dpkg-(old|dist|new|bak|tmp)|ucf-(old|dist|new)|rpm(save|new|orig)|pam-(old|new)|bak|old|orig|save|sw[op]))"
    r"|[.].*"
)


def is_copy(name: str) -> bool:
    """Whether a file of this name is a copy that was left behind, and not the file of a PAM service."""
    return bool(_COPY.fullmatch(name))


class Protected(t.NamedTuple):
    """A service that asks for the code."""

    text: str
    block: Block
    """The block in place of the primary authentication."""


def is_protected(text: str) -> bool:
    """Whether the file has our block, whole or damaged."""
    return any(line.startswith((_BEGIN, _END)) for line in text.split("\n"))


def protect(
    service: str,
    text: str,
    files: ServiceFiles,
    code_modules: t.Collection[str],
    account_lines: t.Sequence[str] = (),
    *,
    declared_keys: bool = False,
) -> Protected:
    """Put the code step right after the primary authentication of a service; see `placement`.

    `files` are those of all services. `code_modules` are the PAM modules that ask for codes, which only the code step
    may use. `account_lines` are added to sshd's account stack, which sshd runs after every way to log in.
    `declared_keys` says whether sshd asks for no code after a declared security key. A file that is protected already
    is returned as this release would write it. Raises PamError.
    """
    text = unprotect(service, text)
    others = without_ours(files)
    alone = others._replace(texts={**others.texts, service: text})
    placement.check_codes(service, alone, code_modules)
    block = placement.block_of(service, alone, declared_keys=declared_keys)
    lines = text.split("\n")
    before = lines[block.first : block.last + 1]
    if service == "sshd" and account_lines:
        placement.check_account_lines(block, alone)
    inside = [_BEGIN if len(before) == 1 else f"{_BEGIN}s", *(_REPLACED + line for line in before)]
    inside += [*(line for line, _number in block.lines), *(account_lines if service == "sshd" else ()), _END]
    return Protected("\n".join([*lines[: block.first], *inside, *lines[block.last + 1 :]]), block)


def check_covered(
    service: str, plain: ServiceFiles, blocks: t.Mapping[str, Block], code_modules: t.Collection[str]
) -> None:
    """Check that a service without a block asks for the code, because it includes others that have these blocks.

    `plain` are the files without any block. Raises PamError where the service does not always ask.
    """
    placement.check_codes(service, plain, code_modules)
    placement.check_covered(service, plain, blocks)


def included(service: str, files: ServiceFiles) -> set[str]:
    """The other files that the auth stack of a service includes, directly or through other files."""
    found: set[str] = set()
    waiting = [service]
    while waiting:
        targets = set(include_targets(files.texts.get(waiting.pop(), ""))) - found
        found |= targets
        waiting += targets
    return found - {service}


def asks(service: str, files: ServiceFiles) -> bool:
    """Whether nobody gets in to a service without a code, with its file and those that it includes as they are now."""
    return placement.asks(service, without_ours(files), files)


def asks_by_include(service: str, files: ServiceFiles) -> bool:
    """Whether a service that has no block asks for the code all the same, because of the files that it includes now."""
    return any(is_protected(files.texts.get(name, "")) for name in included(service, files)) and asks(service, files)


def without_ours(files: ServiceFiles) -> ServiceFiles:
    """The files without our blocks and the code step. A file whose block is damaged stays as it is."""
    texts = {}
    for name, text in files.texts.items():
        if name != service_name(places.SWITCH):
            try:
                texts[name] = unprotect(name, text)
            except PamError:
                texts[name] = text
    return files._replace(texts=texts)


def helpers(texts: t.Collection[str]) -> tuple[str, ...]:
    """Those of `HELPERS` that protected service files with these texts call."""
    called = {line.rpartition(" ")[2] for text in texts for line in text.split("\n")}
    if service_name(places.SWITCH) in called:
        called.add(places.LIMITS_SUFFICE)
    if places.KEY_ACCEPTED in called:
        called.add(places.PASSWORD_METHOD)
    if service_name(places.JUDGE) in called:
        called.add(service_name(places.NOTE))
    return tuple(path for path in HELPERS if called & {path, service_name(path)})


def replaced(service: str, text: str) -> list[str]:
    """The lines that our block replaces; empty without a block. Raises PamError where the block is damaged."""
    return _find_block(service, text)[2]


def unprotect(service: str, text: str) -> str:
    """Remove the block and restore the lines that it replaced. A file without a block is returned as it is.

    Raises PamError where the block is damaged.
    """
    lines = text.split("\n")
    begin, end, inside = _find_block(service, text)
    return "\n".join([*lines[:begin], *inside, *lines[end:]])


def _find_block(service: str, text: str) -> tuple[int, int, list[str]]:
    """The first line of our block and the one after it, counted from 0, and the replaced lines. Raises PamError."""
    lines = text.split("\n")
    begins = [n for n, line in enumerate(lines) if line.startswith(_BEGIN)]
    ends = [n for n, line in enumerate(lines) if line.startswith(_END)]
    if not begins and not ends:
        return 0, 0, []
    if len(begins) != 1 or len(ends) != 1 or ends[0] <= begins[0] + 1 or not lines[begins[0] + 1].startswith(_REPLACED):
        raise PamError(
            f"the block of fleet.auth in {places.PAM_D}/{service} is damaged (lines "
            f"{', '.join(str(n + 1) for n in sorted(begins + ends))}). It begins with {_BEGIN!r}, then {_REPLACED!r} "
            f"and the line that it replaced, and ends with {_END!r}; put it right or remove it by hand, and run again."
        )
    begin, end = begins[0], ends[0]
    inside = itertools.takewhile(lambda line: line.startswith(_REPLACED), lines[begin + 1 : end])
    return begin, end + 1, [line[len(_REPLACED) :] for line in inside]
