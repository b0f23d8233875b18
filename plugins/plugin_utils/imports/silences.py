# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Silences of an Alertmanager as calls of silence.yml, which knows labels with one value each."""
import base64
import json
import os
import re
import shlex
import time

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.alertmanager import seconds_of
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.client import Access
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory.lists import MAX_BYTES, read_list, shown, shown_path
from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import unevaluated
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import receivers
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import label_value

SIGNS = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
# What stands between braces would be a template.
BRACES = str.maketrans("{}", "()")
WHAT = "Alertmanager"
HEAD = """#!/bin/sh
# Proposed silences. Read them, then:  sh silences.sh -i INVENTORY
# In a clone of the repository, set PLAYBOOK=playbooks/silence.yml first. A second time, it replaces them by silences with the same ends.
set -eu
left() { echo "$((($(date -d "$1" +%s) - $(date +%s)) / 60))m"; }
"""


class Login(Access):
    """What a file with `user:password`, or with a token alone, adds to a request. Raises Problem."""

    def __init__(self, path):
        super().__init__()
        self.line = ""
        if path:
            try:
                with open(os.path.expanduser(path), encoding="utf-8") as stream:
                    self.line = stream.read(4096).strip()
            except (OSError, ValueError) as error:
                raise Problem(f"not a readable file on the control node ({getattr(error, 'strerror', None) or 'not text'}); give a file with user:password",
                              "accelmon_import_login_file", path) from None
            if not re.match(r"[!-~]+\Z", self.line):
                raise Problem("it does not hold user:password or a token in one line; correct the file", "accelmon_import_login_file", path)

    def headers(self):
        """Headers of a request; they do not follow a redirect."""
        if not self.line:
            return {}
        basic = base64.b64encode(self.line.encode()).decode()
        return {"Authorization": f"Basic {basic}" if ":" in self.line else f"Bearer {self.line}"}


def read(source, login_file):
    """Silences as Alertmanager's API and `amtool silence query -o json` have them, from a URL or a file. Raises Problem."""
    try:
        if source.startswith(("http://", "https://")):
            text = query.get_text(WHAT, f"{source.rstrip('/')}/api/v2/silences", 30, access=Login(login_file)).decode("utf-8", "replace")
        else:
            text = read_list(os.path.expanduser(source))
        if len(text) > MAX_BYTES:
            raise Problem(f"{shown_path(source)}: larger than {MAX_BYTES // 2 ** 20} MiB; remove silences that have expired")
        found = json.loads(text)
    except Failure as error:
        raise Problem(f"{error}; save the output of amtool silence query -o json, and name that file") from None
    except json.JSONDecodeError as error:
        raise Problem(f"{shown_path(source)}:{error.lineno}: not JSON ({shown(error.msg)}); save the output of amtool silence query -o json") from None
    except RecursionError:
        raise Problem(f"{shown_path(source)}: nested too deeply; correct the file") from None
    if not isinstance(found, list):
        raise Problem(f"{shown_path(source)}: not a list of silences; save the output of amtool silence query -o json")
    return found


class Silences:
    """Silences that are active, or why they are left out. found: a scrape_jobs.Findings

    targets: {name of a host: its values of the label instance}, if they are known
    alerts: {name of an alert of the site: labels that its rules set}; labels: further labels of alerts
    total, expired: how many there are; calls: [{"labels", "comment", "by", "ends"}]
    """

    def __init__(self, silences, source, found, targets=None, alerts=None, labels=()):
        self.targets, self.alerts, self.labels = targets or {}, alerts or {}, set(labels)
        self.ours = {alert["alert"] for alert in load("alerts")["alerts"]}
        self.calls, self.total, self.expired = [], len(silences), 0
        for number, silence in enumerate(silences, 1):
            try:
                call = self._call(silence)
            except Problem as problem:
                found.leave(shown_path(source), f"silence {number}: {problem}")
                continue
            if call is None:
                self.expired += 1
            elif call not in self.calls:
                self.calls.append(call)
                for label in sorted(self.labels & call["labels"].keys()):
                    found.note(shown_path(source), f"alerts have the label {label} only if accelmon_label_names lists it")

    def _call(self, silence):
        """One silence as silence.yml takes it; None if it has expired. Raises Problem."""
        try:
            starts, ends = (seconds_of(silence[key]) for key in ("startsAt", "endsAt"))
            if ends <= time.time() or silence.get("status", {}).get("state") == "expired":
                return None
            matchers = [(one["name"], SIGNS[one.get("isRegex", False), one.get("isEqual", True)], one["value"]) for one in silence["matchers"]]
            comment, author = (" ".join(silence.get(key, "").translate(BRACES).split()) for key in ("comment", "createdBy"))
            if not matchers or not all(isinstance(text, str) for matcher in matchers for text in matcher):
                raise ValueError
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Problem("not what Alertmanager writes; correct the file") from None
        about = ", ".join(f"{name}{sign}{json.dumps(value)}" for name, sign, value in matchers)
        try:
            labels = self._labels(matchers)
            if starts > time.time():
                raise Problem("it begins later, and silence.yml silences at once; create it when it begins")
            for text in (comment, author):
                label_value(text)
        except Problem as problem:
            raise Problem(f"{shown(about)}: {problem}") from None
        return {"labels": labels, "comment": comment or "imported", "by": author or "imported", "ends": silence["endsAt"][:19] + "Z"}

    def _labels(self, matchers):
        """{label: value} of a silence. Raises Problem for what silence.yml cannot say, or what no alert here has."""
        others = [name + sign for name, sign, _value in matchers if sign != "="]
        if others:
            raise Problem(f"silence.yml silences labels with one value each, not {shown(', '.join(others))}; write one silence for each value")
        labels = {name: value for name, _sign, value in matchers}
        for name, value in labels.items():
            if unevaluated(value):
                raise Problem(f"the value of {shown(name)} is a template; correct it")
            label_value(value)
        receivers.label_set(labels)
        alert = labels.get("alertname")
        if alert is not None and alert not in self.ours and alert not in self.alerts:
            raise Problem(f"there is no alert {shown(alert)} here; see docs/alerts.md, or import its rule")
        known = {"alertname", *receivers.known_labels(), *self.labels}
        if alert in self.alerts:
            known |= {"instance", "job", *self.alerts[alert]}
        strange = [name for name in labels if name not in known]
        if strange:
            raise Problem(f"alerts have no label {shown(strange[0])} here; use {', '.join(sorted(known))}")
        self._places(labels)
        return labels

    def _places(self, labels):
        """Raises Problem for a node or an instance that the proposed inventory does not have."""
        if not self.targets:
            return
        if "node" in labels and labels["node"] not in self.targets:
            raise Problem(f"{shown(labels['node'])} is no host of the proposed inventory; correct it")
        if "instance" in labels and not any(labels["instance"] in instances for instances in self.targets.values()):
            raise Problem(f"no target has the instance {shown(labels['instance'])} here; silence the node by its name")

    def text(self):
        """A script that calls silence.yml for each silence."""
        lines = [HEAD]
        for call in self.calls:
            asked = {"accelmon_silence": call["labels"], "accelmon_silence_comment": call["comment"], "accelmon_silence_by": call["by"]}
            lines.append(f'ansible-playbook "$@" "${{PLAYBOOK:-accelmon.fleet.silence}}" -e {shlex.quote(json.dumps(asked))} '
                         f'-e accelmon_silence_for="$(left {shlex.quote(call["ends"])})"\n')
        return "".join(lines)
