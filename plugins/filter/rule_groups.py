# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter rule_groups."""

from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.formats import read
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.rules import RuleError, group_names
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import Problem


def rule_groups(overrides, interval, backend):
    """See rule_groups.yml."""
    try:
        return group_names(interval, backend, read("accelmon_alert_overrides", overrides))
    except (Problem, RuleError) as error:
        raise AnsibleFilterError(f"rule_groups: {error}") from None


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"rule_groups": rule_groups}
