# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slurm's node output, parsed and through Ansible's own inventory. Stubbed: scontrol, by small scripts."""
import os
import pathlib
import time

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils import slurm
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory import lists, scontrol
from ansible_collections.accelmon.fleet.tests.unit.plugins.inventory.through_ansible import REPOSITORY, evaluated, inventory

FIXTURES = REPOSITORY / "tests" / "fixtures" / "inventory"


def nodes(text):
    found, problems = scontrol.parse(text)
    assert problems == []
    return found


@pytest.fixture(name="blocks", scope="module")
def block_format():
    return nodes((FIXTURES / "scontrol_blocks.txt").read_text())


def test_both_formats_say_the_same(blocks):
    assert nodes((FIXTURES / "scontrol_oneline.txt").read_text()) == {name: blocks[name] for name in ("gpu001", "gpu002")}


def test_a_node(blocks):
    assert blocks["gpu001"] == {"address": "10.1.0.1", "states": ["IDLE"], "partitions": ["train", "all"], "features": ["rack-12", "ib"],
                                "gres": [("gpu", "h100", 8)]}


def test_free_text_of_people_changes_nothing(blocks):
    assert "evil" not in blocks
    assert blocks["gpu002"]["states"] == ["DOWN", "DRAIN", "NOT_RESPONDING"]
    assert "address" not in blocks["gpu002"]


@pytest.mark.parametrize("text, found", [
    ("IDLE", ["IDLE"]), ("DOWN*", ["DOWN", "NOT_RESPONDING"]), ("IDLE~", ["IDLE", "POWERED_DOWN"]), ("MIXED$*", ["MAINT", "MIXED", "NOT_RESPONDING"]),
    ("IDLE+CLOUD+POWERED_DOWN", ["CLOUD", "IDLE", "POWERED_DOWN"]), ("drained", ["DRAIN"]), ("DRAINING@", ["DRAIN", "REBOOT_REQUESTED"]),
])
def test_states(text, found):
    assert slurm.states(text) == found


@pytest.mark.parametrize("text, found", [
    ("(null)", []), ("", []), ("gpu:8", [("gpu", "", 8)]), ("gpu:a100:4(S:0-1,3),gpu:v100:2", [("gpu", "a100", 4), ("gpu", "v100", 2)]),
    ("gpu:h100:2K", [("gpu", "h100", 2048)]), ("gpu:h100:1k(S:0-1)", [("gpu", "h100", 1024)]),
    ("gpu:nvidia_a100_3g.39gb:2(S:0),craynetwork:4", [("gpu", "nvidia_a100_3g.39gb", 2), ("craynetwork", "", 4)]),
    ("bandwidth:lustre:no_consume:4G", [("bandwidth", "lustre", 4 * 1024 ** 3)]), ("gpu:no_consume:8", [("gpu", "", 8)]),
    ("gpu", [("gpu", "", 1)]), ("gpu:a100", [("gpu", "a100", 1)]), ("gpu:a100(S:0),gpu:1g.5gb:7", [("gpu", "a100", 1), ("gpu", "1g.5gb", 7)]),
])
def test_gres(text, found):
    assert slurm.gres(text) == found


def test_resources_are_counted_once_where_only_the_totals_tell_them():
    text = "NodeName=a State=IDLE\n   Gres=(null)\n   CfgTRES=cpu=4,mem=1M,gres/gpu=8,gres/gpu:h100=8\n"
    assert nodes(text)["a"]["gres"] == [("gpu", "h100", 8)]


@pytest.mark.parametrize("listed, counted, found", [
    ("gpu:8(S:0-1)", "cpu=8,gres/gpu=8,gres/gpu:nvidia_h100_80gb_hbm3=8", [("gpu", "nvidia_h100_80gb_hbm3", 8)]),
    ("gpu:8", "gres/gpu=8,gres/gpu:h100=4,gres/gpu:a100=4", [("gpu", "h100", 4), ("gpu", "a100", 4)]),
    ("gpu:8,craynetwork:4", "gres/craynetwork=4,gres/gpu=8,gres/gpu:mi300x=8", [("gpu", "mi300x", 8), ("craynetwork", "", 4)]),
    ("gpu:8", "gres/gpu=8,gres/gpu:h100=4", [("gpu", "", 8)]), ("gpu:8", "gres/gpu=8", [("gpu", "", 8)]),
    ("gpu:h100:4,gpu:4", "gres/gpu=8,gres/gpu:h100=4", [("gpu", "h100", 4), ("gpu", "", 4)]),
    ("gpu:a100:8", "gres/gpu=8,gres/gpu:h100=8", [("gpu", "a100", 8)]),
])
def test_types_that_only_the_totals_tell(listed, counted, found):
    assert nodes(f"NodeName=a State=IDLE\n   Gres={listed}\n   CfgTRES={counted}\n")["a"]["gres"] == found
    assert nodes(f"NodeName=a Gres={listed} State=IDLE CfgTRES={counted}\n")["a"]["gres"] == found


@pytest.mark.parametrize("line, address", [
    ("NodeAddr=t6.cluster.example.org. NodeHostName=a", "t6.cluster.example.org"), ("NodeAddr=0.42.42.0 NodeHostName=a", None),
    ("NodeAddr=0.42.42.0 NodeHostName=b", "b"), ("NodeAddr=0.0.0.0", None), ("NodeAddr=a.", None), ("NodeAddr=10.0.0.1", "10.0.0.1"),
])
def test_where_a_node_is(line, address):
    assert nodes(f"NodeName=a {line} State=IDLE\n")["a"].get("address") == address


@pytest.mark.parametrize("key", ["Reason", "Comment", "Extra"])
def test_free_text_in_one_line_says_nothing_that_the_node_does_not(key):
    """The node itself has no resources, features, partitions and address: whoever may write the text cannot give it some."""
    text = f"NodeName=a State=IDLE {key}=x NodeName=evil State=DOWN Gres=gpu:h100:8 NodeAddr=10.9.9.9 Partitions=gpu ActiveFeatures=f CfgTRES=gres/gpu:h100=8\n"
    assert nodes(text) == {"a": {"states": ["IDLE"], "partitions": [], "features": [], "gres": []}}


def test_states_and_shapes_of_newer_releases():
    for form in ("blocks", "oneline"):
        found = nodes((FIXTURES / f"scontrol_states_{form}.txt").read_text())
        assert {name: (node["states"], node.get("address"), scontrol.expected(node, {})) for name, node in found.items()} == {
            "gpu-dy-1": (["CLOUD", "DOWN", "POWERED_DOWN"], None, {"nvidia": 8}),
            "gpu-st-1": (["DYNAMIC_NORM", "IDLE", "MAINT", "PLANNED", "RESERVED"], "10.0.1.23", {"nvidia": 1}),
            "gpuinv": (["DRAIN", "DYNAMIC_NORM", "IDLE", "INVALID_REG"], "10.0.1.24", {"nvidia": 8}),
            "gpublocked": (["BLOCKED", "MIXED"], "10.0.1.25", {"nvidia": 4}),
            "gpuunknown": (["UNKNOWN"], "10.0.1.26", {"amd": 8, "nvidia": 2}),
            "gpufail": (["DRAIN", "FAIL", "NOT_RESPONDING", "REBOOT_ISSUED"], "gpufail.example.org", {"amd": 8}),
            "gpuoff": (["CLOUD", "IDLE", "NOT_RESPONDING", "POWERED_DOWN"], None, {"nvidia": 8}),
        }


@pytest.mark.parametrize("gres, known, expected", [
    ("gpu:h100:8", {}, {"nvidia": 8}), ("gpu:nvidia_h100_80gb_hbm3:8", {}, {"nvidia": 8}), ("gpu:tesla:4", {}, {"nvidia": 4}),
    ("gpu:a100-sxm4-80gb:4", {}, {"nvidia": 4}), ("gpu:rtx_a6000:2", {}, {"nvidia": 2}), ("gpu:L40S:4", {}, {"nvidia": 4}),
    ("gpu:mi300x:8", {}, {"amd": 8}), ("gpu:amd_instinct_mi210:4", {}, {"amd": 4}), ("gpu:gaudi2:8", {}, {"intel_gaudi": 8}), ("hpu:8", {}, {"intel_gaudi": 8}),
    ("gpu:gfx942:8", {}, {"amd": 8}), ("gpu:2080ti:2", {}, {"nvidia": 2}), ("gpu:4090:8", {}, {"nvidia": 8}), ("gpu:2K", {"gpu": "nvidia"}, {}),
    ("gpu:intel_data_center_gpu_max_1550:4", {}, {"intel_gpu": 4}), ("gpu:pvc:6", {}, {"intel_gpu": 6}), ("gpu:intel_gaudi3:8", {}, {"intel_gaudi": 8}),
    ("gpu:rtx_pro_6000_blackwell:2", {}, {"nvidia": 2}), ("gpu:6000:2", {}, {}),
    ("gpu:8", {}, {}), ("gpu:fast:8", {}, {}), ("gpu:a1000x:8", {}, {}), ("gpu:h1:8", {}, {}), ("shard:64", {}, {}), ("mps:800", {}, {}),
    ("gpu:a100:1,gpu:a100_3g.20gb:4", {}, {}), ("gpu:mi300x:64", {}, {}), ("gpu:h100:0", {}, {}),
    ("gpu:mi300x_cpx:8", {}, {}), ("gpu:amd_instinct_mi300a_dpx_1:4", {}, {}), ("gpu:mi300x_spx:8", {}, {"amd": 8}), ("gpu:h100", {}, {"nvidia": 1}),
    ("gpu:8", {"gpu": "nvidia"}, {"nvidia": 8}), ("gpu:fast:2,gpu:h100:2", {"gpu:fast": "amd"}, {"amd": 2, "nvidia": 2}),
    ("tt:wormhole:4", {"tt": "tenstorrent"}, {"tenstorrent": 4}),
])
def test_accelerators_are_expected_where_nothing_is_in_doubt(gres, known, expected):
    assert scontrol.expected({"gres": slurm.gres(gres)}, known) == expected


@pytest.mark.parametrize("text, word", [
    ("", "no line starts with NodeName="), ("PARTITION AVAIL TIMELIMIT\nall up infinite\n", "no line starts"), ("slurm_load_node error: x\n", "no line starts"),
])
def test_what_is_no_node_output_is_refused(text, word):
    with pytest.raises(Problem, match=word):
        scontrol.parse(text)


@pytest.mark.parametrize("record, word", [
    ("NodeName=-oProxyCommand=x State=IDLE", "not a host name"), ("NodeName={{1+1}} State=IDLE", "not a host name"),
    ("NodeName= State=IDLE", "not a host name"),
    ("NodeName=gpu[1-4] State=IDLE", "not a host name"), ("NodeName=a NodeAddr=-v State=IDLE", "neither a host name"),
    ("NodeName=a NodeAddr={{1+1}} State=IDLE", "neither a host name"), ("NodeName=a NodeAddr=a:22 State=IDLE", "port"),
    ("NodeName=a State={{1+1}}", "not a Slurm state"), ("NodeName=a NodeAddr=b", "no state; save"), ("NodeName=a State=IDLE\nNodeName=a State=IDLE", "twice"),
])
def test_a_bad_node_is_named(record, word):
    dummy, problems = scontrol.parse(record + "\n")
    assert len(problems) == 1 and word in problems[0], problems
    assert "{{" not in problems[0]


def test_nodes_that_share_an_address_are_named(blocks):
    assert lists.clashes(blocks, scontrol.CLASH) == ["later01: same address as gpu001; exclude one of them with partitions or skip_states"]


def test_ten_thousand_nodes_take_seconds():
    one = (FIXTURES / "scontrol_oneline.txt").read_text().splitlines()[0]
    begin = time.process_time()
    found = nodes("\n".join(one.replace("gpu001", f"gpu{number}") for number in range(10000)))
    assert len(found) == 10000 and time.process_time() - begin < 20


def program(folder, script):
    path = folder / "scontrol"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return str(path)


def test_the_program_gets_its_arguments_without_a_shell(tmp_path):
    folder = tmp_path / "a b; touch $HOME"
    folder.mkdir()
    said = scontrol.run(program(folder, 'echo "NodeName=$1.$2.$3.$#.$LC_ALL"'), 10)
    assert said == "NodeName=--oneliner.show.node.3.C\n"


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path):
    begin = time.monotonic()
    with pytest.raises(Problem, match="no answer within 1 s"):
        scontrol.run(program(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; wait"), 1)
    assert time.monotonic() - begin < 10
    child = int((tmp_path / "child").read_text())
    end = time.monotonic() + 5
    while running(child):
        assert time.monotonic() < end, "the child runs on"
        time.sleep(0.1)


def running(process):
    """Whether a process runs; one that is dead and that nobody has asked for does not."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("script, word", [
    ("echo 'slurm_load_node error: Unable to contact slurm controller' >&2; exit 1", "exit status 1: slurm_load_node error"),
    ("printf '\\033[31m{{ evil }}\\n' >&2; exit 3", "exit status 3"),
    ("printf 'NodeName=a\\0'", "binary"),
])
def test_a_program_that_fails_is_quoted(tmp_path, script, word):
    with pytest.raises(Problem, match=word) as caught:
        scontrol.run(program(tmp_path, script), 10)
    assert str(caught.value).isprintable() and "{{" not in str(caught.value)


def test_endless_output_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(scontrol, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(lists, "MAX_BYTES", 1 << 20)
    begin = time.monotonic()
    with pytest.raises(Problem, match="larger than"):
        scontrol.run(program(tmp_path, "exec yes NodeName=a"), 60)
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize("name", ["no-such-program", "/nowhere/scontrol", ""])
def test_a_program_that_is_missing_is_named(name):
    with pytest.raises(Problem, match="no such program"):
        scontrol.run(name, 10)


def source(folder, options, text=None):
    if text is None:
        text = (FIXTURES / "scontrol_blocks.txt").read_text()
    (folder / "nodes.txt").write_text(text)
    path = folder / "site.scontrol.yml"
    path.write_text("plugin: accelmon.fleet.scontrol\n" + options)
    return path


def test_through_ansible(tmp_path):
    found = inventory(source(tmp_path, "file: nodes.txt\ncompose: {accelmon_rack: \"slurm_features | select('match', 'rack-') | first | default('')\"}\n"
                             "keyed_groups: [{key: slurm_partitions, prefix: partition}]\n"))
    hosts = found["_meta"]["hostvars"]
    assert set(hosts) == {"gpu001", "gpu002", "amd01", "mig01"}
    assert hosts["gpu001"] == {"ansible_host": "10.1.0.1", "accelmon_expected": {"nvidia": 8}, "accelmon_rack": "rack-12", "slurm_features": ["rack-12", "ib"],
                               "slurm_gres": ["gpu:h100:8"], "slurm_partitions": ["train", "all"], "slurm_states": ["IDLE"]}
    assert "accelmon_expected" not in hosts["gpu002"] and "accelmon_state" not in hosts["gpu002"] and "ansible_host" not in hosts["gpu002"]
    assert hosts["amd01"]["accelmon_state"] == "maintenance" and hosts["amd01"]["ansible_host"] == "fd00:1::3"
    assert "accelmon_expected" not in hosts["mig01"]
    assert found["accelerator_nodes"]["hosts"] == ["gpu001", "gpu002", "amd01", "mig01"]
    assert found["partition_train"]["hosts"] == ["gpu001", "gpu002"]


def test_options_choose_the_nodes_and_what_is_said_of_them(tmp_path):
    found = inventory(source(tmp_path, "file: nodes.txt\naccelerators_only: false\npartitions: [train, nothing]\ndefault_groups: [a, b]\nvendors: {gpu: amd}\n"
                             "maintenance_states: [DRAINED]\n"))
    hosts = found["_meta"]["hostvars"]
    assert set(hosts) == {"gpu001", "gpu002"}
    assert hosts["gpu002"]["accelmon_state"] == "maintenance" and hosts["gpu002"]["accelmon_expected"] == {"amd": 8}
    assert found["b"]["hosts"] == ["gpu001", "gpu002"]
    every = inventory(source(tmp_path, "file: nodes.txt\naccelerators_only: false\nexpected: false\n"))["_meta"]["hostvars"]
    assert "cpu01" in every and not any("accelmon_expected" in values for values in every.values())


def test_live(tmp_path):
    path = program(tmp_path, f"cat {FIXTURES}/scontrol_oneline.txt")
    assert set(inventory(source(tmp_path, f"live: true\nprogram: {path}\n"))["_meta"]["hostvars"]) == {"gpu001", "gpu002"}


def test_values_are_never_evaluated(tmp_path):
    path = source(tmp_path, "file: nodes.txt\nkeyed_groups: [{key: slurm_features, prefix: f}]\ncompose: {copied: slurm_features | first}\n",
                  "NodeName=a ActiveFeatures={{1+1}},b Gres=gpu:{{1+1}}:8 NodeAddr=b State=IDLE Partitions={%x%}\n")
    assert evaluated(path, "a", ("slurm_features", "slurm_gres", "slurm_partitions", "copied")) == {
        "slurm_features": ["{{1+1}}", "b"], "slurm_gres": ["gpu:{{1+1}}:8"], "slurm_partitions": ["{%x%}"], "copied": "{{1+1}}"}


@pytest.mark.parametrize("options, word", [
    ("", "set either file"), ("file: nodes.txt\nlive: true\n", "set either file"), ("file: none.txt\n", "No such file"),
    ("file: nodes.txt\nvendors: {gpu: nvidja}\n", "nvidja is not a vendor"), ("file: nodes.txt\nskip_states: []\n", "later01: same address as gpu001"),
    ("live: true\nprogram: /nowhere/scontrol\n", "no such program"),
])
def test_a_source_that_cannot_be_read_says_why(tmp_path, options, word):
    assert word in inventory(source(tmp_path, options), code=None)


def test_nothing_is_run_unless_live_is_set(tmp_path):
    path = program(tmp_path, f"touch {tmp_path}/ran")
    inventory(source(tmp_path, f"file: nodes.txt\nprogram: {path}\n"))
    assert not os.path.exists(tmp_path / "ran")


def test_the_example():
    found = inventory(REPOSITORY / "inventories" / "lists")
    assert found["accelerator_nodes"]["hosts"] == ["gpu001", "gpu002", "gpu003", "node101", "node102"]
    assert found["monitoring"]["hosts"] == ["mon1"]
    assert found["_meta"]["hostvars"]["node101"]["accelmon_expected"] == {"nvidia": 8}
    assert found["_meta"]["hostvars"]["gpu003"]["accelmon_rack"] == "r2"
