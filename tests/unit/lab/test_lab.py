# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's simulated hardware, without containers. Stubbed: the places in /sys and /dev that nvidia-smi reads."""

import importlib.machinery
import importlib.util
import ipaddress
import json
import pathlib
import subprocess
import sys

import pytest

LAB = pathlib.Path(__file__).parents[3] / "lab"
sys.path.insert(0, str(LAB))

import hardware  # noqa: E402  pylint: disable=import-error,wrong-import-position
import hosts  # noqa: E402  pylint: disable=import-error,wrong-import-position


def snapshot(folder):
    """Return {path: content or link target} of a folder."""
    return {str(path.relative_to(folder)): path.readlink() if path.is_symlink() else path.read_bytes()
            for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


@pytest.fixture(name="smi")
def nvidia_smi(tmp_path, monkeypatch, capsysbinary):
    """Return a function that runs the simulated nvidia-smi on a host with eight devices; it returns (status, output)."""
    loader = importlib.machinery.SourceFileLoader("simulated_nvidia_smi", str(LAB / "devices" / "nvidia_smi.py"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    folder = tmp_path / "n1"
    hardware.build(str(folder), "n1", ["nvidia:h100-sxm5:8"])
    monkeypatch.setattr(module, "LAB", str(folder / "lab"))
    monkeypatch.setattr(module, "PCI", str(folder / "pci"))

    def run(*arguments, control="/dev/null"):
        monkeypatch.setattr(module, "CONTROL", control)
        status = module.main(list(arguments))
        sys.stdout.flush()
        return status, capsysbinary.readouterr().out.decode(errors="replace")

    run.folder = folder
    return run


@pytest.mark.parametrize("spec, wrong", [
    ("nvidia:h100-sxm5", "is not vendor:model:count"), ("acme:x:1", "unknown vendor"), ("nvidia:x:1", "unknown model"), ("amd:mi300x:9", "0 to 8"),
])
def test_device_spec_errors(spec, wrong):
    with pytest.raises(hardware.Error, match=wrong):
        hardware.parse(spec)


def test_labs_that_come_up_side_by_side_share_one_key(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    make = "import sys; sys.path.insert(0, %r); import hosts; print(hosts.ssh_key(hosts.Lab(sys.argv[1])))" % str(LAB)
    labs = [subprocess.Popen([sys.executable, "-B", "-c", make, name], stdout=subprocess.PIPE, text=True) for name in ("one", "two", "three")]
    keys = {lab.communicate(timeout=120)[0] for lab in labs}
    assert [lab.returncode for lab in labs] == [0, 0, 0] and keys == {(tmp_path / "accelmon" / "lab-ssh-key.pub").read_text() + "\n"}


@pytest.fixture(name="trixie")
def _trixie(monkeypatch, tmp_path):
    """Programs named podman and dpkg-deb, which know the image of Debian 13 and unpack from it a promtool that works; what they were asked."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    (tmp_path / "bin").mkdir()
    for name, script in (("podman", 'case "$1" in create) echo c1;; cp) mkdir "$3/archives"; : > "$3/archives/promtool_1.deb";; esac'),
                         ("dpkg-deb", 'sleep 0.3; mkdir -p "$3/usr/bin"; printf "#!/bin/sh\\n" > "$3/usr/bin/promtool"; chmod +x "$3/usr/bin/promtool"')):
        (tmp_path / "bin" / name).write_text('#!/bin/sh\necho "$0 $1" >> %s/asked\n%s\n' % (tmp_path, script))
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path / "asked"


def test_tools_that_are_asked_for_side_by_side_are_unpacked_once(trixie):
    asks = [subprocess.Popen([sys.executable, str(LAB / "lab.py"), "tools"], stdout=subprocess.PIPE, text=True) for dummy in range(3)]
    folders = {ask.communicate(timeout=120)[0].strip() for ask in asks}
    assert [ask.returncode for ask in asks] == [0, 0, 0] and len(folders) == 1
    assert (pathlib.Path(folders.pop()) / "promtool").exists() and trixie.read_text().count("dpkg-deb") == 1


def test_drivers_of_a_spec():
    assert hardware.parse("nvidia:h100-sxm5:2")[3] == "nvidia"
    assert hardware.parse("amd:mi300x:2:none")[3] is None
    assert hardware.parse("nvidia:l40s:1:vfio-pci")[3] == "vfio-pci"
    assert hardware.parse("intel_gaudi:gaudi3:1")[3] == "habanalabs"


def test_tools_come_with_a_driver():
    assert hardware.tools(["nvidia:l40s:1", "intel_gaudi:gaudi2:2", "amd:mi300x:1"]) == ["hl-smi", "nvidia-smi"]
    assert hardware.tools(["nvidia:l40s:1:none", "amd:mi300x:1"]) == []


def test_host_list_errors():
    with pytest.raises(hardware.Error, match="takes no colour"):
        hosts.normalise([{"name": "a", "colour": "red"}])
    with pytest.raises(hardware.Error, match="unique"):
        hosts.normalise([{"name": "a"}, {"name": "a"}])


def test_two_models_cannot_share_an_address():
    with pytest.raises(hardware.Error, match="PCI address"):
        hardware.hardware("a", ["nvidia:h100-sxm5:1", "nvidia:l40s:1"])


def test_look_alikes():
    ids = [device.files["pci/%s/device" % device.address] for device in hardware.hardware("a", ["nvidia:h100-sxm5:8"])[0]]
    assert ids.count("0x2330\n") == 8
    assert ids.count("0x22a3\n") == 4
    assert ids.count("0x2000\n") == 1


@pytest.mark.parametrize("spec", ["nvidia:h100-sxm5:8", "amd:mi300x:4", "intel_gaudi:gaudi2:8"])
def test_remove_and_restore(tmp_path, spec):
    folder = tmp_path / "n1"
    hardware.build(str(folder), "n1", [spec])
    before = snapshot(folder)
    device = hardware.find(str(folder), "n1", [spec], "1")
    assert hardware.remove(str(folder), device)
    assert not hardware.remove(str(folder), device)
    left = snapshot(folder)
    assert set(before) - set(left) == set(device.files)
    assert [present for found, present in hardware.accelerators(str(folder), "n1", [spec]) if found == device] == [False]
    assert hardware.restore(str(folder), device)
    assert not hardware.restore(str(folder), device)
    assert snapshot(folder) == before


def test_no_driver_shows_the_bus_only(tmp_path):
    hardware.build(str(tmp_path / "n1"), "n1", ["nvidia:h100-sxm5:1:none"])
    paths = snapshot(tmp_path / "n1")
    assert "pci/0000:1b:00.0/vendor" in paths
    assert "pci/0000:1b:00.0/driver" not in paths
    assert not [path for path in paths if path.startswith(("module/nvidia", "lab/dev/nvidia", "lab/proc-driver/"))]


def test_smi_lists_what_the_bus_shows(smi):
    assert smi("-L")[1].count("NVIDIA H100 80GB HBM3 (UUID: GPU-") == 8
    hardware.remove(str(smi.folder), hardware.find(str(smi.folder), "n1", ["nvidia:h100-sxm5:8"], "0"))
    assert smi("-L")[1].count("\n") == 7


def test_smi_links(smi):
    status, text = smi("nvlink", "-s")
    assert status == 0 and text.count("\t Link 17: 26.562 GB/s\n") == 8
    status, text = smi("nvlink", "-e")
    assert status == 0 and text.count("\t Link 17: CRC Errors: 0\n") == 8 and text.count("Errors: 0\n") == 8 * 18 * 3


def test_smi_table(smi):
    fields = "index,pci.bus_id,memory.total,retired_pages.pending,power.limit"
    status, text = smi("--query-gpu=" + fields, "--format=csv")
    assert status == 0
    assert text.splitlines()[0] == "index, pci.bus_id, memory.total [MiB], retired_pages.pending, power.limit [W]"
    assert text.splitlines()[1] == "0, 00000000:1B:00.0, 81559 MiB, [N/A], 700.00 W"
    assert smi("--query-gpu=" + fields, "--format=csv,noheader,nounits")[1].splitlines()[7] == "7, 00000000:DF:00.0, 81559, [N/A], 700.00"


def test_smi_processes(smi):
    query = ("--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv,noheader,nounits")
    assert smi(*query) == (0, "")
    (smi.folder / "lab" / "nvidia-smi.processes").write_text("GPU-0, 7, 512\n")
    assert smi(*query) == (0, "GPU-0, 7, 512\n")


def test_smi_failures(smi):
    assert smi("-L", control="/nowhere/nvidiactl")[0] == 9
    assert smi("--query-gpu=index,colour", "--format=csv") == (2, 'Field "colour" is not a valid field to query.\n\n')
    behaviour = smi.folder / "lab" / "nvidia-smi.behaviour"
    behaviour.write_text("mismatch\n")
    assert smi("-L")[0] == 18
    behaviour.write_text("err\n")
    assert smi("--query-gpu=index,power.draw", "--format=csv,noheader")[1].splitlines()[0] == "0, ERR!"
    behaviour.write_text("garbage\n")
    assert smi("-L")[0] == 0


@pytest.fixture(name="gaudi")
def hl_smi(tmp_path, monkeypatch, capsys):
    """Return a function that runs the simulated hl-smi on a host with eight devices; it returns (status, lines)."""
    module = importlib.import_module("devices.hl_smi")
    folder = tmp_path / "g1"
    hardware.build(str(folder), "g1", ["intel_gaudi:gaudi2:8"])
    monkeypatch.setattr(module, "LAB", str(folder / "lab"))
    monkeypatch.setattr(module, "PCI", str(folder / "pci"))
    monkeypatch.setattr(module, "NODES", str(folder / "lab" / "dev" / "accel"))

    def run(*arguments):
        return module.main(list(arguments)), capsys.readouterr().out.splitlines()

    run.folder = folder
    return run


def test_gaudi_table(gaudi):
    status, lines = gaudi("-Q", "index,name,driver_version,memory.total,power.max", "--format", "csv,noheader")
    assert status == 0 and len(lines) == 8
    assert lines[7] == "7, HL-225, 1.22.1-97ec1a4, 98304 MiB, 600 W"
    assert gaudi("-Q", "index,colour", "--format", "csv,noheader") == (1, [])
    uuids = gaudi("-Q", "uuid", "--format", "csv,noheader")[1]
    assert len(set(uuids)) == 8


def test_gaudi_needs_its_node(gaudi):
    (gaudi.folder / "lab" / "dev" / "accel" / "accel0").unlink()
    assert len(gaudi("-Q", "index", "--format", "csv,noheader")[1]) == 7


@pytest.fixture(name="podman")
def fake_podman(tmp_path, monkeypatch):
    """Stand-in for podman and for booting: {name: subnet} of the networks made, and the arguments of each `podman run`."""
    made, runs = {}, {}

    def podman(*arguments, **dummy):
        name, code, text = arguments[-1], 0, ""
        if arguments[:2] == ("network", "exists"):
            code = 0 if name in made else 1
        elif arguments[:2] == ("network", "create"):
            made[name] = arguments[arguments.index("--subnet") + 1] if "--subnet" in arguments else "10.99.0.0/24"
        elif arguments[:2] == ("network", "inspect"):
            text = json.dumps([{"subnets": [{"subnet": made[name], "gateway": made[name].split("/")[0] + "1"}]}])
        elif arguments[0] == "run":
            runs[arguments[arguments.index("--hostname") + 1]] = list(arguments)
        elif arguments[0] == "exec" and "route" in arguments:
            runs.setdefault("route", []).append(arguments[-5:])
        return subprocess.CompletedProcess(arguments, code, text, "")

    monkeypatch.setattr(hosts, "podman", podman)
    monkeypatch.setattr(hosts.engine, "inspect", lambda names: {})
    monkeypatch.setattr(hosts.engine, "cache", lambda: str(tmp_path))
    monkeypatch.setattr(hosts.images, "build_all", lambda releases: {release: "image-" + release for release in releases})
    monkeypatch.setattr(hosts, "ssh_key", lambda lab: "key")
    monkeypatch.setattr(hosts, "booted", lambda *dummy: None)
    monkeypatch.setattr(hosts, "canary", lambda *dummy: None)
    return made, runs


def test_a_lab_of_all_networks(podman):
    made, runs = podman
    lab = hosts.Lab("t")
    hosts.up(lab, [{"name": "old"}, {"name": "new", "network": "ipv6", "groups": ["g"]}, {"name": "both", "network": "dual", "publish": {"80": 8080}}])
    assert set(made) == {"accelmon-t", "accelmon-t.ipv6"}
    subnet = ipaddress.ip_network(made["accelmon-t.ipv6"])
    assert subnet.version == 6 and subnet.is_private and subnet.prefixlen == 64

    def option(host, name):
        return [value for key, value in zip(runs[host], runs[host][1:]) if key == name]
    assert [network.split(":")[0] for network in option("old", "--network")] == ["accelmon-t"]
    assert [network.split(":")[0] for network in option("new", "--network")] == ["accelmon-t.ipv6"]
    assert [network.split(":")[0] for network in option("both", "--network")] == ["accelmon-t", "accelmon-t.ipv6"]
    assert option("new", "--publish") == []
    assert len(option("both", "--publish")) == 2

    found = hosts.inventory(lab)["all"]["hosts"]
    assert ipaddress.ip_address(found["new"]["ansible_host"]) in subnet and found["new"]["ansible_port"] == 22
    for host in ("old", "both"):
        assert found[host]["ansible_host"] == "127.0.0.1" and found[host]["ansible_port"] != 22

    hosts.route(lab, "both", False)
    hosts.route(lab, "new", False)
    assert [arguments[0:2] for arguments in runs["route"]] == [("ip", "-4")] + [("ip", "-6")] * 2


def test_a_host_keeps_its_address_and_may_change_its_network(podman):
    lab = hosts.Lab("t")
    hosts.up(lab, [{"name": "a", "network": "ipv6"}, {"name": "b", "network": "dual"}])
    before = hosts.inventory(lab)["all"]["hosts"]
    hosts.up(lab, [{"name": "b"}, {"name": "a", "network": "ipv6"}])
    after = hosts.inventory(lab)["all"]["hosts"]
    assert after["a"] == before["a"]
    assert "address6" not in lab.state["hosts"]["b"]


def test_a_lab_without_ipv6_asks_for_no_ipv6(podman):
    made, dummy = podman
    hosts.up(hosts.Lab("t"), [{"name": "a"}])
    assert set(made) == {"accelmon-t"}


def test_network_errors():
    with pytest.raises(hardware.Error, match="ipv4, ipv6, dual"):
        hosts.normalise([{"name": "a", "network": "token-ring"}])
    with pytest.raises(hardware.Error, match="dual"):
        hosts.normalise([{"name": "a", "network": "ipv6", "publish": {"80": 8080}}])
