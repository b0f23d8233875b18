# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated: stands for AMD's gpuagent, below everything that the collection does about it.

Derived from upstream's source and documentation: `-s` is its Unix socket, logs go where the environment says, it opens /dev/kfd and
the render nodes, and it counts the devices once, when it starts. What it says on the socket is ours: a line of JSON for a connection.
"""
import glob
import json
import os
import socket
import sys
import time


def number(folder, name):
    """A number that the driver tells, or 0."""
    try:
        with open(os.path.join(folder, name)) as stream:
            return int(stream.read().split()[0], 0)
    except (OSError, ValueError, IndexError):
        return 0


def text(folder, name):
    """What the driver tells, or nothing."""
    try:
        with open(os.path.join(folder, name)) as stream:
            return stream.read().strip()
    except OSError:
        return ""


def found():
    """Folders of AMD's devices, in the order of their addresses."""
    return [folder for folder in sorted(os.path.realpath(path) for path in glob.glob("/sys/bus/pci/devices/*"))
            if text(folder, "vendor") == "0x1002" and os.path.exists(os.path.join(folder, "unique_id"))]


def device(index, folder):
    """What it tells of one device."""
    total, used = number(folder, "mem_info_vram_total"), number(folder, "mem_info_vram_used")
    return {"index": index, "uuid": text(folder, "unique_id"), "serial": text(folder, "serial_number"), "mode": text(folder, "current_compute_partition"),
            "memory": text(folder, "current_memory_partition"), "busy": number(folder, "gpu_busy_percent"), "total": total // 2**20, "used": used // 2**20}


def main():
    arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    os.close(os.open("/dev/kfd", os.O_RDWR))
    for node in glob.glob("/dev/dri/renderD*"):
        os.close(os.open(node, os.O_RDWR))
    if "/usr/local/metrics/lib" not in os.environ.get("LD_LIBRARY_PATH", ""):
        sys.exit("gpuagent: libamd_smi.so: cannot open shared object file")
    folders = found()
    with open(os.path.join(os.environ.get("NON_PERSISTENT_LOG_DIR", "/var/run"), "gpu-agent.log"), "a") as log:
        log.write("%d devices\n" % len(folders))
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(arguments["-s"])
    server.listen(8)
    while True:
        connection = server.accept()[0]
        if os.path.exists("/lab/gpuagent.hang"):
            time.sleep(3600)
        connection.sendall(json.dumps([device(*pair) for pair in enumerate(folders)]).encode() + b"\n")
        connection.close()


if __name__ == "__main__":
    main()
