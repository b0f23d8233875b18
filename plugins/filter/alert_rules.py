# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter alert_rules."""

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.accelmon.fleet.plugins.plugin_utils.formats import read
from ansible_collections.accelmon.fleet.plugins.plugin_utils.rules import alert_file
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import Problem


def alert_rules(overrides, interval="15s", limits=None):
    """See alert_rules.yml."""
    try:
        # Its {{ $labels.node }} is for the one who evaluates the rules, never for Jinja.
        return wrap_var(alert_file(read("accelmon_alert_overrides", overrides), interval=read("accelmon_scrape_interval", interval),
                                   chosen_limits=read("accelmon_scrape_limits", limits or {})))
    except Problem as error:
        raise AnsibleFilterError(f"alert_rules: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"alert_rules": alert_rules}
