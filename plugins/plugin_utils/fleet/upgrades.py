# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade of the stack is about: which versions are wanted, which are refused, and which line of the data lies between. Pure functions."""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import facts, hosts as fleet, variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundle, releases
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack

WORDS = ("source", "version", "state")
VARIABLES = ("accelmon_source", "accelmon_bundle", "accelmon_lock_file", "accelmon_backend", "accelmon_grafana")


def specs():
    """{name: spec} of the variables that are read here."""
    roles = {role for backend in stack.BACKENDS for role in stack.services(backend, True)}
    return {name: variables.declared(name) for name in VARIABLES + tuple(f"{role}_{word}" for role in sorted(roles) for word in WORDS)}


class Stack:
    """What one monitoring host is meant to run.

    services: roles of its services; installed: {role: {version, source}} as the host told
    """

    def __init__(self, host, hostvars):
        found = fleet.HostVariables(hostvars, host)
        # What is wrong with variables is told by the check, what is wrong with a lock file or bundle by the role.
        self.values = fleet.Reader(specs()).read_all(found)[0]
        self.given = {name for name in specs() if fleet.gives(found, name)}
        self.services = [role for role in stack.services(self.values["accelmon_backend"], self.values["accelmon_grafana"])
                         if self.values[f"{role}_state"] != "absent"]
        node = (fleet.facts_of(found) or {"node": {}})["node"]
        self.architecture, self.installed = node.get("architecture", ""), node.get("programs", {})

    def source(self, role):
        """Where a role takes its program from."""
        own = f"{role}_source" in self.given or role in fleet.BUNDLED
        return self.values[f"{role}_source" if own else "accelmon_source"]

    def wanted(self, role):
        """(version that a role is to install, variable that says so, its value); no version of a package, or where it is not known."""
        own, source = self.values[f"{role}_version"], self.source(role)
        try:
            if source == "bundle":
                found = bundle.bundle_artifact(self.values["accelmon_bundle"], role, self.architecture or "amd64", own)["version"]
                return found, "accelmon_bundle", self.values["accelmon_bundle"]
            if source == "release":
                locked = releases.known(releases.product_of(role), self.values["accelmon_lock_file"]).get("version", "")
                return (own, f"{role}_version", own) if own else (locked, "accelmon_lock_file", self.values["accelmon_lock_file"])
        except Problem:
            pass
        return "", f"{role}_source", source


def stacks(hosts, hostvars):
    """{host: Stack} of the hosts whose facts stand for no variable; the check tells of the others."""
    found = {}
    for host in hosts:
        try:
            found[host] = Stack(host, hostvars)
        except facts.Untrusted:
            continue
    return found


def refusals(hosts, hostvars):
    """[line] about versions that are never installed; hosts that share a lock file or bundle share the line. hosts: the monitoring hosts"""
    found = []
    for host, one in stacks(hosts, hostvars).items():
        for role in one.services:
            version, variable, value = one.wanted(role)
            why = releases.refusal(role, version)
            if why:
                problem = Problem(f"{role} {version} is not installed: {why}; choose another version", variable, value)
                found.append(str(problem.of(host) if variable == f"{role}_version" else problem))
    return list(dict.fromkeys(found))


def crossings(hosts, hostvars):
    """{host: {role: {"from", "to", "line", "why", "variable", "value"}}} of programs that would cross a line of their data.

    to: "" of a package that is not there yet, whose version nobody knows
    """
    found = {}
    for host, one in stacks(hosts, hostvars).items():
        for role in set(one.services) & one.installed.keys():
            before, (after, variable, value) = one.installed[role], one.wanted(role)
            if not after and before["source"] == one.source(role):
                continue  # the package that is there stays
            line, why = releases.line_between(role, before["version"], after)
            if line:
                found.setdefault(host, {})[role] = {"from": before["version"], "to": after, "line": line, "why": why, "variable": variable, "value": value}
    return found


def refused_crossings(hosts, hostvars):
    """[line] about what only upgrade.yml does."""
    return [str(Problem(f"{role} {one['from']} is installed, and {one['to'] or 'its package'} would cross {one['line']}: {one['why']}; "
                        "run upgrade.yml, which takes a backup first", one["variable"], one["value"], host))
            for host, roles in crossings(hosts, hostvars).items() for role, one in roles.items()]
