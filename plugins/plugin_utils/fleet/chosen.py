# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings that somebody chose by a playbook instead of in the inventory: which of them hold in a run, and how one is changed.

As monitoring hosts keep them they are documented in module_utils/fleet/choices.py.
"""
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import seconds
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import choices
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import closest, load, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import HIDDEN, Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import answers, hosts as fleet, notified
from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import fault_in, unevaluated
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import alerts, receivers

ALERT = "accelmon_change_alert"
# Arguments of change_alert.yml that are settings of an alert.
SETTINGS = ("state", "threshold", "for", "severity")
INVENTORY = "inventory"


def of_run(results, now):
    """{"document": the newest choices, "alerts", "channels": those that hold, "problems": [line], "known": whether a host told its choices,
    "behind": hosts that have other ones, "silent": hosts that told none}.

    results: those of fleet_choices by ask_host, of every monitoring host; now: in seconds since 1970
    What the catalogue does not accept any more is a line among the problems, and does not hold.
    """
    results = plain(results)
    documents = [result["document"] for result in results if "document" in result]
    newest = max(documents, key=lambda document: document["generation"], default=choices.empty())
    newest = {**choices.empty(), **newest}
    held, ignored = accepted(newest, now)
    # Whether receivers can be made of them is seen where there are the others.
    channels = {name: choice for name, choice in newest["channels"].items() if choices.holds(choice, now) and not fault_in([name, choice], unevaluated)}
    return {"document": newest, "alerts": held, "channels": channels, "problems": answers.silent(results) + ignored, "known": bool(documents),
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
        choice = made(checked(name, change), asked, before, by, now)
        if not asked["reason"]:
            raise Problem("a change needs a reason; give one", "accelmon_change_reason", "")
    return {"document": replaced(document, "alerts", name, choice, now), "alert": name, "lines": told(name, declared, before, choice, now)}


def made(change, asked, before, by, now):
    """The choice that somebody makes; the one before if it says the same. asked: with the arguments `until` and `reason`"""
    choice = {"change": change, "by": by, "at": int(now), "reason": asked["reason"]}
    if asked["until"]:
        # Alertmanager compares whole minutes.
        choice["until"] = -(-(int(now) + seconds(asked["until"])) // 60) * 60
    return before if before and {**choice, "at": before["at"]} == before else choice


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


def replaced(document, kind, name, choice, now):
    """The choices with another one about something, None for none, and without those of its kind that ended; the same if that changes nothing."""
    found = {other: one for other, one in document[kind].items() if choices.holds(one, now) and other != name}
    found.update({name: choice} if choice else {})
    return document if found == document[kind] else {**document, kind: found, "generation": document["generation"] + 1}


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


# ---- channels ----

CHANNEL = "accelmon_change_channel"
# The key of a receiver that says where to, by type.
TO = {"slack": "channel", "email": "to", "telegram": "chat_id"}


def channel_asked(host_variables):
    """What change_channel.yml is asked for: {"name", "state", "type", "secret", "to", "severities", "until", "reason"}."""
    asked = {word: fleet.setting(host_variables, f"{CHANNEL}_{word}") for word in ("state", "type", "secret", "to", "severities")}
    return {"name": fleet.setting(host_variables, CHANNEL), **asked,
            **{word: fleet.setting(host_variables, f"accelmon_change_{word}") for word in ("until", "reason")}}


def changed_channel(document, host_variables, declared, by, now):
    """{"document": the choices after change_channel.yml, "channel": name, "lines": [what changes], "removed": whether it is one no more}. Raises Problem.

    declared: receivers of the inventory as alertmanager_receivers has them; the others as for `changed_alert`
    """
    asked = channel_asked(host_variables)
    name, state, before = asked["name"], asked["state"], document["channels"].get(asked["name"])
    check_channel(asked, [one["name"] for one in declared] + list(document["channels"]))
    own, choice = name in [one["name"] for one in declared], None
    if before and not choices.holds(before, now):
        before = None
    if state == "present" or state == "absent" and own:
        change = channel_change(asked, declared, before) if state == "present" else {"state": "absent"}
        choice = made(change, asked, before, by, now)
    removed = state == "absent" or state == INVENTORY and not own
    lines = [f"kept: {choices.line(name, choice)}"] if choice else [f"{name}: removed" if removed else f"{name}: as in the inventory"]
    return {"document": replaced(document, "channels", name, choice, now), "channel": name, "lines": lines, "removed": removed}


def check_channel(asked, names):
    """Raises Problem unless what was asked for goes together. names: of the channels that there are"""
    if not asked["name"]:
        raise Problem("no channel is named; give it a name, for example oncall", CHANNEL, "")
    if asked["state"] != "present":
        extra = next((word for word in ("type", "secret", "to", "severities") if asked[word]), None)
        if extra:
            value = HIDDEN if extra == "secret" else asked[extra]
            raise Problem(f"it does not go together with {CHANNEL}_state = {asked['state']}; leave one of them out", f"{CHANNEL}_{extra}", value)
        if asked["name"] not in names:
            raise Problem("there is no such channel; " + (closest(asked["name"], names) if names else "nobody has added one"), CHANNEL, asked["name"])
    if asked["state"] != INVENTORY and not asked["reason"]:
        raise Problem("a change needs a reason; give one", "accelmon_change_reason", "")


def channel_change(asked, declared, before):
    """What is changed of a receiver, checked, without its secret. before: the choice about it until now, or None"""
    kept = before["change"] if before and before["change"].get("state") != "absent" else {}
    change = dict(kept) if asked["type"] in ("", kept.get("type")) else {"type": asked["type"]}
    own = notified.below(declared, asked["name"], change.get("type"))
    kind = change.get("type") or own.get("type")
    if asked["to"]:
        if kind not in TO:
            raise Problem(f"a channel of type {kind} has no such thing: its secret says where to; leave it out", f"{CHANNEL}_to", asked["to"])
        change[TO[kind]] = asked["to"]
    if asked["severities"]:
        change["match"] = {"severity": asked["severities"]}
    # With the same type, the secret that was kept is right.
    check_secret(kind, asked["secret"], notified.secret_key(kind) in own or kind == kept.get("type"))
    if kind == "email" and "smarthost" not in own:
        raise Problem("no receiver of type email in alertmanager_receivers says which mail server to use; add one there, or use another type",
                      f"{CHANNEL}_type", kind)
    secret = {notified.secret_key(kind): asked["secret"]} if asked["secret"] else None
    try:
        receivers.checked([notified.entry_of(declared, asked["name"], change, secret)])
    except Problem as problem:
        raise Problem(problem.problem, CHANNEL, asked["name"]) from None
    return change


def check_secret(kind, secret, is_known):
    """Raises Problem unless a secret is given for a channel of a type that needs one. is_known: whether it has one"""
    key = notified.secret_key(kind)
    if secret and not key:
        raise Problem(f"a channel of type {kind} has no such secret; leave it out", f"{CHANNEL}_secret", HIDDEN)
    if key and not secret and not is_known:
        raise Problem(f"a channel of type {kind} needs its {key}; give it", f"{CHANNEL}_secret", "")


def channel_secrets(host_variables, declared, before, known):
    """{receiver: {key: value}} for fleet_secrets: the secret that change_channel.yml was given, {} where it forgets one, nothing where it keeps it.

    before, known: {receiver: choice} before and after the change
    """
    asked = channel_asked(host_variables)
    forgotten = {name: {} for name in [*before, asked["name"]] if known.get(name, {}).get("change", {"state": "absent"}).get("state") == "absent"}
    if not asked["secret"]:
        return forgotten
    kind = notified.entry_of(declared, asked["name"], known[asked["name"]]["change"]).get("type")
    return {**forgotten, asked["name"]: {notified.secret_key(kind): asked["secret"]}}
