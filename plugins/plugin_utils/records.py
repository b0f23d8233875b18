# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fleet records: one per host, from its variables and facts, in one pass over the hosts."""
from ansible_collections.accelmon.fleet.plugins.plugin_utils import fleet, plan
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import Problem


class FleetError(ValueError):
    """One line: `host: variable = value: what is wrong; what to do`."""


def read_host(host, host_variables, specs, strict):
    """(values, address) of a host. With `strict` a bad value raises FleetError, else it is replaced by its default.

    Without `strict` values is None when the cluster is the bad one: then nobody knows where the host belongs.
    """
    values, problems = fleet.read_values(host_variables, specs)
    try:
        address = fleet.host_address(host, host_variables, values["accelmon_address"])
    except Problem as problem:
        problems["ansible_host"] = (fleet.UNEVALUATED, problem)
        address = host
    if problems:
        if strict:
            name, (value, problem) = next(iter(problems.items()))
            raise FleetError(fleet.error_line(host, name, value, problem))
        if "accelmon_cluster" in problems:
            return None, address
    return values, address


def make_plan(host, host_variables):
    """{"roles", "exporters", "listen"} of one host. Raises FleetError for a bad value or missing drivers."""
    values, address = read_host(host, host_variables, fleet.plan_specs(), strict=True)
    facts = fleet.facts_of(host_variables)
    if facts is not None and values["accelmon_driver_missing"] == "fail":
        try:
            plan.check_drivers(facts)
        except Problem as problem:
            raise FleetError(fleet.error_line(host, "accelmon_driver_missing", "fail", problem)) from None
    vendors = plan.elected(values, facts)
    return {
        "roles": plan.roles_to_run(values, vendors),
        "exporters": plan.exporters(values, vendors),
        "listen": plan.listen_address(values, address, facts),
    }


def make_record(host, host_variables, specs, answered):
    """The fleet record of one host, or None for one that cannot be placed in a cluster.

    answered: whether the host told its facts in this run. A host that did not is recorded with the exporters that the
    inventory gives it and without accelerators; its bad values, which the preflight check has reported, are replaced by
    their defaults, so that it stays a target.
    """
    facts = fleet.facts_of(host_variables) if answered else None
    values, address = read_host(host, host_variables, specs, strict=facts is not None)
    if values is None:
        return None
    labels = values["accelmon_labels"]
    if values["accelmon_rack"]:
        labels = dict(labels, rack=values["accelmon_rack"])
    return {
        "host": host,
        "address": address,
        "cluster": values["accelmon_cluster"],
        "labels": labels,
        "state": values["accelmon_state"],
        "answered": facts is not None,
        "accelerators": plan.counts(facts["summary"]) if facts is not None else {},
        "expected": values["accelmon_expected"],
        "exporters": plan.exporters(values, plan.elected(values, facts)),
    }
