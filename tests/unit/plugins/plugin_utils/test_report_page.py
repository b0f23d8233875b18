# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as a page, and the colours and queries that it is made of. Stubbed: the storage's answers are made up (report_samples)."""
import html.parser
import itertools
import pathlib
import re
import time

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import html as pieces
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import palette, recording, report
from ansible_collections.accelmon.fleet.tests.unit.plugins.report_samples import VIEWS, alert, answers, device, devices, document, node

EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>\u202e" + "x" * 200
VOID = {"meta"}
# What a browser would run, fetch or send.
ACTIVE = {"script", "img", "iframe", "object", "embed", "link", "form", "input", "base", "foreignobject", "use", "image", "animate", "video", "audio"}


class Reader(html.parser.HTMLParser):
    """Reads a page: names of elements, attributes, text; checks that elements are nested."""

    def __init__(self, text):
        super().__init__()
        self.open, self.names, self.attributes, self.text, self.rows = [], set(), [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def read(found):
    return Reader(report.page(found))


def test_an_empty_fleet_says_what_to_do():
    page = read(document())
    assert "Not known. The report is incomplete." in page.text and "no node is registered; run site.yml" in page.text and page.rows == []


def test_a_fleet_that_is_well_says_so_first():
    page = read(document(answers(devices(2)), [node(), node("gpu2")]))
    text = "".join(page.text)
    assert text.index("Is everything all right?Yes, everything is all right.") < text.index("16 / 16")
    assert "Alerts" not in page.text and "Nodes that need a look" not in page.text and "Error codes of devices" not in page.text


def test_one_device():
    page = read(document(answers([device()]), [node(seen=1, expected=1)]))
    assert ["gpu1/0", "NVIDIA H100 80GB HBM3", "100", "80 %", "0 %", "50 %", "40 °C", "n/a", "300 W", "700 W", ""] in page.rows
    assert ["gpu1", "0"] in page.rows
    assert ["NVIDIA H100 80GB HBM3", "nvidia", "1", "0", "1", "50 %", "300 W"] in page.rows


def test_ten_thousand_devices_fit_and_are_quick():
    rows = [node(f"gpu{number}", seen=7 if number == 700 else 8) for number in range(1, 1251)]
    told = answers(devices(1250), health=lambda one, _place: 40.0 if (one["node"], one["index"]) == ("gpu900", "3") else 100.0)
    told["values"]["errors"] = [({**one, "kind": "xid", "code": "79"}, 1.0) for one in told["devices"]]
    found = document(told, rows, [alert(node=f"gpu{number}", action=f"Look at gpu{number}.") for number in range(1250)])
    began = time.process_time()
    text = report.page(found)
    assert time.process_time() - began < 10 and len(text.encode()) < 1_500_000
    page = Reader(text)
    assert "Every node" in page.text and page.rows[-1] and "and 9,800 more" in page.text and "and 1,190 more" in page.text
    assert any(name == "title" and value.startswith("gpu900 nvidia: 8 there, 0 missing") and value.endswith("health 40") for name, value in page.attributes)
    assert next(row for row in page.rows if row[0] == "gpu900/3")[2] == "40 !"
    assert text.count('class="gone"') == 1
    # The same number of devices, one to a node.
    assert len(report.page(document(answers(devices(10000, 1)), [node(f"gpu{number}", 1, 1) for number in range(1, 10001)])).encode()) < 1_500_000


def test_without_storage_the_page_says_so_and_shows_no_zeros():
    page = read(document(rows=[node(seen=None, exporters={"node_exporter": "unknown"})], evaluated=False,
                         problems=["cannot reach the storage at http://127.0.0.1:8428: refused"]))
    text = "".join(page.text)
    assert "Not known. The report is incomplete." in text and "cannot reach the storage" in text and "n/a / 8" in text
    assert "n/a / 1nodes active" in text and "n/acritical alerts" in text and "n/awarnings" in text
    assert ["gpu1", *["–"] * 8] in page.rows


def test_alerts_say_where_and_what_to_do():
    page = read(document(rows=[node("gpu1", alerts=["HostDown"]), node("gpu2", cluster="east")], firing=[
        alert(node="gpu1", cluster="west", index="3", action="Turn it on."), {**alert("Mine", "page"), "annotations": {}},
        {**alert("HostDown", "info"), "annotations": {}}]))
    assert ["critical", "HostDownHostDown on gpu1Turn it on.", "west gpu1/3", "1", "2026-11-21 02:38 UTC"] in page.rows
    # Explained is what the collection has, and not an alert of the site's own.
    assert ["page", "Mine", "", "1", "2026-11-21 02:38 UTC"] in page.rows
    assert ["info", "HostDownexplain.yml -e accelmon_explain=HostDown says what to do.", "", "1", "2026-11-21 02:38 UTC"] in page.rows
    assert page.names.isdisjoint({"a"})


@pytest.mark.parametrize("link, kept", [("https://wiki.example.org/a?b=1&c", True), ("javascript:alert(1)", False), (EVIL, False)])
def test_links_lead_to_pages_alone(link, kept):
    firing = alert(node="gpu1")
    firing["annotations"]["runbook_url"] = link
    page = read(document(rows=[node()], firing=[firing]))
    assert [value for name, value in page.attributes if name == "href"] == [link] * kept


def test_what_nodes_say_is_text():
    told = answers([device(EVIL, index, model=EVIL, uuid=EVIL, rack=EVIL, driver_version=EVIL) for index in (0, EVIL, "9" * 30)])
    evil = told["devices"][0]
    told["values"]["faults"] = [({**evil, "component": EVIL}, 0.0)]
    told["values"]["errors"] = [({**evil, "kind": EVIL, "code": EVIL}, 1.0), ({**evil, "kind": "xid", "code": EVIL}, 1.0)]
    told["trends"]["missing"] = [({"cluster": EVIL, "vendor": EVIL}, [1.0] * 96)]
    found = document(told, [node(EVIL, 3, 4, alerts=[EVIL])], [alert(EVIL, EVIL, node=EVIL, action=EVIL, index=EVIL)], [EVIL], [EVIL])
    for many in (found, {**found, "devices": found["devices"] * 400}):
        page = read(many)
        assert page.names.isdisjoint(ACTIVE) and not [name for name, _value in page.attributes if name.startswith("on") or name in ("src", "style")]
        text = "".join(page.text)
        assert EVIL.partition("\u202e")[0] in text and "\u202e" not in text


def test_texts_that_never_end_do_not_fill_the_page():
    endless = "x" * 100_000
    told = answers([device("gpu1", endless, model=endless, uuid=endless, rack=endless) for _number in range(3)])
    told["values"]["errors"] = [({**told["devices"][0], "kind": endless, "code": endless}, 1.0)]
    found = document(told, [node(seen=3, expected=3)], [alert(endless, action=endless, index=endless, node="gpu1")], [endless], [endless])
    assert len(report.page(found)) < 60_000


def test_nothing_is_fetched_and_nothing_runs():
    text = report.page(document(answers(devices(2)), [node(), node("gpu2", 7)]))
    assert "default-src 'none'; style-src 'unsafe-inline'" in text and not re.search(r"https?:|url\(|@import|src=", text)


def test_a_missing_device_has_its_place_in_the_grid():
    told = answers([device(index=index) for index in (0, 1, 3)], utilization=lambda *_: 0.95)
    rows = [node(seen=3, expected=4), node("gpu2", seen=0, expected=2, state="down"), node("gpu3", seen=0, expected=2, state="maintenance")]
    page = read(document(told, rows))
    assert ["gpu1", "95", "95", "✕", "95"] in page.rows and ["gpu2", "✕", "✕"] in page.rows
    assert [row for row in page.rows if row[0] == "gpu3"] == [["gpu3"]]


def test_clusters_and_vendors_are_named_where_there_are_several():
    told = answers([device(), device(cluster="east"), device(vendor="amd", index="0")])
    page = read(document(told, [node(seen=1, expected=1), node(cluster="east", seen=1, expected=1)]))
    assert {row[0] for row in page.rows} >= {"west gpu1 nvidia", "east gpu1 nvidia", "west gpu1 amd", "west gpu1/0", "east gpu1/0"}


def test_error_codes_are_explained_and_unknown_ones_looked_up():
    told = answers([device()])
    told["values"]["errors"] = [({**device(), "kind": kind, "code": code}, 2.0) for kind, code in (("xid", "79"), ("xid", "9999"), ("new", "1"))]
    rows = {row[0]: row for row in read(document(told, [node()])).rows}
    assert rows["Xid 79"][1].startswith("GPU has fallen off the bus") and rows["Xid 79"][2:5] == ["gpu1/0", "1", "2"]
    assert rows["Xid 9999"][1].startswith("Unknown Xid") and rows["new 1"][1].startswith("Unknown code")


def test_health_says_why():
    told = answers([device()])
    told["values"]["faults"] = [({**device(), "component": "memory"}, 1.0)]
    assert ["degraded", "memoryA row of memory is remapped at the next reset.", "gpu1/0", "1"] in read(document(told, [node()])).rows


@pytest.mark.parametrize("value, unit, text", [
    (None, "watts", "n/a"), (0.834, "ratio", "83 %"), (64.4, "celsius", "64 °C"), (312.4, "watts", "312 W"), (7100, "watts", "7.1 kW"),
    (3e6, "watts", "3.0 MW"), (950, "watthours", "950 Wh"), (2.5e9, "watthours", "2.5 GWh"), (40, "score", "40"),
    (12345, "count", "12,345"), (0, "watts", "0 W")])
def test_units(value, unit, text):
    assert report.written(value, unit) == text


def test_a_plot_has_gaps_where_nothing_is_known_and_one_point_is_seen():
    text = str(pieces.spark([1.0, None, 3.0, 2.0, None], "x", least=0))
    assert [len(points.split()) for points in re.findall(r'points="([^"]*)"', text)] == [2, 2]
    assert pieces.spark([None, None], "x") == ""
    heights = [float(point.split(",")[1]) for point in re.search(r'points="([^"]*)"', str(pieces.spark([5.0, 5.0], "x"))).group(1).split()]
    assert all(0 < height < 34 for height in heights)


def test_everything_can_be_read():
    for colours in (palette.LIGHT, palette.DARK):
        for ink, ground in itertools.product(("text", "muted", "line", "good", "warning", "critical", "unknown"), ("ground", "card")):
            assert palette.contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for colour in palette.HEAT:
        assert palette.contrast(palette.ink(colour), colour) >= 4.5
    lightness = [palette.luminance(colour) for colour in palette.HEAT]
    assert lightness == sorted(lightness, reverse=True)
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21)


def test_style_uses_colours_that_are_defined_and_classes_that_are_styled():
    style = str(report.style())
    assert set(re.findall(r"var\(--(\w+)\)", style)) <= set(palette.LIGHT) and set(palette.LIGHT) == set(palette.DARK)
    told = answers(devices(1), health=lambda _one, place: [0.0, 70.0, 100.0, None][place % 4], utilization=lambda _one, place: place / 7 if place else None)
    page = read(document(told, [node(seen=8, expected=9)], [alert(node="gpu1")]))
    used = {name for attribute, value in page.attributes if attribute == "class" for name in value.split()}
    assert used <= set(re.findall(r"\.([a-z]\w*)", style)), used


def test_pieces_are_escaped_and_texts_cut():
    assert pieces.plain("a" * 300, 200) == "a" * 199 + "…" and pieces.plain("a\x00\u200bb") == "a\ufffd\ufffdb"
    assert str(pieces.tag("b", "<i>", pieces.tag("i", "x"), title='"')) == '<b title="&#34;">&lt;i&gt;<i>x</i></b>'


def views():
    """{name: view} of all views."""
    return {f"{kind} {name}": view for kind in ("devices", "trends", "rows") for name, view in VIEWS[kind].items()}


def test_views_read_recorded_series_and_what_the_registry_expects():
    recorded = {rule["record"] for group in yaml.safe_load(recording.recording_file("15s"))["groups"] for rule in group["rules"]}
    known = recorded | {"accelmon_expected_accelerators"}
    for name, view in views().items():
        series = set(re.findall(r"[a-z_:]+(?=\{)", view["query"]))
        assert series and series <= known, (name, series - known)


def test_views_are_complete():
    # The page calls it the last 24 hours.
    assert VIEWS["window"] == "1d"
    for name, view in views().items():
        assert set(re.findall(r"@(\w+)@", view["query"])) <= {"nodes", "clusters", "step"}, name
        if not name.startswith("rows"):
            assert {"title", "unit", "help"} <= set(view) and report.written(1.0, view["unit"]) != "n/a", name
        if name.startswith("trends"):
            # Per device they would cost what the fleet has devices.
            assert "@nodes@" not in view["query"] and "cluster:" in view["query"], name


def test_the_document_is_documented():
    text = (pathlib.Path(__file__).resolve().parents[4] / "docs" / "report.md").read_text()
    found = document(answers([device()]), [node()], [alert()])
    names = {*found, *found["totals"], *found["alerts"][0], *VIEWS["devices"], *VIEWS["trends"]} - {"trends"}
    assert not [name for name in names if f"`{name}`" not in text]


def test_a_reading_is_marked_from_its_limits_on():
    temperature, health = VIEWS["devices"]["temperature"], VIEWS["devices"]["health"]
    assert [report.grade(value, temperature) for value in (None, 69, 70, 80)] == ["", "", "warning", "critical"]
    assert [report.grade(value, health) for value in (100, 99, 70, 40, 0)] == ["", "warning", "warning", "critical", "critical"]
