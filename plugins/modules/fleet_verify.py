#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_verify
short_description: Prove that the registered fleet is monitored
version_added: 0.1.0
author: accelmon.fleet contributors (@accelmon)
description:
  - Runs on a scraping host. Reads the registry there, asks the storage and the rule evaluator, and says what is wrong.
  - Checks that every target is up, every expected accelerator fresh, every textfile collector fresh, the rules loaded
    and healthy, the watchdog firing, and the registry's newest generation scraped.
  - A target that is not up is dialled from this host, to tell a name that does not resolve from a refused port,
    a silent host and an exporter that answers with an error. Many are dialled at once, within a bounded time.
  - One cause gives one failure. A host that is down gives one line, not one for each of its accelerators.
  - Hosts in maintenance and retired hosts are notes, not failures.
  - Does not fail for what is wrong with the fleet; look at RV(ok). Changes nothing.
attributes:
  check_mode:
    support: full
    description: Reads only; does the same as without check mode.
  diff_mode:
    support: none
    description: Changes nothing.
options:
  clusters:
    description: Clusters to verify; empty means all that the registry holds.
    type: list
    elements: str
    default: []
  hosts:
    description:
      - Names of the nodes to verify; without it all that are registered.
      - What concerns the monitoring host itself is always verified.
    type: list
    elements: str
  inventory_hosts:
    description: Names that must be registered; one that is not is a failure.
    type: list
    elements: str
    default: []
  monitoring_host:
    description: The name of this host in the failures; by default its host name.
    type: str
  state_dir:
    description: Folder with the registry files.
    type: path
    default: /var/lib/accelmon/registry
  storage_url:
    description: Base URL of the storage, VictoriaMetrics or Prometheus.
    type: str
    default: http://127.0.0.1:8428
  rules_url:
    description: Base URL of the rule evaluator, vmalert or Prometheus.
    type: str
    default: http://127.0.0.1:8880
  rule_groups:
    description: Names of rule groups that must be loaded. At least one group must be loaded in any case.
    type: list
    elements: str
    default: []
  watchdog:
    description: Name of the alert that must always fire; empty if there is none.
    type: str
    default: Watchdog
  interval:
    description: Scrape interval, as seconds or with a unit, such as V(15s) or V(1m).
    type: str
    default: 15s
  fresh_intervals:
    description: Number of intervals that a sample may be old.
    type: int
    default: 3
  collector_limit:
    description: Seconds that the last success of a textfile collector may be old. It runs on a timer of its own.
    type: int
    default: 60
  recording_delay:
    description: Seconds that recorded series may be older than scraped ones; vmalert evaluates 30 s late unless told otherwise.
    type: int
    default: 30
  query_timeout:
    description: Seconds that one query may take.
    type: int
    default: 15
  wait:
    description: Seconds to try again until nothing is wrong.
    type: int
    default: 0
  dial_timeout:
    description: Seconds that one exporter may take to accept the connection, and again to answer.
    type: int
    default: 2
  dial_budget:
    description: Seconds that all dialling together may take; exporters that were not reached by then are reported without a reason.
    type: int
    default: 60
seealso:
  - module: accelmon.fleet.fleet_status
  - module: accelmon.fleet.fleet_registry
"""

EXAMPLES = r"""
- name: Verify the whole fleet, and give a fresh start two minutes to settle
  accelmon.fleet.fleet_verify:
    wait: 120
  register: fleet

- name: Show what is wrong, one line each
  ansible.builtin.debug:
    msg: "{{ fleet.report.splitlines() }}"

- name: Verify two nodes only
  accelmon.fleet.fleet_verify:
    hosts: [gpu7, gpu8]
"""

RETURN = r"""
ok:
  description: Whether nothing is wrong.
  returned: always
  type: bool
  sample: false
failures:
  description:
    - What is wrong, in a fixed order, each cause once.
    - C(check) is one of registry, storage, generation, rules, watchdog, scraper, recording, registered, pending, target, collector, devices.
    - C(line) is node, reason and mend in one line.
  returned: always
  type: list
  elements: dict
  sample:
    - cluster: west
      node: gpu7
      check: target
      reason: connection refused on 10.0.0.7:9100 (node_exporter not running there)
      mend: start it on gpu7; site.yml --limit gpu7 does
      line: "gpu7: connection refused on 10.0.0.7:9100 (node_exporter not running there); start it on gpu7; site.yml --limit gpu7 does"
notes:
  description: Hosts in maintenance, retired hosts, nodes with more accelerators than expected.
  returned: always
  type: list
  elements: dict
  sample:
    - cluster: west
      node: gpu9
      note: "retired: not in the inventory any more, still scraped; prune.yml removes it"
counts:
  description: Numbers of nodes, targets and accelerators.
  returned: always
  type: dict
  sample:
    nodes: 4
    fine: 3
    maintenance: 0
    retired: 0
    pending: 0
    targets: 4
    targets_up: 3
    accelerators_expected: 12
    accelerators_fresh: 12
report:
  description: The whole as text, one line for each failure and note.
  returned: always
  type: str
"""

import socket
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import dial, fleet_query, fleet_view, verdict

# Seconds between two tries while waiting.
PAUSE = 5


def judge(params, monitor, dials=None, seen=None):
    """(verdict, seen, clusters) of the present state; `seen` may be handed in to judge the same answers again."""
    clusters, problems = fleet_view.read_registry(params["state_dir"], params["clusters"])
    if seen is None:
        seen = fleet_view.observe(params, clusters, rules=True)
    result = verdict.verdict(
        clusters, seen, dials or {}, monitor,
        only=params["hosts"], inventory_hosts=params["inventory_hosts"], registry_problems=problems,
        rule_groups=params["rule_groups"], watchdog=params["watchdog"],
        collector_limit=params["collector_limit"], dial_timeout=params["dial_timeout"])
    return result, seen, clusters


def explained(params, monitor):
    """The verdict, after the wait, with the reasons found by dialling and by looking for lost devices."""
    end = time.monotonic() + params["wait"]
    while True:
        result, seen, clusters = judge(params, monitor)
        left = end - time.monotonic()
        if not result["failures"] or left <= 0:
            break
        time.sleep(min(PAUSE, left))
    lacking = set((item["cluster"], item["node"]) for item in result["failures"] if item["check"] == "devices")
    if lacking:
        try:
            seen["lost"] = fleet_view.lost_devices(params, clusters, lacking)
        except fleet_query.QueryError:
            pass  # the storage went away just now: the failure stands without the names of the devices
    if lacking or result["to_dial"]:
        dials = dial.dial_all(result["to_dial"], timeout=params["dial_timeout"], budget=params["dial_budget"])
        result = judge(params, monitor, dials, seen)[0]
    return result


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            fleet_view.ARGUMENTS,
            inventory_hosts=dict(type="list", elements="str", default=[]),
            monitoring_host=dict(type="str"),
            rule_groups=dict(type="list", elements="str", default=[]),
            watchdog=dict(type="str", default="Watchdog"),
            wait=dict(type="int", default=0),
            collector_limit=dict(type="int", default=60),
            dial_timeout=dict(type="int", default=2),
            dial_budget=dict(type="int", default=60),
        ),
        supports_check_mode=True,
    )
    try:
        fleet_view.windows(module.params)
    except ValueError as error:
        module.fail_json(msg=str(error))
    result = explained(module.params, module.params["monitoring_host"] or socket.gethostname())
    module.exit_json(
        changed=False, ok=not result["failures"], failures=result["failures"], notes=result["notes"],
        counts=result["counts"], report=verdict.report(result))


if __name__ == "__main__":
    main()
