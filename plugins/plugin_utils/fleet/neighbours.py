# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the services of one host reach one another: each role runs one service, and reads from here where the others are."""
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.targets import instance
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts as fleet, listening
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack


def neighbours(host_variables):
    """{service of a backend: its `stack.listener` with address and port, "node_exporter": {"target", "scheme", "path"}} of one host.

    host_variables: the entry of the host in `hostvars`. Raises Problem.
    """
    found = {}
    for backend in stack.BACKENDS.values():
        for service in backend.services:
            address, port = (fleet.setting(host_variables, f"{service}_{word}") for word in ("listen", "port"))
            found[service] = dict(stack.listener(address, port), address=address, port=port)
    return dict(found, node_exporter=_node_exporter(host_variables))


def _node_exporter(host_variables):
    listen = listening.of_role(host_variables, "node_exporter")
    ours = fleet.setting(host_variables, "node_exporter_managed") == "install"
    tls = ours and fleet.setting(host_variables, "accelmon_exporter_tls") != "none"
    return {"target": instance(listen or "127.0.0.1", fleet.setting(host_variables, "node_exporter_port")), "scheme": "https" if tls else "http",
            "path": fleet.setting(host_variables, "node_exporter_metrics_path")}
