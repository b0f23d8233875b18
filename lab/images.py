# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's images: built once per recipe, by name of the recipe's hash."""

import concurrent.futures
import hashlib
import os
import subprocess
import tempfile

import engine
from engine import podman, say
from hardware import Error

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "localhost/accelmon-lab"
LABEL = "accelmon.lab.image"
# What the roles install, by release. Bookworm's VictoriaMetrics is too old to be worth testing.
PREFETCH = {
    "bookworm": ["prometheus-node-exporter", "prometheus", "prometheus-alertmanager"],
    "trixie": ["prometheus-node-exporter", "victoria-metrics", "prometheus", "prometheus-alertmanager"],
}
# The Containerfile's own packages: having them in the base keeps its step short, and out of most rebuilds.
BASE = ["systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "python3-apt", "sudo", "procps", "curl", "iproute2", "ca-certificates"]


def stock():
    """Return the name of a stock image without its tag, or "" when the base is built here."""
    return os.environ.get("ACCELMON_LAB_BASE", "")


def base_tag(release):
    """Return the name of the base image for a release."""
    if stock():
        return "%s:%s-slim" % (stock(), release)
    return "%s-base:%s-%s" % (NAME, release, hashlib.sha256(repr((release, BASE)).encode()).hexdigest()[:12])


def tag(release):
    """Return the name of the lab image for a release."""
    if release not in PREFETCH:
        raise Error("image %r: unknown; use one of %s" % (release, ", ".join(sorted(PREFETCH))))
    digest = hashlib.sha256(repr((base_tag(release), PREFETCH[release])).encode())
    folder = os.path.join(HERE, "image")
    for path in [os.path.join(HERE, "Containerfile")] + [os.path.join(folder, name) for name in sorted(os.listdir(folder))]:
        with open(path, "rb") as stream:
            digest.update(stream.read())
    return "%s:%s-%s" % (NAME, release, digest.hexdigest()[:12])


def exists(name):
    """Return whether an image is here."""
    return podman("image", "exists", name, check=False).returncode == 0


def logged(release, argv):
    """Run a long command with its output in a log file, whose end is shown when it fails."""
    folder = os.path.join(engine.cache(), "logs")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "image-%s.log" % release)
    with open(path, "ab") as log:
        try:
            code = subprocess.call(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=engine.environment())
        except FileNotFoundError:
            raise Error("%s is not installed; run tests/setup.sh, which installs or names what is missing" % argv[0])
    if code != 0:
        with open(path, "rb") as log:
            end = log.read()[-1500:].decode(errors="replace")
        raise Error("%s failed with exit status %d; the end of %s:\n%s" % (argv[0], code, path, end))


def build_base(release):
    """Make the base image of a release from the distribution's packages."""
    if stock() or exists(base_tag(release)):
        return
    say("building the %s base with mmdebstrap" % release)
    with tempfile.TemporaryDirectory(prefix="accelmon-lab-") as folder:
        tar = os.path.join(folder, "base.tar")
        logged(release, ["mmdebstrap", "--variant=apt", "--include=" + ",".join(BASE), release, tar])
        logged(release, ["podman", "import", tar, base_tag(release)])


def build(release):
    """Make the lab image of a release unless it is there. Return its name."""
    name = tag(release)
    if exists(name):
        return name
    build_base(release)
    say("building %s" % name)
    logged(release, [
        "podman", "build", "--label", LABEL + "=" + release, "--build-arg", "BASE=" + base_tag(release),
        "--build-arg", "PREFETCH=" + " ".join(PREFETCH[release]), "-t", name, "-f", os.path.join(HERE, "Containerfile"), os.path.join(HERE, "image"),
    ])
    for old in podman("images", "--filter", "label=%s=%s" % (LABEL, release), "--format", "{{.Repository}}:{{.Tag}}").stdout.split():
        if old != name and old.startswith(NAME + ":"):
            # Stays, silently, while a running lab uses it.
            podman("rmi", old, check=False)
    return name


def build_all(releases):
    """Make the images of several releases. Return {release: name}."""
    releases = sorted(set(releases))
    with engine.alone(), concurrent.futures.ThreadPoolExecutor(len(releases) or 1) as pool:
        return dict(zip(releases, pool.map(build, releases)))


def tools():
    """Return a folder with the programs of the packages that the trixie image holds, to run on this machine."""
    image = build_all(["trixie"])["trixie"]
    folder = os.path.join(engine.cache(), "tools-" + image.rsplit("-", 1)[1])
    programs = os.path.join(folder, "usr", "bin")
    with engine.alone():
        if not os.path.isdir(folder):
            unpack(image, folder)
    return programs


def unpack(image, folder):
    """Make the folder of tools from the packages that an image holds."""
    say("unpacking promtool, vmalert-tool and others from the packages in %s" % image)
    with tempfile.TemporaryDirectory(dir=engine.cache()) as work:
        container = podman("create", image, "true").stdout.strip()
        try:
            podman("cp", container + ":/var/cache/apt/archives", work)
        finally:
            podman("rm", container)
        unpacked = os.path.join(work, "unpacked")
        archives = os.path.join(work, "archives")
        for name in sorted(os.listdir(archives)):
            if name.startswith(("prometheus_", "promtool_", "prometheus-alertmanager_", "victoria-metrics_")) and name.endswith(".deb"):
                subprocess.run(["dpkg-deb", "--extract", os.path.join(archives, name), unpacked], check=True)
        # They are linked against trixie's C library; older ones have had all they ask for so far.
        probe = subprocess.run([os.path.join(unpacked, "usr", "bin", "promtool"), "--version"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, check=False)
        if probe.returncode != 0:
            raise Error("promtool of Debian 13 does not run on this machine: %s" % probe.stderr.strip())
        os.rename(unpacked, folder)
