"""Errors in the kernel log. Simulated: the accelerators, and the records, which journald reads from a pipe in place of /dev/kmsg."""

import time

from conftest import eventually


def test_an_xid_is_counted_once_and_reaches_the_storage(fleet):
    devices = eventually(lambda: list(fleet.query('node_gpu_info{node="nvidia1"}')), "its devices are known")
    device = dict(devices[0])
    address = device["pci_address"]
    of_device = f'{{node="nvidia1",kind="xid",code="79",pci_bus_id="{address}"}}'
    eventually(lambda: list(fleet.query("node_gpu_errors_total" + of_device).values()) == [0], "a fatal code starts at 0")
    with fleet.kernel_log("nvidia1") as write:
        write(f"NVRM: Xid (PCI:{address[:-2]}): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.")
        write(f"NVRM: GPU {address}: GPU has fallen off the bus.")
        found = eventually(lambda: [labels for labels, value in fleet.query("node_gpu_errors_total" + of_device).items() if value], "it is counted")
        labels = dict(found[0])
        assert {name: labels[name] for name in ("vendor", "index", "uuid")} == {name: device[name] for name in ("vendor", "index", "uuid")}
        fleet.shell("nvidia1", "systemctl restart systemd-journald && systemctl start accelmon-textfile-collector")
        page = fleet.shell("nvidia1", "cat /var/lib/accelmon/textfile/accelmon_accelerators.prom")
        assert [line.split()[-1] for line in page.splitlines() if "errors_total" in line and address in line and 'code="79"' in line] == ["1"], page
        ages = eventually(lambda: [time.time() - at for at in fleet.query("node_gpu_error_last_timestamp_seconds" + of_device).values()], "its time")
        assert 0 <= ages[0] < 600
    eventually(lambda: list(fleet.query("node_gpu_errors_total" + of_device).values()) == [0], "nothing is left of it")
