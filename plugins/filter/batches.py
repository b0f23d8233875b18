# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter batches: in what steps a rolling run goes through the fleet."""
from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts as fleet, variables

NAME = "accelmon_serial"


def batches(groups, hostvars):
    """Batches for a play's `serial`, from `accelmon_serial` as the first node has it; [] is all hosts at once.

    A node whose facts stand for variables is passed over: it would decide for all.
    groups, hostvars: the variables of these names. A play knows no host yet when it asks; while only its syntax is checked or
    its tasks are listed, there are no hostvars at all.
    """
    hosts = list(groups.get("accelerator_nodes") or []) + list(groups.get("monitoring") or [])
    found = next(filter(None, (trusted(hostvars, host) for host in hosts if host in hostvars)), None)
    if found is None or NAME not in found.raw:
        return []
    try:
        return fleet.Reader({NAME: variables.fleet_variables()[NAME]}).read(found, NAME)
    except fleet.BadValue as error:
        raise AnsibleFilterError(f"{found.host}: {error}") from None


def trusted(hostvars, host):
    """The variables of a host, or None."""
    try:
        return fleet.HostVariables(hostvars, host)
    except fleet.Untrusted:
        return None


class FilterModule:
    """Announces the filter."""

    def filters(self):
        """{name: function}."""
        return {"batches": batches}
