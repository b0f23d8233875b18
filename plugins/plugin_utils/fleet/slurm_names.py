# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Slurm controller calls the hosts of the inventory."""
import collections

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts as fleet


def names(hosts, cluster_of, controller):
    """{Slurm's name of a node: the inventory's} where they differ: Slurm knows a host by the first part of its name.

    A name that several hosts begin with is of the one in the controller's cluster; where there are several of these too, nobody's.
    cluster_of: function from a host to its cluster, called for such hosts alone
    """
    known, found = set(hosts), collections.defaultdict(list)
    for host in hosts:
        short, dot, rest = host.partition(".")
        if dot and short not in known and not rest.replace(".", "").isdigit() and ":" not in host:
            found[short].append(host)
    chosen = {}
    for short, candidates in sorted(found.items()):
        if len(candidates) > 1:
            candidates = [host for host in candidates if cluster_of(host) == cluster_of(controller)]
        if len(candidates) == 1:
            chosen[short] = candidates[0]
    return chosen


def of_fleet(groups, hostvars, controller):
    """The same from the variables of these names."""
    hosts = list(dict.fromkeys(str(host) for group in ("accelerator_nodes", "monitoring") for host in groups.get(group, ())))
    return names(hosts, lambda host: fleet.setting(hostvars[host], "accelmon_cluster"), str(controller))
