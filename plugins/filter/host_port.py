# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter host_port."""

from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.targets import instance


def host_port(address, port):
    """See host_port.yml."""
    return instance(str(address), port)


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"host_port": host_port}
