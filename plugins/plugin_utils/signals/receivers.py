# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Receivers of notifications: what alertmanager_receivers may hold, and what becomes of it in Alertmanager's configuration.

The catalogue (notifications.yml) knows the types. No message shows a secret.
"""
import difflib
import re

from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.plugin_utils import addresses, values
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import closest, load, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import HIDDEN, Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import shown
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import labels
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import SEVERITIES

# What a receiver of any type may have.
COMMON = ("name", "type", "match", "send_resolved", "settings")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
MAILBOX = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+\Z")
# Asks for what no receiver with labels in match asks for.
REST = "rest"
# Receivers that we add, and how the names of more of them begin.
NOBODY, WATCHDOG, WEBHOOK = "nobody", "watchdog", "webhook"
OURS = re.compile(rf"({NOBODY}|{WATCHDOG}|({WATCHDOG}|{WEBHOOK})-[0-9]+)\Z")
DIRECTORY = paths.CONFIGURATION + "/alertmanager"


def types():
    """{type: what the catalogue says of it}."""
    return load("notifications")["types"]


def _text(value):
    found = values.line(values.text_of(value))
    if not found.strip():
        raise Problem("it is empty; give a value")
    return found


def _url(value):
    if not isinstance(value, str) or not value.strip():
        raise Problem("not an address; begin it with https:// or http://")
    return addresses.url(value.strip())


def _token(value):
    if not re.match(r"[!-~]+\Z", _text(value).strip()):
        raise Problem("it has a blank or a character beyond ASCII; give the token alone")
    return str(value).strip()


def _mailboxes(value):
    found = value.split(",") if isinstance(value, str) else values.list_of(value)
    found = [_text(one).strip() for one in found]
    for one in found:
        if not MAILBOX.match(one):
            raise Problem(f"{shown(one)} is not a mail address; write it as ops@example.org")
    if not found:
        raise Problem("an empty list; give a mail address")
    return ", ".join(found)


def _place(value):
    host, _colon, port = _text(value).rpartition(":")
    try:
        addresses.tls_name(host.strip("[]"))
        values.port(port)
    except Problem:
        raise Problem("not the address of a mail server; write it as HOST:PORT, for example mail.example.org:587") from None
    return value


FORMATS = {"text": _text, "url": _url, "token": _token, "mailboxes": _mailboxes, "place": _place, "whole": values.whole, "switch": values.switch}


def known_labels():
    """Names of labels that alerts have most often, for suggestions."""
    return load("notifications")["labels"]


def label_set(value):
    """{label: text} of LABEL=VALUE,LABEL=VALUE, of which the first may be the name of an alert alone, or of a dictionary of texts."""
    if isinstance(value, str):
        parts = [values.line(part).strip() for part in value.split(",") if part.strip()]
        if parts and "=" not in parts[0]:
            parts[0] = f"alertname={parts[0]}"
        wrong = next((part for part in parts if "=" not in part), None)
        if wrong is not None:
            raise Problem(f"{shown(wrong)} has no value; write label=value, and commas between several")
        value = {name.strip(): text.strip().strip('"') for name, _equals, text in (part.partition("=") for part in parts)}
    return {_label(name): _text(text) for name, text in values.dict_of(value).items()}


def _label(name):
    if not isinstance(name, str) or not LABEL.match(name):
        raise Problem(f"{shown(name)} is not a label name; use letters, digits and underscores, no digit first")
    return name


def checked_match(value):
    """{label: [value]} that an alert must have, of which any value will do; the word rest; or {}, which every alert matches."""
    if value is None or value == REST:
        return value or {}
    if not isinstance(value, dict):
        raise Problem(f"not a dictionary of labels but {values.kind_of(value)}; write label: value, or {REST}")
    found = {}
    for name, wanted in value.items():
        near = difflib.get_close_matches(_label(name), known_labels(), n=1, cutoff=0.75)
        if near and name not in known_labels():
            raise Problem(f"no alert has the label {name}; did you mean {near[0]}?")
        found[name] = [_text(one) for one in (wanted if isinstance(wanted, list) else [wanted])]
        if not found[name]:
            raise Problem(f"{name}: an empty list; give a value, or leave the label out")
        wrong = next((one for one in found[name] if name == "severity" and one not in SEVERITIES), None)
        if wrong:
            raise Problem(f"severity: {shown(wrong)} is not a severity; {closest(wrong, SEVERITIES)}")
    return found


def unmatched(given, names):
    """[Problem] about labels, and names and scopes of alerts, that receivers ask for and no alert of ours has.

    given: receivers that passed `checked`; names: labels that a site adds
    """
    known, catalogue = {*known_labels(), *labels.reserved(), *names}, load("alerts")["alerts"]
    of_ours = {"alertname": [alert["alert"] for alert in catalogue], "scope": sorted({alert["scope"] for alert in catalogue})}
    found = []
    for one in checked(given):
        for label, wanted in one["match"].items() if one["match"] != REST else ():
            if label not in known:
                found.append(f"{one['name']} asks for the label {label}, which no alert has; add it to accelmon_label_names, or remove it from match")
            found += [f"{one['name']} asks for {label}={value}, which no alert has; {closest(value, of_ours[label])}"
                      for value in wanted if value not in of_ours.get(label, [value])]
    return [Problem(problem, "alertmanager_receivers", HIDDEN) for problem in found]


def _value(key, spec, value):
    """A key's value, checked; a Problem shows it unless it is secret."""
    try:
        return FORMATS[spec["format"]](value)
    except Problem as problem:
        raise Problem(f"{key}: {problem}" if spec.get("secret") else f"{key} = {shown(value)}: {problem}") from None


def _receiver(entry):
    """One receiver, checked."""
    kind = entry.get("type")
    if kind not in list(types()):  # it may be anything, also what no dictionary can be asked for
        raise Problem(f"type = {shown(kind)}: no such type; {closest(kind, types())}" if kind else f"it has no type; give one of {', '.join(types())}")
    keys = types()[kind]["keys"]
    for key in entry:
        if key not in keys and key not in COMMON:
            raise Problem(f"{shown(key)}: a receiver of type {kind} has no such key; {closest(key, [*keys, *COMMON])}")
    missing = next((key for key, spec in keys.items() if spec.get("needed") and entry.get(key) in (None, "")), None)
    if missing:
        raise Problem(f"{missing} is missing; a receiver of type {kind} needs it")
    found = {"name": entry["name"], "type": kind, "keys": {key: _value(key, keys[key], entry[key]) for key in keys if entry.get(key) not in (None, "")}}
    if ("username" in found["keys"]) != ("password" in found["keys"]):
        raise Problem("username and password go together; give both, or neither")
    found["send_resolved"] = _value("send_resolved", {"format": "switch"}, entry.get("send_resolved", True))
    try:
        found["match"] = checked_match(entry.get("match"))
    except Problem as problem:
        raise Problem(f"match: {problem}") from None
    found["settings"] = plain(entry.get("settings") or {})
    if not isinstance(found["settings"], dict):
        raise Problem("settings: not a dictionary; give options of Alertmanager as key: value")
    return found


def checked(value):
    """[{name, type, keys, match, send_resolved, settings}] of a site's receivers. Raises Problem with the entry and the key."""
    found = []
    for number, entry in enumerate(values.list_of(plain(value)), 1):
        if not isinstance(entry, dict):
            raise Problem(f"entry {number}: not a dictionary but {values.kind_of(entry)}; give name, type and what the type needs")
        name = entry.get("name")
        if not isinstance(name, str) or not NAME.match(name):
            raise Problem(f"entry {number}: name = {shown(name)}: not a name; use letters, digits, dot, dash and underscore, a letter or digit first")
        if OURS.match(name) or name in [other["name"] for other in found]:
            raise Problem(f"entry {number}: name = {name}: another receiver has this name; choose a different one")
        try:
            found.append(_receiver(entry))
        except Problem as problem:
            raise Problem(f"entry {number} ({name}): {problem}") from None
    return found


def webhooks(prefix, urls):
    """Receivers of every alert, made of addresses alone."""
    return [_receiver({"name": f"{prefix}-{number}", "type": "webhook", "url": url}) for number, url in enumerate(urls, 1)]


def release(version):
    """A version as numbers that compare; None where it is not known."""
    found = re.match(r"(\d+)\.(\d+)", version or "")
    return tuple(int(part) for part in found.groups()) if found else None


def unknown_to(receivers, version):
    """The Problem about the first receiver of a type that this release of Alertmanager does not have; None if there is none."""
    for one in receivers:
        since = types()[one["type"]].get("since")
        if since and release(version) and release(version) < release(since):
            return Problem(f"{one['name']} is of type {one['type']}, which Alertmanager has since {since}, and this host's release is {version}; "
                           "install a newer one (alertmanager_source: release), or use a webhook")
    return None


def integration(receiver, version):
    """((name of the list in the configuration, its entry), {path: secret}).

    version: of Alertmanager, None if it is not known. A secret has its own file where the release can read it from there.
    """
    known = types()[receiver["type"]]
    entry, secrets = {"send_resolved": receiver["send_resolved"]}, {}
    for key, value in receiver["keys"].items():
        spec = known["keys"][key]
        option = spec.get("option", key)
        if spec.get("secret") and release(version) and release(version) >= release(spec["file"]):
            path = f"{DIRECTORY}/secret-{receiver['name']}-{key}"
            entry[f"{option}_file"], secrets[path] = path, value
        else:
            entry[option] = value
    return (f"{known['integration']}_configs", {**entry, **known["settings"], **receiver["settings"]}), secrets
