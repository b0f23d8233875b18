# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a scheduled update is about."""

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import updates
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import releases

LOCKED = {
    "node_exporter": {"version": "1.9.0", "sha256": {"amd64": "a" * 64}},
    "all_smi": {"version": "0.28.0", "sha256": {"amd64": "b" * 64, "arm64": "c" * 64}},
    "all_smi_musl": {"version": "0.28.0", "sha256": {"amd64": "d" * 64}},
    "vmutils": {"version": "1.134.0", "sha256": {"amd64": "e" * 64}},
}
NEWER = {"node_exporter": "1.9.1", "all_smi": "0.28.1"}


def test_exporters_are_watched_and_the_stack_is_not():
    assert updates.watched(LOCKED) == {"node_exporter": "1.9.0", "all_smi": "0.28.0", "all_smi_musl": "0.28.0"}


def test_every_role_is_one_that_a_release_has():
    assert set(updates.ROLES) <= {role for entry in releases.catalogue().values() for role in entry["roles"]}


@pytest.mark.parametrize("architecture,installed,due", [
    ("amd64", {"node_exporter": "1.9.0-" + "a" * 12, "all_smi": "0.28.0-" + "b" * 12}, ["node_exporter", "all_smi"]),
    ("arm64", {"node_exporter": "1.9.0-" + "a" * 12, "all_smi": "0.28.0-" + "c" * 12}, ["all_smi"]),  # another build than the locked one
    ("amd64", {"all_smi": "0.28.0-" + "d" * 12}, []),  # the static build has no newer release
    ("amd64", {"all_smi": "0.27.0-" + "b" * 12}, []),
    ("amd64", {"all_smi": "0.28.1-" + "f" * 12}, []),
    ("amd64", {}, []),
])
def test_what_is_due(architecture, installed, due):
    assert updates.due(NEWER, LOCKED, architecture, installed) == due


@pytest.mark.parametrize("chosen,first", [([], ["n1"]), (["n2"], ["n2"]), (["racks"], ["n2", "n3"]), (["racks", "n1"], ["n1", "n2", "n3"]), (["n9"], ["n1"])])
def test_who_is_first(chosen, first):
    assert updates.canaries(["n3", "n1", "n2"], chosen, {"racks": ["n2", "n3", "n7"]}) == first


def outcomes(**results):
    """hostvars and groups of a run: n1 is the canary."""
    hostvars = {host: {"accelmon_update_result": result, "accelmon_update_reason": f"{host}: because"} if result else {} for host, result in results.items()}
    return {"accelmon_update_canary": ["n1"], "accelmon_update_rest": [host for host in results if host != "n1"]}, hostvars


@pytest.mark.parametrize("canary,second,goes_on", [
    ("updated", "", True), ("updated", "updated", True), ("updated", "failed", False), ("failed", "", False), ("", "", False)])
def test_the_others_follow_as_long_as_nothing_failed(canary, second, goes_on):
    assert updates.goes_on(*outcomes(n1=canary, n2=second, n3="")) is goes_on


def test_who_does_not_have_the_release_and_why():
    _groups, hostvars = outcomes(n1="updated", n2="failed", n3="")
    assert updates.failures(["n1", "n2", "n3"], hostvars) == {"n2": "n2: because", "n3": "not reached"}
    assert updates.failures(["n1"], hostvars) == {}
