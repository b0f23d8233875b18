# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of modules that write a set of files."""
from __future__ import annotations


class ModuleDocFragment:
    """See `ARGUMENTS` in `plugins/module_utils/host/config_set.py`."""

    DOCUMENTATION = r"""
options:
  files:
    description: The files of the set. Files from an earlier run that are no longer listed are removed.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path. Missing parent directories are created, owned by C(root) and with mode V(0755).
        type: str
        required: true
      content:
        description: Text of the file. A list or dictionary is written as JSON.
        type: raw
      secret:
        description: The content is in O(secrets) under the same path and is never shown.
        type: bool
        default: false
      mode:
        description: Four octal digits in quotes. V(0644) by default, V(0640) for a secret, which must not be world-readable.
        type: str
      owner:
        description: User by name or number.
        type: str
        default: root
      group:
        description: Group by name or number.
        type: str
        default: root
  directories:
    description:
      - Directories of the set. Their contents are not managed.
      - A missing directory is created, by default owned by C(root) and with mode V(0755). An existing one keeps its mode and owner
        unless any of mode, owner and group is given; then all three are set.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path. Missing parent directories are created, owned by C(root) and with mode V(0755).
        type: str
        required: true
      mode:
        description: Four octal digits in quotes.
        type: str
      owner:
        description: User by name or number.
        type: str
      group:
        description: Group by name or number.
        type: str
  secrets:
    description: Contents of the secret files, by path.
    type: dict
    default: {}
  validate:
    description: Commands that must exit with status 0 before anything is replaced. They run as the module's user.
    type: list
    elements: dict
    default: []
    suboptions:
      argv:
        description:
          - Program and arguments. C({stage}) is replaced with a directory that holds all files of the set under their absolute paths.
        type: list
        elements: str
        required: true
      timeout:
        description: Seconds within which it must finish.
        type: int
        default: 60
"""
