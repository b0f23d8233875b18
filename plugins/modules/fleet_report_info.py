#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_report_info
short_description: Collect the report of the fleet as data
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection; used by C(report.yml), which makes a page of the result.
  - Runs on a monitoring host. Reads its registry, queries the storage and the rule evaluator, and returns everything that the report shows.
  - Works without the storage; the report then shows what the registry knows, and says so.
  - Changes nothing.
extends_documentation_fragment: [accelmon.fleet.fleet_view.access, accelmon.fleet.fleet_view.storage, accelmon.fleet.fleet_view]
options:
  choices_dir:
    description: Directory of what was chosen by C(change_alert.yml).
    type: path
    default: /var/lib/accelmon/choices
  views:
    description: The output of the filter C(accelmon.fleet._views).
    type: dict
    required: true
  monitoring_host:
    description: Name of this host, as the report shows it.
    type: str
    required: true
seealso:
  - module: accelmon.fleet.fleet_status_info
"""

EXAMPLES = r"""
- name: Collect the report
  accelmon.fleet.fleet_report_info:
    views: "{{ [] | accelmon.fleet._views }}"
    monitoring_host: "{{ inventory_hostname }}"
  register: collected
"""

RETURN = r"""
report:
  description:
    - The report. docs/report.md describes its members.
    - A value that is not known is null.
  returned: always
  type: dict
  sample:
    monitoring_host: mon01
    at: 1795229324
    answer: {state: critical, reasons: [1 of 12 accelerators is missing]}
    totals: {nodes: 2, states: {active: 2}, present: 11, expected: 12, missing: 1, busy: 8, power_watts: 4300.5, energy_joules: 350000000}
"""

import functools
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query, report, verdict, view


def collected(params, now):
    """The report, from what is known at this time."""
    clusters, seen, rows, notes, problems = view.status(params, health=False)
    chosen, unread = view.read_choices(params["choices_dir"], now)
    problems += unread
    views, hosts = params["views"], params["hosts"]
    told = verdict.evaluated(seen)
    if not (told or seen["rules_error"]):
        problems.append("no rules are evaluated: the alert %s, which must always fire, does not; run verify.yml to learn why" % verdict.WATCHDOG)
    ask, ask_range = view.asking(params)
    answers = report.no_answers(views, now)
    if clusters and not seen["storage_error"]:
        nodes = "," + query.matcher("node", hosts) if hosts is not None else ""
        devices = view.fresh_devices(clusters, view.windows(params)[1], nodes)
        problems += report.observe(answers, views, devices, functools.partial(ask, moment=now), ask_range, clusters, hosts)
    found = report.document(views, answers, seen["firing"], told, rows, verdict.totals(rows), notes, problems, clusters, hosts, now)
    return dict(found, choices=chosen, monitoring_host=params["monitoring_host"])


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            view.ARGUMENTS, choices_dir=dict(type="path", default=paths.CHOICES), views=dict(type="dict", required=True),
            monitoring_host=dict(type="str", required=True)),
        supports_check_mode=True,
    )
    try:
        view.windows(module.params)
    except ValueError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, report=collected(module.params, time.time()))


if __name__ == "__main__":
    main()
