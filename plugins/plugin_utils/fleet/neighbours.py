# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the services of one host reach one another: each role runs one service, and reads from here where the others are."""
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.targets import instance
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts as fleet, listening
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import grafana, stack

# Where VictoriaMetrics is depends on other hosts: see storages.py.
SERVICES = tuple(service for backend in stack.BACKENDS.values() for service in backend.services if service != "victoriametrics")
NAMES = tuple(f"{service}_{word}" for service in SERVICES for word in ("listen", "port")) + (
    "node_exporter_port", "node_exporter_metrics_path", "node_exporter_managed", "accelmon_exporter_tls", "accelmon_grafana", "grafana_listen",
    "grafana_port", "grafana_root_url")


def neighbours(host_variables):
    """{service of a backend: its `stack.listener` with address and port, "node_exporter": {"target", "scheme", "path"},
    "grafana"?: its `grafana.listener`} of one host; Grafana only where the host runs it, and not VictoriaMetrics.

    host_variables: the entry of the host in `hostvars`. Raises Problem.
    """
    values = fleet.settings(host_variables, NAMES)
    found = {}
    for service in SERVICES:
        address, port = values[f"{service}_listen"], values[f"{service}_port"]
        found[service] = dict(stack.listener(address, port), address=address, port=port)
    tls = values["node_exporter_managed"] == "install" and values["accelmon_exporter_tls"] != "none"
    listen = listening.of_role(host_variables, "node_exporter") or "127.0.0.1"
    found["node_exporter"] = {"target": instance(listen, values["node_exporter_port"]), "scheme": "https" if tls else "http",
                              "path": values["node_exporter_metrics_path"]}
    if values["accelmon_grafana"]:
        found["grafana"] = grafana.listener(values["grafana_listen"], values["grafana_port"], values["grafana_root_url"])
    return found
