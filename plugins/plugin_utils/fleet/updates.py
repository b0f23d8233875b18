# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a scheduled update is about: pure functions."""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.releases import catalogue

# What runs on nodes and is replaced without a loss. The stack is upgraded by hand: it has data.
ROLES = ("node_exporter", "all_smi")


def watched(locked):
    """{release: version} of the lock file's releases that are updated; the others are left alone."""
    return {name: entry["version"] for name, entry in locked.items() if set((catalogue().get(name) or {}).get("roles", [])) & set(ROLES)}


def due(newer, locked, architecture, installed):
    """Roles of a host that have a newer patch release, in order.

    newer: {release: version}; locked: the releases of the lock file
    installed: {role: name of the directory of its current release}; it has to be the locked one, bit for bit: what somebody else pinned stays
    """
    found = []
    for name in newer:
        digest = (locked[name].get("sha256") or {}).get(architecture, "")
        directory = f"{locked[name]['version']}-{digest[:12]}"
        found += [role for role in catalogue()[name]["roles"] if role in ROLES and digest and installed.get(role) == directory]
    return sorted(set(found), key=ROLES.index)


def canaries(hosts, chosen, groups):
    """The hosts, among those that have something to update, that get it first: the chosen ones (hosts or groups), or the first."""
    named = [host for name in chosen for host in groups.get(name, [name])]
    return sorted(set(hosts) & set(named)) or sorted(hosts)[:1]


def _result(hostvars, host):
    """What became of a host's update: updated, failed, or missing while there is no answer."""
    return hostvars[host].get("accelmon_update_result", "missing")


def goes_on(groups, hostvars):
    """Whether the hosts after the canaries may be updated: every canary has the release, and no other host failed to take it so far."""
    return (all(_result(hostvars, host) == "updated" for host in groups["accelmon_update_canary"])
            and all(_result(hostvars, host) != "failed" for host in groups["accelmon_update_rest"]))


def failures(hosts, hostvars):
    """{host: why} of the hosts that were due and do not have the release."""
    return {host: hostvars[host].get("accelmon_update_reason", "not reached") for host in hosts if _result(hostvars, host) != "updated"}
