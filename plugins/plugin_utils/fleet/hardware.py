# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For hardware.yml: what hosts tell about the comparison of their devices with the vendor's tool, as data and as lines."""
import pathlib
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.host.hardware import acceptance
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import facts

COLLECTION = pathlib.Path(__file__).resolve().parents[3]
COLLECTOR = COLLECTION / "roles" / "textfile_collector" / "files"
# What the collector shares with other code.
SHARED = ("plugins/module_utils/detect/ids.py", "plugins/module_utils/textfile.py")

MOST_ROWS = 16384
LONGEST_FIXTURE = 4 << 20  # characters
RESULT = facts.matching(re.compile("|".join((acceptance.PASS, acceptance.FAIL, acceptance.NOT_APPLICABLE))), "not a result")
PATH = facts.matching(re.compile(r"[a-z_]{1,32}/[a-z0-9_]{1,128}\.(?:json|csv|prom|txt)"), "not the path of a fixture")


def line(value):
    """Any text of a node, as one line that may be shown."""
    return facts.shown(value, 2000)


def seconds(value):
    """A time that something took."""
    return value if isinstance(value, float) and 0 <= value < 86400 else facts.number(86400)(value)


# Fixtures are for programs: only what a template would act on is kept out, and nothing of them is shown.
FIXTURE = facts.matching(re.compile(r"(?:(?!\{[{%%#])[^\0]){0,%d}" % LONGEST_FIXTURE), "characters that are invalid in a fixture, or too many")
ROW_FIELDS = ("check", "what", "device", "result", "tool", "found", "note")
ROW = facts.fields(ROW_FIELDS, **dict({name: line for name in ROW_FIELDS}, result=RESULT))
SCHEMA = facts.fields(("devices", "rows", "fixtures", "seconds"), devices=facts.COUNT, rows=facts.list_of(ROW, MOST_ROWS),
                      fixtures=facts.map_of(PATH, FIXTURE), seconds=seconds)


def program():
    """{name: text} of the textfile collector's files."""
    paths = sorted(path for path in COLLECTOR.iterdir() if path.suffix in (".py", ".json")) + [COLLECTION / path for path in SHARED]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def report(told, unanswered, checking=False):
    """{document: {hosts: {host: what it told, with its verdict}, notes: [...]}, lines: [...], failures: [...]}.

    told: {host: what it told}; unanswered: {host: {what, value, fix}}; checking: whether this is a check run, in which nothing is compared. A host
    without accelerators is a note, but a run in which no host has any fails.
    """
    hosts, notes, lines, failures = {}, [], [], []
    failures += [f"{host}: {why['what']} = {why['value']}; {why['fix']}" for host, why in unanswered.items()]
    for host, one in told.items():
        try:
            found = facts.checked("hardware", SCHEMA, one)
        except facts.Untrusted as problem:
            failures.append(f"{host}: {problem}")
            continue
        if not found["devices"]:
            notes.append(f"{host}: no accelerators")
            continue
        verdict = "not compared in check mode" if checking else acceptance.verdict(found)
        hosts[host] = {**found, "verdict": verdict or "accepted"}
        lines += [f"{host}: {verdict or 'accepted'}", *([] if checking else acceptance.lines(found)), ""]
        failures += [f"{host}: {verdict}"] if verdict and not checking else []
    if not hosts and not failures:
        failures.append(f"no accelerators on {', '.join(told) or 'any host'}; run this on hosts that have some")
    return {"document": {"hosts": hosts, "notes": notes}, "lines": lines + [f"note: {note}" for note in notes], "failures": failures}
