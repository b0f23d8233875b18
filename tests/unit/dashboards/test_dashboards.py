# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The committed dashboards: whether they are what the generator writes, and whether they can be read. Nothing is stubbed."""

import fnmatch
import re

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.palette import contrast
from ansible_collections.accelmon.fleet.tests.unit.dashboards.committed import COMMITTED, ROOT, asked, module

# Grafana's own names, from getValueFormats of @grafana/data; what is not there is shown without a unit, and nobody notices.
UNITS = {"none", "short", "percentunit", "celsius", "watt", "bytes", "hertz", "Bps", "cps", "sci", "s", "dtdurations", "dateTimeAsIso", "watth", "string"}
BOARDS = ["accelerator", "errors", "fleet", "jobs", "monitoring", "node"]
# What is about one node, or a few of them: here lines of single devices may be drawn.
SMALL = ("accelerator", "node")


PANELS = [(name, panel) for name, board in COMMITTED.items() for panel in asked.panels(board)]


def generator():
    return module("accelmon_dashboards", "dashboards", "generate.py")


def test_the_files_are_what_the_generator_writes():
    """If not: run `make dashboards`."""
    assert sorted(COMMITTED) == BOARDS
    for name, text in generator().texts().items():
        assert (ROOT / "dashboards" / name).read_text(encoding="utf-8") == text, name


def test_each_board_can_be_found_again():
    assert sorted(board["uid"] for board in COMMITTED.values()) == [f"accelmon-{name}" for name in BOARDS]
    for board in COMMITTED.values():
        assert board["tags"] == ["accelmon"] and not board["editable"] and board["description"] and board["schemaVersion"] == 42
        assert "id" not in board and not {"__inputs", "__requires"} & set(board)
        assert board["links"][0]["tags"] == ["accelmon"] and board["links"][0]["keepTime"]


@pytest.mark.parametrize("name", BOARDS)
def test_panels_lie_beside_each_other(name):
    opened = [panel for outer in COMMITTED[name]["panels"] for panel in [outer, *outer.get("panels", ())]]
    taken, ids = set(), [panel["id"] for panel in opened]
    assert len(set(ids)) == len(ids)
    for panel in opened:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len(taken) == 24 * (1 + max(y for _x, y in taken)), "there is a hole"
    titles = [panel["title"] for panel in asked.panels(COMMITTED[name])]
    assert len(set(titles)) == len(titles), "a panel is found by its title"


def test_only_the_last_row_is_closed_and_only_such_a_row_holds_panels():
    """What is below a closed row would have to move when it is opened, which Grafana does and other readers of the file do not."""
    for name, board in COMMITTED.items():
        rows = [panel for panel in board["panels"] if panel["type"] == "row"]
        assert not [row["title"] for row in rows[:-1] if row["collapsed"]]
        assert all(bool(row["panels"]) == row["collapsed"] for row in rows)
        assert rows[-1]["collapsed"] == (name in ("fleet", "jobs")) and (not rows[-1]["collapsed"] or board["panels"][-1] is rows[-1])


@pytest.mark.parametrize("name, panel", PANELS, ids=[f"{name}-{panel['title']}" for name, panel in PANELS])
def test_a_panel_says_what_it_shows(name, panel):
    defaults, overrides = panel["fieldConfig"]["defaults"], panel["fieldConfig"]["overrides"]
    assert panel["description"].endswith(".") and panel["title"] and panel["targets"]
    units = [defaults["unit"]] + [one["value"] for item in overrides for one in item["properties"] if one["id"] == "unit"]
    assert set(units) <= UNITS
    # Nothing is not 0.
    assert defaults["noValue"] in ("n/a", "no job data") or (panel["type"] == "table" and defaults["noValue"] == "none found")
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"] and target["instant"] != target["range"]
        assert "vector(0)" not in target["expr"]
        assert "uuid" not in target["legendFormat"].lower()
        if "{{index}}" in target["legendFormat"]:
            assert "{{node}}" in target["legendFormat"], "index 0 is on every node"
    if panel["type"] in ("timeseries", "state-timeline"):
        assert all(target["legendFormat"] and target["range"] for target in panel["targets"])
    else:
        assert all(target["instant"] for target in panel["targets"])


def test_nothing_has_no_colour():
    """Grafana paints a number that is not there in the lowest colour, so it would look well. Without the watchdog no alert can fire, which is not."""
    numbers = {panel["title"]: panel["fieldConfig"]["defaults"]["mappings"] for _name, panel in PANELS if panel["type"] in ("stat", "bargauge")}
    found = [(title, mapping["options"]) for title, mappings in numbers.items() for mapping in mappings]
    assert set(numbers) - {title for title, _options in found} == {"Watchdog"}
    # Without a text the panel's own for nothing is shown.
    assert all(options["match"] == "null+nan" and options["result"]["color"] == "text" and "text" not in options["result"] for _title, options in found)


@pytest.mark.parametrize("name, title", [*(("fleet", title) for title in ("Present now", "Missing", "Missing accelerators", "Critical alerts", "Warnings")),
                                         ("node", "Present"), ("node", "Alerts")])
def test_without_rules_nothing_is_missing_and_nothing_is_well(name, title):
    panel = next(panel for panel in asked.panels(COMMITTED[name]) if panel["title"] == title)
    assert 'ALERTS{alertstate="firing",alertname="Watchdog"}' in panel["targets"][0]["expr"] and "no rules are" in panel["description"].replace("\n", " ")


def test_devices_lead_to_their_board():
    """Index 0 is on every node and with every vendor."""
    whole = {"cluster", "node", "vendor", "index"}
    for name, panel in PANELS:
        columns = panel["transformations"][-1]["options"].get("renameByName", {}) if panel["type"] == "table" else {}
        if whole <= set(columns):
            links = [one["value"][0]["url"] for item in panel["fieldConfig"]["overrides"] if item["matcher"]["options"] == "Index"
                     for one in item["properties"] if one["id"] == "links"]
            assert [url.partition("?")[0] for url in links] == ["/d/accelmon-accelerator"], (name, panel["title"])


def test_the_board_of_a_device_begins_with_what_is_wrong_and_whose_it_is():
    top = {panel["title"]: panel["gridPos"]["y"] for panel in asked.panels(COMMITTED["accelerator"])}
    assert max(top[title] for title in ("Identity", "Health now", "Components that are not well", "Errors", "Who had it")) < top["Busy"]


@pytest.mark.parametrize("name, panel", PANELS, ids=[f"{name}-{panel['title']}" for name, panel in PANELS])
def test_lines_are_of_few_series(name, panel):
    """A range query of every device of a large fleet ends the browser, and topk over a range shows other devices at every point."""
    for target in panel["targets"]:
        if target["instant"]:
            continue
        assert not re.search(r"\b(topk|bottomk) by \(cluster, node\b|\b(topk|bottomk)\(", target["expr"]) or "node_cpu_info" in target["expr"]
        if name in SMALL or name == "monitoring":
            continue
        for series in re.findall(r"\b(?:accelerator|node_gpu|node|rack|cluster)[\w:]*(?=\{)", target["expr"]):
            assert series.startswith("cluster:") or series == "accelerator_errors_total", (series, "is not rolled up")
    if name == "monitoring":
        # Of services, of which there are few, or added up.
        assert not re.search(r"by \([^)]*node[^)]*\) \((up|scrape_)", " ".join(target["expr"] for target in panel["targets"] if target["range"]))


@pytest.mark.parametrize("name", BOARDS)
def test_variables(name):
    board = COMMITTED[name]
    listed = board["templating"]["list"]
    assert listed[0]["type"] == "datasource" and listed[0]["query"] == "prometheus"
    known = {variable["name"] for variable in listed}
    for variable in asked.variables(board).values():
        assert asked.VALUES_OF.fullmatch(variable["query"]["query"])
        # An empty choice asks for everything, not for the label's absence.
        assert not variable["includeAll"] or (variable["allValue"] == ".*" and variable["current"]["value"] == ["$__all"] and variable["multi"])
    for who, expression in asked.expressions(board):
        used = {first or second for first, second in asked.VARIABLE.findall(expression)}
        assert used <= known | set(asked.BUILT_IN), who
        assert not re.search(r'=~?"[^"]*\$__', expression), who
        # A variable may have several values, which only a pattern takes.
        assert not re.search(r'[^~]"\$\w', re.sub(r'=~"\$', '=~`', expression)), who
    if name in ("fleet",):
        assert {"cluster", "rack", "vendor", "model", "node"} <= {key for key, value in asked.variables(board).items() if value["includeAll"]}
    if name in SMALL:
        assert not asked.variables(board)["node"]["includeAll"], "the lines are of single devices"


def test_links_lead_to_boards_and_their_variables():
    uids = {board["uid"]: {variable["name"] for variable in board["templating"]["list"]} for board in COMMITTED.values()}
    found = [(link["url"], panel) for _name, panel in PANELS for item in panel["fieldConfig"]["overrides"]
             for one in item["properties"] if one["id"] == "links" for link in one["value"]]
    assert len(found) > 10
    for url, panel in found:
        uid, dummy, parameters = url.partition("?")
        wanted = re.findall(r"var-(\w+)=|\$\{(\w+):queryparam\}", parameters)
        assert {first or second for first, second in wanted} <= uids[uid[len("/d/"):]], (url, panel["title"])
        # Names of nodes are input.
        assert all(part.endswith(":percentencode") for part in re.findall(r"var-\w+=\$\{([^}]*)\}", url))


def test_columns_of_tables_are_there():
    """A column that is misspelt in an override or in the order is silently nothing."""
    for name, panel in PANELS:
        if panel["type"] != "table" or panel["transformations"][0]["id"] != "merge":
            continue
        renamed = panel["transformations"][1]["options"]["renameByName"]
        assert {item["matcher"]["options"] for item in panel["fieldConfig"]["overrides"]} <= set(renamed.values()), (name, panel["title"])
        hidden = panel["transformations"][1]["options"]["excludeByName"]
        values = [key for key in [*renamed, *hidden] if key.startswith("Value")]
        assert values == (["Value"] if len(panel["targets"]) == 1 else [f"Value #{target['refId']}" for target in panel["targets"]])
        sort = panel["options"]["sortBy"]
        assert not sort or sort[0]["displayName"] in renamed.values()


def test_colours_can_be_read():
    """Grafana writes in black on a bright ground, else in white; and a value in its colour on the ground of either theme."""
    generator()
    import panels  # pylint: disable=import-outside-toplevel,import-error
    grounds = [colour for colour in panels.GROUNDS.values() if colour != "transparent"]
    for ground in grounds + [step["color"] for step in panels.heat((1, 2, 3))["steps"]]:
        red, green, blue = (int(ground[place:place + 2], 16) for place in (1, 3, 5))
        ink = "#202226" if (red * 299 + green * 587 + blue * 114) / 1000 > 180 else "#f7f8fa"
        assert contrast(ground, ink) >= 4.5, ground
    for colour in set(panels.GROUNDS) - {"text"}:
        assert min(contrast(colour, "#181b1f"), contrast(colour, "#ffffff")) >= 3, colour


def test_the_artifact_has_the_dashboards_and_not_what_makes_them():
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["build_ignore"]
    there = [str(path.relative_to(ROOT)) for path in (ROOT / "dashboards").iterdir() if path.name != "__pycache__"]
    assert sorted(path for path in there if not any(fnmatch.fnmatch(path, pattern) for pattern in ignored)) == [f"dashboards/{name}.json" for name in BOARDS]


@pytest.mark.parametrize("name, panel", [(name, panel) for name, panel in PANELS if panel["type"] == "table"])
def test_values_have_room_on_a_narrow_screen(name, panel):
    """Labels have fixed widths, so what is left for values may be next to nothing."""
    found = {one["matcher"]["options"]: {item["id"]: item["value"] for item in one["properties"]} for one in reversed(panel["fieldConfig"]["overrides"])}
    values = [shown for label, shown in panel["transformations"][-1]["options"].get("renameByName", {}).items() if label.startswith("Value")]
    assert [title for title in values if found[title].get("custom.minWidth", 0) < 100] == [], name


def test_lines_of_all_targets_have_few_points():
    """Thousands of series behind a line, or an hour behind each point, cost the storage most of what a board costs."""
    read = [panel for panel in asked.panels(COMMITTED["monitoring"]) if panel["type"] == "timeseries"
            and any(re.search(r"\b(up|scrape_\w+)\{", target["expr"]) for target in panel["targets"])]
    assert len(read) == 3
    read += [panel for panel in asked.panels(COMMITTED["errors"]) if panel["type"] == "timeseries"]
    assert len(read) == 4 and [panel["title"] for panel in read if panel.get("interval") != "1m"] == []


@pytest.mark.parametrize("title", ["Data on disk", "Samples stored", "Samples refused"])
def test_what_both_storages_say_of_themselves_is_shown_with_either(title):
    panel = next(panel for panel in asked.panels(COMMITTED["monitoring"]) if panel["title"] == title)
    read = " ".join(target["expr"] for target in panel["targets"])
    assert re.search(r"\bvm_", read) and re.search(r"\bprometheus_", read) and "does not export" not in panel["description"]
