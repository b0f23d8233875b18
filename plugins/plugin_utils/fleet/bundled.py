# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fleet installs from a bundle, by its inventory: bundle.yml asks no host, for it runs where none can be reached.

A host whose facts are cached gets what it is; any other what it might be.
"""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import choice, hosts as fleet, plan, variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.check import monitored
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundling, closures, dcgm, releases
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack

WORDS = ("state", "source", "version", "url", "sha256", "image", "repository", "repository_key", "repository_key_sha256")

# Vendors' packages come with what the host already has taken into account.
PACKAGES = ("packages of the vendor: no file in accelmon_bundle_states is of a host that needs them; write it with bundle_states.yml, or put the files "
            "into the bundle and list them with the module bundle_entry; see docs/airgap.md")


def _specs():
    """{name: spec} of the variables that are read here."""
    found = dict(fleet.plan_specs(), victoriametrics_auth_image=variables.declared("victoriametrics_auth_image"))
    for role in variables.roles():
        found.update({name: spec for name, spec in variables.role_variables(role).items() if name in [f"{role}_{word}" for word in WORDS]})
    return found


def wanted(groups, hostvars, architectures, states=""):
    """{"artifacts": [as in programs/bundling.py], "packages": [as in programs/closures.py], "notes": [what else is needed, a line each]}. Raises Problem.

    groups, hostvars: the variables of these names; architectures: of hosts whose facts nobody knows; states: directory of what hosts have installed
    """
    reader = fleet.Reader(_specs())
    states = closures.states(states) if states else []
    artifacts, packages, notes = {}, {}, {}
    for host in monitored(groups):
        variables_of_host = fleet.HostVariables(hostvars, host)
        values = _values(reader, variables_of_host)
        facts = fleet.facts_of(variables_of_host)
        known = (facts or {}).get("node", {}).get("architecture")
        for role in _roles(values, facts, host in groups.get("monitoring", ())):
            source = _source(reader, variables_of_host, values, role)
            for architecture in [known] if known else architectures:
                for one in _artifacts(role, source, values, architecture, host):
                    # What one host lacks is said once, of the first.
                    artifacts.setdefault(str(sorted((key, value) for key, value in one.items() if key != "problem")), one)
            if source == "bundle" and not releases.product_of(role):
                found = _packages(role, values, states, host)
                packages.update({str(one): one for one in found})
                notes.update({} if found else {role: f"{role}: {PACKAGES}"})
    if not artifacts and not packages and not notes:
        raise Problem("no host takes a program from a bundle; set it to bundle", "accelmon_source", "package")
    return {"artifacts": list(artifacts.values()), "packages": list(packages.values()), "notes": list(notes.values())}


def states(hosts, hostvars, status):
    """[{"name", "text"}] of the files that say what hosts have installed, of those that need a vendor's packages from a bundle.

    status: {host: what its /var/lib/dpkg/status says}
    """
    reader = fleet.Reader(_specs())
    found = {}
    for host in hosts:
        variables_of_host = fleet.HostVariables(hostvars, host)
        values = _values(reader, variables_of_host)
        facts = fleet.facts_of(variables_of_host)
        roles = [role for role in _roles(values, facts, False)
                 if not releases.product_of(role) and _source(reader, variables_of_host, values, role) == "bundle"]
        if roles and facts and closures.is_known(facts["node"]) and host in status:
            one = closures.state_of(facts["node"], roles, status[host])
            found[one["name"]] = one
    return list(found.values())


def _values(reader, variables_of_host):
    values, errors = reader.read_all(variables_of_host)
    if errors:
        raise errors[0].of(variables_of_host.host)
    return values


def _source(reader, variables_of_host, values, role):
    name = f"{role}_source"
    return fleet.source_of(role, values, [name] if reader.answer(variables_of_host, name) else [])[0]


def _packages(role, values, states, host):
    """What a role of a host needs of its vendor's packages, for each kind of host that has it."""
    try:
        return [closures.wanted(role, values, state) for state in states if role in state["roles"]]
    except Problem as problem:
        raise problem.of(host) from None


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
            return _images(role, values, architecture)
        if source != "bundle":
            return []
    except Problem as problem:
        raise problem.of(host) from None
    variants = [entry.get("variant", "") for entry in releases.catalogue().values() if role in entry["roles"]]
    return [_release(role, variant, values, architecture, host) for variant in variants]


def _images(role, values, architecture):
    version, image = values[f"{role}_version"], values[f"{role}_image"]
    if role == "dcgm_exporter":
        words = ("version", "dcgm_version", "pairs", "image", "profiling")
        built = dcgm.build({word: values[f"{role}_{word}"] for word in words}, "container")
        version, image = built["version"], built["image"]
    found = [bundling.image(role, version, image, architecture)]
    if role == "victoriametrics":
        found.append(bundling.image("victoriametrics_auth", version, values["victoriametrics_auth_image"], architecture))
    return found


def _release(role, variant, values, architecture, host):
    name = f"{role}_{variant}" if variant else role
    pinned = {"version": values[f"{role}_version"], "url": values[f"{role}_url"], "sha256": values[f"{role}_sha256"], "variant": variant}
    try:
        found = releases.release_artifact(pinned, role, architecture, values["accelmon_lock_file"], values["accelmon_release_url_prefix"])
    except Problem as problem:
        return {"name": name, "os": "linux", "architecture": architecture, "problem": str(problem.of(host))}
    stem = role if pinned["url"] or pinned["sha256"] else releases.product_of(role, variant)
    return bundling.release(name, stem, found, architecture)
