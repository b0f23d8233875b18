# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions that are refused, lines that data cannot come back over, and who says so. Stubbed: hosts; their variables and facts are made here."""
import json

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import check, upgrades
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import releases
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import facts

GROUPS = {"accelerator_nodes": ["mon1"], "monitoring": ["mon1", "mon2"]}


def monitors(programs=None, **given):
    """hostvars of two monitoring hosts with these variables; the first one told of these {role: (version, source)}."""
    told = {role: {"version": version, "source": source} for role, (version, source) in (programs or {}).items()}
    return {name: {"inventory_hostname": name, "group_names": ["monitoring"],
                   "ansible_facts": facts(node={"architecture": "amd64", "programs": told if name == "mon1" else {}}), **given} for name in ("mon1", "mon2")}


@pytest.mark.parametrize("role,before,after,line", [
    ("victoriametrics", "1.112.0", "1.151.0", "1.133.0"),
    ("victoriametrics", "1.151.0", "1.112.0", "1.133.0"),
    ("victoriametrics", "1.132.9", "1.133.0", "1.133.0"),
    ("victoriametrics", "1.133.0", "1.151.0", ""),
    ("victoriametrics", "1.9.0", "1.112.0", ""),  # as numbers, not as text
    ("victoriametrics", "1.151.0", "", "1.133.0"),  # nobody knows what a package brings
    ("prometheus", "2.53.3", "3.4.1", "2.55.0"),
    ("prometheus", "2.55.0", "3.4.1", ""),
    ("alertmanager", "0.25.0", "0.28.1", ""),
    ("unheard_of", "1.0", "2.0", ""),
])
def test_lines_between_versions(role, before, after, line):
    assert releases.line_between(role, before, after)[0] == line


def test_no_version_of_the_catalogue_is_refused_and_each_refusal_says_why():
    for name, entry in releases.catalogue().items():
        assert entry["version"] not in entry.get("refused", {}), name
        assert all(releases.numbers(version) and why for version, why in {**entry.get("refused", {}), **entry.get("lines", {})}.items())


def test_the_first_play_refuses_a_version_once(tmp_path):
    lock = tmp_path / "lock.json"
    lock.write_text(json.dumps({"version": 1, "releases": {"victoriametrics": {"version": "1.140.0", "sha256": {"amd64": "a" * 64}}}}))
    found = check.fleet_check(GROUPS, monitors(accelmon_source="release", accelmon_lock_file=str(lock)))
    assert found["fleet"] == [f"accelmon_lock_file = {lock}: victoriametrics 1.140.0 is not installed: it evaluates a - (b + c) wrongly; choose another version"]


def test_a_pinned_version_is_refused_by_host():
    hostvars = monitors(accelmon_source="release")
    hostvars["mon2"].update(vmagent_version="1.147.0")
    assert upgrades.refusals(["mon1", "mon2"], hostvars) == [
        "mon2: vmagent_version = 1.147.0: vmagent 1.147.0 is not installed: its vmagent burns processor and memory where it relabels for one storage alone; "
        "choose another version"]


@pytest.mark.parametrize("given", [{}, {"accelmon_source": "release"}, {"accelmon_backend": "prometheus", "victoriametrics_version": "1.140.0"},
                                   {"accelmon_source": "release", "accelmon_lock_file": "/nowhere"},
                                   {"accelmon_source": "package", "victoriametrics_version": "1.140.0"}])
def test_nothing_is_refused(given):
    assert upgrades.refusals(["mon1", "mon2"], monitors(**given)) == []


def test_no_refused_version_is_locked():
    with pytest.raises(Problem, match="accelmon_lock_versions = victoriametrics: 1.140.0 is not installed: .*; choose another version"):
        releases.wanted({"victoriametrics": "1.140.0"}, ["amd64"])


@pytest.mark.parametrize("programs,given,crossed", [
    ({"victoriametrics": ("1.112.0", "package")}, {"accelmon_source": "release"}, {"victoriametrics": ("1.112.0", releases.catalogue()["victoriametrics"]["version"])}),
    ({"victoriametrics": ("1.151.0", "release")}, {}, {"victoriametrics": ("1.151.0", "")}),
    ({"victoriametrics": ("1.112.0", "package")}, {}, {}),
    ({"victoriametrics": ("1.151.0", "release")}, {"accelmon_source": "release"}, {}),
    ({"prometheus": ("2.53.3", "package")}, {"accelmon_source": "release"}, {}),  # not its backend: it goes, and its data stay as they are
    ({"prometheus": ("2.53.3", "package")}, {"accelmon_source": "release", "accelmon_backend": "prometheus"},
     {"prometheus": ("2.53.3", releases.catalogue()["prometheus"]["version"])}),
    ({}, {"accelmon_source": "release"}, {}),  # a new host
])
def test_what_would_cross_a_line(programs, given, crossed):
    found = upgrades.crossings(["mon1", "mon2"], monitors(programs, **given))
    assert {role: (one["from"], one["to"]) for role, one in found.get("mon1", {}).items()} == crossed and "mon2" not in found


def test_the_message_says_what_to_run():
    (line,) = upgrades.refused_crossings(["mon1"], monitors({"victoriametrics": ("1.112.0", "package")}, accelmon_source="release", victoriametrics_version="1.140.1"))
    assert line == ("mon1: victoriametrics_version = 1.140.1: victoriametrics 1.112.0 is installed, and 1.140.1 would cross 1.133.0: earlier versions do not find "
                    "series and samples that it has stored; run upgrade.yml, which takes a backup first")
