# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host with devices tells, as fixtures for the unit tests: labelled as recorded, without what tells one host or device from another."""
import json
import os
import re
import socket
import sys
import time

from ansible_collections.accelmon.fleet.plugins.module_utils import command
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, ids, pci
from ansible_collections.accelmon.fleet.plugins.module_utils.host.hardware import collector, recording, redaction

# The tool as the collector sees it: runs it, and keeps [words, status, output] of each call.
BETWEEN = """#!%s -IS
import json, subprocess, sys
done = subprocess.run([%r] + sys.argv[1:], stdout=subprocess.PIPE)
with open(%r, "a") as stream:
    stream.write(json.dumps([sys.argv[1:], done.returncode, done.stdout.decode("utf-8", "replace")]) + "\\n")
sys.stdout.buffer.write(done.stdout)
sys.stdout.flush()
sys.exit(done.returncode)
"""
# Of a device of AMD's. Those of memory errors are left out, as reading them changes the device's counters.
AMD_FILES = ("vendor", "device", "class", "mem_info_vram_total", "mem_info_vram_used", "unique_id", "serial_number", "product_name", "gpu_busy_percent",
             "pcie_replay_count", "current_compute_partition", "current_link_speed", "max_link_speed", "current_link_width", "max_link_width",
             "power/runtime_status")
AMD_SENSOR = re.compile(r"name$|temp\d+_(input|label)$|freq\d+_(input|label)$|power1_(average|input|cap)$|fan1_input$")
# Families of the collector's file that are about jobs and people.
PRIVATE = ("accelerator_job_info", "accelerator_processes", "accelerator_process_memory_bytes", "accelerator_process_engine_ratio",
           "accelmon_collector_job_file_problem")


def redactor(facts, answers):
    """A Redactor that knows this host's names, and ids and serial numbers of its devices."""
    name = socket.gethostname()
    made = redaction.Redactor((name, name.split(".")[0]))
    for device in facts["devices"] + [one for answer in answers.values() for one in answer.devices.values()]:
        for key in ("uuid", "serial"):
            made.learn(device.get(key, ""))
    for answer in answers.values():
        for text in answer.texts.values():
            made.learn_document(ids.document(text))
    return made


def slug(facts):
    """A name for the fixtures: 'nvidia_h100_sxm5_80gb_8' for eight of these."""
    models = sorted((model, count) for told in facts["summary"].values() for model, count in told["models"].items())
    return re.sub(r"[^a-z0-9]+", "_", " ".join("%s %d" % one for one in models).lower()).strip("_") or "unknown"


def recorded_run(host, vendors):
    """(Run, [[words, status, output] of each call of nvidia-smi]) of the collector."""
    real, between, calls = command.which("nvidia-smi"), os.path.join(host.folder, "between"), os.path.join(host.folder, "calls")
    if not real:
        return collector.run(host, vendors), []
    with open(between, "w") as stream:
        stream.write(BETWEEN % (sys.executable, real, calls))
    os.chmod(between, 0o755)
    done = collector.run(host, vendors, ["--nvidia-smi=" + between])
    return done, [json.loads(line) for line in (files.text(calls, 1 << 24) or "").splitlines()]


def nvidia_table(calls):
    """The last table that the collector was given, under its fields; "" if there was none."""
    for words, status, output in reversed(calls):
        asked = [word.partition("=")[2] for word in words if word.startswith("--query-gpu=")]
        if asked and not output.startswith("Field "):
            return ("# exit: %d\n" % status if status else "") + asked[0].replace(",", ", ") + "\n" + output
    return ""


def amd_device(root, address):
    """{name: text} of the files of one device, as described ones of the tests have them."""
    folder = os.path.join(root, pci.DEVICES, address)
    names = list(AMD_FILES)
    for hwmon in files.names(os.path.join(folder, "hwmon")):
        names += ["hwmon/%s/%s" % (hwmon, name) for name in files.names(os.path.join(folder, "hwmon", hwmon)) if AMD_SENSOR.match(name)]
    found = dict((name, files.text(os.path.join(folder, name))) for name in names)
    found["driver"] = files.link(os.path.join(folder, "driver"))
    return dict((name, text) for name, text in found.items() if text)


def public(text):
    """The collector's file without what is about jobs and people."""
    return "".join(line + "\n" for line in text.splitlines() if re.split(r"[ {]", line[7:] if line.startswith("# ") else line)[0] not in PRIVATE)


def make(host, facts, answers, known, failed):
    """{path: text} of the fixtures. known: the Redactor; failed: how many checks failed here"""
    name = slug(facts)
    what = ", ".join("%d x %s" % (count, model) for told in facts["summary"].values() for model, count in sorted(told["models"].items()))
    head = "recorded on %s by the acceptance test: %s%s; ids, serial numbers, names and addresses are replaced" % (
        time.strftime("%Y-%m-%d"), what, ", of which %d checks failed" % failed if failed else "")
    made = {"machines/%s.json" % name: json.dumps(known.document(recording.machine(host.root, facts, head)), indent=1, sort_keys=True) + "\n"}

    def add(path, text):
        if text:
            made[path] = "# %s\n%s" % (head, known.text(text))

    vendors = [vendor for vendor in answers if vendor in collector.VENDORS]
    if vendors:
        done, calls = recorded_run(host, vendors)
        add("expositions/textfile_%s.prom" % name, public(done.text))
        add("nvidia_smi/%s.csv" % name, nvidia_table(calls))
    for vendor, answer in sorted(answers.items()):
        if vendor != "nvidia":
            for words, text in answer.texts.items():
                program, verb = (words.split() + [""])[:2]
                path = "%s/%s%s" % (program.replace("-", "_"), name, "_" + verb if re.match("[a-z]+$", verb) else "")
                add(path + (".txt" if ids.document(text) is None else ".json"), text)
    addresses = [one["pci_address"] for one in facts["devices"] if one["vendor"] == "amd"]
    if addresses:
        add("amd_sysfs/%s.json" % name, json.dumps(amd_device(host.root, addresses[0]), indent=1, sort_keys=True) + "\n")
    return made
