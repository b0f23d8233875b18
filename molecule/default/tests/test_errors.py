"""What is wrong is said in one message, and stops nobody else. Simulated: the accelerators, and the lack of their driver."""

import shutil

import pytest
from conftest import eventually

OTHERS = ("mon1", "nvidia1", "amd1")


def message(run, *words):
    """The lines of the output that have all the words."""
    return [line for line in run.output.splitlines() if all(word in line for word in words)]


BAD = {
    "node_exporter_prot": (9101, "node_exporter_port"),
    "accelmon_rak": ("r1", "accelmon_rack"),
    "node_exporter_port": (99999, "99999"),
    "accelmon_expected": ({"nvidja": 8}, "nvidja"),
    "accelmon_rack": ("{{ no_such_variable }}", "no_such_variable"),
}


def test_every_bad_variable_of_a_host_is_named_at_once_and_stops_it_alone(fleet, tmp_path):
    inventory = fleet.inventory_of(tmp_path / "bad.json", variables={"plain1": {name: value for name, (value, dummy) in BAD.items()}})
    run = fleet.play("site.yml", inventory=inventory)
    assert run.code != 0
    for name, (dummy, word) in BAD.items():
        assert message(run, "plain1", name + " = ", word), run.output
    assert run.recap["plain1"]["failed"] == 1
    exported = run.output.partition("PLAY [Install node_exporter]")[2].partition("PLAY [")[0]
    for host in OTHERS:
        # Its facts, its plan, and at least two services or what a monitoring host has; one of them the exporter that every host has.
        assert run.recap[host]["failed"] == 0 and run.recap[host]["ok"] >= 4, run.output
        assert f"ok: [{host}]" in exported, run.output


@pytest.mark.costly
def test_two_hosts_with_one_address_are_both_refused(fleet, tmp_path):
    inventory = fleet.inventory_of(tmp_path / "twice.json", variables={"plain1": {"accelmon_address": "amd1"}})
    run = fleet.play("site.yml", inventory=inventory)
    assert run.code != 0 and message(run, "plain1", "amd1", "9100"), run.output
    assert run.recap["nvidia1"]["failed"] == 0 and run.recap["mon1"]["failed"] == 0


def test_an_empty_group_is_named(fleet, tmp_path):
    run = fleet.play("site.yml", inventory=fleet.inventory_of(tmp_path / "empty.json", groups={"accelerator_nodes": [], "monitoring": ["mon1"]}))
    assert run.code != 0 and message(run, "accelerator_nodes"), run.output


@pytest.mark.costly
def test_accelerators_without_a_driver_are_named(fleet):
    source = next(path for path in sorted(fleet.pci("nvidia1").iterdir()) if (path / "device").read_text().strip() == "0x2330")
    device = fleet.pci("plain1") / source.name
    shutil.copytree(source, device, symlinks=True)
    (device / "driver").unlink()
    try:
        run = fleet.play("site.yml")
        assert run.code != 0 and message(run, "plain1", "nvidia", "driver", "accelmon_driver_missing"), run.output
        assert all(run.recap[host]["failed"] == 0 for host in OTHERS), run.output
    finally:
        shutil.rmtree(device)
    fleet.site("--limit", "plain1")


def test_a_node_that_does_not_answer_is_a_target_that_is_down(fleet, tmp_path):
    ghost = {"ghost1": {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_user": "nobody"}}
    groups = {"accelerator_nodes": ["nvidia1", "amd1", "plain1", "ghost1"], "monitoring": ["mon1"]}
    inventory = fleet.inventory_of(tmp_path / "ghost.json", groups=groups, variables=ghost)
    run = fleet.play("site.yml", inventory=inventory)
    assert run.recap["ghost1"]["unreachable"] == 1 and all(run.recap[host]["failed"] == 0 for host in OTHERS), run.output
    try:
        verified = fleet.verify(inventory=inventory)
        assert verified.code != 0 and message(verified, "ghost1: "), verified.output
        eventually(lambda: fleet.values('up{job="node_exporter"}').get("ghost1") == 0, "it is scraped, in vain")
    finally:
        pruned = fleet.play("playbooks/prune.yml")
        assert pruned.code == 0, pruned.output
    fleet.well()


def test_a_port_that_is_taken_is_named_with_its_owner(fleet):
    fleet.shell("plain1", "systemd-run --unit=squatter python3 -m http.server 9105")
    try:
        eventually(lambda: "9105" in fleet.shell("plain1", "ss -Hltn"), "the squatter listens")
        run = fleet.play("site.yml", "--limit", "plain1", "-e", "node_exporter_port=9105")
        assert run.code != 0 and message(run, "9105", "stop and disable squatter.service"), run.output
    finally:
        fleet.shell("plain1", "systemctl stop squatter")
    fleet.site("--limit", "plain1")
    assert "9100" in fleet.shell("plain1", "ss -Hltn")
