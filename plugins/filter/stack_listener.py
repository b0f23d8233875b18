# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter stack_listener."""

from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.stack import listener


def stack_listener(address, port, path="/-/ready"):
    """See stack_listener.yml."""
    return listener(str(address), int(port), str(path))


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"stack_listener": stack_listener}
