# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What real storages answer to the committed dashboards.

Stubbed: the nodes, of which dashboards.yml has what would be scraped, and the rule evaluator: the recording layer is asked of VictoriaMetrics as range
queries, and written to both storages.
"""

import contextlib
import json
import math
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.error_series import INFO
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups
from dashboards import RANGE, STEP, boards, expressions, filled, panels
import expositions
import live

# The fixtures have a sample for each of so many minutes, and one more. The plots show the second half: rates need a past.
MINUTES = RANGE // 60
VALUE = re.compile(r"(@)?([-+]?[\d.e]+)([-+][\d.]+)?(?:x\d+)?(?: since (\d+))?$")
MOST_LINES = 60
PATIENCE = 60


def fixtures():
    """What the fixtures hold."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "dashboards.yml"), encoding="utf-8") as handle:
        return yaml.safe_load(handle)


def samples(end, stragglers):
    """{series as text: [value at each of the minutes until the end]}. stragglers: series of a case that shows some."""
    found, made = fixtures(), {}
    texts = {**stragglers, **found["series"]}
    for scrape in found["scrapes"]:
        texts.update(expositions.series(expositions.page(scrape["page"]), scrape["job"], scrape["target"]))
    for series, text in texts.items():
        at, first, slope, since = VALUE.match(text).groups()
        made[series] = [(end if at else 0) + float(first) + float(slope or 0) * minute if minute >= int(since or 0) else None
                        for minute in range(MINUTES + 1)]
    return made


class Storage:
    """A storage that answers queries."""

    def __init__(self, url):
        self.url = url

    def ask(self, path, **parameters):
        """The data of an answer."""
        body = urllib.parse.urlencode(parameters).encode()
        try:
            with urllib.request.urlopen(self.url + path, body, timeout=PATIENCE) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode(errors='replace')[:500]}") from error

    def values(self, expression, end, instant):
        """{labels: [(time, value)]} of a query."""
        if instant:
            # Not a whole minute: Prometheus 2 counts both ends of a window.
            result = self.ask("/api/v1/query", query=expression, time=end + 7)["result"]
        else:
            result = self.ask("/api/v1/query_range", query=expression, start=end - RANGE // 2, end=end, step=STEP, nocache=1)["result"]
        return {tuple(sorted((label, value) for label, value in series["metric"].items() if label != "__name__")):
                [(moment, float(value)) for moment, value in series.get("values") or [series["value"]]] for series in result}


def lines(series, end):
    """The samples as lines of an exposition, with times in seconds."""
    return [f"{name} {value!r} {end - 60 * (MINUTES - minute)}" for name, values in series.items() for minute, value in enumerate(values) if value is not None]


def import_into(storage, made, end):
    """Write samples to VictoriaMetrics."""
    text = "".join(f"{line}000\n" for line in lines(made, end))
    urllib.request.urlopen(storage.url + "/api/v1/import/prometheus", text.encode(), timeout=PATIENCE).close()
    urllib.request.urlopen(storage.url + "/internal/force_flush", timeout=PATIENCE).close()


def evaluated(storage, end):
    """What the recording layer makes of the samples, one group after the other, as in samples(): the rules of a group may read those before it.

    That both engines evaluate the rules alike is proven by the cases.
    """
    whole = {}
    for group in recording_groups("1m"):
        made = {}
        for rule in group["rules"]:
            if rule["record"] == INFO:
                made[as_text(INFO, rule["labels"])] = [1.0] * (MINUTES + 1)
                continue
            found = storage.ask("/api/v1/query_range", query=rule["expr"], start=end - 60 * MINUTES, end=end, step=60, nocache=1)["result"]
            for series in found:
                labels = {**{label: value for label, value in series["metric"].items() if label != "__name__"}, **rule.get("labels", {})}
                known = {int(moment): float(value) for moment, value in series["values"]}
                made[as_text(rule["record"], labels)] = [known.get(end - 60 * (MINUTES - minute)) for minute in range(MINUTES + 1)]
        import_into(storage, made, end)
        whole.update(made)
    return whole


def as_text(name, labels):
    """A series as an exposition has it."""
    escaped = {label: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for label, value in labels.items()}
    return "%s{%s}" % (name, ",".join(f'{label}="{escaped[label]}"' for label in sorted(escaped)))


@contextlib.contextmanager
def storages(programs, folder, stragglers):
    """(VictoriaMetrics, Prometheus with the same samples, the time of the last one)."""
    end = int(time.time()) // 3600 * 3600 - 3600
    programs.path("prometheus")
    port, other = live.free_port(), live.free_port()
    with live.running(folder, "victoria-metrics", programs.path("victoria-metrics"), f"-httpListenAddr=127.0.0.1:{port}",
                      f"-storageDataPath={folder}/vm", "-retentionPeriod=1y", "-search.disableCache"):
        first = Storage(f"http://127.0.0.1:{port}")
        ready(first, "/health")
        made = samples(end, stragglers)
        import_into(first, made, end)
        made.update(evaluated(first, end))
        # The samples of a family have to be together.
        text = "\n".join(lines(dict(sorted(made.items(), key=lambda item: item[0].partition("{"))), end)) + "\n# EOF\n"
        with open(os.path.join(folder, "samples"), "w", encoding="utf-8") as handle:
            handle.write(text)
        programs.run("promtool", "tsdb", "create-blocks-from", "openmetrics", os.path.join(folder, "samples"), os.path.join(folder, "prometheus"))
        with open(os.path.join(folder, "prometheus.yml"), "w", encoding="utf-8") as handle:
            handle.write("scrape_configs: []\n")
        with live.running(folder, "prometheus-log", programs.path("prometheus"), f"--config.file={folder}/prometheus.yml",
                          f"--storage.tsdb.path={folder}/prometheus", f"--web.listen-address=127.0.0.1:{other}"):
            second = Storage(f"http://127.0.0.1:{other}")
            ready(second, "/-/ready")
            yield first, second, end


def ready(storage, path):
    """Wait until a storage answers."""
    last = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(storage.url + path, timeout=5).close()
            return
        except OSError as error:
            assert time.monotonic() < last, f"{storage.url}: {error}"
            time.sleep(0.1)


def differences(one, other):
    """What two answers do not have in common."""
    if set(one) != set(other):
        return [f"only one has {dict(labels)}" for labels in sorted(set(one) ^ set(other))]
    found = []
    for labels, values in one.items():
        if [moment for moment, _value in values] != [moment for moment, _value in other[labels]]:
            found.append(f"{dict(labels)}: {len(values)} points, then {len(other[labels])}")
        elif not all(math.isclose(value, same, rel_tol=1e-6, abs_tol=1e-9) for (_at, value), (_then, same) in zip(values, other[labels])):
            found.append(f"{dict(labels)}: {values[-1][1]!r}, then {other[labels][-1][1]!r}")
    return found


def answered(programs, folder, stragglers):
    """Every panel and variable has data, the same from both storages, and no plot has more lines than can be told apart."""
    wrong = []
    with storages(programs, folder, stragglers) as (first, second, end):
        for name, board in boards().items():
            asked = [(who, expression, True) for who, expression in expressions(board) if who.startswith("$")]
            asked += [(f"{panel['title']} {target['refId']}", target["expr"], target["instant"]) for panel in panels(board) for target in panel["targets"]]
            asked += [(annotation["name"], annotation["expr"], False) for annotation in board["annotations"]["list"]]
            for who, expression, instant in asked:
                query = filled(expression, {})
                one, other = first.values(query, end, instant), second.values(query, end, instant)
                found = differences(one, other)[:3] if one else ["no data"]
                found += [f"{len(one)} lines"] if not instant and len(one) > MOST_LINES else []
                wrong += [f"{name}, {who}: {what}\n  {query}" for what in found]
            for panel in panels(board):
                wrong += [f"{name}, {panel['title']}: its rows have {label}, which is no column" for label in strays(panel, first, end)]
    assert not wrong, "\n".join(wrong)


def strays(panel, storage, end):
    """Labels of a table's rows that are no columns of it: rows of two queries that differ in one do not become one row."""
    if panel["type"] != "table" or panel["transformations"][0]["id"] != "merge":
        return []
    rows = [set(series["metric"]) for target in panel["targets"]
            for series in storage.ask("/api/v1/query", query=filled(target["expr"], {}), time=end + 7)["result"]]
    return sorted(set().union(*rows) - set(panel["transformations"][1]["options"]["renameByName"]))
