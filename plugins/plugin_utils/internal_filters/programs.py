# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Internal filters about programs: which version a host gets, from where, and how it is set up."""
from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.accelmon.fleet.plugins.module_utils.progress import size
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.filters import as_answer, as_filter, internal
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import all_smi, amd_exporter, bundle as bundles, bundling, dcgm, releases
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import node_collectors as collectors
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import containers, declaration
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.exporters import is_closed


@as_filter
def release_artifact(pinned, name, source, architecture, bundle="", lock_file="", url_prefix=""):
    """Where the program `name` comes from and its checksum: pinned, locked or in the bundle, for an architecture."""
    if source != "bundle":
        return releases.release_artifact(pinned, name, architecture, lock_file, url_prefix)
    if not bundle:
        raise AnsibleFilterError(f"{name}_source = bundle: no bundle; set accelmon_bundle to its directory on the control node")
    variant = pinned.get("variant") or ""
    return bundles.bundle_artifact(bundle, f"{name}_{variant}" if variant else name, architecture, pinned.get("version") or "")


@as_filter
def releases_wanted(versions, architectures, url_prefix="", names=None):
    """What release_lock is to lock: every artifact of the releases `names`, in the wanted versions, for these architectures."""
    return releases.wanted(versions, architectures, url_prefix, names)


@as_answer
def bundle_checked(path, public_key):
    """{"files", "bytes"} of a bundle that its owner signed and whose files are as listed. Raises Problem."""
    artifacts = bundles.read_lock(path, public_key)
    sizes = {artifact["file"]: artifact.get("size", 0) for artifact in artifacts}
    faults = bundles.faults(path, artifacts)
    if faults:
        raise Problem(f"{'; '.join(faults)}; copy the bundle again, and install nothing from this one", "accelmon_bundle", path)
    return {"files": len(sizes), "bytes": sum(sizes.values())}


def bundle_verdict(checked):
    """What bundle_verify.yml prints of a bundle that is whole."""
    return f"{checked['files']} files, {size(checked['bytes'])}: signed by the owner of the key, and as listed"


def bundle_lines(made, notes):
    """What bundle.yml prints at its end."""
    return bundling.lines(made, notes)


@as_filter
def image_archive(bundle, name, architecture, version=""):
    """The archive of a container image in the bundle."""
    return containers.archive(bundle, name, architecture, version or None)


@as_filter
def package_files(bundle, role, names, versions, node):
    """The files of a role's packages in the bundle, and of what these need."""
    return dcgm.package_files(bundle, str(role), list(names), dict(versions), dict(node))


@as_filter
def all_smi_build(pinned, source, facts, bundle="", lock_file="", url_prefix="", accept_open=False, tls="none", auth="none", path="/metrics"):
    """The build of all-smi that suits a host, and what it needs there.

    Upstream publishes a build against glibc 2.35 and a static one, which knows no AMD. A host gets the first where it runs, else
    the second. Where only the second runs, AMD's devices beside others are left to another source.
    """
    node = facts.get("accelmon_node") or {}
    vendors = sorted(vendor for vendor, told in ((facts.get("accelerators") or {}).get("summary") or {}).items() if told.get("count"))
    if path != "/metrics":
        raise AnsibleFilterError(f"all_smi_metrics_path = {path}: all-smi only serves /metrics; remove this, or set all_smi_managed")
    made, version = "", ""
    if source != "package":
        vendors = all_smi.readable(node.get("libc") or {}, vendors)
        made = all_smi.variant(node.get("libc") or {}, vendors)
        version = release_artifact(dict(pinned, variant=made), "all_smi", source, node.get("architecture") or "", bundle, lock_file, url_prefix)["version"]
    accepted = boolean(accept_open)
    listens_itself = all_smi.is_open(version, accepted, is_closed(tls, auth))
    all_smi.check(version, vendors, accepted)
    return {
        "artifact": dict(pinned, variant=made),
        "version": version,
        "programs": all_smi.programs(version, made, vendors),
        "libraries": all_smi.libraries(version, made, vendors, node.get("distribution")),
        "floor": all_smi.floor(vendors)[0],
        "open": listens_itself,
    }


@as_filter
def amd_exporter_build(wanted, source, node, bundle=""):
    """Which release of AMD's exporter a host gets, and from which repository."""
    told = amd_exporter.build(str(wanted.get("version") or ""), str(source), node, str(bundle or ""), str(wanted.get("image") or ""))
    base = str(wanted.get("repository") or "")
    if base and source == "package":
        told["repository"] = amd_exporter.repository(base, told["version"], node, str(wanted.get("repository_key") or ""))
    return told


@as_filter
def amd_exporter_config(devices, port, fields, labels, partition_fields=None, extra_fields=None, extra_labels=None, settings=None,
                        log_level="info", version=""):
    """Text of the configuration of AMD's exporter."""
    return amd_exporter.config(port, fields, labels, devices or [], partition_fields or [], extra_fields or [], extra_labels or [],
                               settings or {}, str(log_level), str(version or ""))


@as_filter
def dcgm_build(wanted, source):
    """Which versions of NVIDIA's exporter and DCGM a host gets, and what is exported."""
    return dcgm.build(dict(wanted, profiling=boolean(wanted.get("profiling") or False)), str(source))


@as_filter
def dcgm_arguments(options, access, extra):
    """Arguments of NVIDIA's exporter, for its unit and its container."""
    return dcgm.arguments(options, access, extra)


def dcgm_volumes(files, tls, auth, jobs):
    """What the container of NVIDIA's exporter sees of the host."""
    return dcgm.volumes(str(tls), str(auth), [str(path) for path in files], str(jobs))


@as_filter
def dcgm_repository(base, node):
    """NVIDIA's repository for a host: `url`, `key` and `text`, the file of apt."""
    return dcgm.repository(str(base), str(node.get("distribution", "")), str(node.get("distribution_version", "")), str(node.get("architecture", "")))


@as_filter
def node_collectors(facts, source="package", version="", lean=True, chosen=None, extra=None, bundle="", lock_file=""):
    """Arguments of node_exporter that switch its collectors on and off."""
    node = facts.get("accelmon_node") or {}
    summary = (facts.get("accelerators") or {}).get("summary") or {}
    told = collectors.program_version(str(source), str(version or ""), node, str(bundle or ""), str(lock_file or ""))
    return collectors.arguments(summary, told, boolean(lean), chosen or {}, extra or [])


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return internal(release_artifact, releases_wanted, bundle_checked, bundle_verdict, bundle_lines, image_archive, package_files, all_smi_build,
                        amd_exporter_build, amd_exporter_config, dcgm_build, dcgm_arguments, dcgm_volumes, dcgm_repository, node_collectors,
                        containers.contained, containers.called, declaration.package_names, declaration.packages_needed)
