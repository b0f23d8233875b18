# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fleet installs from a bundle, by its inventory: bundle.yml asks no host, for it runs where none can be reached.

A host whose facts are cached gets what it is; any other what it might be.
"""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import choice, hosts as fleet, plan, variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.check import monitored
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundling, dcgm, releases
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack

WORDS = ("state", "source", "version", "url", "sha256", "image")

# Vendors' packages come with what the host already has taken into account, which nobody knows here.
PACKAGES = "packages of the vendor: put the files into the bundle and list them with the module bundle_entry; see docs/airgap.md"


def _specs():
    """{name: spec} of the variables that are read here."""
    found = fleet.plan_specs()
    for role in variables.roles():
        found.update({name: spec for name, spec in variables.role_variables(role).items() if name in [f"{role}_{word}" for word in WORDS]})
    return found


def wanted(groups, hostvars, architectures):
    """{"artifacts": [as in programs/bundling.py], "notes": [what else is needed, a line each]}. Raises Problem.

    groups, hostvars: the variables of these names; architectures: of hosts whose facts nobody knows
    """
    reader = fleet.Reader(_specs())
    artifacts, notes = {}, {}
    for host in monitored(groups):
        variables_of_host = fleet.HostVariables(hostvars, host)
        values, errors = reader.read_all(variables_of_host)
        if errors:
            raise errors[0].of(host)
        facts = fleet.facts_of(variables_of_host)
        known = (facts or {}).get("node", {}).get("architecture")
        for role in _roles(values, facts, host in groups.get("monitoring", ())):
            source = reader.answer(variables_of_host, f"{role}_source") or values["accelmon_source"]
            for architecture in [known] if known else architectures:
                for one in _artifacts(role, source, values, architecture, host):
                    # What one host lacks is said once, of the first.
                    artifacts.setdefault(str(sorted((key, value) for key, value in one.items() if key != "problem")), one)
            if source == "bundle" and not releases.product_of(role):
                notes[role] = f"{role}: {PACKAGES}"
    if not artifacts and not notes:
        raise Problem("no host takes a program from a bundle; set it to bundle", "accelmon_source", "package")
    return {"artifacts": list(artifacts.values()), "notes": list(notes.values())}


def _roles(values, facts, is_monitoring):
    """Roles that may install a program on a host."""
    if facts is None and not values["accelmon_expected"]:
        vendors = {vendor for source in choice.sources().values() for vendor in source["vendors"]}
    else:
        vendors = set(plan.present(values, facts))
    exporters = [source["role"] for name, source in choice.sources().items() if vendors & set(source["vendors"]) and plan.is_listed(values, name)]
    found = ["node_exporter"] + exporters + list(stack.services(values["accelmon_backend"], values["accelmon_grafana"]) if is_monitoring else ())
    return [role for role in found if f"{role}_source" in values and choice.is_ours(role, values) and values[f"{role}_state"] != "absent"]


def _artifacts(role, source, values, architecture, host):
    """Artifacts of a role for an architecture. One that nobody knows has a `problem`."""
    try:
        if source == "container":
            return [_image(role, values, architecture)]
        if source != "bundle":
            return []
    except Problem as problem:
        raise problem.of(host) from None
    variants = [entry.get("variant", "") for entry in releases.catalogue().values() if role in entry["roles"]]
    return [_release(role, variant, values, architecture, host) for variant in variants]


def _image(role, values, architecture):
    version, image = values[f"{role}_version"], values[f"{role}_image"]
    if role == "dcgm_exporter":
        words = ("version", "dcgm_version", "pairs", "image", "profiling")
        built = dcgm.build({word: values[f"{role}_{word}"] for word in words}, "container")
        version, image = built["version"], built["image"]
    return bundling.image(role, version, image, architecture)


def _release(role, variant, values, architecture, host):
    name = f"{role}_{variant}" if variant else role
    pinned = {"version": values[f"{role}_version"], "url": values[f"{role}_url"], "sha256": values[f"{role}_sha256"], "variant": variant}
    try:
        found = releases.release_artifact(pinned, role, architecture, values["accelmon_lock_file"], values["accelmon_release_url_prefix"])
    except Problem as problem:
        return {"name": name, "os": "linux", "architecture": architecture, "problem": str(problem.of(host))}
    stem = role if pinned["url"] or pinned["sha256"] else releases.product_of(role, variant)
    return bundling.release(name, stem, found, architecture)
