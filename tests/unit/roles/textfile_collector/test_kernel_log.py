# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors in the kernel's log. Stubbed: journalctl by a program that replays records as the real one prints them, sysfs by a folder."""

import json
import os
import random
import time

import collector_support as support
import pytest

FATAL = json.load(open(os.path.join(os.path.dirname(support.PROGRAM), "fatal_codes.json"), encoding="utf-8"))
RECORDS = [json.loads(line) for line in support.fixture("kernel_log/records.json")[1].splitlines()]
XID = "NVRM: Xid (PCI:0000:1b:00): %s, pid=1, name=x, text"
BOOT, SECOND = "b" * 32, 1000000


class Journal:
    """The records of a host, and its journalctl. What that does was seen with systemd 252."""

    def __init__(self, folder):
        self.path = folder / "journal"
        self.path.write_text("")
        self.number, self.boot, self.clock, self.monotonic = 0, BOOT, 1700000000, 0
        support.script(folder / "journalctl", """\
            import json, sys
            with open(%r, encoding="utf-8") as stream:
                lines = stream.read().splitlines()
            cursor = [word[9:] for word in sys.argv if word.startswith("--cursor=")]
            if cursor:
                if cursor[0] == "damaged":
                    sys.exit(1)
                found = [number for number, line in enumerate(lines) if json.loads(line)["__CURSOR"] == cursor[0]]
                lines = lines[found[0]:] if found else []
            elif "--boot" in sys.argv and lines:
                boot = json.loads(lines[-1])["_BOOT_ID"]
                lines = [line for line in lines if json.loads(line)["_BOOT_ID"] == boot]
            sys.stdout.write("".join(line + "\\n" for line in lines))
            """ % str(self.path))

    def write(self, *messages, after=1):
        """One more record for each message, so many seconds apart."""
        with self.path.open("a", encoding="utf-8") as stream:
            for message in messages:
                self.number, self.clock, self.monotonic = self.number + 1, self.clock + after, self.monotonic + after
                stream.write(json.dumps({
                    "__CURSOR": "i=%d" % self.number, "MESSAGE": message, "_BOOT_ID": self.boot,
                    "__REALTIME_TIMESTAMP": str(self.clock * SECOND), "__MONOTONIC_TIMESTAMP": str(self.monotonic * SECOND)}) + "\n")

    def reboot(self):
        """The next records are of another boot."""
        self.boot, self.monotonic = "%032x" % random.getrandbits(128), 0

    def lines(self):
        return self.path.read_text(encoding="utf-8").splitlines()

    def replace(self, lines):
        """Another journal: what was vacuumed, rotated, copied."""
        self.path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


@pytest.fixture
def journal(node):
    """The journal of a host with one H100 that nvidia-smi knows."""
    support.put(node.root, "sys/bus/pci/devices/0000:1b:00.0/vendor", "0x10de\n")
    support.put(node.root, "sys/bus/pci/devices/0000:1b:00.0/class", "0x030200\n")
    found = Journal(node.folder)
    found.write("Linux version 6.1.0")
    return found


def total(metrics, code, **labels):
    return metrics.one("node_gpu_errors_total", code=code, **dict({"pci_address": "0000:1b:00.0"}, **labels))


def problem(metrics):
    """The reason that is 1, or None; all are there."""
    reasons = {dict(labels)["reason"]: value for (name, labels), value in metrics.series.items() if name == "accelmon_collector_kernel_log_problem"}
    assert set(reasons) == {"tool_missing", "failed", "empty", "behind", "timeout", "internal"}
    return next((reason for reason, value in reasons.items() if value), None)


# --- records ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("expected,message", RECORDS, ids=range(len(RECORDS)))
def test_what_a_record_says(program, expected, message):
    found = [one for one in program.kernel_log.Parser().events(message) if one.recovery != 0]
    assert " ".join("%s %s %s %s" % (one.vendor, one.address or "-", one.kind, one.code) for one in found) == expected


@pytest.mark.parametrize("text,action", [
    ("0x0 (None) to 0x4 (Drain and Reset)", 4), ("0x0 (None) to 0x2 (OS Reboot)", 2), ("0x2 (OS Reboot) to 0x0 (None)", 0),
    ("0x0 (None) to 0x1f (Something new)", 31), ("None to GPU Reset Required", None)])
def test_the_recovery_action_is_its_number(program, text, action):
    found, = program.kernel_log.Parser().events("NVRM: Xid (PCI:0009:01:00): 154, GPU recovery action changed from " + text)
    assert found.recovery == action


def test_a_message_in_three_records(program):
    parser = program.kernel_log.Parser()
    lines = ("NVRM: The NVIDIA GPU 0000:18:00.0", "NVRM: (PCI ID: 10de:2901) installed in this system has",
             "NVRM: fallen off the bus and is not responding to commands.")
    assert [one.address + " " + one.code for line in lines for one in parser.events(line)] == ["0000:18:00.0 79"]


def test_what_journalctl_prints(program):
    """A line break, a tab, quotes, and a message that is given as numbers."""
    lines = support.fixture("kernel_log/journal_252.json")[1].encode("utf-8")
    for size in (1, 7, 65536):
        found = []
        reading = program.kernel_log.Reading(None, None, "", lambda one, record, found=found: found.append("%s %s" % (one.address, one.code)))
        for start in range(0, len(lines), size):
            reading.take(lines[start:start + size])
        assert found == ["0000:1b:00.0 79", "0000:1b:00.0 79", "0000:18:00.0 79", "0000:1c:00.0 31", "0000:c3:00.0 ring_timeout"]
        assert reading.end()["monotonic"] == 25000006000 and reading.end()["cursor"].startswith("s=17acd00e0ae34eec91868f9a3d21786f;i=7;")


@pytest.mark.parametrize("line", [b"", b"x", b"{}", b"[1]", b'{"__CURSOR": "c", "_BOOT_ID": "b", "__MONOTONIC_TIMESTAMP": "x"}', b"[" * 100000, b"\xff\xfe",
                                  b'{"MESSAGE":"NVRM: '])
def test_a_line_that_is_no_record(program, line):
    reading = program.kernel_log.Reading(None, None, "", lambda *_: pytest.fail("an event"))
    reading.take(line + b"\n")
    assert reading.end() is None


def test_a_record_without_an_end_is_not_kept(program):
    reading = program.kernel_log.Reading(None, None, "", lambda *_: None)
    for _number in range(40):
        reading.take(b"x" * 65536)
    assert len(reading.rest) <= program.kernel_log.RECORD_LIMIT


# --- counts -----------------------------------------------------------------------------------------------------------

def test_known_fatal_codes_start_at_zero(node, journal):
    support.amd_device(node.root, "0000:05:00.0", "mi300x")
    for name, text in (("vendor", "8086"), ("device", "e20b"), ("class", "030000")):
        support.put(node.root, "sys/bus/pci/devices/0000:0c:00.0/" + name, "0x%s\n" % text)
    for name in ("0000:1a:00.0", "new_id", "module"):
        support.put(node.root, "sys/bus/pci/drivers/habanalabs/" + name, "")
    metrics = node.collect()
    assert len({dict(labels)["pci_address"] for name, labels in metrics.series if name == "node_gpu_errors_total"}) == 4
    for address, vendor in (("0000:1b:00.0", "nvidia"), ("0000:05:00.0", "amd"), ("0000:0c:00.0", "intel_gpu"), ("0000:1a:00.0", "intel_gaudi")):
        series = {"%s %s" % (dict(labels)["kind"], dict(labels)["code"]): value for (name, labels), value in metrics.series.items()
                  if name == "node_gpu_errors_total" and ("pci_address", address) in labels}
        assert series == dict.fromkeys(FATAL[vendor], 0)
    assert not [name for name, _labels in metrics.series if name == "node_gpu_error_last_timestamp_seconds"] and problem(metrics) is None


def test_it_counts_where_it_reads_no_devices(node, journal):
    support.replayed_nvidia_smi(node.folder, "h100_8.csv")
    journal.write(XID % 79)
    uuid = "GPU-00000000-0000-4000-8000-00000000000a"
    support.put(node.root, "proc/driver/nvidia/gpus/0000:1b:00.0/information", "Model: \t\t NVIDIA H100\nGPU UUID: \t %s\nBlacklisted:\t No\n" % uuid)
    metrics = node.collect("--vendors", "none")
    assert total(metrics, "79", vendor="nvidia", uuid=uuid) == 1 and metrics.devices() == [] and node.calls() == []
    assert {name for name, _labels in metrics.series} == {
        "node_gpu_errors_total", "node_gpu_error_last_timestamp_seconds", "accelmon_collector_kernel_log_problem"}
    support.put(node.root, "proc/driver/nvidia/gpus/0000:1b:00.0/information", "GPU UUID: \t %s\n" % uuid.replace("a", "b"))
    assert total(node.collect("--vendors", "none"), "79", uuid=uuid) == 1, "it is asked once per boot"
    support.put(node.root, "proc/sys/kernel/random/boot_id", "boot-2\n")
    assert total(node.collect("--vendors", "none"), "79", uuid=uuid.replace("a", "b")) == 0, "another device"


def test_a_driver_that_does_not_say_who_its_devices_are_hides_no_error(node, journal):
    """The file is a pipe that nobody writes to."""
    support.put(node.root, "proc/driver/nvidia/gpus/0000:1b:00.0/x", "")
    os.mkfifo(str(node.root / "proc/driver/nvidia/gpus/0000:1b:00.0/information"))
    journal.write(XID % 79)
    metrics = node.collect("--vendors", "none", "--timeout", "1")
    assert total(metrics, "79") == 1 and problem(metrics) is None


def test_an_error_counts_once_however_often_the_log_is_read(node, journal):
    node.collect()
    journal.write(XID % 79, XID % 31, XID % 31)
    for _run in range(3):
        metrics = node.collect()
        assert (total(metrics, "79"), total(metrics, "31"), total(metrics, "48")) == (1, 2, 0)
        assert metrics.one("node_gpu_error_last_timestamp_seconds", code="31") == journal.clock
    journal.write(XID % 31)
    assert total(node.collect(), "31") == 3


def test_the_labels_of_a_device_stay_when_it_is_lost(node, journal):
    support.replayed_nvidia_smi(node.folder, "h100_8.csv")
    known = {"gpu": "0", "uuid": "GPU-00000000-0000-4000-8000-000000000000", "vendor": "nvidia", "kind": "xid"}
    assert total(node.collect(), "79", **known) == 0
    os.remove(str(node.folder / "nvidia-smi"))
    journal.write(XID % 79)
    assert total(node.collect(), "79", **known) == 1


def test_another_device_in_the_same_place_starts_anew(node, journal):
    _status, text = support.fixture("nvidia_smi/h100_8.csv")
    support.replayed_nvidia_smi(node.folder, text=text)
    node.collect()
    journal.write(XID % 79)
    assert total(node.collect(), "79") == 1
    support.replayed_nvidia_smi(node.folder, text=text.replace("GPU-00000000-", "GPU-99999999-"))
    assert total(node.collect(), "79") == 0


@pytest.mark.parametrize("messages,counts", [
    ((XID % 79, "NVRM: GPU 0000:1b:00.0: GPU has fallen off the bus."), 1),
    (("NVRM: GPU 0000:1b:00.0: GPU has fallen off the bus.", XID % 79, "NVRM: GPU 0000:1b:00.0: GPU has fallen off the bus."), 1),
    ((XID % 79, "NVRM: GPU 0000:1b:00.0: GPU has fallen off the bus.", XID % 79), 2), ((XID % 79, XID % 79), 2),
    (("NVRM: GPU 0000:1b:00.0: GPU has fallen off the bus.",) * 100, 1)])
def test_one_event_in_several_words(node, journal, messages, counts):
    journal.write(*messages)
    assert total(node.collect(), "79") == counts


def test_the_same_words_later_are_another_event(node, journal):
    for _time in range(3):
        journal.write("NVRM: GPU 0000:1b:00.0: GPU has fallen off the bus.", after=61)
    assert total(node.collect(), "79") == 3


def test_errors_of_two_blocks_are_two(node, journal):
    said = "amdgpu 0000:05:00.0: amdgpu: socket: 0, die: 0, 2 %suncorrectable hardware errors detected in %s block"
    journal.write(said % ("new ", "gfx"), said % ("", "total in gfx"), said % ("new ", "umc"), said % ("", "total in umc"))
    assert total(node.collect(), "ue", pci_address="0000:05:00.0", vendor="amd", kind="ras") == 2


def test_what_the_driver_asks_for_lasts_until_it_asks_for_nothing_or_the_host_boots(node, journal):
    support.put(node.root, "proc/sys/kernel/random/boot_id", journal.boot + "\n")
    journal.write("NVRM: Xid (PCI:0000:1b:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (OS Reboot)")
    assert node.collect().one("node_gpu_error_recovery_action", pci_address="0000:1b:00.0") == 2
    journal.write("NVRM: Xid (PCI:0000:1b:00): 154, GPU recovery action changed from 0x2 (OS Reboot) to 0x0 (None)")
    metrics = node.collect()
    assert metrics.one("node_gpu_error_recovery_action") == 0 and total(metrics, "154") == 1
    journal.write("NVRM: Xid (PCI:0000:1b:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (PF FLR)")
    node.collect()
    support.put(node.root, "proc/sys/kernel/random/boot_id", "c" * 32 + "\n")
    assert not [name for name, _labels in node.collect().series if name == "node_gpu_error_recovery_action"]


def test_a_device_that_its_driver_numbers(node, journal):
    os.makedirs(str(node.root / "sys/class/habanalabs/hl2"))
    os.makedirs(str(node.root / "sys/devices/0000:1a:00.0"))
    os.symlink("../../../devices/0000:1a:00.0", str(node.root / "sys/class/habanalabs/hl2/device"))
    journal.write("habanalabs hl2: Failed to reset! Device is NOT usable", "habanalabs hl3: Failed to reset! Device is NOT usable")
    metrics = node.collect()
    assert total(metrics, "reset_failed", pci_address="0000:1a:00.0", vendor="intel_gaudi") == 1
    assert sum(value for (name, labels), value in metrics.series.items() if name == "node_gpu_errors_total" and ("code", "reset_failed") in labels) == 2


@pytest.mark.parametrize("vendor,device,counts", [("1002", "15e7", 0), ("1002", "74a1", 1), ("8086", "64a0", 0), ("8086", "e20b", 1)])
def test_graphics_of_a_processor_are_no_accelerator(node, journal, vendor, device, counts):
    for name, text in (("vendor", vendor), ("device", device), ("class", "030000")):
        support.put(node.root, "sys/bus/pci/devices/0000:c5:00.0/" + name, "0x%s\n" % text)
    journal.write("amdgpu 0000:c5:00.0: amdgpu: ring gfx_0.0.0 timeout, signaled seq=1, emitted seq=2" if vendor == "1002" else
                  "xe 0000:c5:00.0: [drm] device wedged, needs recovery")
    found = [value for (name, labels), value in node.collect().series.items() if name == "node_gpu_errors_total" and ("pci_address", "0000:c5:00.0") in labels]
    assert sum(found) == counts


def test_a_record_without_an_address_is_of_the_only_device_that_it_can_be(node, journal):
    support.amd_device(node.root, "0000:05:00.0", "mi300x")
    journal.write("[drm:amdgpu_job_timedout [amdgpu]] *ERROR* ring gfx timeout, signaled seq=1, emitted seq=2")
    assert total(node.collect(), "ring_timeout", pci_address="0000:05:00.0") == 1


# --- how much ---------------------------------------------------------------------------------------------------------

def test_many_codes_of_many_devices_are_few_series(node, journal, program):
    journal.write(*[XID % number for number in range(1000)])
    journal.write(*["NVRM: Xid (PCI:%04x:1b:00): 5, x" % number for number in range(1, 1000)])
    metrics = node.collect()
    found = [(dict(labels), value) for (name, labels), value in metrics.series.items() if name == "node_gpu_errors_total"]
    assert len({labels.get("pci_address") for labels, _value in found}) == program.kernel_log.DEVICES_LIMIT + 1
    ours = {labels["code"]: value for labels, value in found if labels.get("pci_address") == "0000:1b:00.0"}
    assert len(ours) == len(FATAL["nvidia"]) + program.kernel_log.CODES_LIMIT + 1 and ours["79"] == 1
    assert sum(ours.values()) == 1000 and sum(value for _labels, value in found) == 1999


def test_a_flood_waits_for_the_next_runs_and_nothing_is_lost(node, journal, program, monkeypatch):
    """No. 13. journalctl is slow on purpose: it stops after each 2000 records until it is killed."""
    journal.write(*[XID % 95] * 5000, XID % 79)
    text = (node.folder / "journalctl").read_text()
    support.script(node.folder / "journalctl", text.partition("\n")[2].replace(
        'sys.stdout.write("".join(line + "\\n" for line in lines))',
        'import time\nsys.stdout.write("".join(line + "\\n" for line in lines[:2000]))\nsys.stdout.flush()\ntime.sleep(60 * (len(lines) > 2000))'))
    monkeypatch.setattr(program, "LOG_SECONDS", 1.5)
    seen = []
    for _run in range(6):
        metrics = node.collect()
        seen.append((total(metrics, "95"), total(metrics, "79"), problem(metrics)))
        if seen[-1][2] is None:
            break
    assert seen[-1] == (5000, 1, None) and seen[0][2] == "behind" and seen == sorted(seen, key=lambda item: item[:2])
    assert os.path.getsize(str(node.state)) < 4096


# --- what happens to the journal, the state and the clock -------------------------------------------------------------

def test_a_reboot(node, journal):
    """Of a journal that survives it, the last records before it count; of one that does not, the first ones after it."""
    journal.write(XID % 48)
    node.collect()
    journal.write(XID % 79)
    journal.reboot()
    journal.write("Linux version 6.1.0", XID % 95)
    metrics = node.collect()
    assert (total(metrics, "48"), total(metrics, "79"), total(metrics, "95")) == (1, 1, 1)
    journal.reboot()
    journal.write(XID % 95)
    journal.replace(journal.lines()[-1:])
    metrics = node.collect()
    assert (total(metrics, "48"), total(metrics, "79"), total(metrics, "95")) == (1, 1, 2)


@pytest.mark.parametrize("set_back", [0, 90000])
def test_a_cursor_that_the_journal_lost(node, journal, set_back):
    """The old records are still there under other cursors, as after a move from memory to disk, and the clock may have been set."""
    journal.write(XID % 48, XID % 79)
    node.collect()
    journal.clock -= set_back
    journal.write(XID % 95)
    journal.replace([line.replace('"i=', '"j=') for line in journal.lines()])
    for _run in range(2):
        metrics = node.collect()
        assert (total(metrics, "48"), total(metrics, "79"), total(metrics, "95")) == (1, 1, 1) and problem(metrics) is None


def test_a_journal_that_was_emptied(node, journal):
    journal.write(XID % 79)
    node.collect()
    journal.replace([])
    assert total(node.collect(), "79") == 1
    journal.write(XID % 79)
    assert total(node.collect(), "79") == 2


def test_a_journal_that_loses_the_position_again_while_it_is_read_again(program):
    """The second time the position is before what was read the first time."""
    memory = program.kernel_log.fresh()
    for boot, monotonic, floor in ((BOOT, 9, 9), (BOOT, 4, 9), (BOOT, 12, 12), ("c" * 32, 3, 3)):
        memory["position"] = {"cursor": "x", "boot": boot, "monotonic": monotonic}
        program.kernel_log.begin_again(memory)
        assert memory["floor"] == {"boot": boot, "monotonic": floor}


def test_a_cursor_that_journalctl_refuses(node, journal):
    journal.write(XID % 79)
    node.collect()
    state = json.loads(node.state.read_text())
    state["kernel_log"]["position"]["cursor"] = "damaged"
    node.state.write_text(json.dumps(state))
    journal.write(XID % 95)
    metrics = node.collect()
    assert (total(metrics, "79"), total(metrics, "95"), problem(metrics)) == (1, 1, None)


@pytest.mark.parametrize("damage", [
    "", "{", "[]", '{"kernel_log": 5}', '{"kernel_log": {"position": {}}}', '{"kernel_log": {"position": null, "floor": null, "named": "", '
    '"devices": {"x": []}, "counts": {}, "recovery": {}, "recent": {}}}', '{"kernel_log": {"position": null, "floor": null, "named": "", "devices": {}, '
    '"counts": {"x": {"xid 79": {"total": 1, "at": 1}}}, "recovery": {}, "recent": {}}}'])
def test_without_its_state_it_counts_this_boot_again(node, journal, damage):
    journal.write(XID % 48)
    journal.reboot()
    journal.write(XID % 79)
    node.collect()
    node.state.write_text(damage)
    metrics = node.collect()
    assert (total(metrics, "48"), total(metrics, "79")) == (0, 1)


def test_when_an_error_happened_follows_the_clock_of_now(node, journal):
    """Of this boot the time counts that has passed, since the clock may have been wrong when the record was written."""
    support.put(node.root, "proc/sys/kernel/random/boot_id", journal.boot + "\n")
    journal.clock, journal.monotonic = 5, int(time.monotonic()) - 100
    journal.write(XID % 79)
    assert abs(time.time() - 99 - node.collect().one("node_gpu_error_last_timestamp_seconds", code="79")) < 15


def test_a_record_from_the_future_happened_now(node, journal):
    journal.clock = int(time.time()) + 1000000
    journal.write(XID % 79)
    assert abs(time.time() - node.collect().one("node_gpu_error_last_timestamp_seconds", code="79")) < 15


# --- why the log is not read ------------------------------------------------------------------------------------------

def test_a_log_that_cannot_be_read_is_no_silence(node, journal):
    journal.write(XID % 79)
    real = (node.folder / "journalctl").read_bytes()
    os.remove(str(node.folder / "journalctl"))
    assert problem(node.collect()) == "tool_missing"
    support.script(node.folder / "journalctl", "raise SystemExit(1)\n")
    assert problem(node.collect()) == "failed"
    support.script(node.folder / "journalctl", "import sys\nsys.exit(0)\n")
    assert problem(node.collect()) == "empty"
    support.script(node.folder / "journalctl", "import time\ntime.sleep(60)\n")
    assert problem(node.collect("--timeout", "0.5")) == "timeout"
    (node.folder / "journalctl").write_bytes(real)
    metrics = node.collect()
    assert problem(metrics) is None and total(metrics, "79") == 1


def test_a_clock_that_was_ahead_leaves_no_time_in_the_future(node, journal, monkeypatch, program):
    real = time.time()
    journal.write(XID % 79)
    with monkeypatch.context() as ahead:
        ahead.setattr(program.time, "time", lambda: real + 1000000)
        journal.clock = int(real) + 999990
        journal.write(XID % 95)
        assert node.collect().one("node_gpu_error_last_timestamp_seconds", code="95") > real + 900000
    first = node.collect().one("node_gpu_error_last_timestamp_seconds", code="95")
    assert abs(first - time.time()) < 15 and node.collect().one("node_gpu_error_last_timestamp_seconds", code="95") == first


def test_a_defect_counts_nothing_twice(node, journal, program, monkeypatch, capsys):
    """The parser breaks at a certain record."""
    journal.write(XID % 79, "NVRM: poison")
    real = program.kernel_log.Parser.events
    monkeypatch.setattr(program.kernel_log.Parser, "events", lambda parser, message: {}["x"] if "poison" in message else real(parser, message))
    for _run in range(3):
        assert problem(node.collect()) == "internal"
    monkeypatch.undo()
    assert total(node.collect(), "79") == 1 and "kernel log: KeyError" in capsys.readouterr().err


def test_a_defect_here_leaves_the_vendors_alone(node, journal, program, monkeypatch, capsys):
    support.replayed_nvidia_smi(node.folder, "h100_8.csv")
    monkeypatch.setattr(program, "read_log", lambda *_: {}["x"])
    metrics = node.collect()
    assert problem(metrics) == "internal" and len(metrics.devices()) == 8
    assert "kernel log: KeyError" in capsys.readouterr().err


def test_no_record_makes_a_broken_file(node, journal):
    """Derived records, cut and mixed."""
    chance = random.Random(1)
    texts = [message for _expected, message in RECORDS]
    for _run in range(20):
        journal.write(*["".join(chance.choice(texts)[:chance.randrange(120)] + chance.choice(["", "\n", '"', "\\", "\x07", "\ud83d\ude00".encode(
            "utf-16", "surrogatepass").decode("utf-16")]) for _part in range(2)) for _line in range(50)])
        assert problem(node.collect()) is None
