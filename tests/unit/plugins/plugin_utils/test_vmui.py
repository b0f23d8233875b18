# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages of vmui as data. Nothing is stubbed; test_report_live.py asks both storages for what is on them."""
import re

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.signals import vmui_files
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import vmui

VIEWS = load("views")
PANELS = {panel["title"]: panel for page in vmui.pages().values() for row in page["rows"] for panel in row["panels"]}


def test_the_pages_come_in_order_and_each_has_one_row():
    """vmui sorts by the name of the file and opens the first row."""
    assert [page["title"] for _name, page in sorted(vmui.pages().items())] == ["accelmon: Fleet", "accelmon: Devices", "accelmon: Health and errors"]
    assert all(name.endswith(".json") and len(page["rows"]) == 1 for name, page in vmui.pages().items())
    assert [one["path"] for one in vmui_files("/etc/accelmon/vmui")] == [f"/etc/accelmon/vmui/{name}" for name in vmui.pages()]


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_every_panel_says_what_it_shows_and_names_its_lines(panel):
    assert panel["title"] and panel["description"] and panel["width"] <= 12
    # One alias for each query. A UUID tells nobody which device it is, and index 0 is on every node.
    assert len(panel["alias"]) == len(panel["expr"]) == 1 and "uuid" not in panel["alias"][0] and "{{cluster}}" in panel["alias"][0]
    assert ("{{index}}" in panel["alias"][0]) == ("{{node}}" in panel["alias"][0])
    query = panel["expr"][0]
    assert not re.search(r"@\w+@|{}|[{,],|,}", query) and query.count("(") == query.count(")")


def test_every_trend_is_on_a_page():
    assert {view["title"] for view in VIEWS["trends"].values()} <= set(PANELS)


def test_a_plot_that_is_empty_while_all_is_well_says_so():
    assert PANELS["Health: the 10 lowest"]["description"].endswith("Empty if none is 99 or less.")


def test_shares_are_in_percent():
    assert PANELS["Busy, average"]["expr"] == ["100 * (avg_over_time(cluster:accelerator_utilization_ratio:avg[15m]))"]
    assert PANELS["Busy, average"]["unit"] == "%"


@pytest.mark.parametrize("name,query", [
    ("temperature", 'accelerator_temperature_celsius{sensor="core"}'
                    ' and topk(10, last_over_time(accelerator_temperature_celsius{sensor="core"}[5m] @ end()))'),
    ("health", "accelerator_health_score and bottomk(10, last_over_time(accelerator_health_score[5m] @ end()) <= 99)"),
    ("memory", "100 * (accelerator_memory_used_bytes / accelerator_memory_total_bytes"
               " and topk(10, last_over_time(accelerator_memory_used_bytes[5m] @ end()) / last_over_time(accelerator_memory_total_bytes[5m] @ end())))")])
def test_of_devices_only_the_worst_ones_are_drawn(name, query):
    assert vmui.top(VIEWS["devices"][name], VIEWS)["expr"] == [query]
