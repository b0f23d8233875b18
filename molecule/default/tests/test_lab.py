"""The lab itself: what the other tests rest on. Nothing is stubbed here but the hardware, see lab/devices."""

import pathlib

import pytest

CANARY = (pathlib.Path(__file__).parents[3] / "lab" / "canary.sh").read_text(encoding="utf-8")
PRESENT = {"mon1": [], "plain1": [], "nvidia1": ["10de:2330"] * 8, "amd1": ["1002:74a1"] * 4}


def name(host):
    """Return the inventory name of a host under test."""
    return host.backend.get_pytest_id().split("://")[1]


def test_sandboxing_acts(host):
    """Without this every test of a sandboxed service would pass for the wrong reason."""
    done = host.run("bash -c %s", CANARY)
    assert done.rc == 0, done.stderr


def test_own_pci_tree(host):
    """Each host sees its own simulated devices, and not those of the machine below."""
    found = host.check_output("cd /sys/bus/pci/devices; for d in *; do echo $(cat $d/vendor $d/device); done").replace("0x", "").splitlines()
    ids = [line.replace(" ", ":") for line in found]
    assert "1a03:2000" in ids
    assert sorted(i for i in ids if i in ("10de:2330", "1002:74a1")) == PRESENT[name(host)]
    assert ids.count("10de:22a3") == (4 if name(host) == "nvidia1" else 0)


def test_simulated_nvidia_smi(host):
    """It lists the devices of the PCI tree, and needs the driver's control node, so that sandboxes are tested."""
    if name(host) != "nvidia1":
        assert not host.exists("nvidia-smi")
        return
    listed = host.check_output("nvidia-smi -L").splitlines()
    assert len(listed) == 8
    table = host.check_output("nvidia-smi --query-gpu=index,uuid,memory.total --format=csv,noheader,nounits").splitlines()
    assert [line.split(", ")[1] for line in table] == [line.split("UUID: ")[1].rstrip(")") for line in listed]
    hidden = host.run("systemd-run --quiet --wait --pipe --collect -p PrivateDevices=yes nvidia-smi -L")
    assert hidden.rc == 9
    assert "couldn't communicate with the NVIDIA driver" in hidden.stdout


@pytest.mark.parametrize("other", sorted(PRESENT))
def test_names_resolve(host, other):
    """Hosts reach each other by their inventory names."""
    assert host.run("getent hosts %s", other).rc == 0
