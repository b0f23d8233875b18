# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fleet records: one per host, from its variables and facts, in one pass over the hosts."""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import alerting, hosts as fleet, plan, scrape_only
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.facts import Untrusted
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load


def read_host(host, variables_of_host, reader, strict):
    """(values, address) of a host. With `strict` a bad value raises Problem, else it is replaced by its default.

    Without `strict` values is None when the cluster is the bad one: then nobody knows where the host belongs.
    """
    values, errors = reader.read_all(variables_of_host)
    try:
        address = fleet.host_address(host, variables_of_host, values["accelmon_address"])
    except Problem as error:
        errors.append(error)
        address = host
    if errors and strict:
        raise errors[0].of(host)
    if any(error.variable == "accelmon_cluster" for error in errors):
        return None, address
    return values, address


def make_plan(host, variables_of_host):
    """{"roles", "exporters"} of one host. Raises Problem for a bad value or fact, missing drivers, or what cannot work there."""
    values, dummy = read_host(host, variables_of_host, fleet.Reader(fleet.plan_specs()), strict=True)
    facts = fleet.facts_of(variables_of_host)
    if facts is not None and values["accelmon_driver_missing"] == "fail":
        try:
            plan.check_drivers(facts)
        except Problem as problem:
            raise Problem(problem, "accelmon_driver_missing", "fail", host) from None
    chosen = plan.choose(values, facts)
    try:
        plan.check_sources(values, facts, chosen)
    except Problem as problem:
        raise problem.of(host) from None
    own = "node_exporter_source"
    source, name = fleet.source_of("node_exporter", values, [own] if fleet.gives(variables_of_host, own) else [])
    wrong = plan.unpackaged(source, facts)
    if wrong and "node_exporter" in chosen.wanted and values["node_exporter_managed"] == "install" and values["node_exporter_state"] != "absent":
        raise Problem(wrong, name, source, host)
    roles = plan.roles_to_run(values, chosen, facts, "monitoring" in variables_of_host.raw.get("group_names", ()))
    try:
        scrape_only.check(values, roles)
    except Problem as problem:
        raise problem.of(host) from None
    return {"roles": roles, "exporters": plan.exporters(values, chosen)}


def uncounted(facts):
    """[[vendor, uuid]] of what a host's exporters show as a vendor's device and detection does not count, by the name that all-smi gives it."""
    forms = load("sources")["sources"]["all_smi"]["uncounted"]
    return sorted([one["vendor"], forms[one["vendor"]].format(pci=one["pci_address"])] for one in facts["uncounted"] if one["vendor"] in forms)


def make_record(host, variables_of_host, reader, answered, stage="first"):
    """The fleet record of one host, or None for one that cannot be placed in a cluster.

    reader: a `fleet.Reader` of `fleet.plan_specs`
    answered: whether the host told its facts in this run. A host that did not is recorded with the exporters that the
    inventory gives it and without accelerators; its bad values, which the variable check has reported, are replaced by
    their defaults, so that it stays a target.
    stage: how far the run is with handing vendors over, one of `plan.STAGES`

    Raises Problem for a bad value of a host that answered, Untrusted for its facts.
    """
    facts = fleet.facts_of(variables_of_host) if answered else None
    values, address = read_host(host, variables_of_host, reader, strict=facts is not None)
    if values is None:
        return None
    labels = values["accelmon_labels"]
    if values["accelmon_rack"]:
        labels = dict(labels, rack=values["accelmon_rack"])
    chosen = plan.choose(values, facts, stage)
    blind = plan.unmonitored(chosen, facts) if facts is not None else []
    shown = uncounted(facts) if facts is not None else []
    alerts = alerting.published(values)
    links = {"seen": facts["node"].get("links", {}) if facts is not None else {}, "expected": values["accelmon_expected_links"]}
    return {
        **({"unmonitored": blind} if blind else {}),
        **({"uncounted": shown} if shown else {}),
        **({"better": {vendor: list(told) for vendor, told in chosen.better.items()}} if chosen.better else {}),
        **({"alerts": alerts} if alerts else {}),
        **({"links": links} if any(links.values()) else {}),
        "host": host,
        "address": address,
        "cluster": values["accelmon_cluster"],
        "labels": labels,
        "state": values["accelmon_state"],
        "answered": facts is not None,
        "accelerators": plan.counts(facts["summary"]) if facts is not None else {},
        "expected": values["accelmon_expected"],
        "exporters": plan.exporters(values, chosen),
    }


def fleet_records(hosts, hostvars, answered, stage, warn):
    """The records of `hosts`, sorted by name; each host's variables are read once.

    A host whose facts are not to be trusted is recorded as one that did not answer. One whose facts hide what the inventory says
    of it is left out: the registry keeps what it knows.
    answered: the hosts that told their facts in this run; warn: takes one line about a host whose facts are not believed
    """
    if stage not in plan.STAGES:
        raise Problem(f"fleet_records: stage = {stage}: no such stage; use one of {', '.join(plan.STAGES)}")
    reader = fleet.Reader(fleet.plan_specs())
    answered = frozenset(answered)
    made = []
    for host in sorted(set(hosts)):
        if host not in hostvars:
            raise Problem(f"{host}: fleet_records: not in the inventory; give hosts of the inventory only")
        record = _believed(host, hostvars, reader, host in answered, stage, warn)
        if record is not None:
            made.append(record)
    return made


def _believed(host, hostvars, reader, answered, stage, warn):
    try:
        of_host = fleet.HostVariables(hostvars, host)
    except Untrusted as error:
        warn(f"{error}; the host's record stays unchanged")
        return None
    try:
        return make_record(host, of_host, reader, answered, stage)
    except Untrusted as error:
        warn(f"{error}; it is recorded as a host that did not answer")
        return make_record(host, of_host, reader, False, stage)
