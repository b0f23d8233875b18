#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_job_info
short_description: Collect the report of a job as data
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection; used by C(job_report.yml), which makes a page of the result.
  - Runs on a monitoring host. Asks the storage when a job ran, on which devices, what it did with them and what happened to them.
  - Works for jobs that run and for jobs that have ended, as long as the storage keeps their series.
  - Changes nothing.
extends_documentation_fragment: [accelmon.fleet.fleet_view.access, accelmon.fleet.fleet_view.storage]
options:
  job:
    description: The job's id, as in the label C(job_id) of C(accelerator_job_info).
    type: str
    required: true
  clusters:
    description: The cluster of the job, if jobs of several clusters have this id. Empty means any.
    type: list
    elements: str
    default: []
  days:
    description: How many days to look back.
    type: int
    default: 30
  interval:
    description: Scrape interval, as seconds or with a unit, such as V(15s) or V(1m).
    type: str
    default: 15s
  views:
    description: The output of the filter C(accelmon.fleet._job_views).
    type: dict
    required: true
  monitoring_host:
    description: Name of this host, as the report shows it.
    type: str
    required: true
seealso:
  - module: accelmon.fleet.fleet_report_info
"""

EXAMPLES = r"""
- name: Collect the report of a job
  accelmon.fleet.fleet_job_info:
    job: "4711"
    views: "{{ '15s' | accelmon.fleet._job_views }}"
    monitoring_host: "{{ inventory_hostname }}"
  register: collected
"""

RETURN = r"""
report:
  description:
    - The report. docs/job_report.md describes its members. Null if there is none.
    - A value that is not known is null.
  returned: always
  type: dict
  sample:
    monitoring_host: mon01
    at: 1795229324
    job: {id: "4711", cluster: west, user: ada, begin: 1795220000, end: 1795229000, seconds: 9000, running: false}
    answer: {state: warning, reasons: ["1 of 16 devices was idle: gpu7/3"]}
    totals: {devices: 16, nodes: 2, utilization: 0.81, idle: 1, half: 0, energy: 86400000}
problem:
  description: Why there is no report, as C(what is wrong; what to do). Empty if there is one.
  returned: always
  type: str
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import seconds
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import job, view


def collected(params, now):
    """The result, from what is known at this time."""
    ask, ask_range = view.asking(params)
    asked = (params["job"], "".join(params["clusters"]), params["hosts"])
    found, problem = job.report(ask, ask_range, params["views"], asked, params["days"], seconds(params["interval"]), now)
    return {"report": dict(found, monitoring_host=params["monitoring_host"]) if found else None, "problem": problem}


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=dict(
            view.STORAGE_ARGUMENTS,
            job=dict(type="str", required=True),
            days=dict(type="int", default=30),
            interval=dict(type="str", default="15s"),
            views=dict(type="dict", required=True),
            monitoring_host=dict(type="str", required=True),
        ),
        supports_check_mode=True,
    )
    try:
        module.exit_json(changed=False, **collected(module.params, time.time()))
    except ValueError as error:
        module.fail_json(msg="interval = %s: %s" % (module.params["interval"], error))


if __name__ == "__main__":
    main()
