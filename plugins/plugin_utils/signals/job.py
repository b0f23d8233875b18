# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a job: what is asked for it, and its page and text, made like the fleet's report and of the same pieces.

document: what fleet_job_info returned. Ids, users and models come from schedulers and nodes, and are shown as text whatever they contain.
"""
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.verdict import aligned
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.job import throttled
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.rehearsal import hours
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.verdict import natural
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import alerts, errors
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.html import NOTHING, joined, plain, spark, table, tag
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import EVENLY
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.report import (
    MARKS, NAME, NONE, explained, grade, heads, listed, number, place_name, places_of, section, sentences, skeleton, written)

ANSWERS = {"good": "Yes: its devices were busy and well.", "warning": "Mostly. Some things need a look.", "critical": "No. Something went wrong.",
           "unknown": "Not known. The report is incomplete."}
# Devices of the text, which is for a mail.
MOST = 8
WORDS = {"idle": "idle", "half": "half used", "busy": "busy", None: NONE}


def views(interval="15s"):
    """What fleet_job_info asks the storage, at this scrape interval."""
    found, fleet, spec = load("job_views"), load("views"), load("series")["slow"]["stragglers"]

    def resolved(view):
        of = fleet["devices"][view["of"]] if "of" in view else {}
        asked = view.get("query") or of.get("query") or alerts.reading(view["reading"], "", interval, ["@nodes@"])
        return {**of, **view, "query": f"{asked} < bool {fleet['busy']}" if view.get("idle") else asked}

    made = {part: {name: resolved(view) for name, view in found[part].items()} for part in ("devices", "lines")}
    names = {view["query"]: name for name, view in made["devices"].items() if view["over"] != "sum"}
    readings = []
    for reading in spec["readings"]:
        matchers = [f'{label}="{value}"' for label, value in reading.get("variant", {}).items()] + ["@nodes@"]
        readings.append({"view": names[f"{reading['of']}{{{','.join(matchers)}}}"], "side": reading["side"], "least": reading["least"]})
    return {**found, **made, "busy": fleet["busy"], "apart": {
        "load": spec["load"], "peers": spec["peers"], "deviations": spec["deviations"], "evenly": float(EVENLY), "readings": readings}}


def owner(job):
    """Whose job it is, as far as that is known."""
    more = ", ".join(f"{name} {job[name]}" for name in ("account", "partition") if job[name])
    return (f" of {job['user']}" if job["user"] else "") + (f" ({more})" if more else "")


def times(job):
    """When it ran."""
    begin, length = errors.moment(job["begin"]), hours(job["seconds"])
    begin = f"{begin} or earlier" if job["longer"] else begin
    return f"since {begin}, {length} until now" if job["running"] else f"from {begin} to {errors.moment(job['end'])}, {length}"


def size(document):
    """How many devices it has."""
    found = document["totals"]
    return f"{found['devices']:,} device{'' if found['devices'] == 1 else 's'} on {found['nodes']:,} node{'' if found['nodes'] == 1 else 's'}"


def rank(row):
    """Sort key of devices, those first that need a look most."""
    return (row["seen"] is not None and row["seen"] >= row["held"], {"idle": 0, "half": 1}.get(row["use"], 2), -len(row["apart"]), -(throttled(row) or 0),
            *(natural(row[name]) for name in ("node", "index", "uuid")))


def remarks(row, shown):
    """What is to be said of a device. shown: the views"""
    found = [WORDS[row["use"]]] if row["use"] in ("idle", "half") else []
    if row["seen"] is not None and row["held"] - row["seen"] > shown["notable"] * row["held"]:
        found.append("no reading" if not row["seen"] else f"not seen for {hours(row['held'] - row['seen'])}")
    for one in row["apart"]:
        view = shown["devices"][one["reading"]]
        found.append(f"{view['title'].lower()} {written(one['value'], view['unit'])}, others {written(one['median'], view['unit'])}")
    return found


def lines(document):
    """The report as lines of text, for a terminal or a mail."""
    job, found, shown = document["job"], document["totals"], views()
    rows = sorted(document["devices"], key=rank)
    text = [f"Job {job['id']}{owner(job)}, cluster {job['cluster']}", times(job)]
    text.append(f"{size(document)}: busy {written(found['utilization'], 'ratio')}, peak memory {written(found['memory'], 'ratio')}, "
                f"{written(found['power'], 'watts')}, {written(found['energy'], 'joules')}")
    text += ["", ANSWERS[document["answer"]["state"]], *(f"* {reason}" for reason in document["answer"]["reasons"]), ""]
    columns = ("utilization", "idle", "memory", "power", "energy", "temperature")
    cells = [["DEVICE", *(shown["devices"][name].get("short", shown["devices"][name]["title"]).upper() for name in columns), "THROTTLED", ""]]
    for row in rows[:MOST]:
        cells.append([place_name(row, False), *(written(row[name], shown["devices"][name]["unit"]) for name in columns),
                      written(throttled(row), "ratio"), ", ".join(remarks(row, shown))])
    text += [line.rstrip() for line in aligned([[errors.printable(cell) for cell in line] for line in cells]).splitlines()]
    text += [f"and {len(rows) - MOST:,} more"] if len(rows) > MOST else []
    return [errors.printable(line) for line in text]


class Page:
    """One report. Each part is a method that gives a piece, which is empty where there is nothing to show."""

    def __init__(self, document):
        self.document, self.views = document, views()

    def answer(self):
        """Whether it used its devices, and whether they were well."""
        found = self.document["answer"]
        reasons = tag("ul", *(tag("li", reason) for reason in found["reasons"])) if found["reasons"] else NOTHING
        return tag("div", tag("p", "Did the job use its devices, and were they well?"), tag("b", ANSWERS[found["state"]]), reasons,
                   class_=f"answer {found['state']}")

    def figures(self):
        """The job in a few numbers."""
        found = self.document["totals"]
        idle, half = (written(self.views[name], "ratio") for name in ("busy", "half"))
        shown = [
            (size(self.document), "that the job had", ""),
            (written(found["utilization"], "ratio"), "busy, average of its devices", ""),
            (written(found["idle"], "count"), f"idle: busy for less than {idle} of the time", "warning" if found["idle"] else ""),
            (written(found["half"], "count"), f"half used: busy for less than {half}", "warning" if found["half"] else ""),
            (written(found["memory"], "ratio"), "peak memory of a device", ""),
            (written(found["power"], "watts"), "average power of its devices", ""),
            (written(found["energy"], "joules"), "energy", ""),
            (hours(found["device_seconds"]), "of device time", ""),
        ]
        return tag("div", *(tag("div", tag("b", value, class_=mark), what) for value, what, mark in shown), class_="figures")

    def trends(self):
        """The job's time, of all of its devices."""
        found = self.document["lines"]

        def row(name, view):
            values = [value for value in found[name] if value is not None]
            if not values:
                return [tag("th", view["title"], scope="row"), NONE, NONE]
            span = f"{written(min(values), view['unit'])} to {written(max(values), view['unit'])}"
            return [tag("th", view["title"], scope="row"), spark(found[name], f"{view['title']}: {span}", view.get("least"), view.get("most")), span]

        return section("The job's time", table(["Reading", "Line", "From least to most"], [row(name, view) for name, view in self.views["lines"].items()]))

    def alerts(self):
        """What fired for its devices and nodes."""
        known = {alert["alert"] for alert in load("alerts")["alerts"]}

        def row(alert):
            advice = f"explain.yml -e accelmon_explain={alert['name']} says what to do." if alert["name"] in known else ""
            mark = {"critical": "critical", "info": ""}.get(alert["severity"], "warning")
            return [tag("td", alert["severity"] or NONE, class_=mark), sentences(tag("b", alert["name"]), advice), places_of(alert, False),
                    number(alert["count"], "count"), tag("td", hours(alert["seconds"]), class_="number")]

        if not self.document["alerts"]:
            return NOTHING
        rows, rest = listed("alerts", self.document["alerts"], row)
        return section("Alerts", table(["Severity", "Alert", "Where", *heads("Times", "Longest")], rows), rest,
                       note="Those of its devices and nodes, until five minutes after the end.")

    def errors(self):
        """Error codes of its devices and nodes."""
        def row(error):
            code = explained(error["kind"], error["code"])
            return [tag("td", code["name"], class_=code["mark"]), sentences(tag("b", code["title"]), code["meaning"], code["action"]),
                    places_of(error, False), number(error["times"], "count"), tag("td", errors.moment(error["last"]), class_="number")]

        if not self.document["errors"]:
            return NOTHING
        rows, rest = listed("errors", self.document["errors"], row)
        return section("Error codes of its devices", table(["Code", "What it means, and what to do", "Where", *heads("Times", "Last")], rows), rest)

    def devices(self):
        """Devices with all of their readings."""
        rows = self.document["devices"]
        shown = {name: view for name, view in self.views["devices"].items() if any(row[name] is not None for row in rows)}

        def cells(device):
            marks = {**{name: grade(device[name], view) for name, view in shown.items()}, **{one["reading"]: "warning" for one in device["apart"]}}
            marks["utilization"] = MARKS["notice"] if device["use"] in ("idle", "half") else ""
            return [tag("th", place_name(device, False), scope="row"), ", ".join(remarks(device, self.views)), plain(device["model"] or NONE, NAME),
                    tag("td", hours(device["held"]), class_="number"), *(number(device[name], view["unit"], marks[name]) for name, view in shown.items())]

        rows, rest = listed("devices", sorted(rows, key=rank), cells)
        titles = [view.get("short", view["title"]) for view in shown.values()]
        return section("Devices", table(["Device", "Remarks", "Model", *heads("Held", *titles)], rows), rest, note=(
            "Those first that need a look; without readings that none of them has. "
            "A device is compared with the busy ones of the same model that the job has, if these are four or more."))

    def models(self):
        """Its devices beside those of others."""
        names = self.views["peers"]

        def row(model):
            cells = []
            for name in names:
                unit, both = self.views["devices"][name]["unit"], model[name]
                cells.append(tag("td", f"{written(both['job'], unit)} / {written(both['others'], unit)}", class_="number"))
            return [tag("th", plain(model["model"] or NONE, NAME), scope="row"), model["vendor"], number(model["devices"], "count"), *cells]

        if not self.document["models"]:
            return NOTHING
        rows, rest = listed("models", self.document["models"], row)
        titles = [load("views")["devices"].get(name, self.views["devices"][name])["title"] for name in names]
        return section("Beside other jobs", table(["Model", "Vendor", *heads("Devices", *titles)], rows), rest, note=(
            "Medians at a few moments of the job: of its own devices / of busy devices of the same model in the cluster that it did not have."))

    def reading(self):
        """How to read the report."""
        return section("How to read this", tag("dl", tag("dt", NONE), tag("dd", "Not known: the device does not report it, or it could not be queried."),
                                               *(joined([tag("dt", view["title"]), tag("dd", view["help"])]) for view in self.views["devices"].values())))

    def whole(self):
        """The page."""
        document = self.document
        job = document["job"]
        where = f"cluster {job['cluster']}, {times(job)}; as {document['monitoring_host']} saw it at {errors.moment(document['at'])}"
        earlier = NOTHING
        if job["earlier"]:
            earlier = tag("p", "A job with this id ran before: " + ", ".join(
                f"{errors.moment(begin)} to {errors.moment(end)}" for begin, end in job["earlier"][-MOST:]) + ", to the hour.", class_="muted")
        title = f"Job {plain(job['id'], NAME)}"
        return skeleton(title, [tag("h1", title, plain(owner(job), NAME)), tag("p", where, class_="muted"), earlier, self.answer(), self.figures(),
                                self.alerts(), self.errors(), self.trends(), self.devices(), self.models(), self.reading()])


def page(document):
    """Text of the page."""
    return Page(document).whole()
