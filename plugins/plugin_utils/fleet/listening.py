# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the exporters of a host listen. Apart from the plan, as every role asks for it several times, and it takes three variables."""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts as fleet, plan, variables

NAMES = ("accelmon_address", "accelmon_listen", "accelmon_phase")


def usual(host_variables):
    """The address for the exporters of a host whose role declares none: the host's own where it is one, else `accelmon_listen`; "" means all.

    host_variables: the entry of the host in `hostvars`. Raises Problem.
    """
    host = str(host_variables["inventory_hostname"])
    variables_of_host = fleet.HostVariables({host: host_variables}, host)
    declared = variables.fleet_variables()
    values, errors = fleet.Reader({name: declared[name] for name in NAMES}).read_all(variables_of_host)
    if errors:
        raise errors[0].of(host)
    try:
        address = fleet.host_address(host, variables_of_host, values["accelmon_address"])
    except Problem as problem:
        raise problem.of(host) from None
    return plan.listen_address(values, address, fleet.facts_of(variables_of_host))


def of_role(host_variables, role):
    """The address that the exporter of a role listens on, on one host; "" means all."""
    # What a role says by default is a template, which only the role itself can evaluate.
    return fleet.setting(host_variables, f"{role}_listen") or usual(host_variables)
