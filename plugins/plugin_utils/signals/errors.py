# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What error codes and alerts mean, and what to do about them."""
import datetime
import functools
import re
import textwrap

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import closest, load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem

KINDS = {"xid": "Xid", "sxid": "SXid", "afid": "AFID", "ras": "RAS", "kernel": "Kernel", "recovery": "Recovery action"}
FIRST = "Read the recovery action that the driver gives (nvidia-smi -q, DCGM field 1523); where there is one, it goes before this list."
XIDS = "https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html"
# Whose devices have codes of a kind in the kernel log, where each does not name vendors itself. SXids are of switches.
VENDORS = {"xid": ["nvidia"], "ras": ["amd"]}
# SXids have five digits and Xids three, so a bare number tells them apart.
FIRST_SXID = 10000
WIDTH = 100


@functools.lru_cache(maxsize=None)
def codes():
    """{(kind, code): (title, entry)} in the order of the catalogue."""
    return {(entry["kind"], code): (entry["codes"][code] if isinstance(entry["codes"], dict) else entry["title"], entry)
            for entry in load("errors")["errors"] for code in entry["codes"]}


def severity(entry):
    """The severity of an entry of the catalogue: its own, or that of its class."""
    return entry.get("severity", load("errors")["classes"][entry["class"]]["severity"])


def fatal():
    """{vendor: names} of the critical codes that the kernel log of a host can have, as its reader writes them: it exports zeros for them."""
    found = {}
    for (kind, code), (_title, entry) in codes().items():
        if severity(entry) == "critical":
            for vendor in entry.get("vendors", VENDORS.get(kind, ())):
                found.setdefault(vendor, []).append(f"{kind} {code}")
    return {vendor: sorted(names) for vendor, names in sorted(found.items())}


def explain(asked):
    """What is known of an error code (79, "xid 79", "sxid 20034", "afid 24", "ras ue", "recovery 5") or of an alert, by name."""
    text = str(asked).strip()
    alert = {item["alert"].lower(): item for item in load("alerts")["alerts"]}.get(text.lower())
    if alert:
        return explained("alert", alert["alert"], alert["alert"], alert["scope"], alert["severity"], meaning=alert["why"].strip(),
                         actions=[alert["action"]])
    kind, code = split(text)
    if kind == "recovery":
        return explain_recovery(code)
    if (kind, code) not in codes():
        return unknown(kind, code)
    catalogue, (title, entry) = load("errors"), codes()[kind, code]
    actions = [catalogue["actions"][name] for name in entry["actions"]]
    return explained(kind, code, title, entry["class"], severity(entry),
                     meaning=entry["meaning"], causes=list(entry["causes"]), actions=[FIRST] * (kind == "xid") + actions, sources=entry.get("sources", ""))


def sort_of(kind):
    """What the catalogue sorts such entries by: alerts by what they look at, codes by what is at fault."""
    return "scope" if kind == "alert" else "class"


def explained(kind, code, title, group, severity, **details):
    """An explanation with all of its keys; group: its class or scope."""
    return dict({"kind": kind, "code": code, "title": title, sort_of(kind): group, "severity": severity, "known": True, "meaning": "", "causes": [],
                 "actions": [], "sources": "", "dated": load("errors")["dated"]}, **details)


def split(text):
    """(kind, code) of a text."""
    words = {code: kind for kind, code in codes() if isinstance(code, str)}
    found = re.fullmatch(fr"(?:(xid|sxid|afid|ras|kernel|recovery(?:[ _]action)?)[ :_-]*)?(0x[0-9a-f]{{1,16}}|[0-9]{{1,20}}|{'|'.join(words)})", text,
                         re.IGNORECASE)
    kind, code = (found.group(1) or "", found.group(2).lower()) if found else ("", text)
    kind = "recovery" if kind.lower().startswith("recovery") else kind.lower()
    if not found or kind and words.get(code, "") != (kind if kind in words.values() else ""):
        names = [alert["alert"] for alert in load("alerts")["alerts"]]
        hint = f"; {closest(text, names)}" if closest(text, names).startswith("did") else ""
        raise Problem("neither an error code nor an alert; give a code, as in 79, sxid-20034, afid-24, ras-ue, kernel-wedged or recovery-2, "
                      f"or an alert's name{hint}", "accelmon_explain", text)
    if code in words:
        return words[code], code
    number = int(code, 16 if code.startswith("0x") else 10)
    return kind or ("xid" if number < FIRST_SXID else "sxid"), number


def explain_recovery(number):
    """What a recovery action of the driver asks for. One that is newer than the catalogue is taken to be serious."""
    known = load("errors")["recovery"].get(number)
    if known:
        return explained("recovery", number, known["title"], "notice" if number == 0 else "hardware", known["severity"],
                         meaning="The driver says what the device needs now.", actions=[known["action"]])
    return explained("recovery", number, f"Unknown action {number}", "unknown", "critical", known=False,
                     meaning="The driver asks for an action that the catalogue does not know.",
                     actions=["Drain the node and read what nvidia-smi -q says under GPU Recovery Action."])


def unknown(kind, code):
    """What can be said of a code that the catalogue does not have."""
    catalogue = load("errors")
    look = catalogue["actions"]["look_up"] + (f" NVIDIA's is at {XIDS}." if kind == "xid" else "")
    return explained(kind, code, f"Unknown {KINDS.get(kind, 'error')}", "unknown", catalogue["classes"]["unknown"]["severity"], known=False,
                     meaning=f"The catalogue, dated {catalogue['dated']}, does not have this code. It may be newer.",
                     actions=[FIRST] * (kind == "xid") + [look, catalogue["actions"]["support"]])


def heading(told):
    """The name of a code, as in Xid 79."""
    return f"{KINDS[told['kind']]} {told['code']}" if told["kind"] in KINDS else str(told["code"])


def box(told):
    """The lines of a box that explains it to a reader."""
    group = sort_of(told["kind"])
    lines = [f"{heading(told)}: {told['title']}" if told["kind"] in KINDS else heading(told), f"severity {told['severity']}, {group} {told[group]}", ""]
    lines += textwrap.wrap(told["meaning"], WIDTH)
    if told["causes"]:
        lines += ["", "Causes"] + [line for cause in told["causes"] for line in item(cause, "* ")]
    lines += ["", "What to do"] + [line for number, action in enumerate(told["actions"], 1) for line in item(action, f"{number}. ")]
    if told["sources"]:
        lines += ["", "Where sources disagree or are few"] + textwrap.wrap(told["sources"], WIDTH)
    width = max(map(len, lines))
    edge = f"+{'-' * (width + 2)}+"
    return [edge] + [f"| {line.ljust(width)} |" for line in lines] + [edge]


def item(text, mark):
    """The lines of an item of a list."""
    return textwrap.wrap(text, WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark))


def of_device(error):
    """What is known of an error that a device had; kind and code come from a page of its node and may be anything."""
    code = int(error["code"]) if re.fullmatch("[0-9]{1,20}", error["code"]) else error["code"]
    if (error["kind"], code) in codes():
        return explain(f"{error['kind']} {code}")
    return unknown(error["kind"], code)


def moment(seconds):
    """A time of the storage in words."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def since(text):
    """A time of the rule evaluator in words; as it is if it cannot be read."""
    try:
        return moment(datetime.datetime.strptime(re.sub(r"\.[0-9]+", "", text), "%Y-%m-%dT%H:%M:%S%z").timestamp())
    except ValueError:
        return text


def printable(text):
    """A text that may come from a node, without signs that a terminal acts on."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def finding_lines(finding):
    """What is wrong with a node, as lines for a reader. finding: as the module fleet_status_info returns it."""
    row = finding["row"]
    lines = [f"{row['node']} (cluster {row['cluster']}): {row['state']}", ""]
    if finding["alerts"] is None:
        return lines + ["Alerts and errors are not known."]
    for alert in finding["alerts"]:
        lines += item(printable(f"{alert['severity']}: {alert['summary'] or alert['alert']} ({alert['alert']}, since {since(alert['since'])})"), "* ")
        lines += item(printable(f"What to do: {alert['action']}"), "  ") if alert["action"] else []
    lines += [] if finding["alerts"] else ["No alert fires."]
    lines += ["", "Errors within a day"] if finding["errors"] else ["No device had an error within a day."]
    for error in finding["errors"]:
        told = of_device(error)
        device = ", ".join(f"{name} {error[label]}" for name, label in (("device", "pci_bus_id"), ("index", "index"), ("uuid", "uuid")) if label in error)
        last = f", last {moment(error['last'])}" if error["last"] else ", seen by an exporter alone"
        lines += item(printable(f"{heading(told)}: {told['title']}. {told['severity']}, class {told['class']}; {device}; counted {error['count']}{last}"), "* ")
        # The first action of an Xid is to read the recovery action, which an alert tells.
        lines += item(f"What to do: {next(action for action in told['actions'] if action != FIRST)}", "  ")
    return lines
