# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module as Ansible sends it to a host: packed once by Ansible, and sent with different arguments each time."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import typing as t
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_CACHE = _ROOT / "build" / "cache" / "payload"

_PLACEHOLDER = {"arguments": "come later"}
_ARCHIVE = re.compile(r"(?<=\bzip_data=)'([\w+/=]+)'")


def payload(
    name: str,
    arguments: Mapping[str, t.Any],
    collections: str | None = None,
    sent: t.Callable[[str], str] | None = None,
) -> str:
    """The program that Ansible would run on a host for a module of the collection.

    :param arguments: of the module, and those that Ansible adds, such as ``_ansible_check_mode``. The files that the
        module's action plugin hands over are added. The action's own checks are skipped; the module has the same ones.
    :param collections: the path where Ansible finds collections; if omitted, its default.
    :param sent: called with the archive that the program contains, in base64. It returns the path of a file on the
        host, from which the program reads an archive instead.
    """
    place = collections or os.environ.get("ANSIBLE_COLLECTIONS_PATH")
    packed = _packed(name, place)
    before, after = str(packed["program"]).split(_parameters(_PLACEHOLDER))
    if sent:
        start, archive, end = _ARCHIVE.split(after)
        after = f"{start}open({sent(archive)!r}).read(){end}"
    files = packed["files"].get(_kind(**{word: arguments[word] for word in _KINDS if word in arguments}))
    return before + _parameters({**arguments, **({} if files is None else {"files": files})}) + after


_KINDS = ("enabled", "self_service", "_ansible_check_mode")


def _kind(*, enabled: bool = True, self_service: bool = False, _ansible_check_mode: bool = False) -> str:
    """A key made of the arguments that decide which files a module is handed."""
    return f"{enabled:d}{self_service:d}{_ansible_check_mode:d}"


def _parameters(arguments: Mapping[str, t.Any]) -> str:
    """The arguments as they are written in the program."""
    return repr(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))


@functools.cache
def _packed(name: str, collections: str | None) -> dict[str, t.Any]:
    """The module as Ansible packs it. The checkout's module is cached for all workers until its sources change."""
    if collections:
        return _packed_anew(name, collections)
    path = _CACHE / f"{_sources()}-{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            for old in _CACHE.iterdir():
                if not old.name.startswith(_sources()):
                    old.unlink(missing_ok=True)
            new = path.with_suffix(".new")
            new.write_text(json.dumps(_packed_anew(name, None)))
            new.replace(path)
        return t.cast(dict[str, t.Any], json.loads(path.read_text()))


@functools.cache
def _sources() -> str:
    """A digest of everything that a packed module is made from: the collection, Ansible, and this file."""
    digest = hashlib.sha256(f"{sys.version}\0{metadata.version('ansible-core')}\0".encode())
    files = [*(_ROOT / "plugins").rglob("*.py"), *(_ROOT / "roles/twofactor/files").rglob("*"), Path(__file__)]
    for path in sorted(file for file in files if file.is_file()):
        digest.update(f"{path.relative_to(_ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _packed_anew(name: str, collections: str | None) -> dict[str, t.Any]:
    """Pack a module with Ansible in another process, because Ansible searches for collections only once."""
    places = {"ANSIBLE_COLLECTIONS_PATH": collections} if collections else {}
    done = subprocess.run(
        [sys.executable, "-P", __file__, name],
        env={**os.environ, **places},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return t.cast(dict[str, t.Any], json.loads(done.stdout))


def _pack(name: str) -> dict[str, t.Any]:
    from ansible.executor.module_common import modify_module
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader, module_loader
    from ansible.template import Templar

    init_plugin_loader()
    built = modify_module(
        module_name=f"fleet.auth.{name}",
        module_path=module_loader.find_plugin(f"fleet.auth.{name}"),
        module_args=_PLACEHOLDER,
        templar=Templar(DataLoader()),
        task_vars={"ansible_python_interpreter": "/usr/bin/python3"},
        module_compression="ZIP_DEFLATED",
    )
    return {"program": str(built.b_module_data.decode()), "files": _handed(name)}


def _handed(name: str) -> dict[str, str]:
    """What the action plugin of the module hands over, packed, by kind."""
    from ansible_collections.fleet.auth.plugins.module_utils import _places as places
    from ansible_collections.fleet.auth.plugins.module_utils._wanted.handed import pack
    from ansible_collections.fleet.auth.plugins.plugin_utils import _host_files

    handed = {}
    for enabled, self_service, check in itertools.product([True, False], repeat=3):
        compared = _host_files.for_wanted_state({"enabled": enabled, "self_service": self_service})
        changing = {} if check else _host_files.texts(places.FOR_A_CHANGE)
        files = {
            "twofactor": {**compared, **changing},
            "twofactor_info": compared,
            "twofactor_pass": _host_files.texts(places.FOR_PASSES),
        }
        if name in files:
            kind = _kind(enabled=enabled, self_service=self_service, _ansible_check_mode=check)
            handed[kind] = pack(files[name])
    return handed


if __name__ == "__main__":
    print(json.dumps(_pack(sys.argv[1])))
