# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of a Grafana dashboard as plain data: targets, panels, variables, and where panels lie."""

import itertools

from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.palette import HEAT

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA_VERSION = 42
TAG = "accelmon"
COLUMNS = 24
CLOSED = "closed"  # of a row
# Colours that differ for everybody, close to Okabe and Ito's: of values and lines, which can be read on light and on dark ground. The theme's own for what
# has no meaning.
GOOD, NOTICE, ALARM, PLAIN, REFERENCE = "#009E73", "#B87A00", "#D55E00", "text", "#8C8C8C"
# The same as the ground of a cell or a bar, on which Grafana writes in black where it is bright, else in white.
GROUNDS = {GOOD: "#00694C", NOTICE: "#F0C84B", ALARM: "#A3180F", PLAIN: "transparent"}
# Widths of columns that need no more, or more than others.
WIDTHS = {"index": 70, "rack": 80, "vendor": 100, "model": 200, "severity": 100, "alertname": 260, "action": 420, "title": 300, "uuid": 370, "reading": 270,
          "kind": 80, "code": 80, "component": 120}
# Of a column of dates, and at least of any other value: on a narrow screen, a table is scrolled sideways.
MOMENT, VALUE = 190, 100
# Columns of sentences.
WRAPPED = ("action",)
# Grafana's name of each unit of the views, and of those that only dashboards have.
UNITS = {"ratio": "percentunit", "celsius": "celsius", "watts": "watt", "score": "none", "count": "short", "bytes": "bytes", "hertz": "hertz",
         "bytes per second": "Bps", "per second": "cps", "exponent": "sci",
         "seconds": "s", "duration": "dtdurations", "moment": "dateTimeAsIso", "watt hours": "watth",
         "text": "string"}
# What a table calls the labels.
HEADS = {"cluster": "Cluster", "rack": "Rack", "node": "Node", "index": "Index", "vendor": "Vendor", "model": "Model"}
# A node or a device in a legend; index 0 is on every node.
NODE_LEGEND, DEVICE_LEGEND = "{{node}}", "{{node}} {{vendor}} {{index}}"
NOTHING = "n/a"
# Of a table that lists what is not as it has to be.
NONE = "none found"
# Grafana paints what has no value like the lowest one: a cell, or a number, which keeps the text that the panel has for nothing.
UNKNOWN = [{"type": "special", "options": {"match": "null+nan", "result": {"text": NOTHING, "color": GROUNDS[PLAIN], "index": 9}}}]
UNCOLOURED = [{"type": "special", "options": {"match": "null+nan", "result": {"color": PLAIN, "index": 9}}}]


def target(expr, legend=""):
    """A query over the time range."""
    return {"datasource": DATASOURCE, "expr": expr, "format": "time_series", "instant": False, "range": True, "legendFormat": legend, "editorMode": "code"}


def now(expr, legend=""):
    """A query for the end of the time range."""
    return {**target(expr, legend), "instant": True, "range": False}


def rows(expr):
    """The same, as rows of a table."""
    return {**now(expr), "format": "table"}


def steps(*bounds, first=GOOD):
    """Thresholds: the colour below the first bound, then (bound, colour)."""
    return {"mode": "absolute", "steps": [{"value": None, "color": first}, *({"value": bound, "color": colour} for bound, colour in bounds)]}


def marks(view):
    """Thresholds of a view of the catalogue: what is marked, and marked more."""
    if "notice" not in view:
        return steps(first=PLAIN)
    if view.get("lower"):
        # The bounds are the last values that are marked; scores are whole numbers.
        return steps((view["alarm"] + 1, NOTICE), (view["notice"] + 1, GOOD), first=ALARM)
    return steps((view["notice"], NOTICE), (view["alarm"], ALARM), first=PLAIN)


def grounds(thresholds):
    """The same thresholds for the ground of cells."""
    return {**thresholds, "steps": [{**step, "color": GROUNDS.get(step["color"], step["color"])} for step in thresholds["steps"]]}


def names(values):
    """Value mappings: {number: (text, colour)}."""
    return [{"type": "value", "options": {f"{number:g}": {"text": text, "color": GROUNDS.get(colour, colour), "index": place}
                                          for place, (number, (text, colour)) in enumerate(values.items())}}, *UNKNOWN]


def override(field, **properties):
    """Properties of one field; a dot in a property's name is written as two underscores."""
    return {"matcher": {"id": "byName", "options": field},
            "properties": [{"id": name.replace("__", "."), "value": value} for name, value in properties.items()]}


def panel(kind, title, about, targets, unit, size, options, custom=None, thresholds=None, overrides=(), **more):
    """Any panel. size: (width, height); about: what the reader has to know about it; more: of fields, such as max, or of the panel."""
    own = {key: more.pop(key) for key in ("transformations", "repeat", "repeatDirection", "interval") if key in more}
    return {
        "type": kind, "title": title, "description": about, "datasource": DATASOURCE, "transparent": False,
        "gridPos": {"x": 0, "y": 0, "w": size[0], "h": size[1]},
        "targets": [{"refId": chr(ord("A") + place), **one} for place, one in enumerate(targets)],
        "fieldConfig": {"defaults": {"unit": UNITS[unit], "noValue": NOTHING, "thresholds": thresholds or steps(first=PLAIN), "custom": custom or {}, **more},
                        "overrides": list(overrides)},
        "options": options, **own}


def stat(title, about, targets, unit="count", size=(4, 4), thresholds=None, **more):
    """A number; one for each target or series."""
    options = {"colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "textMode": "auto", "wideLayout": True,
               "percentChangeColorMode": "standard", "showPercentChange": False,
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return panel("stat", title, about, targets, unit, size, options, thresholds=thresholds, **{"mappings": UNCOLOURED, **more})


def lines(title, about, targets, unit, size=(8, 8), reference=(), thresholds=None, stack=False, style="line", **more):
    """Lines over time. reference: refIds of limits, which are dashed; thresholds are drawn as dashed lines too. style: line or bars"""
    custom = {"drawStyle": style, "lineWidth": 1, "fillOpacity": 60 if stack else 0, "showPoints": "auto", "spanNulls": False,
              "thresholdsStyle": {"mode": "dashed" if thresholds else "off"}, "stacking": {"mode": "normal" if stack else "none", "group": "A"}}
    dashed = [{"matcher": {"id": "byFrameRefID", "options": one}, "properties": [
        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}}, {"id": "color", "value": {"mode": "fixed", "fixedColor": REFERENCE}},
        {"id": "custom.hideFrom", "value": {"legend": True, "tooltip": False, "viz": False}}]}
        for one in reference]
    options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}, "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, about, targets, unit, size, options, custom, thresholds, dashed + list(more.pop("overrides", ())), **more)


def bars(title, about, targets, unit, thresholds=None, **more):
    """A bar for each series, as it is now."""
    options = {"displayMode": "basic", "orientation": "horizontal", "valueMode": "text", "showUnfilled": True, "minVizWidth": 8, "minVizHeight": 16,
               "namePlacement": "top", "sizing": "auto", "maxVizHeight": 300, "text": {"titleSize": 14, "valueSize": 14},
               "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return panel("bargauge", title, about, targets, unit, (8, 8), options, thresholds=thresholds, mappings=UNCOLOURED, **more)


def timeline(title, about, targets, size, mappings):
    """States over time."""
    options = {"mergeValues": True, "showValue": "auto", "alignValue": "left", "rowHeight": 0.9,
               "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}, "tooltip": {"mode": "single", "sort": "none"}}
    return panel("state-timeline", title, about, targets, "score", size, options, {"lineWidth": 0, "fillOpacity": 70}, mappings=mappings)


def link(board, *labels):
    """A link of a table to another board, for the row's labels."""
    chosen = "".join("&var-%s=${__data.fields.%s:percentencode}" % (label, HEADS[label]) for label in labels)
    return [{"title": "Show", "url": f"/d/{board}?${{datasource:queryparam}}&${{__url_time_range}}{chosen}", "targetBlank": False}]


PAINTED = {"type": "color-background", "mode": "basic"}


def column(title, unit="count", **properties):
    """How a value of a table is shown: (title, unit, further properties of the field)."""
    return title, unit, properties


def level(title):
    """A ratio as a small gauge."""
    return column(title, "ratio", custom__cellOptions={"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}, min=0, max=1)


def state(title, mappings):
    """A number that has a name."""
    return column(title, "score", mappings=mappings, custom__cellOptions=PAINTED)


def marked(title, unit, thresholds):
    """A value on the colour that it has earned."""
    return column(title, unit, thresholds=grounds(thresholds), mappings=UNKNOWN, custom__cellOptions=PAINTED)


def table(title, about, queries, labels, size=(24, 10), links=None, heads=None, sort=None, nothing=NOTHING):
    """A table: one row for each set of labels, one column for each query.

    queries: [(expression, column)]; the column of a query that only says which rows there are is None
    labels: those that are columns, in order; links: {label: link}; heads: titles of further labels; sort: a title
    nothing: what a table without rows says
    """
    heads = {**HEADS, **(heads or {})}
    # Grafana names the value of a single query without its letter.
    values = ["Value"] if len(queries) == 1 else [f"Value #{chr(ord('A') + place)}" for place in range(len(queries))]
    shown = {name: how for name, (_expr, how) in zip(values, queries) if how}
    columns = {"excludeByName": {"Time": True, **{name: True for name in values if name not in shown}}, "includeByName": {},
               "indexByName": {name: place for place, name in enumerate([*labels, *values])},
               "renameByName": {**{name: heads[name] for name in labels}, **{name: how[0] for name, how in shown.items()}}}
    overrides = value_overrides(shown.values()) + label_overrides(labels, heads, links or {})
    # A device that is not seen any more has no index.
    overrides += [override(heads[label], noValue=NOTHING) for label in labels if nothing != NOTHING]
    options = {"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": sort, "desc": True}] if sort else []}
    return panel("table", title, about, [rows(expr) for expr, _how in queries], "text", size, options,
                 {"align": "auto", "filterable": True, "minWidth": 60}, None, overrides, noValue=nothing, mappings=UNKNOWN,
                 transformations=[{"id": "merge", "options": {}}, {"id": "organize", "options": columns}])


def value_overrides(columns):
    """How the columns of values are shown."""
    found = [override(head, unit=UNITS[unit], custom__minWidth=VALUE, **properties) for head, unit, properties in columns]
    return found + [override(head, custom__width=MOMENT) for head, unit, _properties in columns if unit == "moment"]


def label_overrides(labels, heads, links):
    """How the columns of labels are shown."""
    found = [override(heads[label], custom__width=WIDTHS[label]) for label in labels if label in WIDTHS]
    found += [override(heads[label], custom__wrapText=True) for label in labels if label in WRAPPED]
    return found + [override(heads[label], links=link_to) for label, link_to in links.items()]


def grid(title, about, expr, unit, thresholds, board, size=(24, 8), **more):
    """One cell for each device, node by index; one grid for each cluster, as names of nodes are only unique within one."""
    corner = "node\\device"
    link_to = [{"title": "Show",
                "url": f"/d/{board}?${{datasource:queryparam}}&${{__url_time_range}}&${{cluster:queryparam}}&var-node=${{__value.text:percentencode}}",
                "targetBlank": False}]
    cells = f'max by (node, device) (label_join({expr}, "device", " ", "vendor", "index"))'
    transformations = [{"id": "groupingToMatrix", "options": {"rowField": "node", "columnField": "device", "valueField": "Value", "emptyValue": "null"}}]
    overrides = [override(corner, displayName="Node", links=link_to, custom__cellOptions={"type": "auto"}, custom__width=160, unit=UNITS["text"])]
    return panel("table", title, about, [rows(cells)], unit, size, {"showHeader": True, "cellHeight": "sm", "sortBy": []},
                 {"align": "center", "minWidth": 40, "cellOptions": PAINTED}, grounds(thresholds), overrides, mappings=UNKNOWN,
                 transformations=transformations, repeat="cluster", repeatDirection="v", **more)


def heat(bounds):
    """Thresholds in one hue, from little to much: more of something is not worse."""
    colours = [HEAT[0], HEAT[2], HEAT[7], HEAT[9]]
    return steps(*zip(bounds, colours[1:]), first=colours[0])


def source():
    """The variable of the data source; VictoriaMetrics is one of type Prometheus, too."""
    return {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "regex": "", "multi": False, "includeAll": False,
            "refresh": 1, "hide": 0, "skipUrlSync": False, "options": []}


def variable(name, series, several=True, everything=True, label=None):
    """A variable with the values that a label has; series: a selector."""
    query = f"label_values({series}, {name})"
    whole = {"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}} if everything else {}
    return {"type": "query", "name": name, "label": label or name.capitalize().replace("_", " "), "datasource": DATASOURCE,
            "query": {"query": query, "refId": name}, "definition": query, "refresh": 2, "sort": 7, "regex": "", "multi": several, "includeAll": everything,
            "hide": 0, "skipUrlSync": False, "options": [], **whole}


def board(uid, title, about, variables, sections, span="6h", annotations=()):
    """A dashboard. sections: [(title, panels)], each below a row with its title; with CLOSED behind them, they ask for nothing until the row is opened."""
    panels, top, places = [], 0, itertools.count(1)
    for heading, members, *closed in sections:
        row = {"id": next(places), "type": "row", "title": heading, "collapsed": bool(closed), "panels": [],
               "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1}}
        placed, below = in_lines(members, top + 1)
        placed = [{"id": next(places), **one} for one in placed]
        panels += [{**row, "panels": placed}] if closed else [row, *placed]
        top = top + 1 if closed else below
    return {
        "uid": uid, "title": title, "description": about, "tags": [TAG], "schemaVersion": SCHEMA_VERSION, "version": 1, "editable": False,
        "graphTooltip": 1, "timezone": "browser", "time": {"from": f"now-{span}", "to": "now"}, "refresh": "1m", "fiscalYearStartMonth": 0,
        "links": [{"title": "Fleet", "type": "dashboards", "tags": [TAG], "asDropdown": False, "includeVars": True, "keepTime": True, "targetBlank": False,
                   "icon": "external link", "tooltip": "", "url": ""}],
        "templating": {"list": [source(), *variables]}, "annotations": {"list": list(annotations)},
        "panels": panels}


def in_lines(members, top):
    """(panels with their places, the first free line below): from left to right, and below where the line is full."""
    placed, x, height = [], 0, 0
    for one in members:
        width = one["gridPos"]["w"]
        if x + width > COLUMNS:
            x, top, height = 0, top + height, 0
        placed.append({**one, "gridPos": {**one["gridPos"], "x": x, "y": top}})
        x, height = x + width, max(height, one["gridPos"]["h"])
    return placed, top + height
