"""The lab itself: what the other tests rest on. Nothing is stubbed here but the hardware, see lab/devices."""

PRESENT = {"mon1": [], "plain1": [], "nvidia1": ["10de:2330"] * 8, "amd1": ["1002:74a1"] * 4}


def test_own_pci_tree(fleet):
    """Each host sees its own simulated devices, and not those of the machine below."""
    for host, present in PRESENT.items():
        found = fleet.shell(host, "cd /sys/bus/pci/devices; for d in *; do echo $(cat $d/vendor $d/device); done").replace("0x", "").splitlines()
        ids = [line.replace(" ", ":") for line in found]
        assert "1a03:2000" in ids, host
        assert sorted(i for i in ids if i in ("10de:2330", "1002:74a1")) == present, host
        assert ids.count("10de:22a3") == (4 if host == "nvidia1" else 0), host


def test_simulated_nvidia_smi(fleet):
    """It lists the devices of the PCI tree, and needs the driver's control node, so that sandboxes are tested."""
    for host in set(PRESENT) - {"nvidia1"}:
        assert fleet.shell(host, "command -v nvidia-smi || echo none") == "none\n", host
    listed = fleet.shell("nvidia1", "nvidia-smi -L").splitlines()
    assert len(listed) == 8
    table = fleet.shell("nvidia1", "nvidia-smi --query-gpu=index,uuid,memory.total --format=csv,noheader,nounits").splitlines()
    assert [line.split(", ")[1] for line in table] == [line.split("UUID: ")[1].rstrip(")") for line in listed]
    hidden = fleet.shell("nvidia1", "systemd-run --quiet --wait --pipe --collect -p PrivateDevices=yes nvidia-smi -L; echo status=$?")
    assert "status=9\n" in hidden and "couldn't communicate with the NVIDIA driver" in hidden


def test_names_resolve(fleet):
    """Hosts reach each other by their inventory names."""
    for host in PRESENT:
        fleet.shell(host, " && ".join(f"getent hosts {other}" for other in PRESENT))
