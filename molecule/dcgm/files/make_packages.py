"""Make stand-ins for NVIDIA's packages, and a repository of them as NVIDIA's is laid out: simulated, nothing of NVIDIA's is in them.

Usage: make_packages.py FOLDER [library]. With `library`, the exporter needs a package that hosts may lack.
Needs dpkg-deb and gpg. The repository is FOLDER/debian12/x86_64.
"""

import hashlib
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PAIRS = {"4.8.2": "4.5.3", "4.8.3": "4.6.0", "4.9.0": "4.7.0"}
UNIT = "[Unit]\nDescription={what}, simulated\n[Service]\nExecStart={command}\n[Install]\nWantedBy=multi-user.target\n"
# As packages do by debhelper: a service that comes is enabled and started, unless policy-rc.d or a mask keeps it from it.
POSTINST = "#!/bin/sh\nset -e\ndeb-systemd-helper enable {unit} || true\n[ -d /run/systemd/system ] && deb-systemd-invoke start {unit} || true\n"


def deb(folder, name, version, depends, files, postinst=""):
    """Build one package; its control file."""
    root = folder / "work" / name
    subprocess.run(["rm", "-rf", str(root)], check=True)
    for path, (text, mode) in files.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)
    control = (f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: accelmon.fleet's lab <lab@example.invalid>\n"
               + (f"Depends: {depends}\n" if depends else "") + "Description: a stand-in of the lab, simulated\n")
    (root / "DEBIAN").mkdir(parents=True, exist_ok=True)
    (root / "DEBIAN" / "control").write_text(control)
    if postinst:
        (root / "DEBIAN" / "postinst").write_text(postinst)
        (root / "DEBIAN" / "postinst").chmod(0o755)
    target = folder / "debian12" / "x86_64" / f"{name}_{version.split(':')[-1]}_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(root), str(target)], check=True, stdout=subprocess.DEVNULL)
    data = target.read_bytes()
    return control + f"Filename: ./{target.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"


def main(folder, library):
    os.makedirs(folder / "debian12" / "x86_64", exist_ok=True)
    listed = [deb(folder, "lab-library", "2.0-1", "", {})] if library else []
    exporter = "#!/usr/bin/python3 -IS\n" + (HERE / "dcgm_exporter.py").read_text()
    for version, dcgm in PAIRS.items():
        listed.append(deb(folder, "datacenter-gpu-manager-4-core", f"1:{dcgm}-1", "", {
            "/usr/bin/nv-hostengine": ("#!/usr/bin/python3 -IS\nimport socket\nserver = socket.create_server(('127.0.0.1', 5555))\n"
                                       "while True:\n    server.accept()[0].close()\n", 0o755),
            "/lib/systemd/system/nvidia-dcgm.service": (UNIT.format(what="nv-hostengine", command="/usr/bin/nv-hostengine"), 0o644)}))
        listed.append(deb(folder, "datacenter-gpu-manager-4-proprietary", f"1:{dcgm}-1", f"datacenter-gpu-manager-4-core (= 1:{dcgm}-1)", {}))
        depends = "datacenter-gpu-manager-4-core (>= 1:4)" + ", lab-library (>= 2)" * library
        listed.append(deb(folder, "datacenter-gpu-manager-exporter", f"{version}-1", depends, {
            "/usr/bin/dcgm-exporter": (exporter.replace("@VERSION@", version), 0o755),
            "/lib/systemd/system/nvidia-dcgm-exporter.service": (UNIT.format(
                what="dcgm-exporter", command="/usr/bin/dcgm-exporter --collectors /etc/dcgm-exporter/default-counters.csv --address :9400"), 0o644)},
            POSTINST.format(unit="nvidia-dcgm-exporter.service")))
    place = folder / "debian12" / "x86_64"
    text = "\n".join(listed)
    (place / "Packages").write_text(text)
    (place / "Release").write_text(f"Origin: lab\nDate: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n {hashlib.sha256(text.encode()).hexdigest()} "
                                   f"{len(text.encode())} Packages\n")
    (folder / "gpg").mkdir(mode=0o700, exist_ok=True)
    gpg = ["gpg", "--batch", "--quiet", "--yes", "--homedir", str(folder / "gpg")]
    subprocess.run([*gpg, "--passphrase", "", "--quick-generate-key", "lab <lab@example.invalid>", "rsa3072", "sign", "never"], check=True)
    subprocess.run([*gpg, "--clearsign", "--output", str(place / "InRelease"), str(place / "Release")], check=True)
    (place / "3bf863cc.pub").write_bytes(subprocess.run([*gpg, "--armor", "--export"], check=True, stdout=subprocess.PIPE).stdout)
    subprocess.run(["gpgconf", "--homedir", str(folder / "gpg"), "--kill", "gpg-agent"], check=False)


main(pathlib.Path(sys.argv[1]).resolve(), "library" in sys.argv[2:])
