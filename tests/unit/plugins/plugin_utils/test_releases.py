"""Which release is installed: roles' variables, lock file, catalogue. Nothing is stubbed."""

import json
import re

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import releases

EMPTY = {"version": "", "url": "", "sha256": {}}
SUM = "d" * 64


def lock_of(tmp_path, **entries):
    path = tmp_path / "lock.json"
    path.write_text(json.dumps({"version": 1, "releases": entries}))
    return str(path)


@pytest.mark.parametrize("role", ["node_exporter", "victoriametrics", "vmagent", "vmalert", "vmauth", "prometheus", "alertmanager"])
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_every_program_can_be_installed_as_it_ships(role, architecture):
    found = releases.release_artifact(EMPTY, role, architecture)
    assert found["url"].startswith("https://github.com/") and "{" not in found["url"] and architecture in found["url"]
    assert found["url"].count(found["version"]) == 2 and re.fullmatch("[0-9a-f]{64}", found["sha256"])


def test_no_checksum_stands_twice_in_the_catalogue():
    sums = [value for entry in releases.catalogue().values() for value in entry["sha256"].values()]
    assert len(sums) == len(set(sums)) == 13


def test_the_lock_file_wins_and_the_role_over_it(tmp_path):
    lock = lock_of(tmp_path, vmutils={"version": "1.200.0", "sha256": {"amd64": SUM}})
    found = releases.release_artifact(EMPTY, "vmalert", "amd64", lock, "https://mirror.example/gh/")
    assert found == {"version": "1.200.0", "sha256": SUM, "url": "https://mirror.example/gh/VictoriaMetrics/VictoriaMetrics/releases/download/"
                                                                 "v1.200.0/vmutils-linux-amd64-v1.200.0.tar.gz"}
    assert releases.release_artifact(EMPTY, "node_exporter", "amd64", lock)["version"] == "1.9.1"
    pinned = {"version": "2", "url": "http://own/x-{version}-{architecture}", "sha256": {"amd64": "e" * 64}}
    assert releases.release_artifact(pinned, "vmalert", "amd64", lock, "https://mirror.example") == {
        "version": "2", "url": "http://own/x-2-amd64", "sha256": "e" * 64}


@pytest.mark.parametrize("pinned,architecture", [({"version": "1.8.0"}, "amd64"), ({}, "riscv64")])
def test_a_checksum_of_another_version_or_architecture_never_counts(pinned, architecture):
    with pytest.raises(Problem, match="node_exporter_sha256 = {}.*accelmon.fleet.lock") as caught:
        releases.release_artifact(dict(EMPTY, **pinned), "node_exporter", architecture)
    assert architecture in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text,words", [
    ("[", "not JSON"), ("[]", "not a version 1 lock file"), ('{"version": 2, "releases": {}}', "version 1"),
    ('{"version": 1, "releases": {"curl": {"version": "1", "sha256": {}}}}', "no such release"),
    ('{"version": 1, "releases": {"vmutils": 1}}', "not a mapping"),
    ('{"version": 1, "releases": {"vmutils": {"version": 1.1, "sha256": {}}}}', "version = 1.1"),
    ('{"version": 1, "releases": {"vmutils": {"version": "../x", "sha256": {}}}}', "not a version"),
    ('{"version": 1, "releases": {"vmutils": {"version": "1", "url": 1, "sha256": {}}}}', "url = 1"),
    ('{"version": 1, "releases": {"vmutils": {"version": "1", "sha256": {"amd64": "abc"}}}}', "not a SHA-256"),
    ("!!python/object/apply:os.system [true]", "not JSON"),
])
def test_a_lock_file_that_cannot_be_used_is_named(tmp_path, text, words):
    path = tmp_path / "lock.yml"
    path.write_text(text)
    with pytest.raises(Problem, match=words) as caught:
        releases.release_artifact(EMPTY, "vmagent", "amd64", str(path))
    assert str(caught.value).startswith(f"accelmon_lock_file = {path}: ")


@pytest.mark.parametrize("path,words", [("lock.yml", "relative"), ("/nowhere/lock.yml", "create it with playbooks/lock.yml")])
def test_a_lock_file_that_is_not_there(path, words):
    with pytest.raises(Problem, match=words):
        releases.read_lock(path)


def test_what_is_wanted_names_lists_and_archives():
    found = {one["name"]: one for one in releases.wanted({"vmutils": "1.2"}, ["arm64"], "http://m")}
    assert set(found) == set(releases.catalogue()) - {"grafana"}
    assert found["vmutils"]["sums"] == {"arm64": [
        "http://m/VictoriaMetrics/VictoriaMetrics/releases/download/v1.2/vmutils-linux-arm64-v1.2_checksums.txt", "vmutils-linux-arm64-v1.2.tar.gz"]}
    assert [one["name"] for one in releases.wanted({}, ["amd64"], names=["prometheus"])] == ["prometheus"]


def test_what_is_not_behind_the_prefix_is_wanted_by_name():
    """A mirror of GitHub does not have it."""
    (one,) = releases.wanted({}, ["amd64"], "http://m", names=["grafana"])
    archive = "grafana-" + one["version"] + ".linux-amd64.tar.gz"
    assert one["sums"] == {"amd64": [f"https://dl.grafana.com/oss/release/{archive}.sha256", archive]}
    found = {one["name"]: one["version"] for one in releases.wanted({"grafana": "13.2.1"}, ["amd64"])}
    assert found["grafana"] == "13.2.1" and "prometheus" in found


def test_grafana_can_be_installed_as_it_ships():
    found = releases.release_artifact(EMPTY, "grafana", "amd64", prefix="https://mirror.example")
    assert found["url"] == f"https://dl.grafana.com/oss/release/grafana-{found['version']}.linux-amd64.tar.gz"
    with pytest.raises(Problem, match='grafana_sha256.*"grafana": "[0-9.]+".*"arm64"'):
        releases.release_artifact(EMPTY, "grafana", "arm64")


@pytest.mark.parametrize("versions,names,words", [
    ({"curl": "1"}, [], "accelmon_lock_versions = curl"), ({}, ["curl"], "accelmon_lock_releases = curl"), ({"vmutils": "v/1"}, [], "not a version")])
def test_what_cannot_be_wanted(versions, names, words):
    with pytest.raises(Problem, match=words):
        releases.wanted(versions, ["amd64"], names=names)
