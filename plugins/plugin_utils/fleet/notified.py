# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who gets an alert, as the inventory has it; and which receivers there are."""
import difflib

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import alerting, hosts as fleet
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import alerts, receivers, routes

SETTINGS = ("alertmanager_receivers", "alertmanager_webhook_urls", "alertmanager_watchdog_urls")


def chosen(host_variables):
    """(receivers, receivers of the watchdog) of a monitoring host, as routes.checked gives them."""
    found = fleet.settings(host_variables, SETTINGS)
    checked = routes.checked({name[len("alertmanager_"):]: value for name, value in found.items()})
    return checked["receivers"], checked["watchdog"]


def integrations(host_variables):
    """[{"name", "integration"}] of every receiver of a monitoring host."""
    return [{"name": one["name"], "integration": receivers.types()[one["type"]]["integration"]} for part in chosen(host_variables) for one in part]


def mail_receiver(host_variables, name):
    """What a receiver of type email says of the mail that it gets, for the module report_mail. Raises Problem unless the monitoring host has it."""
    known = [one for one in chosen(host_variables)[0] if one["type"] == "email"]
    found = next((one for one in known if one["name"] == name), None)
    if found is None:
        fix = f"name one of {', '.join(one['name'] for one in known)}" if known else "add it"
        raise Problem(f"alertmanager_receivers has no such receiver of type email; {fix}", "accelmon_report_mail", name)
    return {**found["keys"], "tls_config": found["settings"].get("tls_config") or {}}


def asked_for(variable, labels, groups):
    """Labels of alerts that somebody names. Raises Problem for a node that the inventory does not have, and for an alert name that looks misspelt."""
    if not labels:
        raise Problem(f"no alert is named; give labels, for example -e {variable}=node=gpu7, or -e {variable}=HostDown,cluster=west", variable, "")
    node, name = labels.get("node"), labels.get("alertname")
    hosts = {host for members in groups.values() for host in members}
    if node and node not in hosts:
        near = difflib.get_close_matches(node, hosts, n=1)
        raise Problem(f"{node} is not in the inventory; {f'did you mean {near[0]}?' if near else 'name one of its hosts'}", variable, labels)
    names = [alert["alert"] for alert in load("alerts")["alerts"]]
    near = difflib.get_close_matches(name or "", names, n=1, cutoff=0.8)
    if near and name not in names:
        raise Problem(f"{name} is no alert; did you mean {near[0]}?", variable, labels)
    return labels


def completed(labels, hostvars, monitor):
    """Labels of an alert with those that follow from its name and its node, where they are not given."""
    found, name = {}, labels.get("alertname")
    of_fleet = fleet.settings(hostvars[monitor], ["accelmon_alert_overrides", "accelmon_label_names"])
    for alert in load("alerts")["alerts"]:
        if alert["alert"] == name:
            made = alerts.settings(alert, alerting.fleet_wide(hostvars, of_fleet["accelmon_alert_overrides"]).get(name, {}))
            found.update({"severity": made["severity"], "scope": alert["scope"]} if made["enabled"] else {})
    if labels.get("node"):
        of_node = fleet.settings(hostvars[labels["node"]], ["accelmon_cluster", "accelmon_rack", "accelmon_labels", *alerting.OF_HOSTS])
        found.update({"cluster": of_node["accelmon_cluster"], "rack": of_node["accelmon_rack"]})
        found.update((label, of_node["accelmon_labels"].get(label, "")) for label in of_fleet["accelmon_label_names"])
        found.update({key: value for key, value in alerting.of_values(of_node).get(name, {}).items() if key == "severity"})
    # A label without a value is none.
    return {label: value for label, value in {**found, **labels}.items() if value}


def recipients(labels, hostvars, monitors):
    """{monitoring host: {"alert": labels, "receivers": [{"name", "type", "match"}]}}."""
    found = {}
    for monitor in monitors:
        alert = completed(labels, hostvars, monitor)
        known, watchdog = chosen(hostvars[monitor])
        names = routes.notified(alert, known, watchdog)
        found[monitor] = {"alert": alert, "receivers": [
            {key: one[key] for key in ("name", "type", "match")} for one in known + watchdog if one["name"] in names]}
    return found


def lines(answer):
    """What `recipients` found, as text: monitoring hosts that agree together."""
    shown = {}
    for monitor, one in answer.items():
        alert = ", ".join(f"{name}={value}" for name, value in sorted(one["alert"].items()))
        text = [f"  {receiver['name']} ({receiver['type']}): {wanted(receiver['match'])}" for receiver in one["receivers"]]
        shown.setdefault((f"{alert}: {'goes to' if text else 'goes to nobody'}", *text), []).append(monitor)
    return [part for text, monitors in shown.items() for part in (f"{', '.join(monitors)}: {text[0]}", *text[1:])]


def wanted(match):
    """What a receiver asks for, in words."""
    if not match:
        return "gets every alert"
    return "gets the rest" if match == receivers.REST else "asks for " + ", ".join(f"{name}={'|'.join(values)}" for name, values in match.items())
