# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the fleet needs to know of the host itself, from files and the kernel, without running a program."""
import json
import os
import platform
import re
import socket
import sys

from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import files, links

# The kernel's machine names that differ from Go's, in which programs are published.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i486": "386", "i586": "386", "i686": "386",
                 "loongarch64": "loong64", "armv5tel": "arm", "armv6l": "arm", "armv7l": "arm", "armv8l": "arm"}

# A host that carries a full routing table has a very long list; its own addresses are worth no more than this.
LINES = 500000

# Our exporter roles, whose units are accelmon-<role>.service.
EXPORTERS = ("all_smi", "amd_exporter", "dcgm_exporter", "node_exporter", "slurm_collector", "slurm_drain", "textfile_collector")

# Roles whose programs upgrade.yml looks after, and Debian's packages of those whose version matters.
PACKAGES = {"victoriametrics": "victoria-metrics", "vmagent": "victoria-metrics", "vmalert": "victoria-metrics", "prometheus": "prometheus",
            "alertmanager": "prometheus-alertmanager", "grafana": "grafana", "node_exporter": "", "all_smi": ""}

# What a unit of ours runs whose program is in a container.
CONTAINER = re.compile(br"^ExecStart=\S*/(?:podman|docker) run ", re.MULTILINE)


def contained(unit):
    """Whether a unit file, bytes, is of ours and runs its program in a container."""
    return bool(CONTAINER.search(unit))


def architecture(machine):
    """Go's name of a machine type: 'x86_64' -> 'amd64'; what has no other name keeps its own."""
    return ARCHITECTURES.get(machine, machine)


def os_release(root):
    """The words of os-release, without quotes: {'ID': 'debian', ...}."""
    for path in ("etc/os-release", "usr/lib/os-release"):
        text = files.text(os.path.join(root, path))
        if text:
            pairs = re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE)
            return dict((key, re.sub(r"\\(.)", r"\1", value.strip().strip("\"'"))) for key, value in pairs)
    return {}


def ipv4(root):
    """The host's own IPv4 addresses, from the kernel's forwarding table."""
    found, candidate = set(), None
    try:
        with open(os.path.join(root, "proc/net/fib_trie"), errors="replace") as stream:
            for count, one in enumerate(stream):
                words = one.split()
                if len(words) == 2 and words[0] == "|--":
                    candidate = words[1]
                elif words[:1] == ["/32"] and words[1:] == ["host", "LOCAL"] and candidate:
                    found.add(candidate)
                if count > LINES:
                    break
    except OSError:
        return []
    packed = [one for one in (_packed(socket.AF_INET, address) for address in found) if one]
    return [socket.inet_ntop(socket.AF_INET, one) for one in sorted(packed) if one[0] != 127 and one[:2] != b"\xa9\xfe"]


def ipv6(root):
    """The host's own IPv6 addresses of global and site scope."""
    found = []
    for one in (files.text(os.path.join(root, "proc/net/if_inet6"), 1024 * 1024) or "").splitlines():
        words = one.split()
        if len(words) == 6 and re.match(r"[0-9a-fA-F]{32}$", words[0]) and words[3] not in ("10", "20"):
            found.append(bytes(bytearray.fromhex(words[0])))
    return [socket.inet_ntop(socket.AF_INET6, one) for one in sorted(set(found))]


def _packed(family, address):
    try:
        return socket.inet_pton(family, address)
    except OSError:
        return None


# Where the dynamic linker and the C library are: below these, or below a folder for the architecture in them.
LIBRARIES = ("lib64", "lib", "usr/lib64", "usr/lib")


def libc(root):
    """{name: glibc | musl, version?} of the host's C library, {} if neither is there.

    The version stands in the library's own announcement, a text somewhere in its data.
    """
    machine = platform.machine()
    for folder in LIBRARIES:
        for place in (os.path.join(folder, machine + "-linux-gnu"), folder):
            path = os.path.join(root, place, "libc.so.6")
            if os.path.exists(path):
                return _with_version({"name": "glibc"}, _glibc_version(path))
    if any(name.startswith("ld-musl-") for name in files.names(os.path.join(root, "lib"))):
        found = re.search(r"^P:musl\nV:([0-9.]+)", files.text(os.path.join(root, "lib/apk/db/installed"), 16 * 1024 * 1024) or "", re.MULTILINE)
        return _with_version({"name": "musl"}, found and found.group(1))
    return {}


def _with_version(found, version):
    return dict(found, version=version) if version else found


def _glibc_version(path):
    # Older releases put it into the name of what the link points to.
    named = re.match(r"libc-(\d+\.\d+)", files.link(path) or "")
    if named:
        return named.group(1)
    found = re.search(br"GNU C Library [^\n\0]{0,80}release version (\d+\.\d+)", files.raw(path, 8 * 1024 * 1024) or b"")
    return found.group(1).decode() if found else None


def container_runtimes(root):
    """Programs that can run a container, of those that we know how to ask, the preferred one first."""
    return [name for name in ("podman", "docker")
            if any(os.access(os.path.join(root, folder, name), os.X_OK) for folder in ("usr/bin", "usr/local/bin", "bin"))]


def exporters(root):
    """Exporter roles of ours whose unit is on the host, sorted. A collector that reads no devices, only the kernel's log, is `kernel_log`."""
    folder, found = os.path.join(root, "etc/systemd/system"), []
    for name in files.names(folder):
        unit = re.match(r"accelmon-([a-z-]+)\.service$", name)
        if unit and unit.group(1).replace("-", "_") in EXPORTERS:
            blind = b" --vendors=none" in (files.raw(os.path.join(folder, name)) or b"")
            found.append("kernel_log" if blind else unit.group(1).replace("-", "_"))
    return sorted(found)


def programs(root):
    """{role: {source, version?, sha256?}} of programs of ours on the host. source: release for what comes from an archive, package or container.

    It is the program that runs: a run that was killed may have put another into its place without starting that.
    """
    found, packages = {}, None
    for role in sorted(PACKAGES):
        service = "accelmon-%s.service" % role.replace("_", "-")
        unit = files.raw(os.path.join(root, "etc/systemd/system", service)) or b""
        home = "%s/%s/" % (paths.PROGRAMS, role)
        current, previous = (os.path.join(root, home.lstrip("/"), name) for name in ("current", "previous"))
        released = (home + "current/").encode() in unit
        if released and not _behind(root, service, current):
            found[role] = _release(current)
        elif released and os.path.islink(previous):
            found[role] = _release(previous)
        elif not released and contained(unit):
            found[role] = {"source": "container"}
        elif released or b"/usr/bin/" in unit:
            if PACKAGES[role] and packages is None:
                packages = files.raw(os.path.join(root, "var/lib/dpkg/status"), 64 * 1024 * 1024) or b""
            version = _package_version(packages, PACKAGES[role]) if PACKAGES[role] else ""
            found[role] = _with_version({"source": "package"}, version)
    return found


def replaced(root, found):
    """What `programs` has found, and what a killed run of upgrade.yml has replaced and not compared with it: before, {source, version?, sha256?, at:
    when, seconds since 1970}.
    """
    for role, before in uncompared(root).items():
        if role in found and any(found[role].get(key) != before.get(key) for key in ("source", "version", "sha256")):
            found[role]["before"] = before
    return found


def uncompared(root):
    """{role: what programs tells of it, and at: when} of what was there before steps of upgrade.yml that nobody has compared yet."""
    folder, beginning = os.path.split(paths.UPGRADE)
    folder, found = os.path.join(root, folder.lstrip("/")), {}
    for name in files.names(folder):
        if name.startswith(beginning):
            try:
                note = json.loads(files.text(os.path.join(folder, name)) or "")
                found.update((role, dict(before, at=note["at"])) for role, before in note["programs"].items())
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # no note of upgrade.yml, which replaces its notes by a rename
    return found


def _behind(root, service, current):
    """Whether a service was started before the link to its release was made. systemd makes a link too, when it starts a service."""
    started = files.made(os.path.join(root, "run/systemd/units/invocation:" + service))
    put = files.made(current)
    return None not in (started, put) and started < put


def _release(current):
    """What a link to the directory of a release says of it: {source, version?, sha256?}."""
    told = _with_version({"source": "release"}, (files.link(current) or "").rpartition("-")[0])
    try:
        digest = json.loads(files.text(os.path.join(current, paths.RELEASE)) or "")["sha256"]
    except (ValueError, KeyError, TypeError):
        return told
    return dict(told, sha256=digest) if re.match(r"[0-9a-f]{64}\Z", str(digest)) else told


def _package_version(packages, name):
    """Upstream's version of an installed package, "" if it is not there. packages: what dpkg knows"""
    found = re.search(br"^Package: %s\nStatus: install ok installed\n(?:.+\n)*?Version: (?:\d+:)?(\d+(?:\.\d+)*)" % name.encode(), packages, re.MULTILINE)
    return found.group(1).decode() if found else ""


def hostengine(root):
    """Whether systemd runs nv-hostengine, whatever the name of its unit."""
    return is_active(root, "nvidia-dcgm.service", "dcgm.service", "nv-hostengine.service")


def is_active(root, *names):
    """Whether systemd runs one of these services."""
    for name in names:
        # A link that systemd keeps for every unit that is active. Versions before 234 have none; in containers the groups are elsewhere.
        if os.path.islink(os.path.join(root, "run/systemd/units/invocation:" + name)):
            return True
        for folder in ("sys/fs/cgroup/system.slice", "sys/fs/cgroup/systemd/system.slice"):
            if os.path.isdir(os.path.join(root, folder, name)):
                return True
    return False


def describe(root="/"):
    """The fact `accelmon_node`: {architecture, distribution?, distribution_version?, python_version, addresses, systemd, access,
    libc?, container_runtimes, exporters, hostengine, programs?, links?}.

    addresses are literals, IPv4 first, without loopback and link-local ones. access says whether exporters of this host were
    closed by a run before.
    """
    release = os_release(root)
    if os.uname().sysname == "Darwin":
        release = {"ID": "macos", "VERSION_ID": platform.mac_ver()[0]}
    node = {"architecture": architecture(os.uname().machine), "python_version": "%d.%d.%d" % sys.version_info[:3],
            "addresses": ipv4(root) + ipv6(root), "systemd": os.path.isdir(os.path.join(root, "run/systemd/system")),
            "access": any(os.path.lexists(os.path.join(root, path.lstrip("/"))) for path in (paths.EXPORTER_WEB, paths.DRAIN_PASSWORD)),
            "container_runtimes": container_runtimes(root), "exporters": exporters(root), "hostengine": hostengine(root)}
    for key, name in (("distribution", "ID"), ("distribution_version", "VERSION_ID")):
        if release.get(name):
            node[key] = release[name]
    stack = replaced(root, programs(root))
    if stack:
        node["programs"] = stack
    up = links.find(root)
    if up:
        node["links"] = up
    library = libc(root)
    if library:
        node["libc"] = library
    return node
