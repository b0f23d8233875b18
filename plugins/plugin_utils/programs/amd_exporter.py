# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration of AMD's device-metrics-exporter.

The exporter ignores a field or label that it does not know, and falls back to all fields when its file cannot be read. So both
are refused here, before anything is written.
"""
import difflib
import json
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundle as bundles
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.packages import platform

# What is installed unless the inventory says otherwise. Not run by this project: there was no AMD hardware.
VERSION = "1.5.2"
PACKAGE = "amdgpu-exporter"
# AMD's repository has a folder for each release, and in it a suite for each distribution.
REPOSITORY = "https://repo.radeon.com/device-metrics-exporter/apt"
REPOSITORY_KEY = "https://repo.radeon.com/rocm/rocm.gpg.key"
SUITES = {("ubuntu", "22.04"): "jammy", ("ubuntu", "24.04"): "noble"}
KEYRING = "/etc/apt/keyrings/accelmon-amd.asc"
IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")

# Since this release the exporter asks gpuagent through a Unix socket. Before, gpuagent listened at a TCP port, in some
# releases at every address of the host.
FLOOR = "1.5.0"

# AMD's documentation of the package for these releases: ROCm 6.2.0 or later. This is the driver that came with it.
# The kernel's own driver tells no version, and is not compared.
DRIVER_FLOOR = "6.8.5"

BLOCKS = ("SDMA GFX MMHUB ATHUB BIF HDP XGMI_WAFL DF SMN SEM MP0 MP1 FUSE UMC MCA VCN JPEG IH MPIO").split()
RESIDENCIES = "PROCESSOR_HOT PPT SOCKET_THERMAL VR_THERMAL HBM_THERMAL".split()
LIMITS = ("GFX_CLOCK_BELOW_HOST_LIMIT_POWER GFX_CLOCK_BELOW_HOST_LIMIT_THERMAL GFX_CLOCK_BELOW_HOST_LIMIT_TOTAL LOW_UTILIZATION").split()
PLAIN = """
GPU_NODES_TOTAL GPU_HEALTH GPU_PACKAGE_POWER GPU_AVERAGE_PACKAGE_POWER GPU_POWER_USAGE GPU_ENERGY_CONSUMED
GPU_EDGE_TEMPERATURE GPU_JUNCTION_TEMPERATURE GPU_MEMORY_TEMPERATURE GPU_HBM_TEMPERATURE
GPU_GFX_ACTIVITY GPU_UMC_ACTIVITY GPU_MMA_ACTIVITY GPU_VCN_ACTIVITY GPU_JPEG_ACTIVITY
GPU_GFX_BUSY_INSTANTANEOUS GPU_VCN_BUSY_INSTANTANEOUS GPU_JPEG_BUSY_INSTANTANEOUS
GPU_VOLTAGE GPU_GFX_VOLTAGE GPU_MEMORY_VOLTAGE GPU_CLOCK GPU_MIN_CLOCK GPU_MAX_CLOCK
GPU_TOTAL_VRAM GPU_USED_VRAM GPU_FREE_VRAM GPU_TOTAL_VISIBLE_VRAM GPU_USED_VISIBLE_VRAM GPU_FREE_VISIBLE_VRAM
GPU_TOTAL_GTT GPU_USED_GTT GPU_FREE_GTT GPU_VRAM_MAX_BANDWIDTH GPU_AFID_ERRORS GPU_PROCESS_CU_OCCUPANCY
GPU_XGMI_LINK_RX GPU_XGMI_LINK_TX GPU_VIOLATION_CURRENT_ACCUMULATED_COUNTER
PCIE_SPEED PCIE_MAX_SPEED PCIE_BANDWIDTH PCIE_BIDIRECTIONAL_BANDWIDTH PCIE_RX PCIE_TX
PCIE_REPLAY_COUNT PCIE_RECOVERY_COUNT PCIE_REPLAY_ROLLOVER_COUNT PCIE_NACK_SENT_COUNT PCIE_NACK_RECEIVED_COUNT
""".split()
FIELDS = frozenset(
    PLAIN
    + [f"GPU_ECC_{kind}_{block}" for kind in ("CORRECT", "UNCORRECT", "DEFERRED") for block in ["TOTAL"] + BLOCKS]
    + [f"GPU_XGMI_NBR_{number}_{what}_TX" for number in (0, 1) for what in ("NOP", "REQ", "RESP", "BEATS")]
    + [f"GPU_XGMI_NBR_{number}_TX_THRPUT" for number in range(6)]
    + [f"GPU_VIOLATION_{what}_RESIDENCY_{form}" for what in RESIDENCIES for form in ("ACCUMULATED", "PERCENTAGE")]
    + [f"GPU_VIOLATION_{what}_{form}" for what in LIMITS for form in ("ACCUMULATED", "PERCENTAGE")])
# There are about fifty, of which upstream adds some with every release.
PROFILER = re.compile("GPU_PROF_[A-Z0-9_]+")

LABELS = frozenset("""
GPU_UUID GPU_ID GPU_PARTITION_ID GPU_COMPUTE_PARTITION_TYPE GPU_MEMORY_PARTITION_TYPE KFD_PROCESS_ID DEPLOYMENT_MODE
CLUSTER_NAME HOSTNAME SERIAL_NUMBER POD NAMESPACE CONTAINER JOB_ID JOB_USER JOB_PARTITION
CARD_SERIES CARD_MODEL CARD_VENDOR DRIVER_VERSION VBIOS_VERSION
""".split())

# What a site may set beside what is ours; all else is refused.
SECTIONS = {
    "CommonConfig": {"HealthService": {"Enable", "PollingRate"},
                     "Logging": {"Level", "MaxFileSizeMB", "MaxBackups", "MaxAgeDays", "LogRotationDisable"}},
    "GPUConfig": {"Selector": None, "HealthThresholds": {f"GPU_ECC_UNCORRECT_{block}" for block in BLOCKS}, "CustomLabels": None,
                  "ProfilerMetrics": None, "ProfilerConfig": {"SamplingInterval", "PtlDelay"}},
}


def parts(version):
    """'1.5.2-10~24.04' -> [1, 5, 2]: the numbers before anything else."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", str(version))
    return [int(number) for number in found.group(1).split(".")] if found else []


def check_version(version):
    """Problem for a release that is too old. An empty version is not known, and not compared."""
    if version and not parts(version):
        raise Problem("not a version; write it as upstream does, such as 1.5.2", "amd_exporter_version", version)
    if version and parts(version) < parts(FLOOR):
        raise Problem(f"releases before {FLOOR} expose gpuagent's port to the network or to every user "
                      f"of the host; set {FLOOR} or later", "amd_exporter_version", version)


def check_driver(version, devices):
    """Problem where a device's driver is known to be too old for a release."""
    for device in devices:
        driver = device.get("driver_version")
        if device.get("vendor") == "amd" and driver and parts(driver) and parts(driver) < parts(DRIVER_FLOOR):
            raise Problem(f"amdgpu {driver} of {device.get('pci_address') or 'a device'} is older than {DRIVER_FLOOR}, which came with ROCm 6.2; "
                          "upgrade the driver, or choose another exporter with accelmon_accelerator_source",
                          "amd_exporter_version", version or "(latest)")


def check_names(variable, names, known, what):
    """Problem for a name that the exporter would ignore."""
    for name in names:
        if name not in known and not (known is FIELDS and PROFILER.fullmatch(str(name))):
            near = difflib.get_close_matches(str(name).upper(), sorted(known), 1)
            hint = f"did you mean {near[0]}?" if near else "see the list in docs/amd_exporter.md"
            raise Problem(f"the exporter has no such {what}; {hint}", variable, name)


def check_settings(settings):
    """Problem for a setting that is not the site's to make, or that the exporter would ignore."""
    for section, content in settings.items():
        known = SECTIONS.get(section)
        if known is None or not isinstance(content, dict):
            raise Problem(f"no such section; use {' and '.join(SECTIONS)}, each a dictionary", "amd_exporter_config", section)
        for key, value in content.items():
            if key not in known:
                owner = {"Fields": "amd_exporter_extra_fields", "Labels": "amd_exporter_extra_labels"}.get(key)
                raise Problem(f"set it with {owner}" if owner else
                              f"no such setting; known are {', '.join(sorted(known))}", "amd_exporter_config", f"{section}.{key}")
            inner = known[key]
            if inner is not None and (not isinstance(value, dict) or set(value) - inner):
                odd = ", ".join(sorted(map(str, set(value) - inner))) if isinstance(value, dict) else value
                raise Problem(f"no such setting; known are {', '.join(sorted(inner))}", "amd_exporter_config", f"{section}.{key}: {odd}")


def partitioned(devices):
    """Whether a device of the host is divided."""
    return any(device.get("vendor") == "amd" and (device.get("partitions") or {}).get("count", 0) > 1 for device in devices)


def merged(base, over):
    """`over` laid over `base`, mapping by mapping."""
    result = dict(base)
    for key, value in over.items():
        result[key] = merged(result[key], value) if isinstance(value, dict) and isinstance(result.get(key), dict) else value
    return result


def config(port, fields, labels, devices, partition_fields=(), extra_fields=(), extra_labels=(), settings=None, log_level="info", version=""):
    """The text of the exporter's configuration.

    port: where it listens; devices: those of the host, as accelerator_facts gives them
    fields, labels: what our rules need; partition_fields: besides, where a device is divided
    extra_fields, extra_labels, settings: of the site
    """
    check_version(version)
    check_driver(version, devices)
    check_names("amd_exporter_extra_fields", extra_fields, FIELDS, "field")
    check_names("amd_exporter_extra_labels", extra_labels, LABELS, "label")
    check_settings(settings or {})
    wanted = list(fields) + (list(partition_fields) if partitioned(devices) else []) + list(extra_fields)
    whole = {
        "ServerPort": int(port),
        "CommonConfig": {
            # The package's own file puts amd_ before every name.
            "MetricsFieldPrefix": "",
            # Without it there is no gpu_health.
            "HealthService": {"Enable": True},
            "Logging": {"Level": log_level, "MaxFileSizeMB": 10, "MaxBackups": 1, "MaxAgeDays": 7},
        },
        "GPUConfig": {
            "Fields": list(dict.fromkeys(wanted)),
            "Labels": list(dict.fromkeys(list(labels) + list(extra_labels))),
            "ProfilerMetrics": {"all": any(PROFILER.fullmatch(str(name)) for name in extra_fields)},
        },
    }
    return json.dumps(merged(whole, settings or {}), indent=2) + "\n"


def build(version, source, node, bundle="", image=""):
    """{version, image} of what is to be deployed; "" where it is not known, as the version of an image.

    node: facts of the host, {architecture, distribution, distribution_version}
    Raises Problem, also for a bundle that cannot be used.
    """
    architecture = node.get("architecture", "amd64")
    if architecture != "amd64":
        raise Problem(f"AMD publishes its exporter only for amd64, but this host is {architecture}; "
                      "choose another exporter with accelmon_accelerator_source", "amd_exporter_source", source)
    if source == "container":
        if not IMAGE.fullmatch(image):
            raise Problem("it has no digest, so it could change at any time; "
                          "write it as docker.io/rocm/device-metrics-exporter@sha256:DIGEST", "amd_exporter_image", image)
        check_version(version)
        return {"version": version, "image": image}
    if source == "bundle":
        if not bundle:
            raise Problem("no bundle; set accelmon_bundle to its directory on the control node", "amd_exporter_source", source)
        kind = platform(node.get("distribution"), node.get("distribution_version"))
        version = bundles.find_package(bundles.read_lock(bundle), PACKAGE, architecture, version or None, kind, bundle)["version"]
    version = version or VERSION
    check_version(version)
    return {"version": ".".join(str(number) for number in parts(version)), "image": ""}


def repository(base, version, node, key=""):
    """{url, key, text} of AMD's repository for a host, or of a mirror that has the same folders.

    base: `amd`, or the address of the mirror's folder that has a folder for each release
    key: of the site, a path on the control node or an address; text: the file of apt that names the repository
    """
    release = (str(node.get("distribution", "")), str(node.get("distribution_version", "")))
    if release not in SUITES:
        raise Problem(f"AMD only has packages for Ubuntu 22.04 and 24.04, but this host has {' '.join(release)}; "
                      "set amd_exporter_source to bundle or container, or choose another exporter with accelmon_accelerator_source",
                      "amd_exporter_repository", base)
    if base != "amd" and not re.fullmatch(r"(https?|file)://[!-~]+", base):
        raise Problem("not a URL; use amd, or the URL of a mirror", "amd_exporter_repository", base)
    if base != "amd" and not key:
        raise Problem("the location of a mirror's key is unknown; set it to a path or a URL", "amd_exporter_repository_key", "")
    url = (REPOSITORY if base == "amd" else base).rstrip("/") + "/" + version
    text = (f"# Managed by accelmon.fleet: change it through amd_exporter_repository.\nTypes: deb\nURIs: {url}\nSuites: {SUITES[release]}\n"
            f"Components: main\nArchitectures: amd64\nSigned-By: {KEYRING}\n")
    return {"url": url, "key": key or REPOSITORY_KEY, "text": text}
