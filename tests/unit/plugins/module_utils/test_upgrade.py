# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a fleet is worse after an upgrade. Nothing is stubbed."""

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import upgrade

WELL = {"builds": {"victoriametrics": "1.150.0"}, "age": 12.0, "series": 1000, "at": 1000, "kept": None, "rule_errors": ["Old: broken"], "silent": [],
        "storage_error": None}
AFTER = dict(WELL, builds={"victoriametrics": "1.151.0"}, at=2000, kept=1000)


def lines(before, after, wanted="1.151.0"):
    """The lines about what is worse."""
    return [one["line"] for one in upgrade.compare(before, after, {"victoriametrics": wanted}, "15s")]


def test_nothing_is_said_where_all_is_as_it_was():
    assert lines(WELL, AFTER) == [] and lines(WELL, dict(AFTER, series=950, age=59.0)) == []


@pytest.mark.parametrize("changes,line", [
    ({"builds": {"victoriametrics": "1.150.0"}}, "build of victoriametrics: 1.150.0 before, 1.150.0 after; 1.151.0 was to run"),
    ({"builds": {}}, "build of victoriametrics: 1.150.0 before, unknown after; 1.151.0 was to run"),
    ({"series": 949}, "active series: 1000 before, 949 after; at least 95 % have to be there"),
    ({"series": None}, "active series: 1000 before, unknown after; at least 95 % have to be there"),
    ({"kept": 949}, "series of the time before: 1000 before, 949 after; at least 95 % have to be found"),
    ({"kept": 0}, "series of the time before: 1000 before, 0 after; at least 95 % have to be found"),
    ({"age": 61.0}, "age of the newest sample: 12 s before, 61 s after; at most 60 s is fine"),
    ({"age": None}, "age of the newest sample: 12 s before, none after; at most 60 s is fine"),
    ({"rule_errors": ["New: bad query", "Old: broken"]}, "rules: 1 failing before, 2 failing (New: bad query) after; none may be new"),
    ({"silent": ["http://am"]}, "watchdog: 0 failing before, 1 failing (http://am) after; it has to arrive at each Alertmanager"),
    ({"storage_error": "refused"}, "storage: answering before, refused after; it has to answer"),
])
def test_what_is_worse_has_both_values(changes, line):
    assert lines(WELL, dict(AFTER, **changes)) == [line]


@pytest.mark.parametrize("key,value", [("age", 500.0), ("age", None), ("series", None), ("series", 0), ("silent", ["http://am"])])
def test_what_was_wrong_before_is_no_reason_to_go_back(key, value):
    assert lines(dict(WELL, **{key: value}), dict(AFTER, **{key: value})) == []


def test_a_package_may_have_any_version():
    assert lines(WELL, dict(AFTER, builds={}), wanted="") == []


@pytest.mark.parametrize("page,version", [
    ('x 1\nvm_app_version{version="victoria-metrics-20250101-tags-v1.151.0-0-gabc", short_version="v1.151.0"} 1\n', "1.151.0"),
    ('prometheus_build_info{branch="HEAD",version="3.4.1"} 1\n', "3.4.1"),
    ('alertmanager_build_info{goversion="go1.24",version="0.28.1"} 1\n', "0.28.1"),
    ('go_info{version="go1.24"} 1\n', ""), ("", ""),
])
def test_versions_on_pages_of_metrics(page, version):
    assert upgrade.reported(page) == version
