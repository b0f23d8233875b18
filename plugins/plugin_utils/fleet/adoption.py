# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an exporter that the site itself runs must prove on a host."""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import choice, hosts as fleet, listening
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.records import make_plan


def adoption(host_variables, role):
    """The options of the module adopted_exporter for an exporter of one host.

    host_variables: the entry of the host in `hostvars`; role: the role that would install the exporter. Raises Problem.
    """
    host = str(host_variables["inventory_hostname"])
    variables_of_host = fleet.HostVariables({host: host_variables}, host)
    plan = make_plan(host, variables_of_host)
    state, port, path = (fleet.setting(host_variables, f"{role}_{word}") for word in ("state", "port", "metrics_path"))
    options = {"name": role, "state": state, "port": port, "path": path, "address": listening.of_role(host_variables, role) or "127.0.0.1",
               "directory": fleet.setting(host_variables, "accelmon_textfile_directory"), "collector": "textfile_collector" in plan["roles"]}
    return dict(options, series=essential(role, fleet.facts_of(variables_of_host)))


def essential(role, facts):
    """The series without which the rules say nothing of a host's accelerators, as the module takes them."""
    name = choice.source_of(role)
    if name is None:
        return []
    source = load("sources")["sources"][name]
    bare = facts is None or not any(told.get("count") for told in facts["summary"].values())
    renamed = source.get("renamed", {})
    return ["|".join(other for ours in names.split("|") for other in (ours, renamed.get(ours)) if other)
            for names in (source.get("essential_bare", source["essential"]) if bare else source["essential"])]
