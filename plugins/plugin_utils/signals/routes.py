# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration of Alertmanager: how alerts are grouped, which mute others, and who gets which.

Every receiver gets the alerts that it asks for, no matter who else does. One that asks for the rest gets what no receiver with labels in `match`
asks for.
"""
import os
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.addresses import url, urls
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import closest, dump, load, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import HIDDEN, Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import grafana
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import receivers as receiver_types
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.messages import templates
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.receivers import DIRECTORY, NOBODY, REST, WATCHDOG, WEBHOOK
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.site_rules import site_files
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.stages import before, limited, stages

TIMES = {"group_wait": "10s", "group_interval": "5m", "repeat_interval": "4h"}
URLS = ("webhook_urls", "watchdog_urls")
LISTS = ("receivers", "later", "template_files")
CONFIG = f"{DIRECTORY}/alertmanager.yml"
# An alert with this label is a test of the receiver that it names. No alert of a rule has it.
TEST = "accelmon_test"


def checked(options):
    """The options with defaults, in plain types; raises Problem for the first that is wrong."""
    given = plain(options)
    usual = {**TIMES, **{name: [] for name in URLS + LISTS}, "grafana_url": ""}
    for name in given:
        if name not in usual:
            raise Problem(f"alertmanager_{name}: no such option; {closest(name, usual)}")
    chosen = {**usual, **given}
    try:
        grafana.check_root_url(url(chosen["grafana_url"]))
    except Problem as problem:
        raise Problem(problem, "alertmanager_grafana_url", chosen["grafana_url"]) from None
    for name in TIMES:
        try:
            length = milliseconds(chosen[name])
        except ValueError:
            length = None
        if length is None or (not length and name != "group_wait"):
            raise Problem(f"not a duration; write a number with a unit, for instance {TIMES[name]}", f"alertmanager_{name}", chosen[name])
    for name in URLS:
        if not isinstance(chosen[name], list):
            raise Problem("not a list; give a list of addresses", f"alertmanager_{name}", HIDDEN)
        try:
            chosen[name] = urls(chosen[name])
        except Problem as problem:
            entry, _colon, wrong = str(problem).partition(": ")
            raise Problem(wrong, f"alertmanager_{name}, {entry}", HIDDEN) from None
    try:
        everybody = receiver_types.webhooks(WEBHOOK, chosen["webhook_urls"])
        chosen["receivers"] = everybody + receiver_types.checked(chosen["receivers"])
        chosen["later"] = [{"from": one["from"], "receivers": everybody + receiver_types.checked(one["receivers"])} for one in chosen["later"]]
    except Problem as problem:
        raise Problem(problem, "alertmanager_receivers", HIDDEN) from None
    chosen["template_files"] = site_templates(chosen["template_files"])
    chosen["watchdog"] = receiver_types.webhooks(WATCHDOG, chosen["watchdog_urls"])
    return chosen


def site_templates(paths):
    """[{"path", "content"}] of a site's own templates. Raises Problem."""
    return site_files(paths, DIRECTORY, "alertmanager_template_files", "tmpl")


def matcher(label, values):
    """A matcher of Alertmanager: the label has one of these values."""
    pattern = "|".join(re.sub(r"([.+*?()|\[\]{}^$\\])", r"\\\1", value) for value in values) if len(values) > 1 else values[0]
    quoted = pattern.replace("\\", "\\\\").replace('"', '\\"')
    return f'{label}{"=~" if len(values) > 1 else "="}"{quoted}"'


def quiet():
    """Severities of alerts that are sent to those alone who ask for the severity."""
    return load("notifications")["quiet"]


def not_quiet():
    """The matcher of all other alerts."""
    return f'severity!~"{"|".join(quiet())}"'


def kinds(receivers):
    """(names of those that get everything, receivers with labels in match, names of those that get the rest)."""
    return ([one["name"] for one in receivers if one["match"] == {}], [one for one in receivers if isinstance(one["match"], dict) and one["match"]],
            [one["name"] for one in receivers if one["match"] == REST])


def together(names):
    """Name of the receiver that stands for several."""
    return ",".join(names) or NOBODY


def notified(labels, receivers, watchdog=()):
    """Names of the receivers that an alert with these labels reaches.

    receivers, watchdog: as `checked` gives them
    """
    if labels.get("alertname") == "Watchdog":
        return [one["name"] for one in watchdog]
    everything, asking, rest = kinds(receivers)
    hushed = labels.get("severity") in quiet()
    chosen = [one["name"] for one in asking
              if all(labels.get(label) in values for label, values in one["match"].items()) and not (hushed and "severity" not in one["match"])]
    return everything * (not hushed) + (chosen or rest * (not hushed))


def routes(receivers, watchdog):
    """The routes below the first, in their order."""
    everything, asking, rest = kinds(receivers)
    below = [{"matchers": [matcher(label, values) for label, values in one["match"].items()] + [not_quiet()] * ("severity" not in one["match"]),
              "receiver": one["name"], "continue": True} for one in asking]
    return [
        # One group per test, so that none waits for another.
        {"matchers": [f'{TEST}!=""'], "receiver": NOBODY, "group_by": ["..."], "group_wait": "0s", "group_interval": "1m", "repeat_interval": "1d",
         "routes": [{"matchers": [matcher(TEST, [one["name"]])], "receiver": one["name"]} for one in receivers + watchdog]},
        # Watchdog always fires. Only the heartbeat gets it, soon and often.
        {"matchers": ['alertname="Watchdog"'], "receiver": together([one["name"] for one in watchdog]), "group_by": ["alertname"],
         "group_wait": "0s", "group_interval": "1m", "repeat_interval": "1m"},
        *({"matchers": [not_quiet()], "receiver": name, "continue": True} for name in everything),
        # Alerts that no route below matches go to the receiver of this one.
        {"receiver": together(rest), "routes": below + [{"matchers": [f'severity=~"{"|".join(quiet())}"'], "receiver": NOBODY}]},
    ]


def all_routes(staged, watchdog):
    """The routes of all stages, as `stages` gives them."""
    if len(staged) == 1:
        return routes(staged[0][1], watchdog)
    ends = [begin for begin, _receivers in staged[1:]] + [None]
    return [{"receiver": NOBODY, "continue": True, "routes": limited(routes(receivers, watchdog), begin, end)}
            for (begin, receivers), end in zip(staged, ends)]


def defined(receivers, groups, version):
    """({name: {kind: entries}} of receivers, and of those that stand for a group of names, {path: secret})."""
    secrets, made = {}, {}
    for one in receivers:
        (kind, entry), files = receiver_types.integration(one, version)
        made[one["name"]] = {kind: [entry]}
        secrets.update(files)
    for names in groups:
        everyone = {}
        for name in names:
            for kind, entries in made[name].items():
                everyone.setdefault(kind, []).extend(entries)
        made.setdefault(together(names), everyone)
    return made, secrets


def written(options, version=None):
    """{"config": text, "templates": [{"path", "content"}], "secrets": {path: content}}; see the filter alertmanager_files for the options. Raises Problem.

    version: of Alertmanager, None if it is not known
    """
    chosen = checked(options)
    staged, watchdog = stages(chosen["receivers"], chosen["later"]), chosen["watchdog"]
    receivers = list({one["name"]: one for _begin, those in staged for one in those}.values())
    problem = receiver_types.unknown_to(receivers, version)
    if problem:
        raise Problem(problem, "alertmanager_receivers", HIDDEN)
    made, secrets = defined(receivers + watchdog, [*(kinds(those)[2] for _begin, those in staged), [one["name"] for one in watchdog]], version)
    catalogue = load("notifications")
    texts = [{"path": f"{DIRECTORY}/accelmon.tmpl", "content": templates(chosen["grafana_url"])}] + chosen["template_files"]
    config = dump({
        # Below this file. What a later one defines replaces what an earlier one does.
        "templates": [os.path.basename(one["path"]) for one in texts],
        "route": {"receiver": NOBODY, "group_by": catalogue["group_by"], **{name: str(chosen[name]) for name in TIMES}, "routes": all_routes(staged, watchdog)},
        **({"time_intervals": [before(begin) for begin, _receivers in staged[1:]]} if chosen["later"] else {}),
        "inhibit_rules": [{"source_matchers": rule["source"], "target_matchers": rule["target"], "equal": rule["equal"]} for rule in catalogue["inhibit"]],
        "receivers": [{"name": NOBODY}] + [{"name": name, **lists} for name, lists in made.items() if name != NOBODY],
    })
    return {"config": config, "templates": texts, "secrets": secrets}


def installed(source, version, node):
    """The release of Alertmanager that a host has, None where nobody can know before it is installed.

    source, version: as in alertmanager_source and alertmanager_version; node: the fact accelmon_node
    """
    if source == "package":
        return load("notifications")["packaged"].get(node.get("distribution"), {}).get(str(node.get("distribution_version")))
    return version or None


def files(options, source, version, node):
    """{"files": [{path, content? or secret and group}], "secrets": {path: content}, "reload": [path]} as the role service takes them. Raises Problem.

    reload: files that Alertmanager reads again on a signal; it reads secrets whenever it uses them
    """
    made = written(options, installed(source, version, node))
    secrets = {CONFIG: made["config"], **made["secrets"]}
    return {"files": [{"path": path, "secret": True, "group": "accelmon"} for path in secrets] + made["templates"], "secrets": secrets,
            "reload": [CONFIG] + [one["path"] for one in made["templates"]]}
