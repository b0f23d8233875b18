# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated: stands for AMD's device-metrics-exporter, below everything that the collection does about it.

Derived from upstream's source and documentation: its flags (an unknown one ends it), its configuration (one that cannot be read means
every field), its log file, the names and labels of its series, that it asks gpuagent anew for each page, and the folder it insists on.
Values are those of the lab's simulated devices, or made up.
"""
import http.server
import json
import os
import socket
import sys

FLAGS = ("-amd-metrics-config", "-s", "-bind", "-log-file-path")
ALL = ["GPU_NODES_TOTAL", "GPU_PACKAGE_POWER", "PCIE_BANDWIDTH"]
MANDATORY = ("gpu_id card_model gpu_partition_id gpu_compute_partition_type gpu_memory_partition_type kfd_process_id deployment_mode "
             "serial_number pod namespace container job_id job_user job_partition hostname").split()
HEALTH = "/var/lib/amd-metrics-exporter"
# Those that an MI300X has no value of are left out of its page.
ABSENT = {"gpu_average_package_power", "gpu_edge_temperature", "gpu_afid_errors"}


def options():
    """{flag: value}; ends the program for a flag that it does not know."""
    found = {"-amd-metrics-config": "/etc/metrics/config.json", "-s": "/var/run/gpuagent.sock", "-bind": "0.0.0.0", "-log-file-path": "/var/log/exporter.log"}
    given = sys.argv[1:]
    while given:
        if given[0] not in FLAGS:
            sys.exit("flag provided but not defined: %s" % given[0])
        found[given[0]] = given[1]
        given = given[2:]
    return found


def configured(path):
    """(port, fields, labels, prefix)"""
    try:
        with open(path) as stream:
            told = json.load(stream)
    except (OSError, ValueError):
        return 5000, ALL, [], ""
    gpu = told.get("GPUConfig", {})
    return told.get("ServerPort", 5000), gpu.get("Fields") or ALL, gpu.get("Labels", []), told.get("CommonConfig", {}).get("MetricsFieldPrefix", "")


def devices(place):
    """What gpuagent tells."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(5)
    connection.connect(place)
    told = b"".join(iter(lambda: connection.recv(65536), b""))
    connection.close()
    return json.loads(told.decode())


def values(name, device):
    """[(further labels, value)] of a field of a device."""
    if name in ABSENT:
        return []
    if name == "gpu_clock":
        return [({"clock_index": str(number), "clock_type": kind}, value) for number, (kind, value) in enumerate(
            (("system", 2100), ("memory", 1300), ("soc", 1200)))]
    plain = {"gpu_gfx_activity": device["busy"], "gpu_umc_activity": device["busy"] // 2, "gpu_total_vram": device["total"],
             "gpu_used_vram": device["used"], "gpu_package_power": 140 + device["busy"], "gpu_power_usage": 140 + device["busy"],
             "gpu_junction_temperature": 45, "gpu_memory_temperature": 40, "gpu_energy_consumed": 1.5e12, "gpu_health": 1,
             "pcie_speed": 32, "pcie_max_speed": 32}
    return [({}, plain.get(name, 0))]


def page(place, fields, labels, prefix):
    """The text of the page."""
    try:
        known = devices(place)
    except (OSError, ValueError):
        return ""
    optional = {"gpu_uuid": "uuid", "card_series": None, "driver_version": None, "card_vendor": None}
    wanted = [label.lower() for label in labels if label.lower() in optional]
    rows = []
    for field in fields:
        name = field.lower()
        rows.append("# HELP %s%s %s\n# TYPE %s%s gauge" % (prefix, name, name, prefix, name))
        if name == "gpu_nodes_total":
            rows.append('%s%s{hostname="%s"} %d' % (prefix, name, socket.gethostname(), len(known)))
            continue
        for device in known:
            shown = dict.fromkeys(MANDATORY, "")
            shown.update(gpu_id=str(device["index"]), card_model="102-G30211-0C", gpu_partition_id="0", gpu_compute_partition_type=device["mode"].lower(),
                         gpu_memory_partition_type=device["memory"].lower(), deployment_mode="baremetal", serial_number=device["serial"],
                         hostname=socket.gethostname())
            shown.update((label, device[optional[label]] if optional[label] else "simulated") for label in wanted)
            for further, value in values(name, device):
                told = ",".join('%s="%s"' % pair for pair in sorted(dict(shown, **further).items()))
                rows.append("%s%s{%s} %s" % (prefix, name, told, value))
    return "\n".join(rows) + "\n"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers for the page."""

    def do_GET(self):
        """Tell what gpuagent tells now."""
        text = page(*self.server.told).encode() if self.path == "/metrics" else b""
        self.send_response(200 if self.path in ("/metrics", "/debug/vars") else 404)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments):
        """Not into the journal."""


def main():
    given = options()
    port, fields, labels, prefix = configured(given["-amd-metrics-config"])
    with open(given["-log-file-path"], "a") as log:
        log.write("serving on %s:%d\n" % (given["-bind"], port))
    with open(os.path.join(HEALTH, "amdgpu_device_metrics_exporter_grpc.socket.simulated"), "w") as stream:
        stream.write("")
    server = http.server.ThreadingHTTPServer((given["-bind"], port), Handler)
    server.told = (given["-s"], fields, labels, prefix)
    server.serve_forever()


if __name__ == "__main__":
    main()
