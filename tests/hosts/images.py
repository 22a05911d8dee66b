# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The images of hosts, one per release: plain Debian, plus what ``image/`` adds.

Variants add Cockpit, a directory server, or membership in a directory: ``cockpit/``, ``directory/``, ``joined/``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import subprocess
import time
import typing as t
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .docker import STATE, HostError, docker, say

RELEASES: t.Final = {"debian12": "bookworm", "debian13": "trixie"}
OLDER: t.Final = {"debian11": "bullseye"}
"""Releases on which only a few tests run, with their suites."""
_SUITES: t.Final = {**RELEASES, **OLDER}
WITH_COCKPIT: t.Final = {f"{release}-cockpit": release for release in RELEASES}
"""Variants with a web console, and the release each is made from."""
JOINED: t.Final = {f"{release}-joined": release for release in RELEASES}
"""Variants that are joined to the directory of their fleet by sssd, and the release each is made from."""
DIRECTORY: t.Final = "debian13-directory"
"""A host with a directory: slapd and a KDC. The host must be named `directory`."""
_MADE_FROM: t.Final = {**WITH_COCKPIT, **JOINED, DIRECTORY: "debian13"}

_HERE = Path(__file__).parent
# Seconds until a pull must have printed something, and until it must be done. If Docker Hub is unreachable, a pull can
# stay silent for a long time.
_FIRST_WORD = 15.0
_PULL = 600.0


def image(release: str) -> str:
    """The name of the image of a host of *release*: `DIRECTORY`, or a key of one of the others above.

    The name changes whenever an input of the image changes.

    :raises HostError: for an unknown release.
    """
    if release not in (*_SUITES, *_MADE_FROM):
        known = ", ".join((*_SUITES, *_MADE_FROM))
        raise HostError(f"There are no hosts of release {release!r}. Known are {known}.")
    inputs = hashlib.sha256((_SUITES.get(release) or _base(release)).encode())
    for path in sorted(_context(release).iterdir()):
        inputs.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
    return f"{_repository(release)}:{inputs.hexdigest()[:12]}"


def build(releases: Iterable[str]) -> None:
    """Make the missing images of *releases*, in parallel.

    :raises HostError: if one cannot be made, with the end of the log.
    """
    wanted = set(releases)
    with _one_at_a_time():
        for kind in ({_MADE_FROM.get(release, release) for release in wanted}, wanted & _MADE_FROM.keys()):
            missing = [release for release in sorted(kind) if not _exists(image(release))]
            if missing:
                with ThreadPoolExecutor() as pool:
                    list(pool.map(_build, missing))


def _build(release: str) -> None:
    started = time.monotonic()
    _log(release).write_bytes(b"")
    base = _base(release)
    if release in _SUITES and not _exists(base) and not _pull(release, base):
        say(f"{release}: nothing came from Docker Hub, making a base image with mmdebstrap")
        _logged(release, str(_HERE / "bootstrap"), _SUITES[release], base)
    say(f"{release}: building the image of a host (log: {_log(release)})")
    options = ["--force-rm", "--build-arg", f"base={base}", "--tag", image(release)]
    _logged(release, "docker", "build", *options, str(_context(release)))
    _remove_older(release)
    say(f"{release}: image ready after {time.monotonic() - started:.0f} s")


def _pull(release: str, base: str) -> bool:
    source = f"debian:{_SUITES[release]}-slim"
    say(f"{release}: pulling {source} from Docker Hub")
    log = _log(release)
    started = time.monotonic()
    with log.open("ab") as output, _start(output, "docker", "pull", source) as pull:
        while pull.poll() is None:
            waited = time.monotonic() - started
            if waited > _PULL or (waited > _FIRST_WORD and not log.stat().st_size):
                pull.kill()
            time.sleep(0.1)
    if pull.returncode == 0:
        docker("tag", source, base)
    return pull.returncode == 0


def _logged(release: str, *command: str) -> None:
    with _log(release).open("ab") as output, _start(output, *command) as process:
        process.wait()
    if process.returncode:
        tail = b"\n".join(_log(release).read_bytes().splitlines()[-30:]).decode(errors="replace")
        raise HostError(
            f"The image of a {release} host could not be made: {' '.join(command)!r} failed.\n{tail}\n"
            f"The full log is {_log(release)}. The base comes from Docker Hub, or from mmdebstrap (on Debian, as root)."
        )


def _start(output: t.IO[bytes], *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def _remove_older(release: str) -> None:
    listed = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", _repository(release)).stdout
    for name in listed.decode().split():
        if name != image(release):
            docker("image", "rm", name, check=False)  # an image that a host still uses stays


def _base(release: str) -> str:
    return image(_MADE_FROM[release]) if release in _MADE_FROM else f"fleet-auth-base-{release}:latest"


def _context(release: str) -> Path:
    return _HERE / (release.partition("-")[2] or "image")


def _repository(release: str) -> str:
    return f"fleet-auth-host-{release}"


def _exists(name: str) -> bool:
    return docker("image", "inspect", name, check=False).returncode == 0


def _log(release: str) -> Path:
    return STATE / f"{release}.log"


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
