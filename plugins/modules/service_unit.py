#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: service_unit
short_description: Bring one systemd service of the collection to its state
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Used by the role C(service). With O(phase=converge) one call does everything for a service whose program is
    installed. If a package has to be installed or removed first, the call ends after the claim and says so in RV(package); the role
    then does that and calls again with O(phase=run).
  - The claim makes sure that port and unit are free or belong to the service, makes the system user, and keeps a distribution's own daemon
    from starting when its package is installed.
  - Then the files are written, all together, as M(accelmon.fleet.config_set) does it.
  - Then the unit is written, enabled and started. The service is restarted whenever its process was started from another program, unit or
    configuration than those in place. So a run that was killed half-way is completed by the next.
    If the service does not become healthy with a changed unit, the unit before it is put back.
  - A daemon that can read its configuration again is given O(reload_on) instead of a restart. O(phase=reload) does that alone,
    for files that are written after the daemon was run.
attributes:
  check_mode:
    support: full
    description: Predicts the change without making it. Works on a host where nothing is installed yet.
  diff_mode:
    support: full
    description: Shows the unit files before and after.
options:
  name:
    description: Name of the service; the unit is C(accelmon-NAME.service).
    type: str
    required: true
  phase:
    description:
      - V(converge) does everything, unless something has to be installed or removed first.
      - V(claim) only claims. V(run) only writes the files and runs the service, after an installation.
      - V(reload) only brings a running daemon to read O(reload_on) again, if they changed since it read them.
    type: str
    choices: [converge, claim, run, reload]
    required: true
  image:
    description:
      - The host is an image that is being built; it needs no running systemd. The unit is written and enabled;
        nothing is started, reloaded or asked, and listening ports are not looked at.
    type: bool
    default: false
  state:
    description: Whether the service is set up or removed.
    type: str
    choices: [present, absent]
    default: present
  user:
    description: System user to create for the service.
    type: str
  listen:
    description: Where the service will listen.
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
        description: The variable that sets the port, for error messages.
        type: str
        required: true
  needs:
    description: Files of the role C(access) that must be there. Nothing is changed while one is missing; not in check mode, and not in an image.
    type: list
    elements: path
    default: []
  managed_variable:
    description: The variable that leaves an existing service alone, for error messages.
    type: str
  package:
    description: Distribution package that holds the program; empty if it does not come from a package.
    type: str
    default: ""
  package_unit:
    description: Unit that the package would start by itself.
    type: str
    default: ""
  package_version:
    description: Upstream's version that the package must have; empty means that any will do. Only where there is C(dpkg-query).
    type: str
    default: ""
  program:
    description: Path of the program.
    type: str
  container:
    description: Whether the program runs in a container, whose processes may belong to another unit than ours.
    type: bool
    default: false
  own_programs:
    description: Whether programs of the collection are a part of the service. Then the host must have a Python that services can run.
    type: bool
    default: false
  unit:
    description: Text of the service unit.
    type: str
  timer:
    description: Text of a timer unit that starts the service; without it the service runs all the time.
    type: str
  restart_on:
    description: Files that the process reads only once, beside its program.
    type: list
    elements: str
    default: []
  reload_on:
    description:
      - Files that the process reads again when it is reloaded, as paths or shell patterns.
        The service is reloaded if they changed since its process read them, also when a run before this one was killed in between.
      - The unit must have C(ExecReload).
    type: list
    elements: str
    default: []
  leaves:
    description:
      - Files that the service writes while it runs, and that would mislead when it is gone. They go with O(state=absent), in this order.
      - A directory goes if it is empty then.
    type: list
    elements: str
    default: []
  groups:
    description: Groups that the process has to be in; those that do not exist on the host are left out.
    type: list
    elements: str
    default: []
  parts:
    description:
      - Texts of units beside the service's own, by the end of their name, C(front.socket) (with it systemd listens at the first of
        O(listen)), C(front.service), C(watch.timer), C(watch.service) and C(agent.service).
      - C(agent.service) is what the service asks and cannot work without. The service's unit requires it, and it is C(PartOf) that, so that
        they start, restart and stop together. O(groups) are its as well.
      - Those that are there and not given are removed.
    type: dict
    default: {}
  part_files:
    description: Files that the processes of O(parts) read only once.
    type: list
    elements: str
    default: []
  health:
    description: How to know that the program itself is healthy, asked before O(probe).
    type: dict
    suboptions:
      to:
        description: Where to ask, the path of a Unix socket, or V(ADDRESS:PORT).
        type: str
        required: true
      page:
        description: The page that must have rows.
        type: str
        default: /metrics
      rows:
        description: How one of the rows must begin.
        type: str
        default: ""
      ready:
        description: A page that answers V(200) when the program is ready; one that it does not know (V(404)) is passed over.
        type: str
        default: ""
      timeout:
        description: Seconds to wait for it.
        type: int
        default: 30
  probe:
    description: How to know that the service is healthy.
    type: dict
    suboptions:
      path:
        description: Path of the page to ask for, at the first address of O(listen).
        type: str
        required: true
      status:
        description: HTTP status codes that mean healthy; V(401) where the page wants a password.
        type: list
        elements: int
        default: [200]
      scheme:
        description: Whether it speaks TLS.
        type: str
        choices: [http, https]
        default: http
      ca_file:
        description:
          - Certificates of the authorities that the server's certificate may come from, with V(https).
            Empty means those that the host trusts. Names in the certificate are not compared.
        type: path
        default: ""
      client_certificate:
        description:
          - With V(required) the server must refuse a client without a certificate, after it has shown its own.
        type: str
        choices: [none, required]
        default: none
      password_file:
        description:
          - File on the host with the password of the user V(accelmon). The page must answer V(401) without it and O(probe.status) with it.
        type: path
        default: ""
      timeout:
        description: Seconds to wait for it.
        type: int
        default: 30
extends_documentation_fragment: [accelmon.fleet.config_set]
"""

EXAMPLES = r"""
- name: Converge the service, unless its package is missing
  accelmon.fleet.service_unit:
    name: node_exporter
    phase: converge
    user: accelmon-node-exporter
    package: prometheus-node-exporter
    package_unit: prometheus-node-exporter.service
    program: /usr/bin/prometheus-node-exporter
    unit: "{{ node_exporter_unit }}"
    listen:
      - port: 9100
        variable: node_exporter_port
    managed_variable: node_exporter_managed
    probe:
      path: /metrics
  register: found

- name: Let it read rules that were written after it
  accelmon.fleet.service_unit:
    name: prometheus
    phase: reload
    reload_on: [/etc/accelmon/rules/*.yml]
"""

RETURN = r"""
package:
  description:
    - What has to be done with the package, V(present), V(absent), or empty for nothing.
    - If it is not empty, O(phase=converge) has ended after the claim.
  type: str
  returned: unless O(phase=reload)
refresh:
  description: Whether apt has to fetch its lists before, as it knows of no such package.
  type: bool
  returned: unless O(phase=reload)
generation:
  description: Hash of program, unit and configuration that the process runs with.
  type: str
  returned: when the service was run and O(state=present)
actions:
  description: What was done, or would be.
  type: list
  elements: str
  returned: always
"""

import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import command, disk
from ansible_collections.accelmon.fleet.plugins.module_utils.host import systemd
from ansible_collections.accelmon.fleet.plugins.module_utils.host.config_set import ARGUMENTS
from ansible_collections.accelmon.fleet.plugins.module_utils.host.service.service import Service


SPEC = dict(ARGUMENTS, **{
    "name": {"type": "str", "required": True},
    "phase": {"type": "str", "choices": ["converge", "claim", "run", "reload"], "required": True},
    "image": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "user": {"type": "str"},
    "listen": {"type": "list", "elements": "dict", "default": [], "options": {
        "address": {"type": "str", "default": ""},
        "port": {"type": "int", "required": True},
        "variable": {"type": "str", "required": True},
    }},
    "managed_variable": {"type": "str"},
    "needs": {"type": "list", "elements": "path", "default": []},
    "package": {"type": "str", "default": ""},
    "package_unit": {"type": "str", "default": ""},
    "package_version": {"type": "str", "default": ""},
    "program": {"type": "str"},
    "container": {"type": "bool", "default": False},
    "own_programs": {"type": "bool", "default": False},
    "unit": {"type": "str"},
    "timer": {"type": "str"},
    "restart_on": {"type": "list", "elements": "str", "default": []},
    "reload_on": {"type": "list", "elements": "str", "default": []},
    "leaves": {"type": "list", "elements": "str", "default": []},
    "groups": {"type": "list", "elements": "str", "default": []},
    "parts": {"type": "dict", "default": {}},
    "part_files": {"type": "list", "elements": "str", "default": []},
    "health": {"type": "dict", "options": {
        "to": {"type": "str", "required": True},
        "page": {"type": "str", "default": "/metrics"},
        "rows": {"type": "str", "default": ""},
        "ready": {"type": "str", "default": ""},
        "timeout": {"type": "int", "default": 30},
    }},
    "probe": {"type": "dict", "options": {
        "path": {"type": "str", "required": True},
        "status": {"type": "list", "elements": "int", "default": [200]},
        "timeout": {"type": "int", "default": 30},
        "scheme": {"type": "str", "choices": ["http", "https"], "default": "http"},
        "ca_file": {"type": "path", "default": ""},
        "client_certificate": {"type": "str", "choices": ["none", "required"], "default": "none"},
        "password_file": {"type": "path", "no_log": False, "default": ""},
    }},
})


def main():
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    module.run_command = command.of_module(module)
    service = Service(module)
    unknown = sorted(set(module.params["parts"]) - set(systemd.PARTS))
    if unknown:
        service.fail("parts = %s: no such part; known are %s" % (", ".join(unknown), ", ".join(systemd.PARTS)))
    if not shutil.which("systemctl"):
        service.fail("this host has no systemctl; accelmon.fleet needs systemd as its first process")
    try:
        found = service.converge()
    except OSError as error:
        service.fail("%s: %s" % (service.name, disk.explain(error)))
    module.exit_json(**dict(service.result(), **found))


if __name__ == "__main__":
    main()
