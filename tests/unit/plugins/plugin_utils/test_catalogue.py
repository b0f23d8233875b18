"""The catalogue's reader, and the catalogue against what it talks about. Nothing is stubbed."""

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import closest, dump, load, milliseconds, plain

ROOT = Path(__file__).resolve().parents[4]
COLLECTOR = ROOT / "roles" / "textfile_collector" / "files" / "accelmon_textfile_collector.py"


@pytest.mark.parametrize(("text", "expected"), [
    ("15s", 15_000), ("1m30s", 90_000), ("500ms", 500), ("0m", 0), ("2h", 7_200_000), ("1d12h", 129_600_000)])
def test_durations(text, expected):
    assert milliseconds(text) == expected


@pytest.mark.parametrize("text", ["", "15", "15 s", "s", "1.5m", "-1s", "1s1m", "15s\n", None, 15, "0x1s"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError):
        milliseconds(text)


def test_an_unknown_name_gets_the_nearest_or_all():
    assert closest("HostDwn", ["HostDown", "Watchdog"]) == "did you mean HostDown?"
    assert closest("x", ["b", "a"]) == "known are a, b"


def test_plain_takes_every_type_of_its_own_away():
    class Text(str):
        def __str__(self):
            return self[:]

    class Mapping(dict):
        pass

    class Number(int):
        pass

    result = plain(Mapping({Text("a"): [Text("b"), Number(3), True, None, 1.5, (Text("c"),)]}))
    assert result == {"a": ["b", 3, True, None, 1.5, ["c"]]}
    assert [type(item) for item in result["a"]] == [str, int, bool, type(None), float, list]
    assert {type(key) for key in result} == {str}


def test_dump_keeps_order_and_never_folds_or_aliases():
    shared = ["x"]
    text = dump({"b": "word " * 100, "a": shared, "c": shared, "d": "one\ntwo"})
    assert text.startswith("# Managed by accelmon.fleet.\nb: ")
    assert len(text.splitlines()) == 9 and "&" not in text
    assert "d: |-\n  one\n  two" in text
    assert list(yaml.safe_load(text)) == ["b", "a", "c", "d"]


def test_every_source_is_complete():
    for name, source in load("sources")["sources"].items():
        assert set(source) == {"job", "vendors", "devices", "own", "labels", "identity", "presence", "success", "metrics"}, name
        assert {source["presence"], source["success"]} <= set(source["metrics"])
        for metric in source["metrics"]:
            assert re.fullmatch(f"(?:{source['devices']}|{source['own']})", metric), metric


def test_a_source_claims_no_series_that_nobody_writes():
    """The collector's own table of metrics is the other side."""
    text = COLLECTOR.read_text(encoding="utf-8")
    written = set(re.findall(r'^    \("((?:node_gpu|accelmon_collector)_[a-z_]+)", \("(?:gauge|counter)"', text, re.MULTILINE))
    assert len(written) > 10
    claimed = set(load("sources")["sources"]["textfile"]["metrics"])
    assert claimed <= written, claimed - written


def test_at_most_twelve_series_for_a_device():
    assert sum(len(item["variants"]) for item in load("series")["devices"]) <= 12


def test_series_have_units_and_known_sources():
    sources = load("sources")["sources"]
    suffixes = {"_ratio": "ratio, 0 to 1", "_bytes": "bytes", "_celsius": "degrees Celsius", "_watts": "watts", "_hertz": "hertz", "_info": "always 1"}
    for item in load("series")["devices"]:
        assert item["name"].startswith("accelerator_") and item["help"] and item["type"] in ("gauge", "counter")
        assert (item["type"] == "counter") == item["name"].endswith("_total")
        for suffix, unit in suffixes.items():
            assert not item["name"].endswith(suffix) or item["unit"] == unit
        for variant in item["variants"]:
            for source, part in variant["from"].items():
                known = sources[source]["metrics"][part["metric"]]
                assert set(part.get("match", {})) <= set(known)
                extra = set(item.get("labels", []))
                assert extra <= {sources[source]["labels"].get(label, label) for label in known}


def test_percent_is_the_only_unit_that_needs_a_factor():
    for item in load("series")["devices"]:
        for variant in item["variants"]:
            for part in variant["from"].values():
                assert part.get("divide") == (100 if part["metric"].endswith("_percent") else None)
