"""The pages that are written from the catalogue. Nothing is stubbed."""

import importlib.util
import re
from pathlib import Path

import pytest

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load

DOCS = Path(__file__).resolve().parents[4] / "docs"


def generator():
    spec = importlib.util.spec_from_file_location("accelmon_docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["alerts.md", "series.md", "variables.md"])
def test_the_page_is_what_the_catalogue_says(name):
    """If not: run docs/generate.py."""
    assert (DOCS / name).read_text(encoding="utf-8") == generator().PAGES[name]()


def test_every_alert_has_its_section_and_no_other_has():
    text = (DOCS / "alerts.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == [alert["alert"] for alert in load("alerts")["alerts"]]


def test_every_series_is_named():
    text = (DOCS / "series.md").read_text(encoding="utf-8")
    series = load("series")
    names = [item["name"] for item in series["devices"]] + list(load("sources")["registry"])
    names += [f"{rollup['level']}:{rollup['of']}:{operation}" for rollup in series["rollups"] for operation in rollup["operations"]]
    assert len(names) > 20
    for name in names:
        assert f"`{name}`" in text, name
