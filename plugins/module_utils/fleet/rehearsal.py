# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What alerts would have done over the stored past, beside what those that are loaded did: pure functions, but for `rehearse`, which asks the storage.

A rule: {"alert", "expr", "for": seconds, "severity"}; one as it would be also has "rehearsed": the expression without what only the registry of
the future will tell. An alert has several rules if hosts have settings of their own.
"""
import re
import time

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.verdict import aligned

# Steps of all questions about one alert at most, of one question, and of the first one, when nobody knows how many series come back.
MOST_STEPS, LONGEST, FIRST = 100000, 1440, 60
# Samples that one answer may have, judged by the series of the one before.
SAMPLES = 200000
# Places of an alert that are listed: those where it fired longest.
PLACES, SHOWN = 20, 3
HOUR = 3600


class Episodes(object):
    """How often and how long an alert fires at each set of labels; moments come in order, in steps."""

    def __init__(self, wait, step):
        self.wait, self.step = wait, step
        self.found = {}

    def add(self, labels, moments):
        """Moments at which the expression holds for the labels."""
        place = self.found.setdefault(tuple(sorted(labels.items())), {"since": None, "last": None, "firing": False, "times": 0, "seconds": 0})
        for moment in moments:
            if place["last"] is None or moment - place["last"] > 1.5 * self.step:
                place["since"], place["firing"] = moment, False
            place["last"] = moment
            if moment - place["since"] >= self.wait:
                place["times"] += not place["firing"]
                place["firing"] = True
                place["seconds"] += self.step

    def fired(self):
        """[(seconds, times, labels)] of where it fired."""
        return [(place["seconds"], place["times"], labels) for labels, place in self.found.items() if place["times"]]


def told(found):
    """{"times", "seconds", "places": [{"labels", "times", "seconds"}], "more": places that are not listed}, of what `fired` gives."""
    found = sorted(found, key=lambda one: (-one[0], one[2]))
    return {"times": sum(times for _seconds, times, _labels in found), "seconds": sum(seconds for seconds, _times, _labels in found),
            "places": [{"labels": dict(labels), "times": times, "seconds": seconds} for seconds, times, labels in found[:PLACES]],
            "more": max(0, len(found) - PLACES)}


def alike(some, others, layout):
    """Whether an alert's rules fire at the same times as others, in any order: vmalert sorts the groups that they are in.

    layout: function that gives an expression in one layout: Prometheus has its own
    """
    def bare(expression):
        return re.sub(r"\s+", "", expression)

    def equal(one, other):
        return one["for"] == other["for"] and (bare(one["expr"]) == bare(other["expr"]) or bare(layout(one["expr"])) == bare(layout(other["expr"])))
    rest = list(others)
    for one in some:
        same = next((other for other in rest if equal(one, other)), None)
        if same is None:
            return False
        rest.remove(same)
    return not rest


def severities(rules):
    """The severities of an alert as text."""
    return "/".join(sorted(set(rule["severity"] for rule in rules)))


def by_alert(rules):
    """{alert: [rule]}."""
    found = {}
    for rule in rules:
        found.setdefault(rule["alert"], []).append(rule)
    return found


def pairs(wanted, loaded, names, layout):
    """[(alert, change, loaded rules, wanted rules)] of these alerts; without names, of all that would change.

    change: "changed", "severity", "new", "removed" or "same"
    """
    before, after = by_alert(loaded), by_alert(wanted)
    found = []
    for alert in sorted(set(before) | set(after)):
        now, then = before.get(alert, []), after.get(alert, [])
        if names and alert not in names:
            continue
        if not now or not then:
            change = "removed" if now else "new"
        elif not alike(now, then, layout):
            change = "changed"
        else:
            change = "same" if severities(now) == severities(then) else "severity"
        if names or change != "same":
            found.append((alert, change, now, then))
    return found


def span(days, step, now):
    """(first moment, last moment) of the past, whole steps. Raises Failure."""
    count = days * 24 * HOUR // step
    if count > MOST_STEPS:
        raise Failure("accelmon_rehearse_step = %ds: %d days are %d steps, and %d is the limit; give a longer step or fewer days"
                      % (step, days, count, MOST_STEPS))
    last = int(now) // step * step
    return last - count * step, last


def episodes(ask, rules, first, last, step, wanted):
    """The `told` of an alert's rules over the past.

    ask: function of (expression, first, last, step) that gives [(labels, moments)]; wanted: function of labels, whether to count them
    """
    fired = []
    for rule in rules:
        found = Episodes(rule["for"], step)
        start, count = first, FIRST
        while start <= last:
            end = min(last, start + (count - 1) * step)
            series = ask(rule.get("rehearsed", rule["expr"]), start, end, step)
            for labels, moments in series:
                if wanted(labels):
                    found.add(labels, moments)
            start, count = end + step, max(10, min(LONGEST, SAMPLES // max(1, len(series))))
        fired += found.fired()
    return told(fired)


def selected(clusters, hosts):
    """Function of labels: whether they are of these clusters and hosts; None and an empty list mean all."""
    return lambda labels: (not clusters or labels.get("cluster") in clusters) and (hosts is None or labels.get("node") in hosts)


def hours(seconds):
    """A time as text, as in 3h05m."""
    return "%dh%02dm" % (seconds // HOUR, seconds % HOUR // 60) if seconds >= HOUR else "%dm" % -(-seconds // 60)


def cells(did):
    """The three cells of a table of what an alert did."""
    if did is None:
        return ["-", "-", "-"]
    return ["%d" % did["times"], hours(did["seconds"]), "%d" % (len(did["places"]) + did["more"])]


def where(labels):
    """The labels of a place as one line; a node may have chosen some of them."""
    return query.one_line(", ".join("%s=%s" % pair for pair in sorted(labels.items()))) or "the whole fleet"


def table(rows):
    """The rows as text; "" without rows."""
    if not rows:
        return ""
    text = aligned([["ALERT", "SEVERITY", "CHANGE", "NOW: TIMES", "TIME", "PLACES", "WOULD BE: TIMES", "TIME", "PLACES"]] + [
        [row["alert"], row["severity"], row["change"]] + cells(row["now"]) + cells(row["then"]) for row in rows])
    for row in rows:
        places = row["then"]["places"] if row["then"] else []
        if places:
            text += "\n\n%s would have fired longest at:" % row["alert"]
            for place in places[:SHOWN]:
                text += "\n  %s, %d time(s): %s" % (hours(place["seconds"]), place["times"], where(place["labels"]))
    return text


def rehearse(wanted, names, days, step, urls, timeout, access, clusters=(), hosts=None, now=None, rest=time.sleep):
    """The result of fleet_rehearsal_info. After each question the storage rests for as long as the answer took.

    wanted: rules as they would be; urls, access: {"storage", "rules"}
    """
    problems, notes, rows = [], [], []

    def ask(expression, start, end, width):
        began = time.time()
        found = query.range_query(urls["storage"], expression, timeout, start, end, width, access["storage"])
        rest(time.time() - began)
        return [(labels, [moment for moment, _value in samples]) for labels, samples in found]

    try:
        first, last = span(days, step, time.time() if now is None else now)
        planned = pairs(wanted, query.loaded_alerts(urls["rules"], timeout, access["rules"]), names,
                        lambda expression: query.formatted(urls["storage"], expression, timeout, access["storage"]))
        stored = [moment for _labels, moments in ask("count(up)", first, last, HOUR) for moment in moments] if planned else [first]
    except Failure as error:
        return {"rows": [], "table": "", "notes": [], "problems": [str(error)]}
    if not planned:
        notes.append("no alert would change; name alerts in accelmon_rehearse_alerts to see how often they fired")
    if not stored:
        problems.append("the storage has no samples of the last %d days" % days)
        planned = []
    elif min(stored) > first + HOUR:
        notes.append("the storage has %s of the last %d days" % (hours(last - min(stored)), days))
    counts = selected(clusters, hosts)
    for alert, change, before, after in planned:
        row = {"alert": alert, "severity": severities(after or before), "change": change, "now": None, "then": None}
        try:
            if before:
                row["now"] = episodes(ask, before, first, last, step, counts)
            if after:
                row["then"] = row["now"] if change in ("same", "severity") else episodes(ask, after, first, last, step, counts)
        except Failure as error:
            problems.append("%s: %s" % (alert, error))
        rows.append(row)
    return {"rows": rows, "table": table(rows), "notes": notes, "problems": problems}
