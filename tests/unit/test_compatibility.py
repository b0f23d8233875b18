# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What docs/compatibility.md promises to keep: every name in promised.json still is what it was. Nothing is stubbed.

Names that came since may be missing there; a release adds them: python tests/unit/test_compatibility.py > tests/unit/promised.json
"""
import json
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMISED = pathlib.Path(__file__).with_name("promised.json")


def rows(page):
    """[cells] of the tables of a reference page."""
    lines = re.findall(r"(?m)^\| (`\w.*) \|$", (ROOT / "docs" / page).read_text())
    return [re.split(r" *(?<!\\)\| *", line) for line in lines]


def public(kind):
    """Names of the collection's own plugins of a kind that are meant for users."""
    paths = sorted((ROOT / "plugins" / kind).glob("[a-z]*.py"))
    return [path.stem for path in paths if "Internal to the collection" not in path.read_text()]


def current():
    """{kind: names, or {name: what goes with it}} of all that users build upon."""
    series = [row for row in rows("series.md") if re.fullmatch(r"`[a-z][\w:]*`", row[0])]
    return {
        "variables": {row[0].strip("`"): row[1] for row in rows("variables.md")},
        "series": sorted({row[0].strip("`") for row in series}),
        "device labels": yaml.safe_load((ROOT / "plugins/plugin_utils/catalogue/series.yml").read_text())["labels"],
        "alerts": sorted(name for path in (ROOT / "plugins/plugin_utils/catalogue/alerts").glob("*.yml")
                         for name in re.findall(r"(?m)^ *- alert: (\w+)$", path.read_text())),
        "presets": [row[0].strip("`") for row in rows("alerts.md") if re.fullmatch(r"`[\w-]+`", row[0])],
        "playbooks": sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml")),
        "roles": sorted(path.parent.parent.name for path in (ROOT / "roles").glob("*/meta/argument_specs.yml")),
        "modules": public("modules"), "filters": public("filter"), "inventory": public("inventory"), "lookups": public("lookup"),
    }


def test_nothing_that_was_promised_is_gone():
    now = current()
    for kind, names in json.loads(PROMISED.read_text()).items():
        assert len(names) > 0
        assert [name for name in names if name not in now[kind]] == [], kind


def test_the_type_of_a_promised_variable_takes_what_it_took():
    now = current()["variables"]
    for name, kind in json.loads(PROMISED.read_text())["variables"].items():
        # A choice may be added; any other type stays.
        assert set(re.findall(r"\w+", kind)) <= set(re.findall(r"\w+", now[name])), name


def test_the_promise_has_every_kind_that_the_document_names():
    assert set(json.loads(PROMISED.read_text())) == set(current())


if __name__ == "__main__":
    json.dump(current(), sys.stdout, indent=1)
    print()
