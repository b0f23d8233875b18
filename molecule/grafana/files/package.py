# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a repository with a simulated package of Grafana, and a bundle with an archive like upstream's: package.py FOLDER VERSION.

They are FOLDER/repository and FOLDER/bundle.

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


def write_bundle(folder, version):
    """A bundle of the archive, named as upstream's."""
    name = "grafana-%s.linux-amd64.tar.gz" % version
    with tempfile.TemporaryDirectory() as root:
        with open(os.path.join(HERE, "grafana.py")) as stream:
            write(os.path.join(root, "bin/grafana"), "#!/usr/bin/python3\n" + stream.read(), 0o755)
        write(os.path.join(root, "conf/defaults.ini"), "[server]\nhttp_port = 3000\n")
        write(os.path.join(root, "public/index.html"), "simulated\n")
        os.makedirs(folder)
        with tarfile.open(os.path.join(folder, name), "w:gz") as archive:
            archive.add(root, "grafana-%s" % version)
    write(os.path.join(folder, "lock.json"), json.dumps({"version": 1, "artifacts": [
        {"name": "grafana", "version": version, "os": "linux", "architecture": "amd64", "file": name, "sha256": digest(os.path.join(folder, name))}]}))


def write_repository(folder, version):
    """A repository as apt reads it, of the package alone."""
    path = os.path.join(folder, "grafana_%s_amd64.deb" % version)
    os.makedirs(folder)
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        with open(os.path.join(HERE, "grafana.py")) as stream:
            write(os.path.join(root, "usr/share/grafana/bin/grafana"), "#!/usr/bin/python3\n" + stream.read(), 0o755)
        write(os.path.join(root, "usr/sbin/grafana-server"), '#!/bin/sh\nexec /usr/share/grafana/bin/grafana server "$@"\n', 0o755)
        write(os.path.join(root, "etc/grafana/grafana.ini"), "[server]\nhttp_port = 3000\n[security]\nadmin_password = admin\n")
        write(os.path.join(root, "usr/lib/systemd/system/grafana-server.service"), UNIT)
        write(os.path.join(root, "DEBIAN/control"), CONTROL % version)
        write(os.path.join(root, "DEBIAN/postinst"), INSTALL, 0o755)
        subprocess.check_call(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", root, path], stdout=subprocess.DEVNULL)
    write(os.path.join(folder, "Packages"), CONTROL % version + "Filename: ./%s\nSize: %d\nSHA256: %s\n" % (
        os.path.basename(path), os.path.getsize(path), digest(path)))


def digest(path):
    """SHA-256 of a file."""
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def main():
    folder, version = sys.argv[1:]
    for name, make in (("repository", write_repository), ("bundle", write_bundle)):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
        make(os.path.join(folder, name), version)


if __name__ == "__main__":
    main()
