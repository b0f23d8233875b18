# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a simulated amdgpu-exporter package: package.py FOLDER VERSION...

A bundle of one version, or a folder of several for an apt repository. Names, paths and what its scripts do are derived from upstream's
packaging; its programs are the simulated ones beside this file.
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = ("[Unit]\nDescription=%s\n[Service]\nEnvironmentFile=/usr/local/etc/metrics/gpuagent.conf\nExecStart=%s\n"
        "Restart=on-failure\n[Install]\nWantedBy=multi-user.target\n")
REMOVE = """#!/bin/bash
systemctl stop amd-metrics-exporter.service
systemctl stop gpuagent.service
systemctl disable gpuagent.service
systemctl disable amd-metrics-exporter.service
"""
CONTROL = """Package: amdgpu-exporter
Maintainer: accelmon.fleet contributors
Architecture: amd64
Depends: python3
Description: simulated, of the tests of accelmon.fleet
Version: %s
"""


def write(path, text, mode=0o644):
    """A file and its folders."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as stream:
        stream.write(text)
    os.chmod(path, mode)


def make(folder, version):
    """The package of a version; its file's name."""
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        for program, source in (("amd-metrics-exporter", "amd-metrics-exporter.py"), ("gpuagent", "gpuagent.py")):
            with open(os.path.join(HERE, source)) as stream:
                write(os.path.join(root, "usr/local/bin", program), "#!/usr/bin/python3\n" + stream.read() + "# %s\n" % version, 0o755)
        write(os.path.join(root, "usr/local/etc/metrics/gpuagent.conf"), "LD_LIBRARY_PATH=/usr/local/metrics/lib:$LD_LIBRARY_PATH\n")
        write(os.path.join(root, "usr/local/metrics/lib/libamd_smi.so"), "")
        write(os.path.join(root, "etc/metrics/config.json"), '{"ServerPort": 5000, "CommonConfig": {"MetricsFieldPrefix": "amd_"}}\n')
        write(os.path.join(root, "usr/lib/systemd/system/gpuagent.service"), UNIT % ("simulated gpuagent", "/usr/local/bin/gpuagent -s /var/run/gpuagent.sock"))
        write(os.path.join(root, "usr/lib/systemd/system/amd-metrics-exporter.service"), UNIT % ("simulated exporter", "/usr/local/bin/amd-metrics-exporter"))
        write(os.path.join(root, "DEBIAN/control"), CONTROL % (version + "-10~24.04"))
        write(os.path.join(root, "DEBIAN/prerm"), REMOVE, 0o755)
        # Not what upstream does, as far as is known: the worst that a package may do.
        write(os.path.join(root, "DEBIAN/postinst"),
              "#!/bin/bash\nsystemctl daemon-reload\nsystemctl enable --now amd-metrics-exporter.service\nexit 0\n", 0o755)
        name = "amdgpu-exporter_%s_amd64.deb" % version
        subprocess.check_call(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", root, os.path.join(folder, name)], stdout=subprocess.DEVNULL)
    return name


def main():
    folder, versions = sys.argv[1], sys.argv[2:]
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    artifacts = []
    for version in versions:
        name = make(folder, version)
        with open(os.path.join(folder, name), "rb") as stream:
            digest = hashlib.sha256(stream.read()).hexdigest()
        artifacts.append({"name": "amdgpu-exporter", "version": version, "os": "linux", "architecture": "amd64", "file": name, "sha256": digest})
    write(os.path.join(folder, "lock.json"), json.dumps({"version": 1, "artifacts": artifacts}, indent=1) + "\n")


if __name__ == "__main__":
    main()
