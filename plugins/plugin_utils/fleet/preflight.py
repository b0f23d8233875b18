# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For preflight.yml: what to look at on each host, and what is in the way of an installation. Pure functions.

A finding is {host, what, value, fix, severity: error | warning | note | summary, line}.
"""
from ansible_collections.accelmon.fleet.plugins.module_utils.host import ports, systemd
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.module_utils.paths import CONFIGURATION, PROGRAMS, STATE
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import choice, facts, hosts as fleet, plan, records, scrape_only, variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import receivers, routes
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import PORT_EXPORTERS, STACK, one_of

GIB = 1024 ** 3
MIB = 1024 ** 2

# Free bytes: below the first it fails, below the second it will soon. Programs, then what nodes and monitoring hosts write.
ROOM = {PROGRAMS: (200 * MIB, 500 * MIB), CONFIGURATION: (1 * MIB, 10 * MIB)}
ROOM_STATE = {False: (10 * MIB, 100 * MIB), True: (1 * GIB, 10 * GIB)}
INODES = 1000

# StateDirectory came with the first. Before the second, systemd ignores parts of the sandbox, ProtectProc last.
SYSTEMD = (235, 247)
PYTHON = (3, 6)
# Roles of whose services programs of ours, which are in Python, are a part.
WITH_PROGRAMS = ("textfile_collector", "slurm_collector", "slurm_drain", "slurm_hooks", "all_smi", "amd_exporter", "dcgm_exporter", "victoriametrics",
                 "alertmanager")

# Seconds. The first is what the way to a busy host may take and must not be taken for a wrong clock; beyond the second, samples
# that a node dates itself count as stale, and certificates made a moment ago are not valid yet.
CLOCK = (5, 60)

# Answers of a call that prove the way there. That nothing listens yet is no finding.
THERE = ("refused", "ok", "http", "tls", "not_http", "silent")
WAYS = {
    "unresolved": ("the name does not resolve there", "add it to DNS or to /etc/hosts of {monitor}, or set accelmon_address"),
    "timeout": ("no answer", "open the firewall for {monitor}, or set accelmon_address to an address it can reach"),
    "no_route": ("no route", "add a route on {monitor}, or set accelmon_address to an address it can reach"),
    "skipped": ("not checked, as too many others did not answer", "fix those and run again"),
    "error": ("the connection failed", "check the network of {monitor}"),
}


# Packages of the distribution that roles install with the source `package`; who else has packages of the others knows `choice`.
PACKAGES = {"node_exporter": "prometheus-node-exporter", "alertmanager": "prometheus-alertmanager", "prometheus": "prometheus",
            "victoriametrics": "victoria-metrics", "vmagent": "victoria-metrics", "vmalert": "victoria-metrics",
            "grafana": "grafana"}


def finding(host, what, value, fix, severity="error"):
    """One finding, with its line. A value may come from the host, and is made harmless."""
    value = facts.shown(value, 400) if isinstance(value, str) else value
    return {"host": host, "what": what, "value": value, "fix": fix, "severity": severity,
            "line": f"{severity}: {host}: {what} = {value}; {fix}"}


def specs():
    """{name: spec} of the variables that are read here."""
    known, names = variables.all_variables(), set(fleet.PLAN_VARIABLES) | {"accelmon_source", "accelmon_textfile_directory"}
    names |= {"alertmanager_receivers", "alertmanager_version"}
    for role in PORT_EXPORTERS + STACK + ("grafana",):
        names |= {f"{role}_{word}" for word in ("port", "listen", "source", "managed", "state")}
    return {name: known[name] for name in names & known.keys()}


class Host:
    """What one host is meant to be: its checked values, its role in the fleet, the services of ours on it.

    Bad values have their default here; the check of the inventory has told about them.
    """

    def __init__(self, name, hostvars):
        self.name = name
        found = fleet.HostVariables(hostvars, name)
        self.given = {name for name in specs() if fleet.gives(found, name)}
        self.values = fleet.Reader(specs()).read_all(found)[0]
        self.monitoring = "monitoring" in found.raw.get("group_names", ())
        self.facts = fleet.facts_of(found)
        try:
            self.address = fleet.host_address(name, found, self.values["accelmon_address"])
        except Problem:
            self.address = name

    def services(self):
        """[(role, address to listen on, port)] of the daemons that we run on the host."""
        values, found = self.values, []
        for role in plan.choose(values, self.facts).wanted:
            if role in PORT_EXPORTERS and choice.is_ours(role, values) and values[f"{role}_state"] != "absent":
                found.append((role, plan.listen_address(values, self.address, self.facts), values[f"{role}_port"]))
        if self.monitoring:
            found += [(role, values[f"{role}_listen"] or "127.0.0.1", values[f"{role}_port"])
                      for role in stack.services(values["accelmon_backend"], values["accelmon_grafana"]) if values[f"{role}_state"] != "absent"]
        return found

    def source(self, role):
        """Where a role takes its program from, and the variable that says so."""
        return fleet.source_of(role, self.values, self.given)


def wants(name, hostvars):
    """Options of the module node_preflight_info for one host."""
    host = Host(name, hostvars)
    tls = host.values["accelmon_exporter_tls"] == "managed"
    return {
        "ports": [{"address": address, "port": port, "variable": f"{role}_port", "unit": systemd.unit_name(role)}
                  for role, address, port in host.services()],
        "paths": [PROGRAMS, CONFIGURATION, STATE, host.values["accelmon_textfile_directory"]],
        "programs": ["openssl"] if tls or host.monitoring else [],
        "bcrypt": host.monitoring or host.values["accelmon_exporter_auth"] == "basic",
        "packages": sorted({PACKAGES[role] for role, dummy, dummy in host.services() if role in PACKAGES and host.source(role)[0] == "package"}),
    }


def places(hosts, hostvars):
    """[{host, address, port}] to call from a monitoring host: one exporter of each host whose facts can be trusted."""
    found = []
    for name in hosts:
        try:
            host = Host(name, hostvars)
        except facts.Untrusted:
            continue
        entries = plan.exporters(host.values, plan.choose(host.values, host.facts))
        if entries:
            found.append({"host": name, "address": host.address, "port": entries[0]["port"]})
    return found


def report(hosts, hostvars, observed, reached, checked, unanswered):
    """What is in the way, errors first; then what was found on each host that answered, as notes; and a summary last.

    hosts, hostvars, observed, reached: see `findings`
    checked: {host: the errors about its variables, a line each}; unanswered: {host: {what, value, fix} of who did not answer}
    """
    found = [one for name in hosts for one in checked_lines(name, checked.get(name, ""))]
    # Nobody looks at these hosts, and nothing is installed there.
    scraped = {name: {} for name in hosts if scrape_only.is_scrape_only(hostvars[name])}
    found += [one for name in scraped if name not in checked for one in checked_lines(name, planned_wrongly(name, hostvars))]
    found = in_order(hosts, found + findings([name for name in hosts if name not in scraped], hostvars, observed, reached, unanswered))
    known = {**observed, **scraped}
    notes = [chosen_note(name, hostvars, known[name]) for name in hosts if name in known]
    return found + [note for note in notes if note] + [summary(hosts, found, known)]


def planned_wrongly(name, hostvars):
    """What site.yml would say of a host that nobody looks at, "" if nothing."""
    try:
        records.make_plan(name, fleet.HostVariables(hostvars, name))
    except Problem as problem:
        return str(problem)
    return ""


def in_order(hosts, found):
    """Findings, errors first, then by host."""
    places = {name: number for number, name in enumerate(hosts)}
    return sorted(found, key=lambda one: (one["severity"] != "error", places.get(one["host"], -1)))


def checked_lines(name, text):
    """What the check of the inventory says of one host, as findings in its own words."""
    found = []
    for line in filter(None, text.split("\n")):
        words = line.partition(": ")[2]
        what, dummy, rest = words.partition(" = ")
        value, dummy, fix = rest.rpartition("; ")
        found.append(dict(finding(name, what, value or rest, fix), line=f"error: {name}: {words}"))
    return found


def summary(hosts, found, observed):
    """How many hosts are ready, as the last line."""
    wrong = {severity: {one["host"] for one in found if one["severity"] == severity} for severity in ("error", "warning")}
    bad = wrong["error"] & set(hosts)
    silent = sum(1 for name in hosts if name not in observed)
    words = [f"{len(hosts) - len(bad)} of {len(hosts)} hosts ready"]
    words += [f"{len(bad)} with errors"] * bool(bad) + [f"{silent} of them did not answer"] * bool(silent)
    words += [f"{len(wrong['warning'] - bad)} with warnings"] * bool(wrong["warning"] - bad)
    line = ", ".join(words)
    return {"host": "", "what": "summary", "value": line, "fix": "", "severity": "summary",
            "line": line if bad or wrong["error"] else f"no errors: {line}"}


def chosen_note(name, hostvars, observed):
    """What was found on a host and what would read it, in one line; None if that is not known."""
    try:
        host = Host(name, hostvars)
    except facts.Untrusted:
        return None  # told among the errors
    if host.facts is None:
        return None
    chosen, words = plan.choose(host.values, host.facts), []
    for vendor, told in sorted(host.facts["summary"].items()):
        if told.get("count"):
            source = chosen.final.get(vendor)
            number = f"{told['count']} " if told["models"] or not host.values["accelmon_scrape_only"] else ""
            word = f"{number}{vendor} → {source or 'no exporter that reads them'}"
            if chosen.charge.get(vendor) != source:
                word += f" in place of {chosen.charge[vendor]}"
            if vendor in chosen.better:
                better, why, setting = chosen.better[vendor]
                word += f" ({better}: {why}; to change that, set {setting})"
            words.append(word)
    if words and observed.get("slurmd") is True and observed.get("slurm_hooks") is False and not host.values["accelmon_slurm_hooks"]:
        words.append("slurmd runs there; to know which job has which accelerator, set accelmon_slurm_hooks")
    text = facts.shown(", ".join(words) or "no accelerators", 400)
    return {"host": host.name, "what": "accelerators", "value": text, "fix": "", "severity": "note", "line": f"{host.name}: {text}"}


def findings(hosts, hostvars, observed, reached, unanswered=None):
    """All that is in the way, errors first, then by host.

    hosts: names; observed: {host: what node_preflight_info saw there}, without hosts that did not answer
    reached: {monitoring host: {host: [kind, place]}}
    unanswered: {host: {what, value, fix}} of those that did not answer, as far as it is known
    """
    monitors = [name for name in hostvars_group(hostvars, hosts) if isinstance(observed.get(name, {}).get("clock_offset"), (int, float))]
    clock = observed[monitors[0]]["clock_offset"] if monitors else None
    found = []
    for name in hosts:
        if name not in observed:
            why = (unanswered or {}).get(name) or {"what": "answer", "value": "none", "fix": "make it reachable for Ansible, or leave it out of the run"}
            found.append(finding(name, why["what"], why["value"], why["fix"]))
            continue
        found += judge_stranger(name, hostvars, observed[name], clock, monitors[:1])
    for monitor, answers in sorted(reached.items()):
        found += unreached(monitor, answers)
    return in_order(hosts, found)


def hostvars_group(hostvars, hosts):
    """Those of the hosts that scrape the fleet."""
    found = []
    for name in hosts:
        try:
            found += [name] if "monitoring" in (fleet.HostVariables(hostvars, name).raw.get("group_names") or ()) else []
        except facts.Untrusted:
            pass  # told with the host itself
    return found


def judge_stranger(name, hostvars, observed, clock, monitors):
    """`judge` of a host that may have told anything: what is no answer of ours is one finding, and says nothing about the others."""
    try:
        return judge(Host(name, hostvars), observed, clock, monitors)
    except facts.Untrusted as error:
        value, dummy, fix = error.problem.rpartition("; ")
        return [finding(name, "answer", value, fix)]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return [finding(name, "answer", "not from the collection's module", facts.FIX)]


def judge(host, observed, clock, monitors):
    """Findings about one host that answered."""
    found = [finding(host.name, f"{entry['variable']} {entry['port']}", f"taken by {entry['owner']}", port_fix(entry))
             for entry in observed["ports"]]
    found += judge_room(host, observed["paths"])
    found += judge_system(host, observed)
    found += judge_sources(host)
    found += judge_receivers(host)
    found += [finding(host.name, "package", f"none of the host's repositories has {name}",
                      f"add one that has it, or set {other_sources(package_variable(host, name))}") for name in observed.get("unknown_packages", [])]
    if clock is not None and host.name not in monitors and "clock_offset" in observed:
        found += judge_clock(host, observed["clock_offset"] - clock, monitors[0])
    if host.facts is not None and host.values["accelmon_driver_missing"] == "fail":
        try:
            plan.check_drivers(host.facts)
        except Problem as problem:
            value, dummy, fix = str(problem).partition("; ")
            found.append(finding(host.name, "driver", value, fix))
    return found


def port_fix(entry):
    """What to do about a port that somebody has."""
    role = entry["variable"][:-len("_port")]
    return ports.remedy(entry["variable"], entry["owner"], entry, role if role in PORT_EXPORTERS else "")


def judge_room(host, paths):
    """Findings about the folders that something is put into."""
    found = []
    for path, told in sorted(paths.items()):
        least, better = ROOM.get(path, ROOM_STATE[host.monitoring and path == STATE])
        options, mount = told.get("options", []), told.get("mount", "/")
        if "ro" in options:
            found.append(finding(host.name, path, f"mounted read-only at {mount}", "mount it writable"))
        if "noexec" in options and path == PROGRAMS:
            found.append(finding(host.name, path, f"mounted noexec at {mount}", "mount it without noexec: programs run from there"))
        free = told.get("free_bytes")
        if free is not None and free < better:
            found.append(finding(host.name, path, f"{free // MIB} MiB free at {mount}", f"free some space: {better // MIB} MiB are needed",
                                 "error" if free < least else "warning"))
        if told.get("free_inodes", INODES) < INODES:
            found.append(finding(host.name, path, f"{told['free_inodes']} inodes free at {mount}",
                                 "remove files, or recreate the file system with more inodes"))
    return found


def judge_system(host, observed):
    """Findings about the operating system."""
    found = []
    if not observed["systemd_running"]:
        found.append(finding(host.name, "first process", "not systemd", "boot the host with systemd, or use playbooks/image.yml to build an image"))
    version = observed.get("systemd_version")
    if version is not None and version < SYSTEMD[1]:
        old = version < SYSTEMD[0]
        found.append(finding(host.name, "systemd", version, f"use a distribution with {SYSTEMD[0]} or later" if old else
                             f"no action needed: below {SYSTEMD[1]} it ignores parts of the sandbox, see docs/platforms.md",
                             "error" if old else "warning"))
    words = observed["python_version"].split(".")
    if tuple(int(word) for word in words[:2]) < PYTHON:
        found.append(finding(host.name, "Python", observed["python_version"], "set ansible_python_interpreter to Python 3.6 or later"))
    wanted = {*plan.choose(host.values, host.facts).wanted, *plan.slurm_programs(host.values, None),
              *["slurm_hooks"] * host.values["accelmon_slurm_hooks"], *(role for role, dummy, dummy in host.services())}
    if observed.get("python_problem") and wanted.intersection(WITH_PROGRAMS):
        what, dummy, told = observed["python_problem"].partition(" = ")
        wrong, dummy, fix = told.partition("; ")
        found.append(finding(host.name, what, wrong, fix))
    if observed["fapolicyd"] and any(host.source(role)[0] != "package" for role, dummy, dummy in host.services()):
        found.append(finding(host.name, "fapolicyd", "running", f"trust the programs: fapolicyd-cli --file add {PROGRAMS}/ && fapolicyd-cli --update",
                             "warning"))
    found += [finding(host.name, "program", f"{name} is missing", f"install the package {name}") for name in observed["missing"]]
    if observed.get("bcrypt"):
        found.append(finding(host.name, "bcrypt", observed["bcrypt"].rpartition("; ")[0] or observed["bcrypt"],
                             observed["bcrypt"].rpartition("; ")[2]))
    return found


def no_runtime(host):
    """The finding about a service that shall run in a container where nothing runs one; `plan.check_sources` knows the vendors' exporters."""
    runtimes = host.facts["node"].get("container_runtimes") if host.facts else None
    if runtimes is None:
        return []
    found = {}
    for role in (role for role, dummy, dummy in host.services() if role == "grafana" or role not in fleet.BUNDLED):
        source, name = host.source(role)
        if source == "container" and not runtimes:
            found[name] = ("the host has neither podman nor docker", "install one of them, or set it to package or bundle")
        elif source == "container" and role == "victoriametrics" and "podman" not in runtimes:
            found[name] = ("the host has no podman, which alone keeps the storage's network to itself", "install podman, or set it to package or bundle")
    return [finding(host.name, name, f"container, and {wrong}", fix) for name, (wrong, fix) in found.items()]


def judge_sources(host):
    """Findings about where programs come from."""
    found = {}
    for role, dummy, dummy in host.services():
        source, name = host.source(role)
        # Who else has packages of these knows `plan.check_sources`.
        wrong = plan.unpackaged(source, host.facts) if role not in fleet.BUNDLED else None
        if wrong:
            found[name] = wrong.partition("; ")
    told = no_runtime(host)
    told += [finding(host.name, name, f"package, and {wrong}", fix) for name, (wrong, dummy, fix) in sorted(found.items())]
    try:
        plan.check_sources(host.values, host.facts, plan.choose(host.values, host.facts))
    except choice.Unsuitable as problem:
        wrong, dummy, fix = problem.problem.partition("; ")
        told.append(finding(host.name, problem.variable, f"{problem.value}, and {wrong}", fix))
    return told


def judge_receivers(host):
    """The finding about a receiver that the release of Alertmanager on a monitoring host cannot have."""
    if not host.monitoring:
        return []
    version = routes.installed(host.source("alertmanager")[0], host.values["alertmanager_version"], host.facts["node"] if host.facts else {})
    problem = receivers.unknown_to(receivers.checked(host.values["alertmanager_receivers"]), version)
    wrong, dummy, fix = problem.problem.partition("; ") if problem else ("", "", "")
    return [finding(host.name, "alertmanager_receivers", wrong, fix)] if problem else []


def package_variable(host, name):
    """The variable that says where the program of a package comes from on a host."""
    return next((host.source(role)[1] for role, dummy, dummy in host.services() if PACKAGES.get(role) == name), "accelmon_source")


def other_sources(variable):
    """`accelmon_source to release or bundle`: where its program comes from without packages."""
    return f"{variable} to {one_of([word for word in ('release', 'bundle', 'container') if word in variables.declared(variable)['choices']])}"


def judge_clock(host, ahead, monitor):
    """Findings about a clock; ahead: seconds before the monitoring host's."""
    if abs(ahead) <= CLOCK[0]:
        return []
    word = "ahead of" if ahead > 0 else "behind"
    return [finding(host.name, "clock", f"{abs(ahead):.0f} s {word} that of {monitor}", "synchronise both, for example with chrony",
                    "error" if abs(ahead) > CLOCK[1] else "warning")]


def unreached(monitor, answers):
    """Findings about hosts that a monitoring host does not reach."""
    found = []
    for name, (kind, place) in sorted(answers.items()):
        if kind not in THERE:
            words, fix = WAYS.get(kind, WAYS["error"])
            found.append(finding(name, f"scrape address {place} from {monitor}", words, fix.format(monitor=monitor)))
    return found
