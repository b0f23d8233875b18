# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who gets an alert, as the inventory has it; and which receivers there are."""
import difflib

from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import choices
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import alerting, hosts as fleet
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import alerts, receivers, routes

# Keys of a receiver that gets mail that are about the server; another one uses the same.
SERVER = ("from", "smarthost", "username", "password", "require_tls", "settings")
# In the place of a secret where nobody needs it. It is an address and a token.
UNREAD = "https://unread.invalid/"
SETTINGS = ("alertmanager_receivers", "alertmanager_webhook_urls", "alertmanager_watchdog_urls")


def chosen(host_variables, chosen_channels=None):
    """(receivers, receivers of the watchdog) of a monitoring host, as routes.checked gives them.

    chosen_channels: {receiver: choice} of what somebody chose instead; of its secrets, none is right
    """
    found = fleet.settings(host_variables, SETTINGS)
    found["alertmanager_receivers"] = layered(found["alertmanager_receivers"], chosen_channels or {})[0]
    checked = routes.checked({name[len("alertmanager_"):]: value for name, value in found.items()})
    return checked["receivers"], checked["watchdog"]


def channels(hostvars):
    """{receiver: choice}: what somebody chose of receivers instead of what the inventory has, as this run has read it."""
    return plain((hostvars["localhost"].get("accelmon_choices") or {}).get("channels", {})) if "localhost" in hostvars else {}


def layered(declared, chosen_channels, secrets=None, version=None):
    """(receivers as alertmanager_receivers has them, with what somebody chose instead, [line] about choices that do not hold).

    declared: those of the inventory; chosen_channels: {receiver: choice}; version: of Alertmanager, None if it is not known
    secrets: {receiver: {key: value}} of the choices; None where nobody needs them
    """
    if not chosen_channels:
        return declared, []
    found, problems = {one["name"]: one for one in declared}, []
    for name, choice in chosen_channels.items():
        if choice["change"].get("state") == "absent":
            found.pop(name, None)
            continue
        entry = entry_of(declared, name, choice["change"], None if secrets is None else secrets.get(name, {}))
        try:
            unknown = receivers.unknown_to(receivers.checked([entry]), version)
            if unknown:
                raise unknown
            found[name] = entry
        except Problem as problem:
            problems.append(f"channel {name}: {problem}. This choice of {choice['by']} is ignored; change or remove it with change_channel.yml")
    return list(found.values()), problems


def staged(declared, chosen_channels, secrets=None, version=None):
    """([{"from": second since 1970, "receivers"}], [line]): `layered` now, from 0, and from each moment on at which a choice ends."""
    ends = sorted({choice["until"] for choice in chosen_channels.values() if "until" in choice})
    stages = [(begin, layered(declared, {name: one for name, one in chosen_channels.items() if choices.holds(one, begin)}, secrets, version))
              for begin in (0, *ends)]
    return [{"from": begin, "receivers": found} for begin, (found, _problems) in stages], stages[0][1][1]


def entry_of(declared, name, change, secrets=None):
    """A receiver as alertmanager_receivers has them: what somebody chose, on what the inventory has. secrets: {key: value}; None: something in their place"""
    entry = {**below(declared, name, change.get("type")), "name": name, **change}
    if secrets is None:
        secrets = {key: UNREAD for key in [secret_key(entry.get("type"))] if key and key not in entry}
    return {**entry, **secrets}


def secret_key(kind):
    """The key of receivers of a type that is secret and that they need; None if there is none."""
    keys = receivers.types().get(kind, {}).get("keys", {})
    return next((key for key, spec in keys.items() if spec.get("secret") and spec.get("needed")), None)


def below(declared, name, kind):
    """What a choice about a receiver is put on: the receiver of the same name and type in the inventory; of a new one that gets mail, the server."""
    own = next((one for one in declared if one["name"] == name), {})
    if own and kind in (None, own["type"]):
        return own
    mail = next((one for one in declared if one["type"] == "email"), {}) if kind == "email" else {}
    return {key: mail[key] for key in SERVER if key in mail}


def integrations(host_variables, chosen_channels=None):
    """[{"name", "integration"}] of every receiver of a monitoring host."""
    return [{"name": one["name"], "integration": receivers.types()[one["type"]]["integration"]}
            for part in chosen(host_variables, chosen_channels) for one in part]


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
        known, watchdog = chosen(hostvars[monitor], channels(hostvars))
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
