#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_verify_info
short_description: Verify that the registered fleet is monitored
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Runs on a monitoring host. Reads its registry, queries the storage and the rule evaluator, and reports problems.
  - Checks that every target is up, all expected accelerators and textfile collectors are fresh, owner files of jobs are sound, the rules are loaded
    and healthy, the watchdog fires and reaches the alert receivers, and the registry's newest generation has been scraped.
  - Checks access. If O(password_file) exists, no listener of the stack may answer without the password. An exporter with TLS must
    not answer plain HTTP, and none may answer a client without the certificate or password that the registry says it requires.
  - Connects to targets that are not up from this host, to distinguish unresolvable names, refused ports,
    silent hosts and exporters that answer with an error. Many are tried in parallel, within a limited time.
  - Each cause is one failure. A host that is down produces one line, not one per accelerator.
  - Hosts in maintenance and retired hosts are notes, not failures.
  - Does not fail if the fleet has problems; check RV(ok). Changes nothing.
extends_documentation_fragment: [accelmon.fleet.fleet_view.access, accelmon.fleet.fleet_view.storage, accelmon.fleet.fleet_view]
options:
  inventory_hosts:
    description: Names that must be registered; a missing one is a failure.
    type: list
    elements: str
    default: []
  monitoring_host:
    description: Name of this host in failures; by default its host name.
    type: str
  rule_groups:
    description: Names of rule groups that must be loaded. At least one group must always be loaded.
    type: list
    elements: str
    default: []
  recorded_series:
    description:
      - Series that must be recorded wherever a source reports them, as returned by the filter C(accelmon.fleet._expected_series).
    type: list
    elements: dict
    default: []
  alert_inputs:
    description:
      - What alerts look at, as returned by the filter C(accelmon.fleet._alert_inputs). An alert that cannot fire on a node is a failure if
        the node's exporter provides what it looks at for the same model on another node. Otherwise it is a note, with the exporter that would.
    type: dict
    default: {}
  watchdog:
    description: Name of the alert that must always fire; empty if there is none.
    type: str
    default: Watchdog
  collector_limit:
    description: Maximum age of a textfile collector's last success, in seconds. It runs on its own timer.
    type: int
    default: 60
  alertmanager_urls:
    description: Base URLs of the programs that receive the alerts.
    type: list
    elements: str
    default: []
  stack_urls:
    description:
      - Base URLs of all listeners of the stack on this host, by name. C(/metrics) is requested from them without a password, as are the kinds
        of paths that VictoriaMetrics' programs are known to serve without it. No body is sent, so nothing is stored.
      - Where there are some, and neither C(vmagent) nor C(prometheus) is one of them, nobody scrapes the registry of this host.
    type: dict
    default: {}
  certificate_file:
    description: Client certificate that this host presents to exporters.
    type: path
    default: /etc/accelmon/tls/host.crt
  key_file:
    description: Its key.
    type: path
    default: /etc/accelmon/tls/host.key
  exporter_password_file:
    description: File on this host with the password for exporters.
    type: path
    default: /etc/accelmon/secrets/exporter_password
  exporter_password:
    description: Whether this host sends the password to exporters without TLS.
    type: bool
    default: false
  wait:
    description: Seconds to keep retrying until no problem is left.
    type: int
    default: 0
  dial_timeout:
    description: Timeout for an exporter to accept the connection, and again to answer, in seconds.
    type: int
    default: 2
  dial_budget:
    description: Time limit for all connection attempts, in seconds; exporters not reached by then are reported without a reason.
    type: int
    default: 60
seealso:
  - module: accelmon.fleet.fleet_status_info
  - module: accelmon.fleet.fleet_registry
"""

EXAMPLES = r"""
- name: Verify the whole fleet, allowing two minutes for a fresh start
  accelmon.fleet.fleet_verify_info:
    wait: 120
  register: fleet

- name: Show the problems, one line each
  ansible.builtin.debug:
    msg: "{{ fleet.report.splitlines() }}"

- name: Verify two nodes only
  accelmon.fleet.fleet_verify_info:
    hosts: [gpu7, gpu8]
"""

RETURN = r"""
ok:
  description: Whether there are no problems.
  returned: always
  type: bool
  sample: false
failures:
  description:
    - The problems, in a fixed order, each cause once.
    - C(check) is one of registry, storage, generation, rules, watchdog, alertmanager, grafana, access, scraper, recording, registered,
      pending, target, open, collector, devices, series, inputs, jobs.
    - C(line) has node, reason and fix in one line.
  returned: always
  type: list
  elements: dict
  sample:
    - cluster: west
      node: gpu7
      check: target
      reason: connection refused on 10.0.0.7:9100 (node_exporter not running there)
      fix: start it on gpu7; site.yml --limit gpu7 does
      line: "gpu7: connection refused on 10.0.0.7:9100 (node_exporter not running there); start it on gpu7; site.yml --limit gpu7 does"
notes:
  description: Hosts in maintenance, retired and replaced hosts, nodes with more accelerators than expected, alerts that cannot fire.
  returned: always
  type: list
  elements: dict
  sample:
    - cluster: west
      node: gpu9
      note: "retired: no longer in the inventory but still scraped; prune.yml removes it"
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
  description: The result as text, one line per failure and note.
  returned: always
  type: str
"""

import os
import socket
import time
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import dial, strangers, verdict, view
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.client import Access

# Seconds between two tries while waiting.
PAUSE = 5
SCRAPERS = frozenset(("vmagent", "prometheus"))


ARGUMENTS = dict(
    view.ARGUMENTS,
    inventory_hosts=dict(type="list", elements="str", default=[]),
    monitoring_host=dict(type="str"),
    rule_groups=dict(type="list", elements="str", default=[]),
    recorded_series=dict(type="list", elements="dict", default=[]),
    alert_inputs=dict(type="dict", default={}),
    watchdog=dict(type="str", default="Watchdog"),
    wait=dict(type="int", default=0),
    collector_limit=dict(type="int", default=60),
    dial_timeout=dict(type="int", default=2),
    dial_budget=dict(type="int", default=60),
    alertmanager_urls=dict(type="list", elements="str", default=[]),
    stack_urls=dict(type="dict", default={}),
    certificate_file=dict(type="path", default=paths.CERTIFICATE),
    key_file=dict(type="path", default=paths.KEY, no_log=False),
    exporter_password_file=dict(type="path", default=paths.EXPORTER_PASSWORD, no_log=False),
    exporter_password=dict(type="bool", default=False, no_log=False),
)


def judge(params, monitor, dials=None, seen=None):
    """(verdict, seen, clusters) of the present state; `seen` may be handed in to judge the same answers again."""
    clusters, problems = view.read_registry(params["state_dir"], params["clusters"])
    if seen is None:
        seen = view.observe(params, clusters, rules=True)
        seen["alertmanagers"] = view.arrivals(params)
        seen["grafana"] = view.grafana_error(params)
        seen["scraped"] = not params["stack_urls"] or bool(SCRAPERS.intersection(params["stack_urls"]))
        try:
            seen["unrecorded"] = view.unrecorded(params, clusters, params["recorded_series"])
            seen["readings"] = view.present_readings(params, clusters, params["alert_inputs"])
        except Failure as error:
            seen["storage_error"] = seen["storage_error"] or str(error)
    result = verdict.verdict(
        clusters, seen, dials or {}, monitor,
        only=params["hosts"], inventory_hosts=params["inventory_hosts"], registry_problems=problems,
        rule_groups=params["rule_groups"], watchdog=params["watchdog"], inputs=params["alert_inputs"],
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
            seen["lost"] = view.lost_devices(params, lacking)
        except Failure:
            pass  # the storage went away just now: the failure stands without the names of the devices
    seen["open_stack"] = open_stack(params)
    seen["open_targets"] = open_targets(params, clusters, set(result["to_dial"]))
    dials = dial_down(params, clusters, result["to_dial"])
    return judge(params, monitor, dials, seen)[0]


def dial_down(params, clusters, targets):
    """{target: (kind, detail)} of exporters that are not up. Only our own are shown what this host brings along."""
    ours = verdict.own_targets(clusters, ("active", "pending"))
    encrypted = Access(params["exporter_password_file"], params["ca_file"], params["certificate_file"], params["key_file"])
    # Without TLS anybody could listen in; the scraper shows the password there only where the site chose so.
    plain = Access(params["exporter_password_file"] if params["exporter_password"] else "")

    def access_of(target):
        if target not in ours:
            return None
        return encrypted if target[2] == "https" else plain
    return dial.dial_all(targets, timeout=params["dial_timeout"], budget=params["dial_budget"], access_of=access_of)


def open_stack(params):
    """[(name, url, what it does)] of listeners of the stack that answer without the password."""
    if not os.path.exists(params["password_file"]):
        return []

    def ask(targets):
        return dial.dial_all(targets, timeout=params["dial_timeout"], budget=params["dial_budget"])
    found = []
    for name, url in sorted(params["stack_urls"].items()):
        parts = urlsplit(url)
        target = (parts.hostname, parts.port, parts.scheme, parts.path + "/metrics")
        kind, detail = ask([target])[target]
        if kind not in ("ok", "http"):
            continue  # nobody gets in there; that it does not answer is told elsewhere
        if detail not in ("401", "403"):
            found.append((name, url, "answers HTTP %s without a password" % detail))
            continue
        asked = strangers.targets(url, name)
        open_to = strangers.let_in(ask(asked), asked)
        if open_to:
            more = " and %d more paths" % (len(open_to) - 1) if len(open_to) > 1 else ""
            found.append((name, url, "answers %s%s without a password" % (open_to[0], more)))
    return found


def open_targets(params, clusters, down):
    """{target: what it does} of the collection's exporters that answer who shall not be answered; those that are down left out."""
    ours = {target: exporter for target, exporter in verdict.own_targets(verdict.select(clusters, params["hosts"])).items() if target not in down}
    found = {}

    def requiring(what):
        return [target for target, exporter in ours.items() if what in (exporter.get("requires") or ())]

    def ask(targets):
        return dial.dial_all(targets, timeout=params["dial_timeout"], budget=params["dial_budget"])
    encrypted = [target for target in ours if target[2] == "https"]
    unencrypted = dict(((address, port, "http", path), (address, port, scheme, path)) for address, port, scheme, path in encrypted)
    # A server that speaks TLS answers plain HTTP with 400 and nothing else.
    for target, (kind, detail) in ask(unencrypted).items():
        if kind == "ok" or kind == "http" and detail != "400":
            found[unencrypted[target]] = "answers plain HTTP"
    for target, (kind, detail) in ask(requiring("certificate")).items():
        if kind in ("ok", "http"):
            found.setdefault(target, "answers a client without a certificate")
    for target, (kind, detail) in ask(requiring("password")).items():
        if kind == "ok":
            found.setdefault(target, "answers without a password")
    return found


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
    )
    try:
        view.windows(module.params)
    except ValueError as error:
        module.fail_json(msg=str(error))
    result = explained(module.params, module.params["monitoring_host"] or socket.gethostname())
    module.exit_json(
        changed=False, ok=not result["failures"], failures=result["failures"], notes=result["notes"],
        counts=result["counts"], report=verdict.report(result))


if __name__ == "__main__":
    main()
