# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write what the documents take from declarations: four pages of docs, and the variables in the README of each role.

Run it with `make docs`. A test fails when a page no longer agrees with what is declared.
"""

import functools
import os
import re
import sys

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, ".collections"))

# pylint: disable=wrong-import-position
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.rules import SEVERITIES, matched, rollup_rules, slow_rules, straggler_rules
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.variables import INTERNAL_ROLES, fleet_variables, role_variables, roles

NOTE = "<!-- Written by tools/docs.py from plugins/plugin_utils/catalogue; change it there. -->\n\n"

ROLE_BEGIN = "<!-- From here on written by tools/docs.py from meta/main.yml and meta/argument_specs.yml; change it there. -->\n"

VARIABLES = """# Variables

Set them in the inventory: for all hosts, a group, or one host. The first play of every playbook that changes something checks every
variable of every host, by the code that reads it later, and names what is misspelt or has a wrong value before anything is changed.

Durations are written as Prometheus writes them: `500ms`, `15s`, `1m30s`, `12h`, `90d`, `4w`, `1y`. Surveys of AWX and `-e name=value`
send text: of the variables of the fleet and the arguments of a run, lists and dictionaries may come as YAML or JSON, and an
empty answer is none.

## The fleet
"""

ARGUMENTS = """
## Arguments of one run

These say what one run of a playbook does. Give them with `-e`, not in the inventory; each playbook says at its beginning which it knows.
"""

ALERTS = """# Alerts

Alerts are evaluated by vmalert (or Prometheus) from `/etc/accelmon/rules/accelmon-alerts.yml`. Each carries the labels
`severity` ({severities}) and `scope`, and three texts: `summary`, `description` and `action`.

A node with `accelmon_state: maintenance` stays a target, and no alert about it, its exporters or its devices fires.

The inventory changes an alert through `accelmon_alert_overrides`:

```yaml
accelmon_alert_overrides:
  HostDown: {{for: 30s}}
  AcceleratorCollectorStale: {{threshold: 10m, severity: critical}}
  ExporterDown: {{enabled: false}}
```

`for`, `severity` and `enabled` work for every alert, `threshold` for those that have one below. A name or a value that
does not exist is refused before anything is written.

Alerts read what exporters and the registry write, not the recorded series, so that trouble in the recording layer
silences none of them.
"""

HARDENING = """# Hardening

Every service of ours runs as a user of its own, without capabilities, and confined by systemd. The common part is `SANDBOX` in
`plugins/plugin_utils/services/units.py`; a role declares what differs in its `vars/main.yml`, and the reasons are in
`plugins/plugin_utils/catalogue/hardening.yml`.

`systemd-analyze security` gives each unit an exposure from 0 to 10. Units of Debian's own packages of the same daemons have 9.2.
The molecule scenarios fail when a unit has more than is recorded here, or is not recorded at all; a unit test fails when a role
differs from the common part without a reason.

| unit | exposure at most | differs in | why |
|---|---|---|---|
"""

LEFT = """
## What they leave out

| directive | why |
|---|---|
"""

HARDENING_END = """
## What is tested

* With Debian 12 (systemd 252) and Debian 13 (systemd 257), each unit's exposure, on running hosts.
* That the collector, confined as it is, reads every accelerator; and that it reads none once its device nodes are hidden, so that
  the test could fail. The accelerators are simulated: the simulated nvidia-smi opens `/dev/nvidiactl` as the real one does; AMD's
  values come from sysfs, for which no device is needed.
* That the sandbox acts at all in the lab's containers (`lab/canary.sh`). Limits on memory, CPU and tasks do not act there.

systemd ignores directives that it does not know yet. With systemd 239 (EL 8) these are `ProtectProc`, `ProtectClock`,
`ProtectKernelLogs` and `ProtectHostname`, by systemd's documentation; not run here. A site changes a unit with
`<role>_unit_overrides`.
"""

SERIES = """# Series

Recording rules (`/etc/accelmon/rules/accelmon-recording.yml`, for vmalert `.vmalert`) turn what exporters write into one set of series for all
vendors and all exporters. Those of devices are computed in one step from raw series. Raw series stay in the storage as well.

## Devices

At most 12 series for one device. Labels of each: {labels}.
`rack` is there if the inventory gives one, `uuid` if the device tells one. `index` counts within a vendor on a node (with all-smi,
over all vendors of the node) and may change when a device disappears; `uuid` does not. Where a label says that its value is not known
(`NA`, `-1`, `4294967295`, a UUID of zeros and the like), it is taken away: such a device has no `uuid`, or the next best one.

`uuid` and `model` of an NVIDIA device are the same from every source, so that its series go on when another exporter takes over.
Those of an AMD device are not: sysfs, AMD's exporter (the serial number) and all-smi (the address) call it by different names.

| Series | Labels beyond these | Type | Unit | Bounds | Meaning |
|---|---|---|---|---|---|
"""

SERIES_REST = """
What is absent is not known: a value that a device does not tell is never recorded as 0. A reading outside of its bounds is
dropped and counted (`node:accelerator_invalid_readings:count`); where the bounds say "above 0", a 0 means that the source could not
read it, and is dropped without counting. AMD's exporter and all-smi write 0 for everything that they could not read: where heat and power of
a device are all 0, its other zeros are dropped as well.

A counter that leaps (energy by {energy} joules, errors by {errors}, within a minute) is believed a minute later, if it stays there. A
leap that goes back before that is never recorded.

Counters start again at 0 when the driver is loaded. `increase()` knows that; but for a counter whose first value is
already above 0, Prometheus and VictoriaMetrics answer it differently.

A device in MIG mode or in partitions is one device: its power, heat and errors count once, and the memory of MIG instances adds up.
A device that several jobs share counts once as well. Graphics inside a processor are no device: where all-smi shows them, the registry
says so (`accelmon_fleet_uncounted_device`) and they are left out. After a card was put in or taken out addresses may move; a run of
site.yml tells the new ones.

## Where they come from

`source` on a raw series says which of the sources below it is from. The registry publishes as `accelmon_source_elected` which source
is in charge of a vendor on a node (1) and which only reads it as well (0). What is not in charge is not recorded, so that two exporters
that see one device count it once. Labels do not change with that, so that no series ends when another exporter takes over. Without
the registry's series, the first source of this table that sees a device counts.

{sources}
| Series | Source | From |
|---|---|---|
"""

SLOWLY = """
## Once a minute

These are computed from the series of devices. `p50` is the median, `p95` the 95th percentile. A bucket counts the devices from its
label on up to the next one.

A straggler is a device that is at work (half of the time at least) and far from the median of its peers: devices at work of the same
model on the same node, or in the same job, four at least. It has a series as long as its clock or power is at least 5 median absolute
deviations below, or its temperature above, each deviation scaled to a standard deviation and counting as at least 30 MHz, 10 W or 2
degrees. The value is the number of deviations. The peers in a job need `accelerator_job_info`, which a scheduler's integration writes.

| Series | Labels |
|---|---|
"""

LABELS = """
## Labels of targets

Every series of a node carries `cluster`, `node` and, if there is one, `rack` from the inventory, besides `job` and
`instance`. A custom exporter appears under its own `job`. A page that brings one of these, or `source`, finds it again with
`exported_` before it. Names that the registry, the rules, the scraper or the stack write are dropped from pages; what a node may publish
of them is `accelmon_collector_*` and what `published` in `plugins/plugin_utils/catalogue/sources.yml` lists.

Labels of `accelmon_labels` stand on every scraped series of a host's exporters, `up` among them, and on no recorded one: a rule would have to name
them. A query brings one of them, here `room`, to recorded series:

```promql
accelerator_power_watts
* on (cluster, node) group_left (room) topk by (cluster, node) (1, group by (cluster, node, room) (up{room!=""}))
```

## The registry

The host that scrapes publishes what it knows of the fleet through its own node_exporter, as job `accelmon_fleet`. Series
of these names from any other exporter are dropped.

| Series | Labels |
|---|---|
"""


def code(names):
    """Names as code, with commas between."""
    return ", ".join(f"`{name}`" for name in names)


def alerts_page():
    """Text of alerts.md."""
    text = NOTE + ALERTS.format(severities=code(SEVERITIES))
    for alert in load("alerts")["alerts"]:
        facts = [f"severity `{alert['severity']}`", f"scope `{alert['scope']}`", f"for `{alert['for']}`"]
        text += f"\n## {alert['alert']}\n\n{', '.join(facts)}\n\n{alert['why'].strip()}\n"
        if "threshold" in alert:
            text += f"\nThreshold, `{alert['threshold']['default']}`: {alert['threshold']['help']}\n"
        text += f"\nWhat to do: {alert['action']}\n"
    return text


def fixed(variant):
    """A variant's static labels as code."""
    return ", ".join(f'`{name}="{value}"`' for name, value in variant.get("labels", {}).items())


def series_page():
    """Text of series.md."""
    series, sources = load("series"), load("sources")
    text = NOTE + SERIES.format(labels=code(series["labels"]))
    origins, reasons = "", ""
    for item in series["devices"]:
        for variant in item["variants"]:
            labels = fixed(variant) or code(item.get("labels", []))
            text += f"| `{item['name']}` | {labels} | {item['type']} | {item['unit']} | {bounds(item)} | {item['help'].strip()} |\n"
            for source, choices in variant["from"].items():
                written = ", else ".join(origin(source, sources["sources"][source], part) for part in choices)
                origins += f"| `{item['name']}` {fixed(variant)}".rstrip() + f" | `{source}` | {written} |\n"
                for part in choices:
                    if "except" in part:
                        rows = ", ".join(f'`{label}=~"{pattern}"`' for label, pattern in part["except"].items())
                        reasons += f"| `{part['metric']}` | {rows} | {part['why']} |\n"
    known = "".join(f"* `{name}`: {', '.join(spec['vendors'])}; from `{spec['job']}`, port {spec['port']}.\n" for name, spec in sources["sources"].items())
    leap = {item["name"]: item["leap"] for item in series["devices"] if "leap" in item}
    text += SERIES_REST.format(sources=known, energy=leap["accelerator_energy_joules_total"], errors=leap["accelerator_ecc_errors_total"]) + origins
    text += "\nWhat is not believed:\n\n| Raw series | Of | Why |\n|---|---|---|\n" + reasons
    text += "\nWhat is not stored:\n\n| Series or label | Of | Why |\n|---|---|---|\n"
    for name, spec in sources["sources"].items():
        for part in spec.get("drop", []) + spec.get("forget", []):
            kind = "series" if "series" in part else "label"
            pattern = part[kind].replace("|", "\\|")
            text += f"| {kind} `{pattern}` | `{name}` | {part['why']} |\n"
    text += ("\n## Roll-ups\n\nNamed level, series, operation. They are computed from the series of devices: vmalert does it half an interval later, "
             "Prometheus at the next evaluation; a device "
             "counts once. While another source is put in charge, one evaluation may have some devices by the old one and others by the new. "
             "How many devices a node has is counted from what their source tells, and is the same then.\n\n| Series | Labels |\n|---|---|\n")
    for level, labels in series["levels"].items():
        for rule in rollup_rules(series, level, sources["sources"]):
            text += f"| `{rule['record']}` | {code(labels)} |\n"
    text += "\nA node without a rack is in no rack's roll-up.\n" + SLOWLY
    for rule in slow_rules(series) + straggler_rules(series):
        text += f"| `{rule['record']}` | {slow_labels(series, rule['record'])} |\n"
    text += "| `node:accelerator_invalid_readings:count` | `cluster`, `rack`, `node`, `vendor`, `source`, `series` |\n" + LABELS
    for name, labels in sources["registry"].items():
        text += f"| `{name}` | {code(labels)} |\n"
    return text


def bounds(item):
    """The bounds of a series in words."""
    if "bounds" not in item:
        return ""
    lowest, highest = item["bounds"]
    return (f"above 0, to {highest}" if item.get("zero") == "unread" else f"{lowest} to {highest}") + f". {item['because']}"


def origin(source, spec, part):
    """A raw series as code, with what it is divided or multiplied by."""
    factor = f" / {part['divide']}" if "divide" in part else f" * {part['multiply']}" if "multiply" in part else ""
    state = f" above 0, as {part['times']}" if "times" in part else ""
    return f"`{matched(source, spec, part)}{factor}`{state}".replace("|", "\\|")


def slow_labels(series, record):
    """Labels of a slow series as code."""
    level, name, operation = record.split(":")
    if operation == "straggler":
        return "those of the device" + (", `job_id`" if level == "job" else "")
    bucket = [part["by"] for part in series["slow"]["buckets"] if operation == "buckets" and part["of"] == name]
    return code(series["levels"][level] + bucket)


def shown(value):
    """A default value as code; nothing for one that is empty."""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`" if value not in (None, "", [], {}) else ""


def prose(description):
    """A description, which may be a list of paragraphs, without Ansible's markup."""
    text = " ".join([description] if isinstance(description, str) else description)
    text = re.sub(r"\b[CVOMIP]\(([^()]*(?:\([^()]*\)[^()]*)*)\)", r"`\1`", text)
    return text.replace("|", "\\|")


def table(variables):
    """The variables of one place as a table."""
    text = "\n| Variable | Type | Default | Meaning |\n|---|---|---|---|\n"
    for name, spec in variables.items():
        default = "required" if spec.get("required") else shown(spec.get("default"))
        text += f"| `{name}` | {kind(spec)} | {default} | {prose(spec['description'])} |\n"
    return text


def kind(spec):
    """What a variable takes: its choices, or its type, with its range if it has one."""
    if "choices" in spec:
        return " \\| ".join(f"`{choice}`" for choice in spec["choices"])
    name = "duration" if spec.get("format") == "duration" else spec["type"]
    return f"{name}, {spec['at_least']} to {spec['at_most']}" if "at_least" in spec else name


def variables_page():
    """Text of variables.md."""
    settings = {name: spec for name, spec in fleet_variables().items() if not spec.get("run")}
    arguments = {name: spec for name, spec in fleet_variables().items() if spec.get("run")}
    text = NOTE.replace("plugins/plugin_utils/catalogue", "plugins/plugin_utils/catalogue/variables.yml and roles/*/meta/argument_specs.yml") + VARIABLES + table(settings)
    text += ARGUMENTS + table(arguments)
    for role in roles():
        own = {name: spec for name, spec in role_variables(role).items() if name.startswith(role + "_")}
        text += f"\n## {role}\n" + table(own)
    return text


def hardening_page():
    """Text of hardening.md."""
    text = NOTE + HARDENING
    hardening = load("hardening")
    for name, service in hardening["services"].items():
        unit = f"`accelmon-{name.replace('_', '-')}`"
        for directive, why in service["exceptions"].items() or [("", "")]:
            text += f"| {unit} | {service['exposure']} | {directive and code([directive])} | {why} |\n"
    text += LEFT
    for directive, why in hardening["left"].items():
        text += f"| {code([directive])} | {why} |\n"
    return text + HARDENING_END


def declared(role, name):
    """What meta/NAME.yml of a role declares."""
    with open(os.path.join(ROOT, "roles", role, "meta", f"{name}.yml"), encoding="utf-8") as handle:
        return yaml.safe_load(handle)


def role_options(role, options):
    """The options of an entry point, with the formats and ranges that the catalogue knows."""
    known = role_variables(role)
    return {name: dict(spec, **{key: known[name][key] for key in ("format", "at_least", "at_most") if key in known[name]})
            for name, spec in options.items()}


def role_part(role):
    """The generated end of a role's README: where it runs, its entry points and their variables."""
    galaxy = declared(role, "main")["galaxy_info"]
    platforms = ", ".join(f"{platform['name']} ({', '.join(platform['versions'])})" for platform in galaxy["platforms"])
    text = ROLE_BEGIN + f"\nansible-core {galaxy['min_ansible_version']} or newer. Platforms: {platforms}; see [platforms](../../docs/platforms.md).\n"
    specs = declared(role, "argument_specs")["argument_specs"]
    for name in sorted(specs, key=lambda entry: (entry != "main", entry)):
        spec = specs[name]
        text += f"\n## Entry point `{name}`: {spec['short_description']}\n"
        text += f"\n{prose(spec['description'])}\n" if "description" in spec else ""
        text += table(role_options(role, spec.get("options") or {}))
    return text


def role_page(role):
    """Text of a role's README: what is written by hand, then the generated part."""
    with open(os.path.join(ROOT, "roles", role, "README.md"), encoding="utf-8") as handle:
        return handle.read().partition(ROLE_BEGIN)[0] + role_part(role)


PAGES = {
    "docs/hardening.md": hardening_page,
    "docs/alerts.md": alerts_page,
    "docs/series.md": series_page,
    "docs/variables.md": variables_page,
    **{f"roles/{role}/README.md": functools.partial(role_page, role) for role in roles() + INTERNAL_ROLES},
}


def main():
    """Writes all pages."""
    for name, page in PAGES.items():
        text = page()
        with open(os.path.join(ROOT, name), "w", encoding="utf-8") as handle:
            handle.write(text)


if __name__ == "__main__":
    main()
