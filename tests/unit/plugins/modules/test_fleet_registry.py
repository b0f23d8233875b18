# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module fleet_registry as a process of its own, on files in a temporary directory.

Nothing is stubbed; records are made up. The arguments come as a file, as the module gets them when it is debugged.
"""
import fcntl
import json
import os
import pathlib
import stat
import subprocess
import sys

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import registry
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import exporter, record, unanswered

REPOSITORY = pathlib.Path(__file__).resolve().parents[4]
MODULE = REPOSITORY / "plugins" / "modules" / "fleet_registry.py"
CUSTOM = {"job": "ipmi", "port": 9290, "scheme": "http", "path": "/metrics", "elected": [], "custom": True}


class Host:
    """A monitoring host: its directories, and runs of the module on it."""

    def __init__(self, root):
        self.root = root
        self.targets = root / "targets"
        self.state = root / "state"
        self.series = root / "textfile"

    def start(self, records, number=0, **options):
        """A running module; `options` are arguments, _ansible_check_mode and the like, `raw` other records than JSON text."""
        arguments = {
            "records": " " + json.dumps({"version": 1, "records": records}), "inventory_hosts": [one["host"] for one in records],
            "full_run": True, "state_dir": str(self.state), "targets_dir": str(self.targets), "series_dir": str(self.series)}
        arguments["records"] = options.pop("raw", arguments["records"])
        arguments.update(options)
        path = self.root / ("arguments%d.json" % number)
        path.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(
            [str(REPOSITORY / ".collections")] + [entry for entry in sys.path if entry]))
        return subprocess.Popen([sys.executable, str(MODULE), str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)

    def end(self, process):
        """The result of a running module."""
        out, err = process.communicate(timeout=600)
        assert out, err.decode()
        return json.loads(out.decode())

    def run(self, records, **options):
        """Result of one run that must succeed."""
        result = self.end(self.start(records, **options))
        assert not result.get("failed"), result
        return result

    def fail(self, records, **options):
        """Message of one run that must fail, which is one line."""
        result = self.end(self.start(records, **options))
        assert result.get("failed"), result
        assert "\n" not in result["msg"]
        return result["msg"]

    def hosts(self, cluster="c"):
        return registry.load((self.state / (cluster + ".json")).read_text(), cluster, "")["hosts"]

    def files(self):
        """{path below the root: content} of all that readers see."""
        return {str(path.relative_to(self.root)): path.read_text() for top in (self.state, self.targets, self.series)
                for path in sorted(top.rglob("*")) if path.is_file()}

    def nodes(self, name="node_exporter/c.json"):
        return [entry["labels"]["node"] for entry in json.loads((self.targets / name).read_text())]


@pytest.fixture(name="host")
def fixture_host(tmp_path):
    return Host(tmp_path)


def warnings(result):
    """All warnings of a result as one text; core 2.19 and later wrap them."""
    return "\n".join(one if isinstance(one, str) else one["event"]["msg"] for one in result.get("warnings", ()))


def mode(path):
    return stat.S_IMODE(os.stat(str(path)).st_mode)


def test_first_run_writes_everything_and_the_second_nothing(host):
    umask = os.umask(0o077)
    try:
        first = host.run([record("a"), unanswered("b")])
    finally:
        os.umask(umask)
    assert first["changed"]
    assert first["clusters"] == {"c": {
        "generation": 1, "hosts": 2, "added": ["a", "b"], "updated": [], "removed": [], "retired": [], "pending": ["b"], "accepted": {}}}
    assert sorted(host.files()) == [
        "state/c.json", "state/c.lock", "state/c.series", "targets/node_exporter/c.json", "textfile/accelmon_fleet_c.prom"]
    assert mode(host.state) == 0o750
    assert mode(host.state / "c.json") == 0o640
    assert mode(host.targets / "node_exporter") == 0o755
    assert mode(host.targets / "node_exporter" / "c.json") == 0o644
    assert mode(host.series / "accelmon_fleet_c.prom") == 0o644
    before = host.files()
    second = host.run([record("a"), unanswered("b")])
    assert not second["changed"]
    assert host.files() == before


def test_result_does_not_carry_the_records(host):
    """Core 2.21 adds the arguments to a result only when asked; older cores always do."""
    assert "exporters" not in json.dumps(host.run([record("a")]))


def test_parsed_records_are_taken_too(host):
    host.run([record("a")], raw={"version": 1, "records": [record("a")]})
    assert host.nodes() == ["a"]


@pytest.mark.parametrize("value", ["", "{", "[]", '{"version": 2, "records": []}', "{'version': 1, 'records': []}"])
def test_anything_else_is_refused(host, value):
    assert host.fail([], raw=value).startswith("records: not ")


def test_check_mode_changes_nothing_and_tells_the_same(host):
    told = host.run([record("a")], _ansible_check_mode=True, _ansible_diff=True)
    assert host.files() == {}
    done = host.run([record("a")], _ansible_diff=True)
    assert told["clusters"] == done["clusters"]
    assert told["changed"] and done["changed"]
    assert told["diff"] == done["diff"]


def test_diff_shows_changed_lines_only(host):
    host.run([record("a", address="10.0.0.1"), record("b", address="10.0.0.2")])
    result = host.run([record("a", address="10.0.0.1"), record("b", address="10.0.0.3")], _ansible_diff=True)
    shown = [part["prepared"] for part in result["diff"]]
    assert len(shown) == 2
    assert '"10.0.0.2:9100"' in shown[0] and '"10.0.0.3:9100"' in shown[0]
    assert '"10.0.0.1:9100"' not in shown[0]


def test_long_diff_is_cut(host):
    result = host.run([record("h%03d" % number) for number in range(200)], _ansible_diff=True)
    assert all(len(part["prepared"].splitlines()) <= 43 for part in result["diff"])
    assert "more changed lines" in result["diff"][0]["prepared"]


def test_hand_changed_files_are_put_right(host):
    host.run([record("a")])
    before = host.files()
    path = host.targets / "node_exporter" / "c.json"
    path.write_text("[]\n")
    path.chmod(0o600)
    result = host.run([record("a")])
    assert result["changed"]
    assert result["clusters"]["c"]["generation"] == 1
    assert host.files() == before
    assert mode(path) == 0o644


def test_wrong_mode_alone_is_put_right(host):
    host.run([record("a")])
    (host.state / "c.json").chmod(0o666)
    assert host.run([record("a")])["changed"]
    assert mode(host.state / "c.json") == 0o640


def test_target_files_without_targets_go_and_others_stay(host):
    host.run([record("a", exporters=[exporter(), CUSTOM])])
    other = host.targets / "custom" / "ipmi.b.c.json"
    other.write_text("[]\n")
    assert host.nodes("custom/ipmi.c.json") == ["a"]
    host.run([record("a")])
    assert not (host.targets / "custom" / "ipmi.c.json").exists()
    assert other.exists()


def test_limited_run_touches_its_hosts_only(host):
    host.run([record("a"), record("b")])
    host.run([record("a", accelerators={"nvidia": {"H100": 7}})], full_run=False, inventory_hosts=["a"])
    assert {name: entry["status"] for name, entry in host.hosts().items()} == {"a": "active", "b": "active"}
    assert host.nodes() == ["a", "b"]
    assert host.hosts()["a"]["highest"] == {"nvidia": {"H100": 8}}


def test_a_full_run_confirms_what_it_leaves_as_it_is(host):
    """The time of the file is what FleetRegistryOld reads. A run for some hosts, or one that changes nothing by being a check, says nothing of the rest."""
    host.run([record("a"), record("b")])
    series = host.series / "accelmon_fleet_c.prom"
    for said, options in ((False, {"full_run": False}), (False, {"_ansible_check_mode": True}), (True, {})):
        os.utime(series, (1000, 1000))
        assert not host.run([record("a"), record("b")], **options)["changed"]
        assert (series.stat().st_mtime > 1000) is said


def test_half_inventory_retires_and_prune_forgets(host):
    host.run([record("a"), record("b")])
    assert host.run([record("a")])["clusters"]["c"]["retired"] == ["b"]
    assert host.nodes() == ["a", "b"]
    result = host.run([record("a")], prune=True)
    assert result["clusters"]["c"]["removed"] == ["b"]
    assert host.nodes() == ["a"]


def test_hosts_that_go_are_forgotten_in_their_cluster_and_no_others(host):
    host.run([record("a"), record("b"), record("x", cluster="d"), record("old")])
    host.run([record("a"), record("b"), record("x", cluster="d"), record("new", address=record("old")["address"])])
    assert host.hosts()["old"]["status"] == "replaced"
    before = host.files()
    gone = [unanswered("a"), unanswered("new", address="10.9.9.9"), unanswered("x")]
    assert host.run(gone, forget=True, full_run=False, _ansible_check_mode=True)["changed"] and host.files() == before
    done = host.run(gone, forget=True, full_run=False)
    assert done["clusters"]["c"]["removed"] == ["a", "new", "old"] and list(done["clusters"]) == ["c"], "x is of the other cluster"
    assert sorted(host.hosts()) == ["b"] and sorted(host.hosts("d")) == ["x"] and host.nodes() == ["b"]
    assert not host.run(gone, forget=True, full_run=False)["changed"]


def test_series_go_from_the_directory_where_they_were(host):
    """That of a site's own node_exporter, which would go on exporting them. Each cluster when it is recorded the next time."""
    host.run([record("a"), record("x", cluster="d")])
    former, host.series = host.series, host.root / "elsewhere"

    def there():
        return [str(path.relative_to(host.root)) for folder in (host.series, former) for path in sorted(folder.glob("*.prom"))]
    assert host.run([record("a")], _ansible_check_mode=True)["changed"]
    assert there() == ["textfile/accelmon_fleet_c.prom", "textfile/accelmon_fleet_d.prom"]
    assert host.run([record("a")])["changed"]
    assert there() == ["elsewhere/accelmon_fleet_c.prom", "textfile/accelmon_fleet_d.prom"]
    assert not host.run([record("a")])["changed"]
    (host.series / "accelmon_fleet_c.prom").unlink()
    former, host.series = host.series, former
    host.run([record("a"), record("x", cluster="d")])
    assert there() == ["textfile/accelmon_fleet_c.prom", "textfile/accelmon_fleet_d.prom"]


def test_forgetting_the_last_host_of_a_cluster_leaves_no_targets_and_no_series(host):
    host.run([record("a"), record("x", cluster="d")])
    host.run([unanswered("x", cluster="d")], forget=True, full_run=False)
    assert sorted(host.files()) == [
        "state/c.json", "state/c.lock", "state/c.series", "state/d.lock", "targets/node_exporter/c.json", "textfile/accelmon_fleet_c.prom"]


def test_where_nothing_was_recorded_forgetting_makes_no_directory(host):
    assert not host.run([unanswered("a")], forget=True, full_run=False)["changed"]
    assert not host.state.exists() and not host.targets.exists()


def test_a_damaged_registry_keeps_its_hosts_from_being_forgotten(host):
    host.run([record("a")])
    (host.state / "c.json").write_text("{")
    assert "not JSON" in host.fail([unanswered("a")], forget=True, full_run=False)


def test_refused_prune_changes_nothing_in_any_cluster(host):
    many = [record("h%d" % number) for number in range(6)]
    host.run(many + [record("x", cluster="b")])
    before = host.files()
    message = host.fail([record("h0"), record("x", cluster="b", address="10.1.1.1")], prune=True)
    assert "5 of 6 hosts would be removed from the registry" in message
    assert "h1, h2, h3, h4, h5" in message
    assert host.files() == before


def test_clusters_are_apart(host):
    host.run([record("a"), record("b", cluster="d")])
    before = host.files()
    host.run([record("a", address="10.1.1.1")])
    after = host.files()
    assert sorted(name for name in after if after[name] != before[name]) == [
        "state/c.json", "targets/node_exporter/c.json", "textfile/accelmon_fleet_c.prom"]


def test_host_that_moves_to_another_cluster_is_replaced_in_the_old(host):
    host.run([record("a"), record("b")])
    host.run([record("a"), record("b", cluster="d")])
    assert host.hosts()["b"]["status"] == "replaced" and host.hosts()["b"]["replaced_by"] == {"cluster": "d", "host": "b"}
    assert host.nodes() == ["a"] and host.nodes("node_exporter/d.json") == ["b"]
    assert host.hosts("d")["b"]["status"] == "active"


def test_two_runs_at_once_both_count(host):
    names = ["h%02d" % number for number in range(16)]
    running = [host.start([record(name)], number=number, full_run=False) for number, name in enumerate(names)]
    results = [host.end(process) for process in running]
    assert not [result for result in results if result.get("failed")]
    assert sorted(host.hosts()) == names
    assert host.nodes() == names
    assert sorted(result["clusters"]["c"]["generation"] for result in results) == list(range(1, 17))


def test_runs_over_several_clusters_do_not_block_each_other(host):
    one = [record("a"), record("b", cluster="d")]
    running = [host.start(records, number=number, full_run=False) for number, records in enumerate([one, one[::-1]] * 3)]
    assert not [result for result in map(host.end, running) if result.get("failed")]


def test_lock_held_too_long(host):
    host.run([record("a")])
    with open(str(host.state / "c.lock"), "a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        message = host.fail([record("a")], lock_timeout=1)
    assert message == (
        "cluster c: lock_timeout = 1: another run still holds %s; wait for it to finish, or raise lock_timeout" % (host.state / "c.lock"))
    assert not host.run([record("a")], lock_timeout=1)["changed"]


@pytest.mark.parametrize("content", ["", '{"version": 1, "hos', "\x00\x00", "[1]"])
def test_corrupt_registry_is_named_and_left(host, content):
    host.run([record("a")])
    (host.state / "c.json").write_text(content)
    before = host.files()
    message = host.fail([record("a")])
    assert message.startswith("registry %s: not " % (host.state / "c.json"))
    assert "run site.yml without --limit" in message
    assert host.files() == before


def test_lost_registry_is_built_anew_by_a_full_run_only(host):
    host.run([record("a"), record("b")])
    before = host.hosts()
    (host.state / "c.json").unlink()
    message = host.fail([record("a")], full_run=False)
    assert message.startswith("registry %s: missing, although cluster c has targets" % (host.state / "c.json"))
    assert "run site.yml without --limit" in message
    result = host.run([record("a"), record("b")])
    assert host.hosts() == before
    assert "has been rebuilt" in warnings(result)


def test_new_cluster_may_start_with_a_limited_run(host):
    host.run([record("a")], full_run=False)
    assert host.nodes() == ["a"]


def test_accept(host):
    host.run([record("a"), record("b")])
    host.run([record("a", accelerators={"nvidia": {"H100": 7}}), record("b", accelerators={"nvidia": {"H100": 6}})])
    result = host.run([unanswered("a")], full_run=False, accept=["a"])
    assert result["clusters"]["c"]["accepted"] == {"a": {"nvidia": [8, 7]}}
    assert 'accelmon_expected_accelerators{cluster="c",node="b",vendor="nvidia"} 8' in host.files()["textfile/accelmon_fleet_c.prom"]
    result = host.run([unanswered("a")], full_run=False, accept=["*"])
    assert result["clusters"]["c"]["accepted"] == {"b": {"nvidia": [8, 6]}}


def test_a_hand_over_is_said_once(host):
    by_dcgm = record("a", exporters=[exporter(job="dcgm_exporter", source="dcgm", elected=["nvidia"])])
    assert "is now read by" not in warnings(host.run([record("a")]))
    assert "a: nvidia is now read by dcgm instead of textfile" in warnings(host.run([by_dcgm]))
    assert "is now read by" not in warnings(host.run([by_dcgm]))


def test_accept_of_an_unknown_host_changes_nothing(host):
    host.run([record("a")])
    before = host.files()
    assert host.fail([record("a", address="10.1.1.1")], accept=["a", "gpu99"]).startswith("accept = gpu99: not in the registry of cluster c")
    assert host.files() == before


def test_accept_warns_where_a_declared_count_stands_against_it(host):
    records = [record("a", expected={"nvidia": 8}, accelerators={"nvidia": {"H100": 7}})]
    assert ('a: accelmon_expected = {"nvidia": 8}: declares 8 nvidia accelerators, but 7 were seen; correct it in the inventory'
            in warnings(host.run(records, accept=["a"])))
    assert "declares" not in warnings(host.run(records))


def test_no_records_touch_nothing(host):
    host.run([record("a")])
    before = host.files()
    assert host.run([])["clusters"] == {}
    assert host.files() == before


def test_file_in_the_way_is_one_line(host):
    host.targets.mkdir()
    (host.targets / "node_exporter").write_text("")
    message = host.fail([record("a")])
    assert str(host.targets / "node_exporter") in message


def test_no_temporary_file_appears_in_a_watched_directory(host):
    host.run([record("a")])
    seen = set()
    running = [host.start([record("h%d" % number)], number=number, full_run=False) for number in range(6)]
    while any(process.poll() is None for process in running):
        seen.update(os.listdir(str(host.targets / "node_exporter")))
    for process in running:
        host.end(process)
    assert seen == {"c.json"}


@pytest.mark.skipif(not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat("/tmp").st_dev,
                    reason="needs a second filesystem at /dev/shm")
def test_targets_on_another_filesystem(host):
    shared = pathlib.Path("/dev/shm/accelmon-test-%d" % os.getpid())
    host.targets = shared
    try:
        host.run([record("a")])
        host.run([record("a"), record("b")])
        assert host.nodes() == ["a", "b"]
        assert os.listdir(str(shared / "node_exporter")) == ["c.json"]
        assert mode(shared / "node_exporter" / "c.json") == 0o644
    finally:
        subprocess.call(["rm", "-rf", str(shared)])


# ---- places ----


def test_a_host_with_another_name_is_one_machine(host):
    host.run([record("old"), record("b")])
    changed = host.run([record("new", address=record("old")["address"]), record("b")])["clusters"]["c"]
    assert changed["replaced"] == ["old"] and changed["retired"] == [] and host.nodes() == ["b", "new"]
    assert host.run([record("new", address=record("old")["address"]), record("b")], prune=True)["clusters"]["c"]["removed"] == ["old"]


def test_a_cluster_that_gets_another_name_is_pruned_whole(host):
    names = ["a", "b", "d", "e"]
    host.run([record(name) for name in names])
    moved = [record(name, cluster="east") for name in names]
    clusters = host.run(moved)["clusters"]
    assert clusters["c"]["replaced"] == names and host.nodes("node_exporter/east.json") == names
    assert "expected_accelerators{" not in (host.series / "accelmon_fleet_c.prom").read_text()
    assert not (host.targets / "node_exporter" / "c.json").exists()
    assert not host.run(moved)["changed"]
    # With the same safety as ever.
    assert "cluster c: accelmon_prune = true: 4 of 4 hosts would be removed from the registry" in host.fail(moved, prune=True)
    assert host.run(moved, prune=True, prune_force=True)["clusters"]["c"]["removed"] == names
    assert not (host.state / "c.json").exists() and not (host.series / "accelmon_fleet_c.prom").exists()
    result = host.run(moved, full_run=False)
    assert not result["changed"] and list(result["clusters"]) == ["east"]


def test_a_cluster_that_no_host_of_the_run_tells_of_is_forgotten_by_name(host):
    host.run([record("a", cluster="east")])
    host.run([record("b")])
    assert list(host.run([record("b")], prune=True, prune_force=True)["clusters"]) == ["c"] and "a" in host.hosts("east")
    assert "no such registry; known are c, east" in host.fail([record("b")], prune=True, prune_clusters=["west"])
    assert "it contains hosts of this run" in host.fail([record("b")], prune=True, prune_clusters=["c"])
    assert host.run([record("b")], prune=True, prune_clusters=["east"])["clusters"]["east"]["removed"] == ["a"]
    assert not (host.state / "east.json").exists() and not (host.targets / "node_exporter" / "east.json").exists()


def test_another_cluster_that_is_damaged_does_not_stop_the_run(host):
    host.run([record("a")])
    host.run([record("b", cluster="east")])
    (host.state / "c.json").write_text("{")
    result = host.run([record("b", cluster="east")])
    assert "registry %s: not JSON" % (host.state / "c.json") in str(result.get("warnings")) and result["clusters"]["east"]["hosts"] == 1


# ---- what the file system refuses ----


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100000, b"{}", b'{"version": 1, "cluster": "c", "generation": 1, "hosts": {"a": {}}}'])
def test_a_damaged_registry_is_told_with_its_fix(host, content):
    host.run([record("a")])
    (host.state / "c.json").write_bytes(content)
    message = host.fail([record("a")])
    assert message.startswith("registry %s: " % (host.state / "c.json")) and "; restore the file from a backup" in message


def test_a_directory_in_the_place_of_the_registry(host):
    (host.state / "c.json").mkdir(parents=True)
    assert "a different kind of file is in the way (Is a directory); move it away" in host.fail([record("a")])
