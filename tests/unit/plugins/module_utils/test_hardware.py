# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The acceptance test on simulated hardware: it passes where both sides agree, and whatever differs fails the right check, with both values.

Simulated: nvidia-smi and amd-smi, by a program that prints the table of a fixture, with units; sysfs, /proc and /dev, by a described machine. The
collector is the real one; between it and the check, a stand-in can change its file.
"""
import json
import os
import time

import pytest

from ansible_collections.accelmon.fleet.plugins.module_utils import command
from ansible_collections.accelmon.fleet.plugins.module_utils.host.hardware import acceptance, collector, fixtures, redaction, tools
from ansible_collections.accelmon.fleet.tests.unit.plugins.module_utils.detect import trees
from ansible_collections.accelmon.fleet.tests.unit.roles.textfile_collector import collector_support as support

HOST, ADDRESS = "rack7-gpu12", "10.20.30.40"
UNITS = {"memory.total": " MiB", "memory.used": " MiB", "power.draw": " W", "power.limit": " W", "utilization.gpu": " %", "clocks.current.sm": " MHz",
         "clocks.current.memory": " MHz"}
NVIDIA_SMI = '''\
import json, sys
fields, rows, units = json.load(open(%(data)r))
if sys.argv[1] == "-L":
    for row in rows:
        print("GPU %%s: %%s (UUID: %%s)" %% (row["index"], row["name"], row["uuid"]))
elif sys.argv[1].startswith("--query-gpu="):
    asked = sys.argv[1].split("=", 1)[1].split(",")
    for field in asked:
        if field not in fields:
            print('Field "%%s" is not a valid field to query.' %% field)
            sys.exit(2)
    plain = "nounits" in sys.argv[2]
    for row in rows:
        print(", ".join(row[field] if plain or row[field].startswith("[") else row[field] + units.get(field, "") for field in asked))
'''
# Runs the real collector, and changes its file.
CHANGED = '''\
import re, subprocess, sys
status = subprocess.call([sys.executable, "-IS", %(program)r] + sys.argv[1:])
path = [word[9:] for word in sys.argv if word.startswith("--output=")][0]
text = open(path).read()
%(change)s
open(path, "w").write(text)
sys.exit(status)
'''


class Machine:
    """A host with eight simulated H100."""

    def __init__(self, folder, monkeypatch):
        self.monkeypatch = monkeypatch
        self.folder, self.root, self.bin, self.program = folder, str(folder / "root"), folder / "bin", support.PROGRAM
        text = support.fixture("nvidia_smi/h100_8.csv")[1]
        head, *lines = text.strip().split("\n")
        self.fields = head.split(", ")
        self.rows = [dict(zip(self.fields, line.split(", "))) for line in lines]
        self.addresses = ["0000:" + row["pci.bus_id"][9:].lower() for row in self.rows]
        trees.build({"pci": {address: "10de:2330 0302 nvidia" for address in self.addresses},
                     "nvidia": {address: "%d NVIDIA H100 80GB HBM3" % number for number, address in enumerate(self.addresses)},
                     "files": {"sys/module/nvidia/version": "590.48.01\n"}}, self.root)
        self.bin.mkdir()
        (folder / "tool.json").write_text(json.dumps([self.fields, self.rows, UNITS]))
        support.script(self.bin / "nvidia-smi", NVIDIA_SMI % {"data": str(folder / "tool.json")})
        monkeypatch.setattr(command, "FOLDERS", ())
        monkeypatch.setenv("PATH", str(self.bin) + os.pathsep + os.environ["PATH"])
        monkeypatch.setattr(acceptance, "hiding", lambda path, other: ("/bin/false",))  # as where nobody may mount
        monkeypatch.setattr(acceptance, "RUNS", 1)
        monkeypatch.setattr(acceptance, "ROUNDS", 1)
        monkeypatch.setattr(acceptance, "SHORT", 1)

    def tool(self, text):
        """The vendor's tool as everybody but the collector's good runs sees it."""
        support.script(self.bin / "nvidia-smi", text, "/bin/sh")

    def change(self, change):
        """The collector with a changed file."""
        self.program = support.script(self.folder / "changed", CHANGED % {"program": support.PROGRAM, "change": change})

    def accept(self, *parts):
        """The result; of only some parts if there are any, as each starts many programs."""
        for name in {"errors", "cost"}.difference(parts or ("errors", "cost")):
            self.monkeypatch.setattr(acceptance, name, lambda report, host, vendors: None)
        return acceptance.accept(self.program, self.root)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A healthy one."""
    return Machine(tmp_path, monkeypatch)


def failed(result):
    """{(check, what, device): (tool, found)} of what failed."""
    return {(row["check"], row["what"], row["device"]): (row["tool"], row["found"]) for row in result["rows"] if row["result"] == "fail"}


def test_both_sides_agree(machine):
    result = machine.accept()
    assert failed(result) == {} and acceptance.verdict(result) is None and result["devices"] == 8
    passed = {(row["check"], row["what"]) for row in result["rows"] if row["result"] == "pass"}
    assert passed >= {("detection", "number of devices"), ("detection", "model"), ("detection", "uuid"), ("readings", "index"),
                      ("readings", "memory_total_bytes"), ("readings", "clock_hertz core"), ("errors", "tool hangs"), ("errors", "tool missing"),
                      ("errors", "tool prints garbage"), ("errors", "good again"), ("errors", "detection with a tool that hangs"), ("cost", "memory")}
    row = next(row for row in result["rows"] if row["what"] == "memory_used_bytes" and row["device"] == machine.addresses[1])
    assert (row["tool"], row["found"]) == ("%d" % (19818 * 2 ** 20),) * 2
    assert [row["note"] for row in result["rows"] if row["what"] == "device file cannot be used"] == ["no output"]
    assert acceptance.lines(result)[-1].startswith("8 devices: ")


def test_a_device_more_or_less(machine):
    (machine.folder / "tool.json").write_text(json.dumps([machine.fields, machine.rows[:7], UNITS]))
    found = failed(machine.accept("readings"))
    assert found["detection", "number of devices", "nvidia"] == ("7", "8")
    assert set(key[1] for key in found if key[0] == "detection") == {"number of devices", "PCI addresses"}


def test_a_device_that_only_the_list_has(machine):
    text = (machine.bin / "nvidia-smi").read_text()
    one_more = text.replace("    for row in rows:\n        print(\"GPU", "    for row in rows + [dict(rows[0], index='8', uuid='GPU-x')]:\n        print(\"GPU")
    assert one_more != text
    (machine.bin / "nvidia-smi").write_text(one_more)
    assert failed(machine.accept("readings"))["detection", "number of devices", "nvidia"] == ("9", "8")


@pytest.mark.parametrize("family, factor", [("power_draw_watts", 1000), ("memory_total_bytes", 1024), ("memory_total_bytes", 1e6 / 2 ** 20),
                                            ("clock_hertz", 1e-6), ("temperature_celsius", 1000)])
def test_a_wrong_unit(machine, family, factor):
    machine.change("text = re.sub(r'(?m)^(node_gpu_%s\\{.*\\}) (\\S+)$', lambda one: '%%s %%r' %% (one.group(1), float(one.group(2)) * %r), text)"
                   % (family, factor))
    result = machine.accept("readings")
    found = failed(result)
    assert set((key[0], key[1].split()[0]) for key in found) == {("readings", family)}
    assert len(found) == (16 if family == "clock_hertz" else 8)
    tool, ours = next(iter(found.values()))
    assert float(ours) == pytest.approx(float(tool) * factor, rel=0.01)


def test_two_numbers_are_swapped(machine):
    machine.change("text = text.replace('{gpu=\"0\"', '{gpu=\"x\"').replace('{gpu=\"1\"', '{gpu=\"0\"').replace('{gpu=\"x\"', '{gpu=\"1\"')")
    found = failed(machine.accept("readings"))
    assert found == {("readings", "index", machine.addresses[0]): ("0", "1"), ("readings", "index", machine.addresses[1]): ("1", "0")}


def test_values_of_two_devices_are_swapped(machine):
    machine.change("info = 'node_gpu_info{gpu='\n"
                   "text = ''.join(line if line.startswith(info) else line.replace('{gpu=\"0\"', '{gpu=\"x\"').replace('{gpu=\"1\"', '{gpu=\"0\"')"
                   ".replace('{gpu=\"x\"', '{gpu=\"1\"') for line in text.splitlines(True))")
    found = failed(machine.accept("readings"))
    assert found["readings", "power_draw_watts", machine.addresses[0]] == ("69.85", "630.11")
    assert found["readings", "memory_used_bytes", machine.addresses[1]] == ("%d" % (19818 * 2 ** 20), "0")


def test_a_value_is_left_out(machine):
    machine.change("text = re.sub(r'(?m)^node_gpu_temperature_celsius\\{gpu=\"3\".*\\n', '', text)")
    assert failed(machine.accept("readings")) == {("readings", "temperature_celsius", machine.addresses[3]): ("62", "none")}


def test_the_tool_hangs(machine, monkeypatch):
    monkeypatch.setattr(tools, "TIMEOUT", 1)
    monkeypatch.setattr(tools.ask, "__defaults__", (1,))
    monkeypatch.setattr(collector, "TIMEOUT", 1)
    monkeypatch.setattr(collector.run, "__defaults__", ((), (), 1))
    machine.tool("exec sleep 60")
    begun, result = time.monotonic(), machine.accept("readings")
    row = next(row for row in result["rows"] if row["what"] == "the vendor's tool")
    assert row["result"] == "fail" and row["found"] == "8 devices" and row["note"].startswith("nvidia-smi did not end within 1 s")
    assert time.monotonic() - begun < 60 and "checks failed" in acceptance.verdict(result)


@pytest.mark.parametrize("text, note", [("echo '0, what'", "nvidia-smi ended with status 0: 0, what"),
                                        ("echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18",
                                         "nvidia-smi ended with status 18: Failed to initialize NVML: Driver/library version mismatch")])
def test_the_tool_prints_something_else(machine, text, note):
    machine.tool(text)
    result = machine.accept("readings")
    assert [row["note"] for row in result["rows"] if row["what"] == "the vendor's tool"] == [note]
    assert ("readings", "collector", "nvidia") in failed(result)


def test_a_collector_that_does_not_notice(machine):
    """It shows the devices of its last good run, whatever the tool does."""
    machine.change("import os\nkept = path + '.kept'\nif 'success{vendor=\"nvidia\"} 1' in text:\n    open(kept, 'w').write(text)\n"
                   "elif os.path.exists(kept):\n    text = open(kept).read()")
    found = failed(machine.accept("errors"))
    assert {key[1] for key in found} >= {"tool missing", "tool hangs", "tool prints garbage"}
    assert found["errors", "tool missing", "nvidia"][1].startswith("success, 8 devices, no reason")


def test_no_tool_is_nothing_checked(machine):
    os.unlink(str(machine.bin / "nvidia-smi"))
    result = machine.accept("cost")
    assert [row["result"] for row in result["rows"] if row["check"] in ("detection", "readings")] == ["not applicable"] * 2
    assert failed(result) == {} and acceptance.verdict(result) == "nothing could be compared; install the vendor's tool"


def test_no_devices_are_not_accepted(tmp_path):
    result = acceptance.accept(support.PROGRAM, str(tmp_path))
    assert result["devices"] == 0 and acceptance.verdict(result).startswith("no accelerators here")


def test_what_there_is_no_time_for_fails(machine, monkeypatch):
    monkeypatch.setattr(acceptance, "BUDGET", -1)
    assert failed(machine.accept()).keys() == {("readings", "all", "nvidia"), ("errors", "all", "nvidia"), ("cost", "all", "nvidia")}


def test_an_unknown_id_is_no_model():
    report = acceptance.Report()
    acceptance.same_model(report, "a", "NVIDIA B900", "NVIDIA 10de:ffff")
    acceptance.same_model(report, "b", "NVIDIA A16", "NVIDIA A2/A16")
    acceptance.same_model(report, "c", "NVIDIA A100 80GB PCIe", "NVIDIA H100 PCIe 80GB")
    acceptance.same_model(report, "d", "NVIDIA TITAN V", "NVIDIA TITAN V")
    assert [row["result"] for row in report.rows] == ["fail", "pass", "fail", "not applicable"]


SECRETS = {"uuid": "9221d5d1-b60b-a624-bf14-0a1819cfda3", "serial": "165442200432"}


def with_secrets(machine, monkeypatch):
    """Give the machine and its devices names of their own; returns all that may appear nowhere."""
    monkeypatch.setattr(redaction.socket, "gethostname", lambda: HOST)
    for number, row in enumerate(machine.rows):
        path = os.path.join(machine.root, "proc/driver/nvidia/gpus", machine.addresses[number], "information")
        with open(path, encoding="utf-8") as stream:
            text = stream.read().replace(trees.uuid(number), "GPU-%s%d" % (SECRETS["uuid"], number))
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        row.update(uuid="GPU-%s%d" % (SECRETS["uuid"], number), serial="%s%d" % (SECRETS["serial"], number))
    (machine.folder / "tool.json").write_text(json.dumps([machine.fields, machine.rows, UNITS]))
    return [SECRETS["uuid"], SECRETS["serial"], HOST]


def test_nothing_of_the_machine_is_in_the_result_and_its_fixtures_work(machine, monkeypatch, tmp_path):
    secrets = with_secrets(machine, monkeypatch)
    result = machine.accept("readings")
    assert failed(result) == {}
    text = json.dumps(result)
    assert not [secret for secret in secrets if secret in text]
    assert sorted(result["fixtures"]) == ["expositions/textfile_nvidia_h100_sxm5_80gb_8.prom", "machines/nvidia_h100_sxm5_80gb_8.json",
                                          "nvidia_smi/nvidia_h100_sxm5_80gb_8.csv"]
    recorded = json.loads(result["fixtures"]["machines/nvidia_h100_sxm5_80gb_8.json"])
    assert recorded["origin"] in trees.ORIGINS and recorded["source"].startswith("recorded on 20")
    assert trees.look(recorded, str(tmp_path / "again")) == trees.expected(recorded)
    head, table = result["fixtures"]["nvidia_smi/nvidia_h100_sxm5_80gb_8.csv"].split("\n", 1)
    assert head.startswith("# recorded on 20") and "8 x NVIDIA H100 SXM5 80GB" in head
    (tmp_path / "replay").mkdir()
    tool = support.replayed_nvidia_smi(tmp_path / "replay", text=table)
    host = collector.Host(support.PROGRAM, str(tmp_path / "replay"), str(tmp_path / "again"))
    done = collector.run(host, ["nvidia"], ["--nvidia-smi=" + tool])
    assert sorted(collector.devices(done, "nvidia")) == sorted(machine.addresses)
    page = support.parse(result["fixtures"]["expositions/textfile_nvidia_h100_sxm5_80gb_8.prom"].split("\n", 1)[1])
    info = [dict(labels) for name, labels in page if name == "node_gpu_info"]
    # One device has the same names everywhere, and two devices have different ones.
    found = {one["pci_address"]: one["uuid"] for one in recorded["expected"]["devices"]}
    assert {one["pci_address"]: one["uuid"] for one in info} == found and len(set(found.values())) == 8


def test_redaction():
    redactor = redaction.Redactor((HOST, "gpu"))
    redactor.learn("0x7eff74a0a1b2c3d4")
    redactor.learn_document({"host_info": {"Hostname": "einstein"}, "devices": [{"board_info": {"board_id": "0100014511704050"}, "sid": "RBL0001234"}]})
    text = redactor.text(
        "%s %s.example.org %s fe80::1ff:fe23:4567:890a 02:42:ac:11:00:02 7EFF74A0A1B2C3D4 0100014511704050 einstein MIG-9221d5d1-b60b-a624-bf14-0a1819cfda3b "
        "RBL0001234" % (HOST, HOST, ADDRESS))
    for secret in (HOST, "example.org", ADDRESS, "fe80", "02:42:ac", "7EFF", "0100014511704050", "einstein", "9221d5d1", "RBL0001234"):
        assert secret not in text
    assert "MIG-00000000-0000-4000-8000-" in text and "2001:db8::" in text and "192.0.2." in text
    kept = 'gpu="0" 0000:1b:00.0 00000000:1B:00.0 96.00.99.00.01 022.040.003.041 550.90.07 127.0.0.1 12:34:56 0x10de'
    assert redactor.text(kept) == kept


def test_what_is_about_jobs_is_left_out_of_the_page():
    page = ('# HELP node_gpu_info x\n# TYPE node_gpu_info gauge\nnode_gpu_info{gpu="0"} 1\n# HELP accelerator_job_info x\n'
            '# TYPE accelerator_job_info gauge\naccelerator_job_info{user="ada"} 1\n')
    assert fixtures.public(page) == '# HELP node_gpu_info x\n# TYPE node_gpu_info gauge\nnode_gpu_info{gpu="0"} 1\n'


AMD_ADDRESSES = ("0000:05:00.0", "0000:26:00.0")
METRIC = [{"gpu": number, "usage": {"gfx_activity": {"value": 97, "unit": "%"}}, "power": {"socket_power": {"value": 542, "unit": "W"}},
           "temperature": {"edge": "N/A", "hotspot": {"value": 71, "unit": "C"}, "mem": {"value": 58, "unit": "C"}},
           "mem_usage": {"total_vram": {"value": 196592, "unit": "MB"}, "used_vram": {"value": 179200, "unit": "MB"}},
           "clock": {"gfx_0": {"clk": {"value": 2100, "unit": "MHz"}}, "mem_0": {"clk": {"value": 1300, "unit": "MHz"}}}} for number in range(2)]
STATIC = [{"gpu": number, "asic": {"market_name": "AMD Instinct MI300X", "asic_serial": "0x7EFF74A0A1B2C3D%d" % number}, "bus": {"bdf": address},
           "board": {"product_serial": "692350000119"}, "driver": {"name": "amdgpu", "version": "6.8.5"}} for number, address in enumerate(AMD_ADDRESSES)]


@pytest.fixture
def amd(tmp_path, monkeypatch):
    """A host with two simulated MI300X: its acceptance, as a function of what amd-smi prints."""
    root = tmp_path / "root"
    for number, address in enumerate(AMD_ADDRESSES):
        support.amd_device(root, address, "mi300x", unique_id="7eff74a0a1b2c3d%d" % number)
    support.put(root, "sys/module/amdgpu/version", "6.8.5\n")
    support.put(root, "dev/kfd", "")
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(command, "FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path / "bin") + os.pathsep + os.environ["PATH"])
    monkeypatch.setattr(acceptance, "RUNS", 1)
    monkeypatch.setattr(acceptance, "ROUNDS", 1)
    monkeypatch.setattr(acceptance, "SHORT", 1)

    def accept(static, metric):
        support.replayed_amd_smi(tmp_path / "bin", static=json.dumps(static), metric=json.dumps(metric))
        return acceptance.accept(support.PROGRAM, str(root))
    return accept


def test_amd_agrees(amd):
    result = amd(STATIC, {"gpu_data": METRIC})
    assert failed(result) == {} and acceptance.verdict(result) is None
    passed = [row["what"] for row in result["rows"] if row["result"] == "pass" and row["device"] == AMD_ADDRESSES[1]]
    assert set(passed) >= {"uuid", "model", "driver version", "memory_total_bytes", "memory_used_bytes", "power_draw_watts", "junction_temperature_celsius",
                           "temperature_celsius", "clock_hertz core", "clock_hertz memory", "utilization_percent"}
    assert not [path for path in result["fixtures"] if "7eff74a0" in result["fixtures"][path].lower() or "692350000119" in result["fixtures"][path]]
    assert sorted(result["fixtures"]) == [path % "amd_instinct_mi300x_2" for path in (
        "amd_smi/%s_metric.json", "amd_smi/%s_static.json", "amd_sysfs/%s.json", "expositions/textfile_%s.prom", "machines/%s.json")]


def test_amd_with_another_unit_and_swapped_boards(amd):
    result = amd([dict(STATIC[0], bus=STATIC[1]["bus"]), dict(STATIC[1], bus=STATIC[0]["bus"])],
                 [dict(one, power={"socket_power": {"value": 542, "unit": "mW"}}) for one in METRIC])
    found = failed(result)
    assert found["readings", "power_draw_watts", AMD_ADDRESSES[0]] == ("0.54", "542")
    assert found["detection", "uuid", AMD_ADDRESSES[0]][0] == found["detection", "uuid", AMD_ADDRESSES[1]][1]
    assert {key[1] for key in found} == {"power_draw_watts", "uuid"}


@pytest.mark.parametrize("vendor, text, found", [
    ("intel_gaudi", "0000:33:00.0, 01P4-HL3090A0-18-U4V193-22-07-00, 1.22.1-97ec1a4, HL-325L\n",
     {"0000:33:00.0": {"uuid": "01P4-HL3090A0-18-U4V193-22-07-00", "product": "HL-325L", "driver_version": "1.22.1-97ec1a4", "readings": {}}}),
    ("tenstorrent", json.dumps({"host_info": {"Driver": "TT-KMD 2.4.1"}, "device_info": [
        {"board_info": {"bus_id": "0000:01:00.0", "board_type": "n300 L"}}, {"board_info": {"bus_id": "N/A", "board_type": "n300 R"}}]}),
     {"0000:01:00.0": {"product": "n300 L", "driver_version": "2.4.1", "readings": {}}}),
    ("rebellions", json.dumps({"KMD_version": "2.0.1", "devices": [{"npu": 0, "name": "RBLN-CA22", "pci": {"bus_id": "0000:3b:00.0"}}]}),
     {"0000:3b:00.0": {"product": "RBLN-CA22", "driver_version": "2.0.1", "readings": {}}}),
    ("intel_gpu", json.dumps({"device_list": [{"device_id": 0, "device_name": "Intel(R) Arc(TM) B580 Graphics", "pci_bdf_address": "0000:03:00.0"}]}),
     {"0000:03:00.0": {"product": "Intel(R) Arc(TM) B580 Graphics", "readings": {}}}),
    ("furiosa", json.dumps([{"arch": "rngd", "pci_bdf": "0000:51:00.0", "device_sn": "x"}]), {"0000:51:00.0": {"product": "rngd", "readings": {}}}),
    ("aws_neuron", json.dumps([{"neuron_device": 0, "bdf": "00:1e.0", "nc_count": 2}]), {"0000:00:1e.0": {"readings": {}}}),
])
def test_other_vendors_tools(tmp_path, monkeypatch, vendor, text, found):
    """Outputs are derived from documentation."""
    program = tools.QUESTIONS[vendor][0].argvs[0][0]
    support.script(tmp_path / program, "cat <<'END'\n%s\nEND\n" % text.rstrip("\n"), "/bin/sh")
    monkeypatch.setattr(command, "FOLDERS", (str(tmp_path),))
    answer = tools.ask(vendor)
    assert (answer.program, answer.devices, answer.problem) == (program, found, None)


def test_rocm_smi():
    """Derived from published outputs."""
    text = json.dumps({"card0": {"PCI Bus": "0000:C9:00.0", "Card Series": "AMD Instinct MI210", "GPU use (%)": "7", "VRAM Total Memory (B)": "68702699520",
                                 "VRAM Total Used Memory (B)": "10960896", "Temperature (Sensor junction) (C)": "37.0",
                                 "Average Graphics Package Power (W)": "41.0"}, "system": {"Driver version": "6.8.5"}})
    found = tools.rocm_smi([text])["0000:c9:00.0"]
    assert found["readings"] == {"utilization": 7, "memory_total": 68702699520, "memory_used": 10960896, "junction_temperature": 37, "temperature": 37,
                                 "power_draw": 41}
    assert (found["driver_version"], found["product"]) == ("6.8.5", "AMD Instinct MI210")


def test_a_file_is_hidden_from_one_run_alone(tmp_path):
    """With real mounts, where the kernel lets this user make them."""
    (tmp_path / "real").write_text("real\n")
    (tmp_path / "other").write_text("other\n")
    if command.run(["unshare", "--mount", "true"], 10)[0] != 0:
        pytest.skip("no mount namespaces here")
    code, said, dummy = command.run(list(acceptance.hiding(str(tmp_path / "real"), str(tmp_path / "other"))) + ["cat", str(tmp_path / "real")], 10)
    assert (code, said) == (0, "other\n") and (tmp_path / "real").read_text() == "real\n"
