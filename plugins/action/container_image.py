# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's side of the module container_image: bring the archive to the host if, and only if, the host needs it."""

from ansible_collections.accelmon.fleet.plugins.action import release


class ActionModule(release.ActionModule):
    """As that of the module release: both ask for their file with `needs_source`."""
