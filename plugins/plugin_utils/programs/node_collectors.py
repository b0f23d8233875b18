# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of node_exporter's collectors run on a host with accelerators.

Such hosts have hundreds of processors, and what counts for each of them fills the storage. What was measured is in
docs/node_exporter.md.
"""
import difflib
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundle as bundles
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import releases

# Off where there are accelerators, and why.
HEAVY = {
    "systemd": "Enabled by Debian and Ubuntu. Five series per unit, queried through D-Bus: most of the time of a scrape.",
    "softnet": "Up to thirteen series per processor.",
    "schedstat": "Three series per processor.",
    "cpufreq": "Up to six series per processor, each read from its own file.",
    "cpu.guest": "Two series per processor, zero unless the host runs virtual machines.",
    "thermal_zone": "Two series per processor, as a cooling device; hwmon also has the temperatures.",
    "rapl": "Readable only by root since Linux 5.10, so it would fail at every scrape.",
}
# Thermal zones are all the sensors that a Tegra has.
EMBEDDED_NEEDS = {"thermal_zone"}
# What upstream turns on by itself and helps (hwmon, infiniband, edac, nvme) stays on. drm and pcidevice stay off: see the page.

# Interfaces of containers and virtual machines: 30 series for each, gone with the container.
VIRTUAL = "^(veth|cali|lxc|cilium_|flannel|cni|docker|br-|virbr|vnet|tap|nodelocaldns|kube-).*"
EXCLUDED = {"collector.netdev.device-exclude": VIRTUAL, "collector.netclass.ignored-devices": VIRTUAL}

# The first version that knows a flag, where it is later than the oldest that is met.
SINCE = {
    "collector.softnet": "1.0.0", "collector.schedstat": "1.0.0", "collector.cpufreq": "1.0.0", "collector.thermal_zone": "1.0.0",
    "collector.rapl": "1.0.0", "collector.netdev.device-exclude": "1.1.0", "collector.netclass.ignored-devices": "1.0.0",
    "collector.cpu.guest": "1.3.0", "collector.drm": "1.3.0", "collector.cpu_vulnerabilities": "1.7.0", "collector.xfrm": "1.8.0",
    "collector.watchdog": "1.8.0", "collector.pcidevice": "1.10.0",
}
# What the packages of distributions hold at least.
PACKAGED = {
    ("debian", "11"): "1.1.2", ("debian", "12"): "1.5.0", ("debian", "13"): "1.9.0",
    ("ubuntu", "20.04"): "0.18.1", ("ubuntu", "22.04"): "1.3.1", ("ubuntu", "24.04"): "1.7.0",
}
# Collectors of Linux, as --help of 1.9.0 lists them, and those that came up to 1.11: with a flag that it does not know, the program does not start.
KNOWN = frozenset((
    "arp bcache bcachefs bonding btrfs buddyinfo cgroups conntrack cpu cpu_vulnerabilities cpufreq diskstats dmi drbd drm edac entropy ethtool fibrechannel "
    "filefd filesystem hwmon infiniband interrupts ipvs kernel_hung ksmd lnstat loadavg logind mdadm meminfo meminfo_numa mountstats netclass netdev "
    "netstat network_route nfs nfsd ntp nvme os pcidevice perf powersupplyclass pressure processes qdisc rapl runit schedstat selinux slabinfo sockstat "
    "softirqs softnet stat supervisord swap sysctl systemd tapestats tcpstat textfile thermal_zone time timex udp_queues uname vmstat watchdog wifi xfrm "
    "xfs zfs zoneinfo").split())
NAME = re.compile(r"([a-z][a-z0-9_]*)(\.[a-z][a-z0-9_-]*)?")


def numbers(version):
    """'1.9.0' -> [1, 9, 0]; [] where it is not known."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", str(version))
    return [int(number) for number in found.group(1).split(".")] if found else []


def program_version(source, version, node, bundle="", lock_file=""):
    """The version that runs there, at least; "" if nothing is known of it.

    node: facts of the host, {distribution, distribution_version, architecture}
    """
    if version:
        return str(version)
    if source == "package":
        release = (str(node.get("distribution", "")), str(node.get("distribution_version", "")))
        return PACKAGED.get(release) or PACKAGED.get((release[0], release[1].partition(".")[0]), "")
    if source == "container":
        return ""
    try:
        if source == "bundle":
            return bundles.bundle_artifact(bundle, "node_exporter", node.get("architecture", ""))["version"]
        return releases.release_artifact({}, "node_exporter", node.get("architecture", ""), lock_file)["version"]
    except Problem:
        return ""  # what is wrong with it is told where the program is installed


def knows(version, flag):
    """Whether a version of the program has a flag."""
    return flag not in SINCE or numbers(version) >= numbers(SINCE[flag])


def given(arguments):
    """Names of the flags among arguments, without `no-` and without a value."""
    return {re.sub("^--(no-)?", "", str(argument)).split("=")[0] for argument in arguments}


def choices(summary, lean, chosen):
    """{collector: whether it shall run} where that differs from what upstream does.

    summary: {vendor: {count, embedded?, …}} of the host's accelerators; chosen: of the site, which wins
    """
    wanted = {}
    if lean and any(told.get("count") for told in summary.values()):
        embedded = any(told.get("embedded") for told in summary.values())
        wanted.update({name: False for name in HEAVY if not (embedded and name in EMBEDDED_NEEDS)})
    for name, on in chosen.items():
        found = NAME.fullmatch(str(name))
        if found and found.group(1) not in KNOWN:
            near = difflib.get_close_matches(found.group(1), KNOWN, n=1)
            raise Problem(f"no such collector; {f'did you mean {near[0]}? ' if near else ''}Correct the name, or turn on a newer one with "
                          "node_exporter_extra_args", "node_exporter_collectors", name)
        if not found or not isinstance(on, bool):
            raise Problem(f"{on}: not a collector with true or false; "
                          "use node_exporter's name for it, such as pcidevice: true", "node_exporter_collectors", name)
        wanted[str(name)] = on
    return wanted


def arguments(summary, version, lean=True, chosen=None, extra=()):
    """node_exporter's arguments for a host.

    A flag that the version does not know would keep it from starting: it is left out. So is one that the site's own arguments
    have, for node_exporter takes none twice.
    """
    wanted = choices(summary, lean, chosen or {})
    flags = [(f"collector.{name}", f"--{'' if on else 'no-'}collector.{name}") for name, on in sorted(wanted.items())]
    if lean and any(told.get("count") for told in summary.values()):
        flags += [(flag, f"--{flag}={value}") for flag, value in EXCLUDED.items()]
    theirs = given(extra)
    return [argument for flag, argument in flags if flag not in theirs and knows(version, flag)]
