# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a bundle with a simulated package of Grafana, and an archive like upstream's beside it: package.py FOLDER VERSION.

Names, paths, the user and the unit are derived from upstream's packaging; its program is the simulated one beside this file.
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = """[Unit]
Description=Grafana instance, simulated
[Service]
User=grafana
Group=grafana
WorkingDirectory=/usr/share/grafana
ExecStart=/usr/share/grafana/bin/grafana server --config=/etc/grafana/grafana.ini
Restart=on-failure
[Install]
WantedBy=multi-user.target
"""
CONTROL = """Package: grafana
Maintainer: accelmon.fleet contributors
Architecture: amd64
Depends: python3
Description: simulated, of the tests of accelmon.fleet
Version: %s
"""
# Not what upstream does, which leaves that to the administrator: the worst that a package may do.
INSTALL = """#!/bin/bash
id grafana >/dev/null 2>&1 || useradd --system --home-dir /usr/share/grafana --shell /bin/false grafana
mkdir -p /var/lib/grafana
systemctl daemon-reload
systemctl enable --now grafana-server.service
exit 0
"""


def write(path, text, mode=0o644):
    """A file and its folders."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as stream:
        stream.write(text)
    os.chmod(path, mode)


def write_archive(folder, version):
    """The archive, named as upstream's."""
    with tempfile.TemporaryDirectory() as root:
        with open(os.path.join(HERE, "grafana.py")) as stream:
            write(os.path.join(root, "bin/grafana"), "#!/usr/bin/python3\n" + stream.read(), 0o755)
        write(os.path.join(root, "conf/defaults.ini"), "[server]\nhttp_port = 3000\n")
        write(os.path.join(root, "public/index.html"), "simulated\n")
        with tarfile.open(os.path.join(folder, "grafana-%s.linux-amd64.tar.gz" % version), "w:gz") as archive:
            archive.add(root, "grafana-%s" % version)


def main():
    folder, version = sys.argv[1:]
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    name = "grafana_%s_amd64.deb" % version
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        with open(os.path.join(HERE, "grafana.py")) as stream:
            write(os.path.join(root, "usr/share/grafana/bin/grafana"), "#!/usr/bin/python3\n" + stream.read(), 0o755)
        write(os.path.join(root, "usr/sbin/grafana-server"), '#!/bin/sh\nexec /usr/share/grafana/bin/grafana server "$@"\n', 0o755)
        write(os.path.join(root, "etc/grafana/grafana.ini"), "[server]\nhttp_port = 3000\n[security]\nadmin_password = admin\n")
        write(os.path.join(root, "usr/lib/systemd/system/grafana-server.service"), UNIT)
        write(os.path.join(root, "DEBIAN/control"), CONTROL % version)
        write(os.path.join(root, "DEBIAN/postinst"), INSTALL, 0o755)
        subprocess.check_call(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", root, os.path.join(folder, name)], stdout=subprocess.DEVNULL)
    with open(os.path.join(folder, name), "rb") as stream:
        digest = hashlib.sha256(stream.read()).hexdigest()
    write(os.path.join(folder, "lock.json"), json.dumps({"version": 1, "artifacts": [
        {"name": "grafana", "version": version, "os": "linux", "architecture": "amd64", "file": name, "sha256": digest}]}, indent=1) + "\n")
    write_archive(folder, version)


if __name__ == "__main__":
    main()
