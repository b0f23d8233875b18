# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter alertmanager_config."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.routes import RouteError, config_file


def alertmanager_config(options):
    """See alertmanager_config.yml."""
    try:
        return config_file(options)
    except RouteError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"alertmanager_config": alertmanager_config}
