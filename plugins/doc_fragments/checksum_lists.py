# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules share that read upstream's lists of checksums."""
from __future__ import annotations


class ModuleDocFragment:
    """Options of module_utils/programs/lock.py."""

    DOCUMENTATION = r"""
options:
  token:
    description: Sent as a bearer token, only to the scheme, host and port of O(token_url).
    type: str
  token_url:
    description: URL that O(token) is for.
    type: str
    default: https://github.com
  timeout:
    description: Timeout per list, in seconds.
    type: int
    default: 60
"""
