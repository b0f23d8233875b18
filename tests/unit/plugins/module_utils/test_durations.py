# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one grammar of durations. Nothing is stubbed; the programs that read them are asked where they are there."""
import pathlib
import re
import subprocess

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds, seconds, units_of

ROOT = pathlib.Path(__file__).resolve().parents[4]


@pytest.mark.parametrize(("text", "expected"), [
    ("15s", 15_000), ("1m30s", 90_000), ("500ms", 500), ("0m", 0), ("2h", 7_200_000), ("1d12h", 129_600_000), ("1w", 604_800_000),
    ("1y", 31_536_000_000)])
def test_milliseconds(text, expected):
    assert milliseconds(text) == expected


@pytest.mark.parametrize("text", ["", "15", "15 s", "s", "1.5m", "-1s", "1s1m", "15s\n", None, 15, True, "0x1s", "1M", "١s", "1s1s", "9" * 99 + "s"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="not a duration; use a number with a unit"):
        milliseconds(text)


@pytest.mark.parametrize("text,number", [("15s", 15), ("1m30s", 90), ("500ms", 1), ("1500ms", 2), ("0s", 1), ("1d", 86400)])
def test_seconds(text, number):
    assert seconds(text) == number


def test_units():
    assert units_of("1h30m") == ["h", "m"]


@pytest.mark.parametrize("text", ["15s", "1m30s", "500ms", "1d12h", "1w", "1y", "1y2w3d4h5m6s7ms", "15", "1.5m", "1s1m", "1M", "-1s"])
def test_prometheus_agrees(text, promtool, tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text('{groups: [{name: a, interval: "%s", rules: [{record: a, expr: "1"}]}]}' % text)
    accepted = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, check=False).returncode == 0
    try:
        assert accepted == bool(milliseconds(text))
    except ValueError:
        assert not accepted


def test_nothing_else_reads_durations():
    for folder in ("plugins", "roles", "playbooks"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "durations.py":
                assert not re.search(r"\[smh|\[hms|\(\\d\+\)[dhms]\)|\"h\": 3600", path.read_text(encoding="utf-8")), path
