# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t


class ModuleDocFragment:
    # What all modules have in common, unless one overrides it.
    DOCUMENTATION = r"""
attributes:
  diff_mode:
    description: There is nothing to show.
    support: none
  platform:
    description: Target operating systems of the module.
    support: full
    platforms: posix
"""

    # The same, for modules that read or change what only root can. Because of the annotation, linters do not read this
    # as YAML.
    ROOT: t.ClassVar[str] = (
        DOCUMENTATION
        + r"""
requirements:
  - root on the host
"""
    )

    # For modules that are given files. Their action plugins set the option.
    FILES = r"""
options:
  files:
    description:
      - Internal. The files that are copied to a host unchanged. The part of the module that runs on the controller
        replaces any value that is given here.
    type: str
    default: ''
"""

    # For modules that compare a host with the wanted state. Their action plugins set the option.
    NAMING = r"""
options:
  option_prefix:
    description:
      - Internal. The prefix of option names in messages. The part of the module that runs on the controller replaces
        any value that is given here.
    type: str
    default: ''
"""

    # The same as the first, for actions that report the results of all hosts of a play.
    REPORT: t.ClassVar[str] = (
        DOCUMENTATION
        + r"""
  action:
    description: Runs on the controller.
    support: full
  bypass_host_loop:
    description: Reports all hosts of the play, so it runs once.
    support: none
  check_mode:
    description: Changes nothing on any host. Reports are written in check mode as well.
    support: full
"""
    )
