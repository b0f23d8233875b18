# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which source of series about devices can work on a host: pure functions from checked values and facts.

values: as `fleet.read_all` gives them for `fleet.plan_specs`
facts: as `fleet.facts_of` gives them, or None for a host that did not answer: then nothing speaks against a source
"""
import functools
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import reader as catalogue
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import scrape_only
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import all_smi, amd_exporter, dcgm, releases
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.packages import APT

# Architectures that DCGM and all-smi are made for.
ARCHITECTURES = ("amd64", "arm64")

# Distributions that vendors publish packages for: ID of os-release and a pattern of its version.
DCGM_PACKAGES = {"ubuntu": r"2[024]\.04", "debian": r"12", "rhel": r"(8|9|10)(\.|$)", "rocky": r"(8|9|10)(\.|$)",
                 "almalinux": r"(8|9|10)(\.|$)", "sles": r"15(\.|$)"}
AMD_PACKAGES = {"ubuntu": r"2[24]\.04"}

# What AMD documents for its exporter: Instinct, and since its release 1.5.1 Radeon AI.
AMD_MODELS = re.compile(r"(^|[ /])MI\d|Instinct|Radeon AI")


@functools.lru_cache(maxsize=None)
def sources():
    """{source: {"role", "job", "vendors"}}, shared, so not to be changed."""
    return catalogue.load("sources")["sources"]


def source_of(role):
    """The source that a role deploys, or None."""
    return next((name for name, source in sources().items() if source["role"] == role), None)


def preferred(vendor):
    """The sources that read a vendor, best first: what the vendor makes knows most of its devices, the textfile collector the least."""
    return tuple(name for name, source in sources().items() if vendor in source["vendors"])


def is_ours(role, values):
    """Whether the exporter is one that we install. One of somebody else's is there already, whatever the host is."""
    return values.get(f"{role}_managed", "install") == "install"


def check(source, vendors, values, facts):
    """Raises Unsuitable if a source cannot read these vendors on a host.

    vendors: those of the host that it shall be in charge of, of those that it reads; none, where only its program matters
    """
    role = sources()[source]["role"]
    if facts is not None:
        CHECKS[source](vendors, values, facts, is_ours(role, values))


def _dcgm_program(values):
    if values["dcgm_exporter_source"] != "package" or values["dcgm_exporter_repository"]:
        return {}
    wanted = {word: values[f"dcgm_exporter_{word}"] for word in ("version", "dcgm_version", "pairs", "profiling")}
    try:
        return {"packages": dcgm.packages(wanted)}
    except Problem:
        return {}  # the role says what is wrong with that


def _amd_program(values):
    if values["amd_exporter_source"] != "package" or values["amd_exporter_repository"]:
        return {}
    return {"packages": {amd_exporter.PACKAGE: ".".join(str(part) for part in amd_exporter.parts(values["amd_exporter_version"] or amd_exporter.VERSION))}}


def _all_smi_program(values):
    # Where a token opens the door, only the role may knock.
    if values["all_smi_source"] != "release" or values["accelmon_release_token"]:
        return {}
    found = {}
    for architecture in ARCHITECTURES:
        try:
            found[architecture] = _all_smi_release(values, architecture, "")["url"]
        except Problem:
            continue
    return {"urls": found} if found else {}


def _all_smi_release(values, architecture, variant):
    pinned = {"version": values["all_smi_version"], "url": values["all_smi_url"], "sha256": values["all_smi_sha256"], "variant": variant}
    return releases.release_artifact(pinned, "all_smi", architecture, values["accelmon_lock_file"], values["accelmon_release_url_prefix"])


PROGRAMS = {"dcgm": _dcgm_program, "amd_exporter": _amd_program, "all_smi": _all_smi_program}


def check_obtainable(source, vendors, values, facts):
    """Raises Unobtainable if a host could not get the program of a source that suits it, as far as it and the control node know."""
    role = sources()[source]["role"]
    if facts is None or not is_ours(role, values) or role in (facts["exporters"] or ()):
        return
    reason = (facts["node"].get("lacking") or {}).get(role)
    if reason == "package":
        wanted = " and ".join(f"{name} {version}" for name, version in sorted(PROGRAMS[source](values).get("packages", {}).items()))
        raise Unobtainable(f"none of the host's repositories has {wanted or 'its packages'}", f"{role}_repository: {sources()[source]['repository']}")
    if reason == "version":
        raise Unobtainable("the host has a different version of its packages, not installed by accelmon.fleet", f"{role}_version to match them")
    if reason == "address":
        raise Unobtainable("the host cannot download its release", "accelmon_release_url_prefix to a mirror that the host can reach")
    if source == "all_smi" and values["all_smi_source"] == "release" and facts["node"].get("distribution") != "macos":
        try:
            _all_smi_release(values, facts["node"].get("architecture", "amd64"), all_smi.variant(facts["node"].get("libc") or {}, vendors))
        except Problem as error:
            raise Unobtainable(str(error).partition(";")[0], "accelmon_lock_file, written by lock.yml") from None


def check_known(source, vendors, values, facts):
    """Raises Unsuitable if apt knows no package of a source that was asked for by name.

    What else speaks against it is no more than a suspicion: dnf may know more as root, and an address may answer the next moment.
    """
    node = facts["node"] if facts is not None else {}
    if node.get("distribution") in APT and (node.get("lacking") or {}).get(sources()[source]["role"]) == "package":
        try:
            check_obtainable(source, vendors, values, facts)
        except Unobtainable as problem:
            raise Unsuitable(f"{problem}; set {problem.setting.replace(': ', ' to ')}, or accelmon_accelerator_source to auto for it") from None


class Unobtainable(Problem):
    """Why a program cannot be had, and `setting`: the one setting that brings it."""

    def __init__(self, text, setting):
        super().__init__(text)
        self.setting = setting


class Unsuitable(Problem):
    """Why a source cannot do its work on a host, and which to take instead. Without a variable the host is what it is."""


def is_jetson(facts):
    """Whether a GPU of the host is part of a system on a chip."""
    return any(told.get("embedded") for told in facts["summary"].values())


def _platform(facts, product, other):
    node = facts["node"]
    if node.get("architecture") and node["architecture"] not in ARCHITECTURES:
        raise Unsuitable(f"{product} is not available for {node['architecture']}; {other}")
    if (node.get("libc") or {}).get("name") == "musl":
        raise Unsuitable(f"{product} needs glibc, but this host uses musl; {other}")


def _packaged(facts, packages):
    node = facts["node"]
    if not node.get("distribution"):
        return True
    return bool(re.match(packages.get(node["distribution"], r"(?!)"), node.get("distribution_version", "")))


def _origin(role, values, facts, packages, product):
    name = f"{role}_source"
    value = values[name]
    if value == "package" and not _packaged(facts, packages):
        node = facts["node"]
        words = f"{node['distribution']} {node.get('distribution_version', '')}".strip()
        raise Unsuitable(f"{product} has no packages for {words}; set it to bundle or container, "
                         "or choose another exporter with accelmon_accelerator_source", name, value)
    if value == "container" and facts["node"].get("container_runtimes") == []:
        raise Unsuitable("the host has neither podman nor docker; install one of them, set it to package or bundle, "
                         "or choose another exporter with accelmon_accelerator_source", name, value)


def _dcgm(vendors, values, facts, ours):
    other = "set accelmon_accelerator_source to all_smi or auto for it"
    if is_jetson(facts):
        raise Unsuitable(f"DCGM does not support Jetson GPUs; {other}")
    if ours:
        _platform(facts, "DCGM", "set accelmon_accelerator_source to all_smi, textfile or auto for it")
        _origin("dcgm_exporter", values, facts, DCGM_PACKAGES, "DCGM")


def _amd(vendors, values, facts, ours):
    models = set((facts["summary"].get("amd") or {}).get("models") or ()) - {scrape_only.MODEL}
    if vendors and not all(AMD_MODELS.search(str(model)) for model in models):
        named = next(str(model) for model in sorted(models) if not AMD_MODELS.search(str(model)))
        raise Unsuitable(f"AMD's exporter only supports Instinct and Radeon AI accelerators, but this host has {named}; "
                         "set accelmon_accelerator_source to all_smi, textfile or auto for it")
    if ours:
        _platform(facts, "AMD's exporter", "set accelmon_accelerator_source to textfile or auto for it")
        _origin("amd_exporter", values, facts, AMD_PACKAGES, "AMD's exporter")


def _all_smi(vendors, values, facts, ours):
    if not ours:
        return
    node = facts["node"]
    if node.get("architecture") and node["architecture"] not in ARCHITECTURES:
        raise Unsuitable(f"all-smi is not available for {node['architecture']}; set accelmon_accelerator_source to textfile or auto for it")
    try:
        all_smi.check(values["all_smi_version"], vendors, values["all_smi_accept_open"])
    except Problem as error:
        raise Unsuitable(error.problem, "all_smi_version", values["all_smi_version"]) from None
    if node.get("distribution") == "macos":
        return
    if values["all_smi_source"] == "package" and node.get("distribution") and node["distribution"] not in APT:
        raise Unsuitable(f"all-smi has no packages for {node['distribution']}; set it to release or bundle", "all_smi_source", "package")
    try:
        all_smi.variant(node.get("libc") or {}, vendors)
    except Problem as error:
        raise Unsuitable(error.problem) from None


def _textfile(vendors, values, facts, ours):
    told = facts["summary"].get("nvidia") or {}
    if facts["node"].get("distribution") == "macos":
        raise Unsuitable("the collector needs Linux; set accelmon_accelerator_source to all_smi or auto for it")
    if "nvidia" in vendors and told.get("embedded", 0) >= told.get("count", 0):
        raise Unsuitable("nvidia-smi cannot read Jetson GPUs; set accelmon_accelerator_source to all_smi or auto for it")


CHECKS = {"dcgm": _dcgm, "amd_exporter": _amd, "all_smi": _all_smi, "textfile": _textfile}
