# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of docs/detection.md show what detection finds. Stubbed as in test_detect_trees.py."""
import importlib.util
import pathlib

import pytest

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import ids

ROOT = pathlib.Path(__file__).resolve().parents[5]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("accelmon_docs_detection", ROOT / "tools" / "docs_detection.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_detection_finds(generator):
    """If not: run `make docs`."""
    text = (DOCS / "detection.md").read_text(encoding="utf-8")
    assert generator.BEGIN in text and generator.END in text
    assert text == generator.page(text)


def test_there_are_enough_machines_and_none_confuses(generator):
    rows = [one.split(" | ") for one in generator.tables().splitlines() if one.startswith("| ") and one.count(" | ") == 4][1:]
    assert len(rows) == 10
    assert all(one[3:] == ["0", "0 |"] for one in rows), rows
    assert all(int(one[1]) >= 2 for one in rows), rows


def test_the_page_tells_the_date_of_the_ids(generator):
    with open(generator.PAGE, encoding="utf-8") as handle:
        assert "PCI ID database of %s," % ids.DATE in handle.read()
