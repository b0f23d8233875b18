# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter rule_files."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.formats import read
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.rules import site_files
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import Problem


def rule_files(paths, directory):
    """See rule_files.yml."""
    try:
        return site_files(read("accelmon_rule_files", paths), directory)
    except Problem as error:
        raise AnsibleFilterError(f"accelmon_rule_files: {error}") from None


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"rule_files": rule_files}
