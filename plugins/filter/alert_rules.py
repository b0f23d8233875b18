# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter alert_rules."""

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.formats import read
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.rules import alert_file
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import Problem


def alert_rules(overrides, interval="15s", limits=None):
    """See alert_rules.yml."""
    found = {"accelmon_alert_overrides": overrides, "accelmon_scrape_interval": interval, "accelmon_scrape_limits": limits or {}}
    for name, value in found.items():
        try:
            found[name] = read(name, value)
        except Problem as error:
            raise AnsibleFilterError(f"{name}: {error}") from error
    # Its {{ $labels.node }} is for the one who evaluates the rules, never for Jinja.
    return wrap_var(alert_file(found["accelmon_alert_overrides"], interval=found["accelmon_scrape_interval"],
                               chosen_limits=found["accelmon_scrape_limits"]))


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"alert_rules": alert_rules}
