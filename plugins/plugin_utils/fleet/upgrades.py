# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade is about: which versions are wanted or refused, in which order they come, which line of the data lies between. Pure functions.

A step is {"release", "roles", "from" (the source where no version is known), "to" ("" of a package), "line", "why" ("" where no line is crossed),
"storage": bool, "back": bool, "programs": {role: {source, version?, sha256?}}, "note": path, "since": when, or 0}: roles whose programs come together,
and whether they go back by themselves where the fleet is worse afterwards; what is there before it, and the file on the host that says so until the step
is compared. `since` is when a run that was killed began with the step: it is not compared yet, and `programs` and the note are from then.
"""
import datetime
import json
import time

from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import facts, hosts as fleet, variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import all_smi, bundle, releases
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack

WORDS = ("source", "version", "state")
# The storage first, then who writes to it, then who reads it; exporters once all of that is well.
ORDER = ("victoriametrics", "prometheus", "vmutils", "alertmanager", "grafana", "node_exporter", "all_smi")
# What is replaced on nodes without a loss.
EXPORTERS = ("node_exporter", "all_smi")
VARIABLES = ("accelmon_source", "accelmon_bundle", "accelmon_lock_file", "accelmon_backend", "accelmon_grafana",
             "accelmon_backup_directory", "accelmon_update_canaries")
# Seconds after which a fleet is not compared any more with what it was.
LONG_AGO = 24 * 3600


def specs():
    """{name: spec} of the variables that are read here."""
    roles = {role for backend in stack.BACKENDS for role in stack.services(backend, True)}.union(EXPORTERS)
    return {name: variables.declared(name) for name in VARIABLES + tuple(f"{role}_{word}" for role in sorted(roles) for word in WORDS)}


class Stack:
    """What one host is meant to run.

    services: roles of its services, if it is a monitoring host; exporters: those of EXPORTERS that its plan has
    installed: {role: {version, source}} as the host told
    """

    def __init__(self, host, hostvars, lock_file=""):
        found = fleet.HostVariables(hostvars, host)
        # What is wrong with variables is told by the check, what is wrong with a lock file or bundle by the role.
        self.values = fleet.Reader(specs()).read_all(found)[0]
        self.given = {name for name in specs() if fleet.gives(found, name)}
        self.lock_file = lock_file or self.values["accelmon_lock_file"]
        groups = found.raw.get("group_names", ())
        self.exporters = [role for role in EXPORTERS if f"accelmon_on_{role}" in groups]
        self.services = [role for role in stack.services(self.values["accelmon_backend"], self.values["accelmon_grafana"])
                         if "monitoring" in groups and self.values[f"{role}_state"] != "absent"]
        node = (fleet.facts_of(found) or {"node": {}})["node"]
        self.architecture, self.installed = node.get("architecture", ""), node.get("programs", {})
        # all-smi comes in two builds, of which the host's C library decides.
        self.variant = all_smi.variant(node.get("libc") or {}, ())

    def source(self, role):
        """Where a role takes its program from."""
        return fleet.source_of(role, self.values, self.given)[0]

    def wanted(self, role):
        """(version that a role is to install, variable that says so, its value); no version of a package, or where it is not known."""
        own, source = self.values[f"{role}_version"], self.source(role)
        if source == "container" and own:
            return own, f"{role}_version", own
        try:
            if source == "bundle":
                found = bundle.bundle_artifact(self.values["accelmon_bundle"], role, self.architecture or "amd64", own)["version"]
                return found, "accelmon_bundle", self.values["accelmon_bundle"]
            if source == "release":
                locked = releases.known(releases.product_of(role, self.variant if role == "all_smi" else ""), self.lock_file).get("version", "")
                return (own, f"{role}_version", own) if own else (locked, "accelmon_lock_file", self.lock_file)
        except Problem:
            pass
        return "", f"{role}_source", source

    def changes(self, role):
        """Whether there is a step for a role: another program is wanted than its step begins with."""
        return self.differs(role, self.start(role))

    def start(self, role):
        """What a step begins with: what is installed, or what a killed run has replaced and not compared, unless that is wanted again."""
        told = self.installed.get(role)
        left = told and told.get("before")
        return left if left and self.differs(role, left) else told

    def differs(self, role, before):
        """Whether another program is wanted than this one; a package that is there stays, and images are left to site.yml."""
        after = self.wanted(role)[0]
        if before is None or self.source(role) == "container":
            return False
        if after:
            return before.get("version") != after
        return self.source(role) == "package" != before["source"]

    def steps(self, roles):
        """The steps for these roles, in order."""
        found = {}
        for role in roles:
            if self.changes(role):
                start, after, release = self.start(role), self.wanted(role)[0], releases.product_of(role)
                before = start.get("version", "")
                line, why = releases.line_between(role, before, after) if before else ("", "")
                step = found.setdefault(release, {
                    "release": release, "roles": [], "from": before or start["source"], "to": after, "line": line, "why": why,
                    "storage": role in ("victoriametrics", "prometheus"), "back": role != "grafana", "programs": {},
                    "note": f"{paths.UPGRADE}{release}.json", "since": 0})
                step["roles"].append(role)
                step["programs"][role] = {key: start[key] for key in ("source", "version", "sha256") if key in start}
                step["since"] = max(step["since"], start.get("at", 0))
        return sorted(found.values(), key=lambda step: ORDER.index(step["release"]))

    def former(self, programs):
        """{variable: value} with which these programs, {role: {source, version?, sha256?}}, are installed again; an archive is still on the host."""
        found = {}
        for role, before in programs.items():
            released = before["source"] == "release"
            found.update({f"{role}_source": before["source"], f"{role}_version": before.get("version", "") if released else "", f"{role}_url": "",
                          f"{role}_sha256": {self.architecture: before["sha256"]} if released and before.get("sha256") else {}})
        return found


def stacks(hosts, hostvars, lock_file=""):
    """{host: Stack} of the hosts whose facts stand for no variable; the check tells of the others."""
    found = {}
    for host in hosts:
        try:
            found[host] = Stack(host, hostvars, lock_file)
        except facts.Untrusted:
            continue
    return found


def refusals(hosts, hostvars, lock_file=""):
    """[line] about versions that are never installed; hosts that share a lock file or bundle share the line. hosts: the monitoring hosts"""
    found = []
    for host, one in stacks(hosts, hostvars, lock_file).items():
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
            if not before.get("version") or not one.changes(role):
                continue
            line, why = releases.line_between(role, before["version"], after)
            if line:
                found.setdefault(host, {})[role] = {"from": before["version"], "to": after, "line": line, "why": why, "variable": variable, "value": value}
    return found


def refused_crossings(hosts, hostvars):
    """[line] about what only upgrade.yml does."""
    return [str(Problem(f"{role} {one['from']} is installed, and {one['to'] or 'its package'} would cross {one['line']}: {one['why']}; "
                        "run upgrade.yml, which takes a backup first", one["variable"], one["value"], host))
            for host, roles in crossings(hosts, hostvars).items() for role, one in roles.items()]


def watched(lock_file):
    """{release: version} of the lock file's releases that update.yml looks for newer patches of: those that are replaced without a loss.

    Raises Problem.
    """
    locked = releases.read_lock(lock_file)
    return {name: entry["version"] for name, entry in locked.items() if set((releases.catalogue().get(name) or {}).get("roles", [])) & set(EXPORTERS)}


def plan(hosts, hostvars, groups, lock_file="", only=(), now=None):
    """What an upgrade of these hosts is:

    {"stack": {host: [step]}, "exporters": {host: [step]}, "canaries": [host] that get exporters first, "former": {host: {variable: value}} with which
     they get what they have now, "lines": [what is done], "problems": [why nothing is done]}

    lock_file: used instead of accelmon_lock_file, unless it is empty; only: releases, without any all; now: seconds since 1970, the clock's without it
    """
    made = {"stack": {}, "exporters": {}, "canaries": [], "former": {}, "lines": [], "problems": refusals(hosts, hostvars, lock_file)}
    found = stacks(hosts, hostvars, lock_file)
    chosen = {role for release in only or releases.catalogue() for role in releases.catalogue()[release]["roles"]}
    for host, one in found.items():
        for key, roles in (("stack", one.services), ("exporters", one.exporters)):
            steps = one.steps([role for role in roles if role in chosen])
            if steps:
                made[key][host] = steps
                made["former"].setdefault(host, {}).update(one.former({role: program for step in steps for role, program in step["programs"].items()}))
            made["problems"] += doubts(steps, host, now or time.time(), one.values["accelmon_backup_directory"])
    if made["exporters"]:
        wanted = next(iter(found.values())).values["accelmon_update_canaries"]
        made["canaries"] = canaries(made["exporters"], wanted, groups)
    made["lines"] = list(lines(made))
    return made


def doubts(steps, host, now, backups):
    """Why steps are not done, [line]. now: seconds since 1970; backups: where they are, "" if there are none"""
    return [outdated(step, host) for step in steps if step["since"] and now - step["since"] > LONG_AGO] + [
        unprotected(step, host) for step in steps if step["line"] and not backups]


def lines(made):
    """What a plan does, in order."""
    for host, steps in made["stack"].items():
        yield from (f"{host}: {said(step)}" for step in steps)
    for when in ("first", "then"):
        for host, steps in made["exporters"].items():
            yield from (f"{host}: {said(step, when)}" for step in steps if (host in made["canaries"]) == (when == "first"))


def stack_progress(made, host, step):
    """How far the upgrade of the stack is when a host begins with a step, as a line."""
    steps = [(name, one) for name, several in made["stack"].items() for one in several]
    number = steps.index((host, step)) + 1
    left = f"{len(steps) - number} left" + (f", then exporters on {_hosts(len(made['exporters']))}" if made["exporters"] else "")
    return f"step {number} of {len(steps)}: {said(step)} on {host}; {left}"


def exporters_progress(made, hostvars, batch):
    """How far the upgrade of exporters is when these hosts begin, as a line."""
    total, done = len(made["exporters"]), [host for host in made["exporters"] if hostvars[host].get("accelmon_upgrade_result") == "upgraded"]
    now = batch[0] + (f" and {len(batch) - 1} more" if len(batch) > 1 else "")
    return f"exporters: {len(done)} of {_hosts(total)} done, now {now}, {total - len(done) - len(batch)} left after that"


def _hosts(count):
    return f"{count} host{'s' * (count != 1)}"


def canaries(hosts, chosen, groups):
    """The hosts, among those with exporters to upgrade, that get them first: the chosen ones (hosts or groups), or the first."""
    named = [host for name in chosen for host in groups.get(name, [name])]
    return sorted(set(hosts) & set(named)) or sorted(hosts)[:1]


def said(step, when=""):
    """A step in a few words; when: first or then."""
    words = f"{', '.join(step['roles'])}{' ' * bool(when)}{when}: {step['from']} -> {step['to'] or 'package'}"
    if step["since"]:
        return f"{words}, which a run that was killed has not compared with {_moment(step['since'])}"
    return words + (f", after a backup: it crosses {step['line']}, and {step['why']}" if step["line"] else "")


def unprotected(step, host):
    """The line about a step that needs a backup where there is none."""
    return str(Problem(f"{step['release']} {step['from']} -> {step['to'] or 'package'} crosses {step['line']}: {step['why']}; "
                       "set it, accelmon_backup_recipient and accelmon_backup_secret, so that there is a backup to go back to",
                       "accelmon_backup_directory", "", host))


def _moment(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%MZ")


def outdated(step, host):
    """The line about a step that was left uncompared so long ago that the fleet is another one by now."""
    return str(Problem(f"{step['note']}: a run that was killed has not compared {step['release']} {step['from']} -> {step['to'] or 'package'} with "
                       f"{_moment(step['since'])}, which is too long ago to do it now; see with verify.yml whether all is well, remove that file and run again",
                       host=host))


def note(step, seen, backup=""):
    """What a host keeps until a step is compared, as JSON: {"at", "programs", "seen", "backup"}.

    seen: what fleet_upgrade_info saw before, {} if it did not look; backup: path of the one that was taken, "" if none
    """
    return json.dumps({"at": int(time.time()), "programs": step["programs"], "seen": seen, "backup": backup}, sort_keys=True)


def noted(notes, key, otherwise):
    """A value of the first of these notes, texts, that has one; `otherwise` if none has."""
    return next((found for found in (json.loads(one).get(key) for one in notes) if found), otherwise)


def replaced(steps, lines):
    """Directories of releases that must not be current after these steps, [name].

    lines: "role directory process state" of what ran before. What a killed run has put there may stay.
    """
    fresh = {role for step in steps if not step["since"] for role in step["roles"]}
    return [line.split()[1] for line in lines if line.split()[0] in fresh]


def former(made, host, step):
    """{variable: value} with which a host gets back what a step has replaced. The storage's vmauth comes from what vmagent's variables choose."""
    return {name: value for name, value in made["former"][host].items()
            if step["storage"] or any(name.startswith(f"{role}_") for role in step["roles"])}


def verdict(step, why, kept=()):
    """Why a step was not kept, and what is there now, in one line.

    why: the error that ended it; kept: where the storage's newer data are, if those of the backup are in their place
    """
    to = step["to"] or "package"
    if not step["back"]:
        return f"{step['release']} {step['from']} -> {to}: {why}; {to} stays, since {step['from']} may not read its database; see docs/upgrade.md"
    data = f" with the data of the backup, and the later ones are in {', '.join(kept)}" if kept else ""
    return f"{step['release']} {step['from']} -> {to}: {why}; {step['from']} runs again{data}"


def goes_on(made, hostvars, stage):
    """Whether the next hosts may be upgraded. stage: stack, canaries (after all of the stack) or others (after all canaries)"""
    def became(name, hosts):
        return [hostvars[host].get(name, "missing") for host in hosts]
    if stage == "stack":
        return "failed" not in became("accelmon_upgrade_stack", made["stack"])
    well = set(became("accelmon_upgrade_stack", made["stack"])) <= {"upgraded"} and "failed" not in became("accelmon_upgrade_result", made["exporters"])
    return well and (stage == "canaries" or set(became("accelmon_upgrade_result", made["canaries"])) <= {"upgraded"})


def failures(made, hostvars):
    """{host: why} of the hosts that do not have what they were to get."""
    found = {}
    for host in dict.fromkeys([*made["stack"], *made["exporters"]]):
        if any(host in made[key] and hostvars[host].get(name) != "upgraded"
               for key, name in (("stack", "accelmon_upgrade_stack"), ("exporters", "accelmon_upgrade_result"))):
            found[host] = hostvars[host].get("accelmon_upgrade_reason", "not reached")
    return found
