# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which monitoring hosts run which role of the stack: all of them, or those in the group that is named like the role. Pure functions.

A group without any monitoring host places nothing: many inventories have a `grafana` or a `prometheus` of their own.
"""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack

# Variables that say whether a role runs on a host, and what they say where it is not placed.
ABSENT = {"accelmon_grafana": ("grafana", False),
          **{f"{role}_state": (role, "absent") for backend in stack.BACKENDS for role in stack.services(backend, False)}}


def is_restricted(role, groups):
    """Whether a group keeps a role from some monitoring host. groups: {group: its hosts}"""
    return len(hosts(role, groups)) < len(groups.get("monitoring", ()))


def hosts(role, groups):
    """The monitoring hosts that a role is placed on, in the order of the inventory."""
    monitoring, members = list(groups.get("monitoring", ())), set(groups.get(role, ()))
    return [host for host in monitoring if host in members] or monitoring


def pattern(role, groups, among="monitoring"):
    """The pattern of the hosts of a play about one role. among: that of the hosts that could run it"""
    return f"{among}:&{role}" if is_restricted(role, groups) else among


def follow(values, host, groups):
    """Say of roles that are not placed on a monitoring host that it does not run them, whatever else its variables, `values`, say."""
    for name in ABSENT.keys() & values.keys():
        role, absent = ABSENT[name]
        if is_restricted(role, groups) and host not in hosts(role, groups):
            values[name] = absent


def problems(groups, wanted):
    """[Problem] about groups that place roles. wanted: the roles that monitoring hosts would run without such groups"""
    found, monitoring = [], groups.get("monitoring", ())
    for role in sorted(wanted):
        members = [str(host) for host in groups.get(role, ())]
        if not set(members).intersection(monitoring):
            continue
        strangers = ", ".join(host for host in members if host not in monitoring)
        if strangers:
            found.append(Problem(f"this group places the role {role}, and not all of it are monitoring hosts; add {strangers} to the group monitoring, or "
                                 f"remove it from {role}", f"inventory: {role}", members))
    return found


def roles(values):
    """Roles of the stack that a monitoring host with these variables would run if no group placed any."""
    return set(stack.services(values["accelmon_backend"], values["accelmon_grafana"]))
