# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter vmauth_config."""

from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack


def vmauth_config(password):
    """See vmauth_config.yml."""
    return stack.vmauth_config(str(password))


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"vmauth_config": vmauth_config}
