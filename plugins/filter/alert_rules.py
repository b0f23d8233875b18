# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter alert_rules."""
from __future__ import annotations

DOCUMENTATION = r"""
name: alert_rules
short_description: Write the rule file of the alerts
version_added: 0.1.0
author: accelmon.fleet contributors (@accelmon)
description:
  - The alerts of the catalogue with the site's overrides. Prometheus and vmalert can both read them.
positional: interval, limits
options:
  _input:
    description:
      - What to change, by alert name. Each entry takes C(for) (a duration), C(severity) (V(critical), V(warning),
        V(info) or V(none)), C(enabled) (a boolean) and, where the alert has one, C(threshold).
    type: dict
    required: true
  interval:
    description: How often every target is scraped. A series without a sample for three intervals counts as stopped.
    type: str
    default: 15s
  limits:
    description: The most series a page may have, by job, where it differs from the catalogue.
    type: dict
    default: {}
"""

EXAMPLES = r"""
all_as_they_come: "{{ {} | accelmon.fleet.alert_rules }}"
quicker: "{{ {'HostDown': {'for': '30s'}, 'ExporterDown': {'enabled': false}} | accelmon.fleet.alert_rules }}"
"""

RETURN = r"""
_value:
  description: Text of the rule file, YAML.
  type: str
"""

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.filters import as_filter
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.formats import read
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_file


@as_filter
def alert_rules(overrides, interval="15s", limits=None):
    """Text of the rule file of the alerts."""
    found = {"accelmon_alert_overrides": overrides, "accelmon_scrape_interval": interval, "accelmon_scrape_limits": limits or {}}
    for name, value in found.items():
        try:
            found[name] = read(name, value)
        except Problem as error:
            raise AnsibleFilterError(f"{name}: {error}") from None
    # Its {{ $labels.node }} is for the one who evaluates the rules, never for Jinja.
    return wrap_var(alert_file(found["accelmon_alert_overrides"], interval=found["accelmon_scrape_interval"],
                               chosen_limits=found["accelmon_scrape_limits"]))


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"alert_rules": alert_rules}
