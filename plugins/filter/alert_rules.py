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
        V(info) or V(none)), C(enabled) (a boolean) or instead of it C(state) (V(present) or V(absent)), and, where the alert has
        one, C(threshold).
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
  presets:
    description:
      - Sets of alerts to write. Watchdog and the alerts that report dead monitoring are always written, and any other alert is
        with C(enabled) in the input.
    type: list
    elements: str
    default: [accelerator-production, node, stack]
  hosts:
    description:
      - What single hosts change for themselves, a list of mappings like the input. Each distinct change becomes a rule for the hosts for
        which the registry publishes it as C(accelmon_alert_setting); M(accelmon.fleet.fleet_registry) does so for the variables
        C(accelmon_alert_group_overrides) and C(accelmon_alert_host_overrides).
      - Only alerts about a single node can differ.
    type: list
    elements: dict
    default: []
  labels:
    description: Names of labels of C(accelmon_labels) that alerts about a node carry too. They come from the registry's series.
    type: list
    elements: str
    default: []
  runbook_url:
    description: Page for the annotation C(runbook_url), to which the alert's name in small letters is added after a C(#). V(none) means no annotation.
    type: str
    default: https://github.com/accelmon/ansible-fleet/blob/main/docs/alerts.md
  choices:
    description:
      - What somebody chose for the whole fleet instead of the input, by alert name; C(change_alert.yml) keeps it on the monitoring hosts.
      - Each has C(change), which is an entry like those of the input, and may have C(until), in seconds since 1970. From then on the rules
        do what the input says, without being written again.
    type: dict
    default: {}
"""

EXAMPLES = r"""
all_as_they_come: "{{ {} | accelmon.fleet.alert_rules }}"
basic: "{{ {} | accelmon.fleet.alert_rules(presets=['accelerator-basic', 'stack'], runbook_url='https://wiki.example.com/alerts') }}"
quicker: "{{ {'HostDown': {'for': '30s'}, 'ExporterDown': {'enabled': false}} | accelmon.fleet.alert_rules }}"
"""

RETURN = r"""
_value:
  description: Text of the rule file, YAML.
  type: str
"""

from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.filters import as_filter
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.formats import read
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_file, changes, of_hosts
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import kind_of, whole


# Parameters of `alert_file`, and the variables that they are in an inventory.
OPTIONS = {"overrides": "accelmon_alert_overrides", "interval": "accelmon_scrape_interval", "chosen_limits": "accelmon_scrape_limits",
           "chosen_presets": "accelmon_alert_presets", "labels": "accelmon_label_names", "runbook_url": "accelmon_alert_runbook_url"}


@as_filter
def alert_rules(overrides, interval=None, limits=None, presets=None, hosts=(), labels=None, runbook_url=None, choices=None):
    """Text of the rule file of the alerts."""
    given = {"overrides": overrides, "interval": interval, "chosen_limits": limits, "chosen_presets": presets, "labels": labels,
             "runbook_url": runbook_url}
    options = {name: read(variable, "" if given[name] is None else given[name]) for name, variable in OPTIONS.items()}
    if isinstance(hosts, (str, dict)) or not hasattr(hosts, "__iter__"):
        raise Problem(f"not a list but {kind_of(hosts)}; write it as a list", "hosts", hosts)
    own = [of_hosts(change, f"hosts.{number}") for number, change in enumerate(hosts, 1)]
    # Its {{ $labels.node }} is for the one who evaluates the rules, never for Jinja.
    return wrap_var(alert_file(**options, hosts=own, choices=checked_choices(plain(choices or {}))))


def checked_choices(choices):
    """{alert: {"change", "until"?}}, checked. Raises Problem."""
    found = {}
    if not isinstance(choices, dict):
        raise Problem(f"not a dictionary but {kind_of(choices)}; write it as key: value", "choices", choices)
    for name, choice in choices.items():
        if not isinstance(choice, dict) or "change" not in choice:
            raise Problem("no choice; give its change", f"choices.{name}", choice)
        found[name] = {"change": changes({name: choice["change"]}, "choices")[name]}
        if "until" in choice:
            try:
                found[name]["until"] = whole(choice["until"])
            except Problem as problem:
                raise Problem(problem.problem, f"choices.{name}.until", choice["until"]) from None
    return found


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"alert_rules": alert_rules}
