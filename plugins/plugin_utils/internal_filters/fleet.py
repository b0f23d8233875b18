# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Internal filters about the fleet: what is asked of a host, what runs there, what is in the way."""
from __future__ import annotations

import base64
import json

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import reader as catalogue
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import adoption as adopted, answers, awx, bundled, check, draining, facts
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import formats, hardware as devices, hosts as fleet, kubernetes, listening, placement
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import plan as plans, preflight, records, slurm_names as slurm, storages
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import topology as connections, upgrades, variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.filters import as_answer, as_filter, internal
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import PORT_EXPORTERS

SERIAL = "accelmon_serial"
# What of a monitoring host's answer is data; an `_info` module returns some of them.
ANSWER_PARTS = ("rows", "totals", "exporters", "sites", "fleet_alerts", "choices", "notes", "problems")


@as_filter
def given(value, name):
    """A variable in its type, also where it was given as text; the default for an empty answer."""
    return formats.read(name, value)


@as_filter
def setting(host_variables, name):
    """A variable of a host's `hostvars` entry as another place than its own role reads it: checked and in its type, or its declared default.

    An empty answer of a survey counts as not set. Variables of a play are not seen.
    """
    return fleet.setting(host_variables, str(name))


@as_filter
def awx_objects(host_variables):
    """What awx.yml creates: {variable of infra.aap_configuration: [options of a module of awx.awx]}, from localhost's `hostvars` entry."""
    return awx.objects(host_variables)


@as_answer
def awx_modules(collection):
    """The name of the collection whose modules awx.yml uses, if it is installed."""
    return awx.modules(collection)


@as_answer
def bundle_wanted(groups, hostvars, architectures, states=""):
    """What belongs into the fleet's bundle: {"artifacts", "packages", "notes"}."""
    return bundled.wanted(groups, hostvars, architectures, states)


@as_filter
def bundle_states(hosts, hostvars):
    """The files that tell what hosts have installed: [{"name", "text"}]. Each host has read its list of packages as `accelmon_packages`."""
    read = {host: (hostvars[host].get("accelmon_packages") or {}).get("content") for host in hosts}
    # What a host says is no template.
    return wrap_var(bundled.states(hosts, hostvars, {host: base64.b64decode(text).decode("utf-8", "replace") for host, text in read.items() if text}))


@as_answer
def kubernetes_manifests(hosts, hostvars):
    """The files that bring exporters to nodes of Kubernetes: {name: text}, and those that are no longer needed there: {name: ""}."""
    made = kubernetes.manifests(hosts, hostvars)
    return {**dict.fromkeys((f"{role}.yml" for role in PORT_EXPORTERS), ""), **made}


@as_filter
def plan(host_variables, findings=None):
    """{"roles", "exporters"} of the host whose `hostvars` entry is given; an error if it is among the findings."""
    host = str(host_variables["inventory_hostname"])
    if findings and host in findings:
        raise AnsibleFilterError(findings[host])
    return records.make_plan(host, fleet.HostVariables({host: host_variables}, host))


@as_filter
def listen(host_variables):
    """The address for a host's exporters to listen on, from the host's `hostvars` entry; "" means all."""
    return listening.usual(host_variables)


def planned(groups, role, placed=None):
    """The pattern of hosts for a play about one role: what `group_by` made of the plans, or a pattern of no host, which warns of nothing.

    placed: a role that belongs to the planned one, a backend, and that a group may place
    """
    name = f"accelmon_on_{role}"
    if name not in groups:
        return "all:!all"
    return placement.pattern(placed, groups, name) if placed else name


def loaded(pattern):
    """The pattern of a play's hosts, unchanged, with everything loaded that plans and roles read.

    Ansible evaluates `hosts` itself, and forks a worker for each task of each host. What is loaded here (all internal filters, the declarations
    of variables, the table of sources) is there in every worker that comes later; each would read it for itself otherwise.
    """
    variables.all_variables()
    catalogue.load("sources")
    return pattern


@as_filter
def batches(groups, hostvars):
    """Batches for a play's `serial`, from `accelmon_serial` as the first node has it; [] is all hosts at once.

    A node whose facts stand for variables is passed over: it would decide for all.
    groups, hostvars: the variables of these names. A play knows no host yet when it asks; while only its syntax is checked or
    its tasks are listed, there are no hostvars at all.
    """
    hosts = list(groups.get("accelerator_nodes") or []) + list(groups.get("monitoring") or [])
    found = next(filter(None, (trusted(hostvars, host) for host in hosts if host in hostvars)), None)
    if found is None:
        return []
    try:
        return fleet.Reader({SERIAL: variables.fleet_variables()[SERIAL]}).read(found, SERIAL)
    except Problem as error:
        raise AnsibleFilterError(f"{found.host}: {error}") from None


def trusted(hostvars, host):
    """The variables of a host, or None."""
    try:
        return fleet.HostVariables(hostvars, host)
    except facts.Untrusted:
        return None


@as_filter
def adoption(host_variables, role):
    """The options of the module adopted_exporter for an exporter that the site itself runs, from the host's `hostvars` entry."""
    return adopted.adoption(host_variables, str(role))


@as_filter
def slurm_names(groups, hostvars, controller):
    """Text of the file with the names that a Slurm controller's collector gives to nodes, where the inventory's differ from Slurm's."""
    return json.dumps(slurm.of_fleet(groups, hostvars, controller), indent=0, sort_keys=True) + "\n"


@as_filter
def drain_storages(groups, hostvars, controller):
    """{"urls", "user", "password_file", "ca", "needs"}: where a Slurm controller asks for verdicts. groups, hostvars: the variables of these names."""
    return draining.storages(groups, hostvars, str(controller))


@as_answer
def rehearsed_drains(groups, hostvars):
    """The clusters with a Slurm controller as fleet_drain_rehearsal_info takes them. groups, hostvars: the variables of these names."""
    return draining.rehearsed(hostvars, groups)


@as_filter
def not_replayed(hosts, hostvars):
    """Why replay.yml cannot do its work on these monitoring hosts, one line each. hostvars: the variable of this name."""
    return storages.not_replayed(hosts, hostvars)


def is_draining(host_variables):
    """Whether a host asks the storages of the monitoring hosts for verdicts, from its `hostvars` entry."""
    return plans.asks_for_verdicts(fleet.settings(host_variables, draining.ASKING))


@as_filter
def source_questions(host_variables):
    """What accelerator_facts asks a host about the programs that could read its devices, from the host's `hostvars` entry."""
    host = str(host_variables["inventory_hostname"])
    return plans.questions(fleet.Reader(fleet.plan_specs()).read_all(fleet.HostVariables({host: host_variables}, host))[0])


@as_filter
def handover_waits(hosts, hostvars):
    """Whether a run has to wait before it takes exporters away: for a `newcomer` to be scraped, for an `heir` to be in charge."""
    reader, waits = fleet.Reader(fleet.plan_specs()), {"newcomer": False, "heir": False}
    for host in map(str, hosts):
        found = fleet.HostVariables(hostvars, host)
        chosen = plans.choose(reader.read_all(found)[0], fleet.facts_of(found))
        waits["newcomer"] |= chosen.charge != chosen.final
        waits["heir"] |= chosen.charge != chosen.final or plans.has_heir(chosen)
    return waits


def preflight_wants(host, hostvars):
    """What to look at on a host before anything is installed; of a list of hosts, which addresses to call."""
    if isinstance(host, str):
        return preflight.wants(str(host), hostvars)
    return preflight.places([str(name) for name in host], hostvars)


def preflight_findings(hosts, hostvars, reached):
    """What is in the way of an installation, from what hosts told and which calls between them got through."""
    names = [str(host) for host in hosts]
    observed, unanswered = {}, {}
    for name in names:
        told = hostvars[name].get("accelmon_seen") or {}
        why = (hostvars[name].get("accelmon_found") or {}).get("unanswered") or told.get("unanswered")
        if why:
            unanswered[name] = why
        # Of a host that answered with anything else it is told there.
        if told.get("observed"):
            observed[name] = told["observed"] if isinstance(told["observed"], dict) else {}
    calls = {str(result["item"]): result["reached"] for result in reached if result.get("reached")}
    checked = (hostvars["localhost"].get("accelmon_findings") or {}).get("hosts") or {}
    return preflight.report(names, hostvars, observed, calls, checked, unanswered)


def seen_of(hosts, hostvars, what):
    """({host: what it told}, {host: why it did not answer}) of the hosts that were asked. what: the key in their answers"""
    told, unanswered = {}, {}
    for name in map(str, hosts):
        seen = hostvars[name].get("accelmon_seen") or {}
        if seen.get("unanswered"):
            unanswered[name] = seen["unanswered"]
        elif seen:
            told[name] = seen.get(what)
    return told, unanswered


def topology(hosts, hostvars):
    """How the devices of hosts are connected, and what differs from their peers, from what the hosts told."""
    return connections.report(*seen_of(hosts, hostvars, "topology"))


def hardware(hosts, hostvars, checking):
    """Whether the devices of hosts are read right, from what the hosts told. checking: whether this is a check run"""
    return devices.report(*seen_of(hosts, hostvars, "hardware"), checking)


def collector_program(dummy):
    """{name: text} of the textfile collector's files."""
    return devices.program()


def answer_parts(found):
    """What a monitoring host answered, as data. found: a result of an `_info` module."""
    return {"problems": [answers.line(found)]} if "unanswered" in found else {part: found[part] for part in ANSWER_PARTS if part in found}


def verify_answers(results):
    """The results of fleet_verify_info as they are, with a failure in the place of an answer that did not come."""
    found = []
    for result in results:
        if "unanswered" in result:
            why, host = result["unanswered"], result["item"]
            failure = {"check": "answer", "cluster": "", "node": host, "reason": f"{why['what']}: {why['value']}", "fix": why["fix"],
                       "line": f"{host}: {answers.line(result)}"}
            result = {"item": host, "ok": False, "failures": [failure], "counts": {}, "report": failure["line"]}
        found.append(result)
    return found


def answers_by_host(results):
    """{monitoring host: what it answered, as data}."""
    return {found["item"]: answer_parts(found) for found in results}


def answer(found, output):
    """What a monitoring host answered, as `accelmon_output` wants it: data, or lines of text, its tables and what else it says."""
    if output == "json":
        return {"monitoring_host": found["item"], **answer_parts(found)}
    if "unanswered" in found:
        return answers.silent([found])
    lines = [line for table in ("table", "site_table", "exporter_table") if found.get(table) for line in found[table].split("\n")]
    if found.get("summary"):
        lines.append(found["summary"])
    if found.get("fleet_alerts"):
        lines.append("other alerts: " + ", ".join(found["fleet_alerts"]))
    lines += [f"chosen: {choice['line']}" for choice in found.get("choices", ())]
    return lines + [f"note: {note}" for note in found.get("notes", ())] + [f"{found['item']}: {problem}" for problem in found["problems"]]


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {**internal(given, setting, awx_objects, awx_modules, bundle_wanted, bundle_states, kubernetes_manifests, plan, listen, planned,
                           loaded, batches, adoption, slurm_names, drain_storages, not_replayed, is_draining, rehearsed_drains, source_questions,
                           handover_waits, preflight_wants, preflight_findings, topology, hardware, collector_program, verify_answers,
                           answers_by_host, answer, check.fleet_check, check.argument_errors, check.setting_errors, upgrades.refused_crossings),
                "_given_answers": answers.given, "_silent": answers.silent,
                "_updates_watched": as_answer(upgrades.watched), "_upgrade_plan": upgrades.plan, "_upgrade_former": upgrades.former,
                "_upgrade_stack_progress": upgrades.stack_progress, "_upgrade_exporters_progress": upgrades.exporters_progress,
                "_upgrade_note": upgrades.note, "_upgrade_noted": upgrades.noted, "_upgrade_replaced": upgrades.replaced,
                "_upgrade_verdict": upgrades.verdict, "_upgrade_goes_on": upgrades.goes_on, "_upgrade_failures": upgrades.failures}
