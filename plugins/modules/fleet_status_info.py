#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_status_info
short_description: List the registered fleet and the state of each node
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Runs on a monitoring host. Reads its registry, queries the storage and the rule evaluator, and returns one row per node.
  - Works without the storage; the rows then show what the registry knows, and RV(problems) says so.
  - Changes nothing.
extends_documentation_fragment: [accelmon.fleet.fleet_view.access, accelmon.fleet.fleet_view.storage, accelmon.fleet.fleet_view]
options:
  choices_dir:
    description: Directory of what was chosen by C(change_alert.yml).
    type: path
    default: /var/lib/accelmon/choices
  only_problems:
    description: Only list nodes that are down, pending or retired, lack accelerators, or have an exporter down or an alert firing.
    type: bool
    default: false
  sort:
    description: V(worst) lists problems first, V(name) sorts by cluster and node.
    type: str
    choices: [worst, name]
    default: worst
  findings:
    description: Also return RV(findings).
    type: bool
    default: false
  sites:
    description: Clusters whose sites send their roll-ups to this host, for RV(sites).
    type: list
    elements: str
    default: []
seealso:
  - module: accelmon.fleet.fleet_verify_info
  - module: accelmon.fleet.fleet_registry
"""

EXAMPLES = r"""
- name: Query the state of the fleet
  accelmon.fleet.fleet_status_info:
  register: fleet

- name: Show the table
  ansible.builtin.debug:
    msg: "{{ fleet.table.splitlines() }}"
"""

RETURN = r"""
rows:
  description:
    - One row per node.
    - C(state) is active, maintenance, retired, pending, replaced, or down for an active node with no exporter up. C(replaced_by) names
      the host that took the place of a replaced one.
    - C(accelerators) has, by vendor, how many were C(seen) and C(expected), the C(source) in charge, and sources on C(standby).
    - C(health) has the devices whose health score is below 100, the worst first. It is absent where none is known to be.
    - C(drain) is what the Slurm controller decides about a node with a fatal error. It is absent where there is nothing to decide.
    - C(seen) is null and an exporter V(unknown) while the storage cannot be queried.
  returned: always
  type: list
  elements: dict
  sample:
    - cluster: west
      node: gpu7
      address: 10.0.0.7
      state: active
      accelerators: {nvidia: {seen: 7, expected: 8, source: dcgm, standby: [textfile]}}
      exporters: {dcgm_exporter: up, node_exporter: up}
      alerts: [AcceleratorMissing]
      health: [{vendor: nvidia, index: "3", score: 40}]
      problem: true
table:
  description: The rows as aligned text.
  returned: always
  type: str
totals:
  description: Sums over all nodes, including those that O(only_problems) omits.
  returned: always
  type: dict
  sample:
    nodes: 4
    states: {active: 4}
    accelerators: {nvidia: {seen: 7, expected: 8}}
    alerts: 1
summary:
  description: The totals in one line.
  returned: always
  type: str
findings:
  description:
    - For each node, its row, the C(alerts) that fire with C(since) when, and the C(errors) that its devices had within the last day.
    - C(last) is the time of the last such error in seconds since 1970, and null for one that only an exporter saw.
  returned: when O(findings) is true
  type: list
  elements: dict
  sample:
    - row: {cluster: west, node: gpu7, state: active}
      alerts:
        - {alert: AcceleratorErrorFatal, severity: critical, since: "2026-11-28T03:00:00Z", summary: "xid 79 on gpu7", action: Drain the node.}
      errors:
        - {kind: xid, code: "79", count: 1, last: 1795834800, pci_bus_id: "0000:1b:00.0"}
sites:
  description:
    - One row for each of O(sites), from the roll-ups that it sends.
    - C(age) is the number of seconds since the newest one, and null if there is none within a day. If the site is C(silent), C(nodes) is null, and
      C(accelerators) and C(alerts) are empty.
  returned: always
  type: list
  elements: dict
  sample:
    - cluster: east
      age: 20
      silent: false
      nodes: 12
      accelerators: {nvidia: {seen: 95, expected: 96}}
      alerts: {AcceleratorMissing: 1}
site_table:
  description: RV(sites) as aligned text, empty if there are none.
  returned: always
  type: str
fleet_alerts:
  description: >-
    Names of firing alerts that belong to no registered node, except the watchdog. The name of a host follows in parentheses where the alert is
    about one, such as a monitoring host without accelerators.
  returned: always
  type: list
  elements: str
choices:
  description: What somebody chose instead of the inventory and holds now, each also as a C(line).
  returned: always
  type: list
  elements: dict
  sample:
    - kind: alert
      name: HostDown
      change: {for: 10m}
      by: ada
      at: 1795834800
      until: 1795921200
      reason: new switch
      line: "HostDown: for=10m until 2026-11-29T03:00:00Z (ada: new switch)"
notes:
  description: >-
    What to do about nodes that are not as they should be, one line for each kind of trouble; and what could be better, such as a source
    that knows more and that hosts cannot get.
  returned: always
  type: list
  elements: str
problems:
  description: What could not be read or queried, one line each.
  returned: always
  type: list
  elements: str
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import sites, verdict, view


def status(params):
    """The module's result, without `changed`."""
    clusters, seen, rows, notes, problems = view.status(params)
    summary = verdict.totals(rows)
    more = {}
    if params["findings"]:
        try:
            found = view.findings(params, verdict.select(clusters, params["hosts"]))
        except Failure as error:
            found, problems = {}, sorted(set(problems + [str(error)]))
        more["findings"] = [dict(found.get((row["cluster"], row["node"]), {"alerts": None, "errors": None}), row=row) for row in rows]
    try:
        of_sites = sites.rows(view.asking(params)[0], params["sites"]) if params["sites"] else []
    except Failure as error:
        of_sites, problems = [], sorted(set(problems + [str(error)]))
    chosen, unread = view.read_choices(params["choices_dir"], time.time())
    if params["only_problems"]:
        rows = [row for row in rows if row["problem"]]
    if params["sort"] == "worst":
        rows = verdict.worst_first(rows)
    return dict(
        rows=rows, table=verdict.table(rows), totals=summary, summary=verdict.totals_line(summary),
        sites=of_sites, site_table=sites.table(of_sites), fleet_alerts=verdict.fleet_alerts(clusters, seen), choices=chosen,
        problems=problems + unread, notes=notes, **more)


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            view.ARGUMENTS,
            choices_dir=dict(type="path", default=paths.CHOICES),
            only_problems=dict(type="bool", default=False),
            sort=dict(type="str", choices=["worst", "name"], default="worst"),
            findings=dict(type="bool", default=False),
            sites=dict(type="list", elements="str", default=[]),
        ),
        supports_check_mode=True,
    )
    try:
        view.windows(module.params)
    except ValueError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **status(module.params))


if __name__ == "__main__":
    main()
