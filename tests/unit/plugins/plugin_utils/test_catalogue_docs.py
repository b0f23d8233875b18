"""The pages that are written from the catalogue. Nothing is stubbed."""

import importlib.util
import re
from pathlib import Path

import pytest

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load

ROOT = Path(__file__).resolve().parents[4]
DOCS = ROOT / "docs"


def generator():
    spec = importlib.util.spec_from_file_location("accelmon_docs_generate", ROOT / "tools" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(generator().PAGES))
def test_the_page_is_what_is_declared(name):
    """If not: run `make docs`."""
    assert (ROOT / name).read_text(encoding="utf-8") == generator().PAGES[name]()


def test_every_role_has_a_readme_with_its_variables():
    readmes = {f"roles/{path.name}/README.md" for path in (ROOT / "roles").iterdir()}
    assert readmes == {name for name in generator().PAGES if name.startswith("roles/")}
    for name in readmes:
        assert generator().ROLE_BEGIN in (ROOT / name).read_text(encoding="utf-8"), name


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
