# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of alerts: those that the inventory has for the whole fleet, what somebody chose instead, and those that hosts have of their own."""

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import closest, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import facts, hosts as fleet, variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.containers import called
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import alerts, inputs as alert_inputs, recording, rehearsal

# Variables with the changes of hosts; what the later one says wins.
OF_HOSTS = ("accelmon_alert_group_overrides", "accelmon_alert_host_overrides")
# Variables of the whole fleet, which the monitoring hosts read: another value of a node would do nothing.
FLEET_WIDE = {"accelmon_alert_overrides": "set accelmon_alert_group_overrides or accelmon_alert_host_overrides for some hosts",
              "accelmon_alert_presets": "set it for all, and switch alerts with `enabled` in accelmon_alert_group_overrides",
              "accelmon_label_names": "set it for all"}
# What the rules of a monitoring host are made with: parameter of `alerts.alert_groups`, and the variable that gives it.
OPTIONS = {"overrides": "accelmon_alert_overrides", "chosen_presets": "accelmon_alert_presets", "labels": "accelmon_label_names",
           "runbook_url": "accelmon_alert_runbook_url"}


def of_values(values):
    """The changes that a host has of its own, {alert: change}. values: its checked variables, OF_HOSTS among them."""
    return alerts.resolved(*(values.get(name) or {} for name in OF_HOSTS))


def published(values):
    """{alert: name of the setting} of a host, as the registry publishes them."""
    return {name: alerts.setting(change) for name, change in sorted(of_values(values).items())}


def choices(hostvars):
    """{alert: {"change", "until"?, ...}}: what somebody chose for the whole fleet instead of what the inventory has, as this run has read it."""
    return plain((hostvars["localhost"].get("accelmon_choices") or {}).get("alerts", {})) if "localhost" in hostvars else {}


def fleet_wide(hostvars, overrides):
    """{alert: change} for the whole fleet now. overrides: the same as a monitoring host has it in the inventory, checked"""
    return alerts.resolved(overrides, {name: choice["change"] for name, choice in choices(hostvars).items()})


def _read(hostvars, hosts, names):
    """(host, its checked variables) of hosts whose facts are believed; a variable that is wrong is left out."""
    reader = fleet.Reader({name: variables.fleet_variables()[name] for name in names})
    for host in dict.fromkeys(hosts):
        try:
            yield host, reader.read_all(fleet.HostVariables(hostvars, host))[0]
        except facts.Untrusted:
            continue


def of_hosts(hostvars, hosts):
    """The changes of each host that has some; one whose variables are wrong, or whose facts are not believed, has none."""
    found = (of_values(values) for _host, values in _read(hostvars, hosts, OF_HOSTS))
    return [changes for changes in found if changes]


def group_names(hostvars, host, hosts):
    """Names of the rule groups that the evaluator on a monitoring host must have loaded; hosts: names of the fleet's hosts."""
    chosen = fleet.settings(hostvars[host], ["accelmon_scrape_interval", "accelmon_backend", "accelmon_sites", *OPTIONS.values()])
    return recording.group_names(*(chosen[f"accelmon_{name}"] for name in ("scrape_interval", "backend", "sites")), hosts=of_hosts(hostvars, hosts),
                                 choices=choices(hostvars), **{name: chosen[variable] for name, variable in OPTIONS.items()})


def rehearsed(hostvars, host, hosts):
    """The alerts of a monitoring host as fleet_rehearsal_info takes them; hosts: names of the fleet's hosts."""
    chosen = fleet.settings(hostvars[host], ["accelmon_scrape_interval", "accelmon_scrape_limits", *OPTIONS.values()])
    nodes, changes = {}, []
    for name, values in _read(hostvars, hosts, (*OF_HOSTS, "accelmon_cluster")):
        changes.append(of_values(values))
        for setting in published(values).items():
            nodes.setdefault(setting, {}).setdefault(values["accelmon_cluster"], []).append(name)
    groups = alerts.alert_groups(interval=chosen["accelmon_scrape_interval"], chosen_limits=chosen["accelmon_scrape_limits"],
                                 hosts=[one for one in changes if one], choices=choices(hostvars),
                                 **{name: chosen[variable] for name, variable in OPTIONS.items()})
    return rehearsal.evaluated(groups, nodes)


def checker(host_variables):
    """Path of the program that checks the rule files on a monitoring host, from its `hostvars` entry."""
    prometheus = fleet.setting(host_variables, "accelmon_backend") == "prometheus"
    role, name = ("prometheus", "promtool") if prometheus else ("vmalert", "vmalert")
    return called(name, role, fleet.source_on(host_variables, role)[0])


def inputs(hostvars, host):
    """What the alerts of a monitoring host look at; see `signals.inputs.of_alerts`."""
    chosen = fleet.settings(hostvars[host], ["accelmon_scrape_interval", "accelmon_alert_overrides", "accelmon_alert_presets"])
    return alert_inputs.of_alerts(chosen["accelmon_scrape_interval"], fleet_wide(hostvars, chosen["accelmon_alert_overrides"]),
                                  chosen["accelmon_alert_presets"])


def strays(found, monitoring):
    """{host: [Problem]} about values of fleet-wide variables that no monitoring host has.

    found: {host: {name of FLEET_WIDE: value}}; monitoring: names of the monitoring hosts
    """
    errors = {}
    for name, fix in FLEET_WIDE.items():
        read = [found[host].get(name, variables.fleet_variables()[name]["default"]) for host in monitoring if host in found]
        for host, values in found.items():
            if name in values and read and any(values[name] != other for other in read):
                problem = f"the monitoring hosts have another value, and this one does nothing; {fix}"
                errors.setdefault(host, []).append(Problem(problem, name, values[name]))
    return errors


def unknown_labels(names, labels):
    """[Problem] about names of labels for alerts that no host has in its accelmon_labels; labels: those that hosts have."""
    return [Problem(f"no host has the label {name} in its accelmon_labels; " + (closest(name, labels) if labels else "set it there, or remove the name"),
                    "accelmon_label_names", names) for name in names if name not in labels]
