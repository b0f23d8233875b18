#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: node_preflight_info
short_description: Collect what an installation depends on
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Inspects the host it runs on without evaluating anything; the filter C(accelmon.fleet._preflight_findings) does that.
  - Only reads files and kernel state and starts no process, unless O(bcrypt) or O(packages) is set.
  - With O(targets), it also connects to other hosts in parallel, to check whether this host reaches them.
attributes:
  check_mode:
    support: full
    description: Reads only; does the same as without check mode.
  diff_mode:
    support: none
    description: Changes nothing.
options:
  ports:
    description: Ports that the collection's services will listen on.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: Address; empty means all addresses.
        type: str
        default: ""
      port:
        description: TCP port.
        type: int
        required: true
      variable:
        description: The variable that sets the port.
        type: str
        required: true
      unit:
        description: The collection's unit, which may already listen there.
        type: str
        required: true
  paths:
    description: Directories that will be written to. They need not exist.
    type: list
    elements: str
    default: []
  programs:
    description: Programs that are needed.
    type: list
    elements: str
    default: []
  packages:
    description: Names of the distribution packages to install.
    type: list
    elements: str
    default: []
  bcrypt:
    description: Whether to check that a bcrypt hash can be made.
    type: bool
    default: false
  control_node_time:
    description: The control node's time at the start of the task, in seconds since 1970.
    type: float
  targets:
    description: Endpoints that this host must reach.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: Host that the endpoint belongs to.
        type: str
        required: true
      address:
        description: Name or address.
        type: str
        required: true
      port:
        description: TCP port.
        type: int
        required: true
  timeout:
    description: Timeout for one of O(targets), in seconds; all of them together may take thirty times as long.
    type: float
    default: 2.0
"""

EXAMPLES = r"""
- name: Check the disk space and a port
  accelmon.fleet.node_preflight_info:
    paths: [/opt/accelmon, /var/lib/accelmon]
    ports:
      - port: 9100
        variable: node_exporter_port
        unit: accelmon-node-exporter.service
  become: true
"""

RETURN = r"""
observed:
  description: What was found on the host. Unknown values are absent.
  returned: always
  type: dict
  contains:
    ports:
      description: Ports that something else listens on.
      returned: always
      type: list
      elements: dict
      sample: [{port: 9100, variable: node_exporter_port, owner: "x.service (pid 7, node_exporter)", unit: x.service}]
    paths:
      description: For each path, the free bytes and inodes, its mount, and the relevant mount options.
      returned: always
      type: dict
      sample: {/opt/accelmon: {free_bytes: 1073741824, free_inodes: 65536, mount: /opt, options: [noexec]}}
    systemd_running:
      description: Whether systemd is the first process.
      returned: always
      type: bool
    systemd_version:
      description: Its version.
      returned: when known
      type: int
    fapolicyd:
      description: Whether fapolicyd controls which programs may run.
      returned: always
      type: bool
    slurmd:
      description: Whether systemd runs slurmd.
      returned: always
      type: bool
    slurm_hooks:
      description: Whether the role slurm_hooks has been run there.
      returned: always
      type: bool
    missing:
      description: Programs that are not installed.
      returned: always
      type: list
      elements: str
    unknown_packages:
      description: Those of O(packages) that are in no repository known to apt, although it has package lists.
      returned: with O(packages)
      type: list
      elements: str
    bcrypt:
      description: Why no bcrypt hash can be made; empty if it can.
      returned: with O(bcrypt)
      type: str
    python_version:
      description: Version of the Python that runs modules.
      returned: always
      type: str
    python_problem:
      description: Why services on this host cannot run Python; empty if they can.
      returned: always
      type: str
    clock_offset:
      description: Seconds by which the host's clock is ahead of the control node's, including the time to reach the host.
      returned: with O(control_node_time)
      type: float
reached:
  description: For each host of O(targets), what came of the call, as in M(accelmon.fleet.fleet_verify_info), and the place that was called.
  returned: with O(targets)
  type: dict
  sample: {gpu7: [timeout, "10.0.0.7:9100"]}
"""

import platform
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils.access import bcrypt
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import dial, targets
from ansible_collections.accelmon.fleet.plugins.module_utils.host import interpreter, preflight
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import obtainable


def try_bcrypt():
    """Why no hash can be made; "" if it can."""
    try:
        bcrypt.hashed("preflight", "$2b$04$" + bcrypt.salt()[7:])
    except bcrypt.BcryptError as error:
        return str(error)
    return ""


def reach(wanted, timeout):
    """{host: [kind, place]} of calls to all targets at once."""
    places = dict((one["host"], (one["address"], one["port"], "http", "/")) for one in wanted)
    answers = dial.dial_all(sorted(set(places.values())), timeout=timeout, budget=30 * timeout)
    return dict((host, [answers[place][0], targets.instance(place[0], place[1])]) for host, place in places.items())


def main():
    """Run as a module."""
    now = time.time()
    place = dict(address=dict(type="str", default=""), port=dict(type="int", required=True),
                 variable=dict(type="str", required=True), unit=dict(type="str", required=True))
    target = dict(host=dict(type="str", required=True), address=dict(type="str", required=True), port=dict(type="int", required=True))
    module = AnsibleModule(
        argument_spec=dict(
            ports=dict(type="list", elements="dict", default=[], options=place),
            paths=dict(type="list", elements="str", default=[]),
            programs=dict(type="list", elements="str", default=[]),
            packages=dict(type="list", elements="str", default=[]),
            bcrypt=dict(type="bool", default=False),
            control_node_time=dict(type="float"),
            targets=dict(type="list", elements="dict", default=[], options=target),
            timeout=dict(type="float", default=2.0),
        ),
        supports_check_mode=True,
    )
    params = module.params
    observed = preflight.look(params["ports"], params["paths"], params["programs"])
    observed["python_version"] = platform.python_version()
    observed["python_problem"] = interpreter.find()[1]
    if params["packages"]:
        observed["unknown_packages"] = obtainable.unknown(params["packages"])
    if params["bcrypt"]:
        observed["bcrypt"] = try_bcrypt()
    if params["control_node_time"] is not None:
        observed["clock_offset"] = round(now - params["control_node_time"], 3)
    more = {"reached": reach(params["targets"], params["timeout"])} if params["targets"] else {}
    module.exit_json(changed=False, observed=observed, **more)


if __name__ == "__main__":
    main()
