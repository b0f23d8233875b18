# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as a page: one file without scripts, and nothing that a browser would fetch.

document: what fleet_report_info returned. Lists are worst first, so that what does not fit is what matters least; it is counted.
"""

from markupsafe import Markup

from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.verdict import accelerator_words, natural, shortfall
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import errors
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.html import NOTHING, joined, piece, plain, spark, table, tag
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.palette import DARK, HEAT, LIGHT, ink

# How much of a list a page shows.
MOST = {"alerts": 60, "nodes": 100, "devices": 200, "trends": 20, "models": 50, "errors": 60, "faults": 40, "notes": 30}
# Above these, the grid has a cell for each node instead of one for each device.
GRID_DEVICES, GRID_NODES, GRID_CELLS, SLOTS = 1000, 150, 3000, 64
NONE = "n/a"
NAME = 200  # characters of a name
ANSWERS = {"good": "Yes, everything is all right.", "warning": "Mostly. Some things need a look.", "critical": "No. Something needs attention now.",
           "unknown": "Not known. The report is incomplete."}
SIGNS = {"watts": "W", "watthours": "Wh", "hertz": "Hz"}
MARKS = {"notice": "warning", "alarm": "critical"}

STYLE = """
*{box-sizing:border-box}
body{background:var(--ground);color:var(--text);font:15px/1.45 system-ui,sans-serif;margin:0 auto;padding:16px;max-width:1200px}
h1{font-size:22px;margin:0}h2{font-size:17px;margin:26px 0 8px}h3{font-size:14px;margin:10px 0 4px}p{margin:4px 0}
.muted,dd{color:var(--muted)}
.good{color:var(--good)}.warning{color:var(--warning)}.critical{color:var(--critical);font-weight:bold}.unknown{color:var(--unknown)}
.answer{background:var(--card);border-left:6px solid;padding:10px 14px;margin:14px 0}
.answer p,.answer ul{color:var(--text);font-weight:normal}.answer b{font-size:18px}.answer ul{margin:6px 0 0;padding-left:20px}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(138px,1fr));gap:10px}
.figures div{background:var(--card);padding:10px}.figures b{display:block;font-size:19px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:14px}td,th{padding:4px 10px 4px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
td,th,li,span,dd{overflow-wrap:break-word;unicode-bidi:isolate}td,th{max-width:260px}th{color:var(--muted);font-weight:600}
tbody th{color:var(--text)}
.long{min-width:220px;max-width:560px}.long p{margin:0 0 3px}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.grid{border-collapse:separate;border-spacing:3px}.grid td,.cells span{border:0;text-align:center;padding:4px 2px;min-width:34px;font-size:12px}
.grid th{border:0}.grid th+th{text-align:center}.cells{display:flex;flex-wrap:wrap;gap:3px}
.na{background:var(--card);color:var(--muted)}.gone{background:var(--card);color:var(--critical);outline:2px dashed;outline-offset:-2px}
.poor{outline:2px solid var(--warning);outline-offset:-2px}.bad{outline:3px solid var(--critical);outline-offset:-3px}
svg{display:block;width:150px;height:34px;background:var(--card)}polyline{fill:none;stroke:var(--line);stroke-width:1.5;stroke-linecap:round}
small{font-size:12px;color:var(--muted)}dt{font-weight:600;margin-top:6px}dd{margin:0}a{color:var(--line)}
@media(max-width:600px){body{padding:10px}td,th{padding-right:8px}}
@media print{body{max-width:none;padding:0;font-size:11px}table{font-size:9px}small,.grid td,.cells span{font-size:8px}td,th{padding:2px 6px 2px 0}
.scroll{overflow:visible}svg{width:96px;height:22px}.figures b{font-size:16px}
tr,svg,.answer,.figures div{break-inside:avoid}h2,h3{break-after:avoid}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""


def style():
    """The style sheet: light unless the reader's system is dark, and light on paper."""
    def ground(colours):
        return ":root{%s}" % ";".join(f"--{name}:{colour}" for name, colour in colours.items())

    heat = "".join(f".h{level}{{background:{colour};color:{ink(colour)}}}" for level, colour in enumerate(HEAT))
    return Markup(ground(LIGHT) + "@media screen and (prefers-color-scheme:dark){%s}" % ground(DARK) + STYLE + heat)


def written(value, unit):
    """A value with its unit, as people write it."""
    if value is None:
        return NONE
    if unit == "ratio":
        return f"{100 * value:.0f} %"
    if unit == "celsius":
        return f"{value:.0f} °C"
    if unit == "joules":
        return written(value / 3600, "watthours")
    if unit in SIGNS:
        sign = SIGNS[unit]
        for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(value) >= size:
                return f"{value / size:.1f} {prefix}{sign}"
        return f"{value:.0f} {sign}"
    return f"{value:,.0f}"


def grade(value, view):
    """Whether a value is to be marked, as a class of the style sheet: "", warning or critical."""
    sign = -1 if view.get("lower") else 1
    for name in ("alarm", "notice"):
        if value is not None and name in view and sign * value >= sign * view[name]:
            return MARKS[name]
    return ""


def number(value, unit, mark=""):
    """A cell with a value. What is marked is said by more than its colour."""
    return tag("td", written(value, unit), "" if mark != "critical" else " !", class_=f"number {mark}".strip())


def heads(*titles):
    """Heads of columns of numbers."""
    return [tag("th", title, scope="col", class_="number") for title in titles]


def sentences(*parts):
    """A cell with sentences."""
    return tag("td", *(tag("p", part) for part in parts if part), class_="long")


def section(title, *content, note=""):
    """A part of the page with its heading."""
    return tag("section", tag("h2", title), tag("p", note, class_="muted") if note else "", *content)


def listed(name, rows, make):
    """(pieces of the rows that a page shows, a piece that counts the others)."""
    rest = len(rows) - MOST[name]
    return [make(row) for row in rows[:MOST[name]]], tag("p", f"and {rest:,} more", class_="muted") if rest > 0 else NOTHING


def place_name(place, several):
    """Where something is, in one word if possible. several: whether there are several clusters"""
    words = place.get("node") or place.get("rack") or place.get("instance") or place.get("cluster", "")
    device = place.get("index") or place.get("pci_bus_id")
    words += f"/{device}" if device and "node" in place else ""
    return plain(f"{place['cluster']} {words}" if several and place.get("cluster") not in (None, words) else words, NAME)


def places_of(group, several):
    """The places of a group, and how many more there are."""
    return ", ".join(place_name(place, several) for place in group["places"]) + (f" and {group['more']:,} more" if group["more"] else "")


def skeleton(title, body):
    """Text of a page with a title and what is on it. It runs nothing and asks for nothing."""
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
            '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
            # A second wall: even what got past the escaping could not run, nor send anything anywhere.
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
            f'<title>{piece(title)}</title><style>{style()}</style></head><body>{joined(body)}</body></html>\n')


class Page:
    """One report. Each part is a method that gives a piece, which is empty where there is nothing to show."""

    def __init__(self, document):
        self.document, self.views = document, load("views")
        self.several = len(document["clusters"]) > 1
        self.devices = sorted(document["devices"], key=self.rank)

    def rank(self, device):
        """Sort key of devices, the worst first."""
        marks = [grade(device[name], view) for name, view in self.views["devices"].items()]
        return (101 if device["health"] is None else device["health"], -marks.count("critical"), -marks.count("warning"),
                natural(device["cluster"]), natural(device["node"]), device["vendor"], natural(device["index"]))

    def named(self, place):
        """Where something is, in one word if possible."""
        return place_name(place, self.several)

    def places(self, group):
        """The places of a group, and how many more there are."""
        return places_of(group, self.several)

    def answer(self):
        """Whether everything is all right."""
        state = self.document["answer"]["state"]
        reasons = tag("ul", *(tag("li", reason) for reason in self.document["answer"]["reasons"])) if self.document["answer"]["reasons"] else NOTHING
        return tag("div", tag("p", "Is everything all right?"), tag("b", ANSWERS[state]), reasons, class_=f"answer {state}")

    def figures(self):
        """The fleet in a few numbers."""
        totals = self.document["totals"]
        # What does not answer may be down, unless nobody could ask.
        asked = not any("unknown" in node["exporters"].values() for node in self.document["nodes"])
        shown = [
            (f"{written(totals['present'], 'count')} / {written(totals['expected'], 'count')}", "accelerators present, of those expected",
             "critical" if totals["missing"] else ""),
            (written(totals["busy"], "count"), f"busy: {written(self.views['busy'], 'ratio')} of the time or more", ""),
            (f"{written(totals['states'].get('active', 0) if asked else None, 'count')} / {totals['nodes']:,}", "nodes active, of all", ""),
            (written(totals["critical_alerts"], "count"), "critical alerts", "critical" if totals["critical_alerts"] else ""),
            (written(totals["warnings"], "count"), "warnings", "warning" if totals["warnings"] else ""),
            (written(totals["power_watts"], "watts"), "power of the accelerators now", ""),
            (written(totals["energy_joules"], "joules"), "energy in the last 24 hours", ""),
        ]
        return tag("div", *(tag("div", tag("b", value, class_=mark), what) for value, what, mark in shown), class_="figures")

    def alerts(self):
        """What fires, where, and what to do."""
        explained = {alert["alert"] for alert in load("alerts")["alerts"]}

        def row(alert):
            # Without the rule evaluator it is not known what an alert says; of a site's own nobody else knows it.
            action = alert["action"] or (f"explain.yml -e accelmon_explain={alert['name']} says what to do." if alert["name"] in explained else "")
            name = tag("a", alert["name"], href=alert["link"], rel="noreferrer") if alert["link"].startswith(("https://", "http://")) else alert["name"]
            mark = {"critical": "critical", "info": ""}.get(alert["severity"], "warning")
            return [tag("td", alert["severity"] or NONE, class_=mark),
                    sentences(tag("b", name), alert["summary"], action),
                    self.places(alert), number(alert["count"], "count"), tag("td", errors.since(alert["since"]) or NONE, class_="number")]

        if not self.document["alerts"]:
            return NOTHING
        rows, rest = listed("alerts", self.document["alerts"], row)
        return section("Alerts", table(["Severity", "What it is, and what to do", "Where", *heads("Times", "Since")], rows), rest)

    def nodes(self):
        """Nodes that are not as they should be."""
        def row(node):
            state = f"{node['state']} by {node['replaced_by']}" if "replaced_by" in node else node["state"]
            return [tag("th", self.named(node), scope="row"), state, accelerator_words(node["accelerators"]),
                    ", ".join(f"{job} {state}" for job, state in sorted(node["exporters"].items())), ", ".join(node["alerts"])]

        wrong = [node for node in self.document["nodes"] if node["problem"]]
        notes, left = listed("notes", self.document["notes"], lambda note: tag("li", note))
        advice = joined([tag("ul", *notes), left]) if notes else NOTHING
        if not wrong and not notes:
            return NOTHING
        rows, rest = listed("nodes", wrong, row)
        return section("Nodes that need a look", table(["Node", "State", "Accelerators", "Exporters", "Alerts"], rows) if rows else "", rest, advice)

    def choices(self):
        """What somebody chose instead of the inventory, and holds."""
        def row(choice):
            until = errors.moment(choice["until"]) if "until" in choice else NONE
            return [tag("th", choice["name"], scope="row"), ", ".join(f"{key}: {value}" for key, value in sorted(choice["change"].items())),
                    choice["by"], choice["reason"], tag("td", errors.moment(choice["at"]), class_="number"), tag("td", until, class_="number")]

        if not self.document["choices"]:
            return NOTHING
        rows = [row(choice) for choice in self.document["choices"]]
        return section("Settings changed outside the inventory", table(["What", "Change", "Who", "Why", *heads("Since", "Until")], rows))

    def groups(self):
        """{(cluster, node, vendor): (devices, how many are missing, how many cannot be known)} in natural order."""
        found = {}
        for node in self.document["nodes"]:
            for vendor, item in node["accelerators"].items():
                missing = shortfall(node["state"], item)
                found[node["cluster"], node["node"], vendor] = ([], missing or 0, item["expected"] if missing is None else 0)
        for device in self.document["devices"]:
            found.setdefault((device["cluster"], device["node"], device["vendor"]), ([], 0, 0))[0].append(device)
        return {key: found[key] for key in sorted(found, key=lambda key: [natural(part) for part in key])}

    def cell(self, name, load, health, title):
        """A cell of the grid, of a device or a node."""
        mark = {"warning": "poor", "critical": "bad"}.get(grade(health, self.views["devices"]["health"]), "")
        heat = "na" if load is None else f"h{min(len(HEAT) - 1, int(max(0, load) * len(HEAT)))}"
        return tag(name, "–" if load is None else f"{100 * load:.0f}", class_=f"{heat} {mark}".strip(), title=title)

    def device_cell(self, device):
        """The cell of a device."""
        title = f"{self.named(device)}: busy {written(device['utilization'], 'ratio')}, {written(device['temperature'], 'celsius')}, " \
                f"health {written(device['health'], 'score')}"
        return self.cell("td", device["utilization"], device["health"], title)

    def slots(self, devices, missing, unseen):
        """The cells of a node: each device at its index where that is possible, and what is missing where there is room."""
        gone, none = tag("td", "✕", class_="gone", title="missing"), tag("td", "–", class_="na", title="not known")
        placed, others = {}, []
        for device in devices:
            index = int(device["index"]) if device["index"].isascii() and device["index"].isdigit() and len(device["index"]) < 4 else SLOTS
            if index < SLOTS and index not in placed:
                placed[index] = self.device_cell(device)
            else:
                others.append(self.device_cell(device))
        empty = [gone] * missing + [none] * unseen
        row = [placed.get(index) or (empty.pop(0) if empty else tag("td")) for index in range(max(placed, default=-1) + 1)]
        return row + others + empty

    def grid(self):
        """Every device, or every node, at a glance."""
        groups = self.groups()
        if not groups:
            return NOTHING
        legend = ("Each number is the busy time in percent. ✕ expected, but not there; – not known; framed: health below 100, thick: 40 or less. "
                  "A driver that has lost a device may number the others differently.")
        if sum(len(devices) + missing + unseen for devices, missing, unseen in groups.values()) > GRID_DEVICES or len(groups) > GRID_NODES:
            return section("Every node", *self.racks(groups), note=legend)
        rows = [(key, self.slots(*group)) for key, group in groups.items()]
        vendors = len({vendor for _cluster, _node, vendor in groups}) > 1
        width = max(len(cells) for _key, cells in rows)
        body = [[tag("th", self.named({"cluster": cluster, "node": node}) + (f" {vendor}" if vendors else ""), scope="row"), *cells]
                for (cluster, node, vendor), cells in rows]
        return section("Every device", table(["Node", *map(str, range(width))], body, class_="grid"), note=legend)

    def racks(self, groups):
        """A cell for each node, by cluster and rack; those that matter least are left out where there are too many."""
        cells = []
        for (cluster, node, vendor), (devices, missing, unseen) in groups.items():
            loads, health = known(devices, "utilization"), min(known(devices, "health"), default=None)
            title = f"{node} {vendor}: {NONE if unseen else len(devices)} there, {missing} missing, hottest " \
                    f"{written(max(known(devices, 'temperature'), default=None), 'celsius')}, health {written(health, 'score')}"
            load = sum(loads) / len(loads) if loads else None
            piece = tag("span", "✕", class_="gone", title=title) if missing else self.cell("span", load, health, title)
            cells.append(((not missing, 101 if health is None else health), (cluster, devices[0].get("rack", "") if devices else ""), piece))
        kept = set(sorted(range(len(cells)), key=lambda place: cells[place][0])[:GRID_CELLS])
        racks = {}
        for place, (_rank, rack, piece) in enumerate(cells):
            if place in kept:
                racks.setdefault(rack, []).append(piece)
        rest = len(cells) - len(kept)
        for (cluster, rack), pieces in sorted(racks.items(), key=lambda item: [natural(part) for part in item[0]]):
            title = ", ".join(part for part in (cluster if self.several else "", f"rack {rack}" if rack else "") if part)
            yield joined([tag("h3", title) if title else "", tag("div", *pieces, class_="cells")])
        if rest:
            yield tag("p", f"and {rest:,} more", class_="muted")

    def trends(self):
        """The last day, by cluster and vendor."""
        views = self.views["trends"]

        def plot(line, name):
            view, values = views[name], [value for value in line[name] if value is not None]
            if not values:
                return NONE
            span = f"{written(min(values), view['unit'])} to {written(max(values), view['unit'])}, last {written(values[-1], view['unit'])}"
            return joined([spark(line[name], f"{view['title']}: {span}", view.get("least"), view.get("most")), tag("small", span)])

        def row(line):
            energy = line["energy_joules"]
            return [tag("th", line["cluster"], " " if line["cluster"] else "", line["vendor"], scope="row"), *(plot(line, name) for name in views),
                    number(energy, "joules")]

        if not self.document["trends"]["lines"]:
            return NOTHING
        rows, rest = listed("trends", self.document["trends"]["lines"], row)
        return section("The last 24 hours", table(["Cluster", *(view["title"] for view in views.values()), *heads("Energy")], rows), rest,
                       note=f"A point for every {self.views['step']}, the last one at {errors.moment(self.document['trends']['times'][-1])}.")

    def device_table(self):
        """Devices with all of their readings."""
        views = self.views["devices"]

        def row(device):
            return [tag("th", self.named(device), scope="row"), plain(device.get("model", NONE), NAME),
                    *(number(device[name], view["unit"], grade(device[name], view)) for name, view in views.items()), ", ".join(device.get("faults", ()))]

        if not self.devices:
            return NOTHING
        rows, rest = listed("devices", self.devices, row)
        return section("Devices", table(["Device", "Model", *heads(*(view.get("short", view["title"]) for view in views.values())), "Not well"], rows), rest,
                       note="The worst first: by health, then by readings that are marked.")

    def models(self):
        """What there is of each model."""
        found = {}
        for device in self.devices:
            found.setdefault((device["vendor"], plain(device.get("model", NONE), NAME)), []).append(device)

        def row(item):
            (vendor, model), devices = item
            loads = known(devices, "utilization")
            busy = sum(load >= self.views["busy"] for load in loads) if loads else None
            memory, power = known(devices, "memory"), known(devices, "power")
            return [tag("th", model, scope="row"), vendor, number(len(devices), "count"), number(busy, "count"),
                    number(None if busy is None else len(loads) - busy, "count"), number(sum(memory) / len(memory) if memory else None, "ratio"),
                    number(sum(power) if power else None, "watts")]

        if not found:
            return NOTHING
        rows, rest = listed("models", sorted(found.items(), key=lambda item: (-len(item[1]), item[0])), row)
        return section("Models", table(["Model", "Vendor", *heads("Present", "Busy", "Idle", "Memory in use", "Power")], rows), rest)

    def errors(self):
        """Error codes of devices, and what they mean."""
        def row(error):
            code = explained(error["kind"], error["code"])
            last = NONE if error["last"] is None else errors.moment(error["last"])
            return [tag("td", code["name"], class_=code["mark"]), sentences(tag("b", code["title"]), code["meaning"], code["action"]), self.places(error),
                    number(error["count"], "count"), number(error["times"], "count"), tag("td", last, class_="number")]

        if not self.document["errors"]:
            return NOTHING
        rows, rest = listed("errors", self.document["errors"], row)
        titles = ["Code", "What it means, and what to do", "Where", *heads("Devices", "Times", "Last")]
        return section("Error codes of devices", table(titles, rows), rest, note=(
            "Of the last 24 hours. n/a: only an exporter has the code; it keeps it until the next one and does not say when it came."))

    def faults(self):
        """What makes the health of devices less than perfect."""
        components = {component["component"]: component for component in load("health")["components"]}

        def row(fault):
            why = components.get(fault["component"], {}).get(fault["grade"], {}).get("when", "")
            return [tag("td", fault["grade"], class_="critical" if fault["grade"] == "fatal" else "warning"), sentences(tag("b", fault["component"]), why),
                    self.places(fault), number(fault["count"], "count")]

        if not self.document["faults"]:
            return NOTHING
        rows, rest = listed("faults", self.document["faults"], row)
        return section("What is wrong with devices", table(["Grade", "Component, and why", "Where", *heads("Times")], rows), rest)

    def reading(self):
        """How to read the report."""
        terms = [*self.views["devices"].values(), *self.views["trends"].values()]
        return section("How to read this", tag("dl", tag("dt", NONE), tag("dd", "Not known: the device does not report it, or it could not be queried."),
                                               *(joined([tag("dt", view["title"]), tag("dd", view["help"])]) for view in terms)))

    def whole(self):
        """The page."""
        document = self.document
        where = f"{errors.moment(document['at'])}, as {document['monitoring_host']} sees it; " \
                f"cluster{'s' if self.several else ''} {', '.join(document['clusters']) or NONE}"
        body = [tag("h1", "Fleet report"), tag("p", where, class_="muted"), self.answer(), self.figures(), self.alerts(), self.nodes(), self.choices(),
                self.grid(), self.trends(), self.device_table(), self.models(), self.faults(), self.errors(), self.reading()]
        return skeleton("Fleet report", body)


def known(devices, name):
    """The values that are known."""
    return [device[name] for device in devices if device[name] is not None]


def explained(kind, code):
    """{"name", "title", "meaning", "action", "mark"} of an error code, which may be anything: it comes from a node."""
    try:
        found = errors.explain(f"{kind} {code}")
    except Problem:
        return {"name": f"{kind} {code}", "title": "Unknown code", "meaning": "", "action": load("errors")["actions"]["look_up"], "mark": "warning"}
    return {"name": errors.heading(found), "title": found["title"], "meaning": found["meaning"],
            "action": next((action for action in found["actions"] if action != errors.FIRST), ""),
            "mark": {"critical": "critical", "warning": "warning"}.get(found["severity"], "")}


def page(document):
    """Text of the page."""
    return Page(document).whole()
