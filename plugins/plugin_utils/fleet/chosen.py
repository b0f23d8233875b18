# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings that somebody chose by a playbook instead of in the inventory: which of them hold in a run, and how one is changed.

As monitoring hosts keep them they are documented in module_utils/fleet/choices.py.
"""
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import seconds
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import choices
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import answers, hosts as fleet
from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import fault_in, unevaluated
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import alerts

ALERT = "accelmon_change_alert"
# Arguments of change_alert.yml that are settings of an alert.
SETTINGS = ("state", "threshold", "for", "severity")
INVENTORY = "inventory"


def of_run(results, now):
    """{"document": the newest choices, "alerts": those that hold, "problems": [line], "known": whether a host told its choices,
    "behind": hosts that have other ones, "silent": hosts that told none}.

    results: those of fleet_choices by ask_host, of every monitoring host; now: in seconds since 1970
    What the catalogue does not accept any more is a line among the problems, and does not hold.
    """
    results = plain(results)
    documents = [result["document"] for result in results if "document" in result]
    newest = max(documents, key=lambda document: document["generation"], default=choices.empty())
    held, ignored = accepted(newest, now)
    return {"document": newest, "alerts": held, "problems": answers.silent(results) + ignored, "known": bool(documents),
            "behind": [result["item"] for result in results if result.get("document", newest) != newest],
            "silent": [result["item"] for result in results if "document" not in result]}


def accepted(document, now):
    """({alert: choice} of choices that hold and that the catalogue accepts, [line] about those that it does not accept)."""
    held, ignored = {}, []
    for name, choice in document["alerts"].items():
        if not choices.holds(choice, now):
            continue
        try:
            # Nothing that a host tells may be taken for a template.
            wrong = fault_in([name, choice], unevaluated)
            if wrong:
                raise Problem(wrong, f"choices.{name}", choice["change"])
            held[name] = {**choice, "change": alerts.changes({name: choice["change"]}, "choices")[name]}
        except Problem as problem:
            ignored.append(f"{problem}. This choice of {choice['by']} is ignored; remove it with change_alert.yml, "
                           f"-e {ALERT}={name} -e accelmon_change_state={INVENTORY}")
    return held, ignored


def changed_alert(document, host_variables, declared, by, now):
    """{"document": the choices after change_alert.yml, "alert": name, "lines": [what changes]}. Raises Problem.

    document: the choices before; host_variables: localhost's entry in `hostvars`, with the arguments of the run
    declared: {"accelmon_alert_overrides", "accelmon_alert_presets"} of a monitoring host, checked; by: who runs it; now: in seconds since 1970
    """
    asked = {word: fleet.setting(host_variables, f"accelmon_change_{word}") for word in ("alert", "until", "reason", *SETTINGS)}
    name, change = asked.pop("alert"), {word: asked[word] for word in SETTINGS if asked[word] != ""}
    before = document["alerts"].get(name)
    if not name:
        raise Problem("no alert is named; give its name, for example HostDown", ALERT, name)
    choice = None
    if change.get("state") == INVENTORY:
        taken_back(name, change, before)
    else:
        choice = {"change": checked(name, change), "by": by, "at": int(now), "reason": asked["reason"]}
        if asked["until"]:
            choice["until"] = int(now) + seconds(asked["until"])
        if not asked["reason"]:
            raise Problem("a change needs a reason; give one", "accelmon_change_reason", "")
    if choice and before and {**choice, "at": before["at"]} == before:
        choice = before
    return {"document": replaced(document, name, choice, now), "alert": name, "lines": told(name, declared, before, choice, now)}


def taken_back(name, change, before):
    """Raises Problem unless a choice may be removed as it was asked for."""
    other = next((word for word in change if word != "state"), None)
    if other:
        raise Problem(f"accelmon_change_state = {INVENTORY} takes the whole choice back; leave one of them out", f"accelmon_change_{other}", change[other])
    # One about an alert that the catalogue does not have any more must go, too.
    if before is None and name not in known():
        checked(name, {})


def known():
    """Names of the alerts of the catalogue."""
    return [alert["alert"] for alert in load("alerts")["alerts"]]


def checked(name, change):
    """The change that somebody asked for of one alert; a Problem names the argument that is wrong."""
    try:
        found = alerts.changes({name: change}, "accelmon_change")[name]
    except Problem as problem:
        key = problem.variable.rpartition(".")[2]
        if key not in SETTINGS:
            raise Problem(problem.problem, ALERT, name) from None
        raise Problem(problem.problem, f"accelmon_change_{key}", problem.value) from None
    if not found:
        raise Problem("nothing is to be changed; give accelmon_change_threshold, accelmon_change_for, accelmon_change_severity or accelmon_change_state",
                      ALERT, name)
    return found


def replaced(document, name, choice, now):
    """The choices with another one for an alert, None for none, and without those that ended; the same document if that changes nothing."""
    made = {other: one for other, one in document["alerts"].items() if choices.holds(one, now) and other != name}
    made.update({name: choice} if choice else {})
    return document if made == document["alerts"] else {**document, "alerts": made, "generation": document["generation"] + 1}


def told(name, declared, before, choice, now):
    """What becomes of an alert, in lines."""
    alert = next((one for one in load("alerts")["alerts"] if one["alert"] == name), None)
    own, lines = declared["accelmon_alert_overrides"].get(name, {}), []
    if alert:
        layers = (before["change"] if before and choices.holds(before, now) else {}, choice["change"] if choice else {})
        was, will = (alerts.settings(alert, {**own, **change}, declared["accelmon_alert_presets"]) for change in layers)
        lines = [f"{name}: {key}: {was[key]} -> {will[key]}" for key in ("enabled", "threshold", "for", "severity") if key in was and was[key] != will[key]]
    if choice is None:
        return lines + [f"{name}: as in the inventory" + ("" if before else ", as before")]
    return (lines or [f"{name}: these are its settings already"]) + [f"kept: {choices.line(name, choice)}"]
