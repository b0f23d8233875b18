# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter recording_rules."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.rules import RuleError, recording_file


def recording_rules(interval, backend):
    """See recording_rules.yml."""
    try:
        return recording_file(interval, backend)
    except RuleError as error:
        raise AnsibleFilterError(f"recording_rules: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"recording_rules": recording_rules}
