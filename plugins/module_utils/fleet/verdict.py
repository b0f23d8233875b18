# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with the fleet: pure functions from the registry and the storage's answers to failures and table rows.

Shapes used throughout:
  clusters: {cluster: registry}, as registry.py describes them; host: an entry of one
  seen: what storage and rule evaluator said, see `empty_seen`
  target: (address, port, scheme, path), what is dialled
"""
import collections
import re

from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.inputs import blind_alerts
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.registry import elections, present_hosts, source_of
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.registry import unmonitored as unmonitored_devices
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.registry import monitored as expected_devices
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.targets import instance

# Lines about the monitoring host come first: they often explain the others.
CHECKS = ("registry", "storage", "generation", "rules", "watchdog", "alertmanager", "grafana", "access", "scraper", "recording",
          "registered", "pending", "target", "open", "collector", "devices", "series", "inputs", "jobs")

# The alert that always fires.
WATCHDOG = "Watchdog"

HEALTH_WORDS = 3  # devices in a row of the status table
DEVICE_WORDS = 8  # lost devices named in one line; the rest is counted


def empty_seen():
    """The answers before anything was asked.

    storage_error, rules_error: one line, or None if the service answered
    up: {(cluster, node, job, instance): bool} of the last few scrapes
    devices: {(cluster, node, vendor): count} with fresh recorded series
    collector_age: {(cluster, node, vendor): seconds since the collector's last success}
    job_files: {(cluster, node): {problem: (number of owner files of jobs, [names of some])}}
    health: {(cluster, node): [{vendor, index, score}]} of devices whose health score is below 100
    drains: {(cluster, node): {action, cause, why}} as the program on a Slurm controller decides
    generations: {cluster: set of registry generations in the storage}
    scraped: whether this host has a scraper, which reads its registry
    lost: {(cluster, node, vendor): [text naming one device that was recorded lately and is not now]}
    unrecorded: {(cluster, node, vendor): [names of series that its source tells and that are not recorded]}
    readings: {(cluster, node, vendor): set of readings that a device there has}
    groups: as `query.rule_groups` gives them
    firing: the alerts that fire, as `query.firing` gives them
    alertmanagers: [(url, error or None, whether the watchdog arrived there)]
    grafana: one line about a Grafana that does not work, or None where it does or where there is none
    open_stack: [(name, url, what it does)] of listeners of the stack that let a stranger in
    open_targets: {target: what it does} of exporters that let a stranger in
    """
    return {
        "storage_error": None, "rules_error": None, "up": {}, "devices": {}, "collector_age": {}, "job_files": {}, "health": {}, "drains": {},
        "generations": {}, "lost": {}, "unrecorded": {}, "readings": {}, "groups": [], "firing": [], "alertmanagers": [], "grafana": None,
        "open_stack": [], "open_targets": {}, "scraped": True,
    }


def natural(name):
    """Sort key that puts gpu2 before gpu10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part], name


def listing(words):
    """ "a", "a and b", "a, b and c"."""
    words = list(words)
    return words[0] if len(words) == 1 else "%s and %s" % (", ".join(words[:-1]), words[-1])


def aligned(lines):
    """Rows of cells as aligned text, without blanks at the ends of lines."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def exporter_targets(host):
    """[(job, target, instance)] of a registry host, in the order of its exporters."""
    found = []
    for exporter in host["exporters"]:
        target = (host["address"], exporter["port"], exporter.get("scheme", "http"), exporter.get("path", "/metrics"))
        found.append((exporter["job"], target, instance(host["address"], exporter["port"])))
    return found


def covering_jobs(host, vendor):
    """The jobs that report this vendor's devices on this host."""
    return [exporter["job"] for exporter in host["exporters"] if vendor in (exporter.get("elected") or [])]


def has_collector(host, vendor):
    """Whether the textfile collector is in charge of a vendor on this host."""
    return any(source_of(exporter) == "textfile" and vendor in (exporter.get("elected") or ()) for exporter in host["exporters"])


def sources_of(host, vendor):
    """{"source"?: the one in charge, "standby"?: [others that could be]} of a vendor on this host."""
    found = {}
    for one, source, _job, charge in elections(host):
        if one == vendor and charge:
            found["source"] = source
        elif one == vendor:
            found.setdefault("standby", []).append(source)
    return found


def select(clusters, only):
    """The same clusters with just the hosts named in `only` (None: all of them)."""
    if only is None:
        return clusters
    wanted = set(only)
    return dict(
        (name, dict(data, hosts=dict((node, host) for node, host in data["hosts"].items() if node in wanted)))
        for name, data in clusters.items()
    )


def replacement(cluster, host):
    """The host that is where a replaced one was, with its cluster if that is another."""
    by = host["replaced_by"]
    return by["host"] if by["cluster"] == cluster else "%s of cluster %s" % (by["host"], by["cluster"])


def failure(cluster, node, check, reason, fix):
    """One failure; `line` is added when the list is complete."""
    return {"cluster": cluster, "node": node, "check": check, "reason": reason, "fix": fix}


# ---- one host ----


def _where(address, ports):
    """ "10.0.0.7:9100", or "10.0.0.7 ports 9100 and 9400"."""
    ports = sorted(set(ports))
    if len(ports) == 1:
        return instance(address, ports[0])
    return "%s ports %s" % (address, listing(str(port) for port in ports))


# What a target that is not up means and what to do, by what came of dialling it: the kinds of dial.py, some with the HTTP status or whether
# it is scraped. Every other kind counts as "down".
TARGET_WORDS = {
    "unresolved": ("name {address} does not resolve on {monitor}",
                   "set accelmon_address of {node} to its address, or make the name resolvable on {monitor}"),
    "refused": ("connection refused on {where} ({names} not running there)", "start {them} on {node}; {rerun} does"),
    "timeout": ("no answer from {where} within {timeout:g} s (host down or blocked by a firewall)",
                "check that {node} is running and that {monitor} can reach {ports}"),
    "no_route": ("no route from {monitor} to {address}", "check accelmon_address of {node} and the network of {monitor}"),
    "silent": ("{where} accepts the connection but does not answer within {timeout:g} s ({names} hangs)", "restart {names} on {node}"),
    "http": ("{where} answers HTTP {detail} ({names})", "check the port and path of {names}, and the log of the process listening there"),
    "http 404": ("{where} answers HTTP {detail} ({names})", "correct its path ({paths}) or its port"),
    "tls": ("TLS to {where} failed: {detail} ({names})",
            "it does not use TLS, or its certificate is not from the CA that {monitor} trusts; for an exporter of the collection, run {rerun}"),
    "not_http": ("{where} does not speak HTTP: {detail} ({names})",
                 "another service listens there, or it requires TLS: check the port and scheme of {names}"),
    "ok": ("{where} answers, but is not scraped yet ({names})",
           "wait two scrape intervals; if this persists, check that the scraper on {monitor} is running and reads its targets"),
    "ok scraped": ("{where} answers, but its scrape fails ({names})", "check its last error on the scraper's /targets page"),
    "error": ("cannot dial {where}: {detail} ({names})", "check the network of {monitor}"),
    "skipped": ("{names} not up on {where} (no time left to dial it)", "run verify.yml --limit {node} for the reason"),
    "down": ("{names} not up on {where}", "run verify.yml --limit {node} for the reason"),
}
TARGET_WORDS["http 401"] = TARGET_WORDS["http 403"] = (
    "{where} answers HTTP {detail} ({names})",
    "it requires a password or certificate that {monitor} does not send: set the same accelmon_exporter_auth and accelmon_exporter_tls for both "
    "and run {rerun}")


def _target_words(kind, detail, address, members, scraped, **words):
    """(reason, fix) for targets of one host that gave the same answer.

    members: [(job, port)] of the targets; scraped: whether they are scraped though they are not up; words: node, monitor, timeout
    """
    jobs, ports = sorted(set(job for job, _port in members)), set(port for _job, port in members)
    words.update(
        address=address, detail=detail, where=_where(address, ports), names=listing(jobs), them="them" if len(jobs) > 1 else "it",
        ports="these ports" if len(ports) > 1 else "this port", paths=listing("%s_metrics_path" % job for job in jobs),
        rerun="site.yml --limit %s" % words["node"])
    closer = "ok scraped" if kind == "ok" and scraped else "%s %s" % (kind, detail)
    reason, fix = TARGET_WORDS.get(closer) or TARGET_WORDS.get(kind) or TARGET_WORDS["down"]
    return reason.format(**words), fix.format(**words)


# What to do about a service of the stack, by what came of asking it: (words of `query`, fix).
SERVICE_FIXES = (
    (r": refused$", "start it on %s; site.yml does"),
    (r"timed out$", "check whether %s is overloaded, then restart it there"),
    (r"TLS failed|HTTP 400.*HTTPS|does not speak HTTP", "one side uses TLS and the other does not: run site.yml to align the listener and certificate "
     "of %s; if this persists, another service listens there"),
    (r"HTTP 40[13]", "it expects a different password than %s uses: run site.yml to set the same on both"),
    (r"HTTP 404|not respond like", "another service listens on that port of %s: check the port in the inventory"),
    (r"does not resolve|no route", "check the name and the network of %s"),
)


def service_fix(problem, monitor):
    """What to do about a service of the stack that could not be asked."""
    for pattern, fix in SERVICE_FIXES:
        if re.search(pattern, problem):
            return fix % monitor
    return "check its log on %s" % monitor


def stands_by(host):
    """{job: the source in charge instead} of exporters that are in charge of nothing, though they could be."""
    charge = dict((vendor, source) for vendor, source, _job, elected in elections(host) if elected)
    found = {}
    for vendor, _source, job, elected in elections(host):
        if elected:
            found[job] = None
        elif vendor in charge:
            found.setdefault(job, charge[vendor])
    return dict((job, source) for job, source in found.items() if source)


def down_targets(cluster, node, host, up):
    """[(job, target, scraped)] of the host's targets that are not up; scraped: the storage knows a failed scrape."""
    found = []
    for job, target, name in exporter_targets(host):
        value = up.get((cluster, node, job, name))
        if not value:
            found.append((job, target, value is not None))
    return found


def target_failures(cluster, node, down, dials, monitor, timeout, idle=None):
    """Failures for the targets that are not up: one for each different cause.

    idle: as `stands_by` gives it. The run that would bring such an exporter to life has just failed there.
    """
    causes, idle = {}, idle or {}
    for job, target, scraped in down:
        kind, detail = dials.get(target, ("", ""))
        # Whether it is scraped matters only when it answers: a host that is down is one cause.
        key = (kind, detail if kind in ("http", "tls", "not_http", "error") else "", target[0], scraped and kind == "ok",
               job if kind == "refused" and job in idle else "")
        causes.setdefault(key, []).append((job, target[1]))
    found = []
    for (kind, detail, address, scraped, waiting), members in sorted(causes.items(), key=lambda item: min(p for _j, p in item[1])):
        reason, fix = _target_words(kind, detail, address, members, scraped, node=node, monitor=monitor, timeout=timeout)
        if waiting:
            fix = ("it did not take over from %s, which still reads the devices: check journalctl -u accelmon-%s on %s, or remove it from the choice"
                   % (idle[waiting], waiting.replace("_", "-"), node))
        found.append(failure(cluster, node, "target", reason, fix))
    return found


def device_failures(cluster, node, host, seen, down_jobs, collector_limit, recorded):
    """Failures of collectors and devices, one for each vendor, of a host's vendors whose exporters are up.

    collector_limit: seconds that the last success of a collector may be old
    recorded: whether the recording layer gives anything for this cluster; if not, that is the one failure
    """
    found = []
    expected = expected_devices(host)
    for vendor in sorted(expected):
        jobs = covering_jobs(host, vendor)
        if not expected[vendor] or any(job in down_jobs for job in jobs):
            continue
        key = (cluster, node, vendor)
        if not jobs:
            found.append(failure(
                cluster, node, "devices",
                "%d %s accelerators expected, but none of the node's exporters reports them" % (expected[vendor], vendor),
                "run site.yml --limit %s" % node))
            continue
        # The textfile collector reads the devices in its own time; other exporters do while they are scraped.
        age = seen["collector_age"].get(key)
        count = seen["devices"].get(key, 0)
        if has_collector(host, vendor) and (age is None or age > collector_limit):
            found.append(_late_collector(cluster, node, vendor, age, collector_limit))
        elif count < expected[vendor] and recorded:
            found.append(_missing_devices(cluster, node, vendor, count, expected[vendor], seen["lost"].get(key) or []))
    return found


def _late_collector(cluster, node, vendor, age, limit):
    """The failure of a textfile collector whose last success is `age` seconds old, more than the limit, or None: never."""
    reason = "the textfile collector never succeeded for %s" % vendor
    if age is not None:
        reason = "the textfile collector last succeeded for %s %d s ago (limit %d s)" % (vendor, age, limit)
    return failure(cluster, node, "collector", reason, "check journalctl -u accelmon-textfile-collector on %s" % node)


def _missing_devices(cluster, node, vendor, count, expected, lost):
    """The failure of a vendor's devices of which some are not there. lost: those that were seen before"""
    reason = "%d of %d %s accelerators fresh" % (count, expected, vendor)
    if lost:
        reason += "; gone: " + ", ".join(lost[:DEVICE_WORDS])
        if len(lost) > DEVICE_WORDS:
            reason += " and %d more" % (len(lost) - DEVICE_WORDS)
    return failure(cluster, node, "devices", reason, "repair it, or run accept_devices.yml --limit %s if it is gone for good" % node)


def series_failures(cluster, node, host, seen):
    """Recorded series that a host's devices lack, though they are there and their source tells them; one failure for each vendor."""
    found = []
    for vendor in sorted(expected_devices(host)):
        names = seen["unrecorded"].get((cluster, node, vendor))
        if names and seen["devices"].get((cluster, node, vendor)):
            source = sources_of(host, vendor).get("source", "its source")
            found.append(failure(
                cluster, node, "series", "%s of %s %s not recorded, although %s reports %s" % (
                    listing(names), vendor, "are" if len(names) > 1 else "is", source, "them" if len(names) > 1 else "it"),
                "check for a label of %s that these series also have (accelmon_labels); if there is none, run site.yml" % node))
    return found


# What is wrong with owner files of jobs, and what to do, by the collector's word for it.
JOB_FILES = collections.OrderedDict((
    ("refused", ("is refused", "are refused", "in {folder} on {node}, let only root own and write files")),
    ("damaged", ("is damaged", "are damaged", "write it as docs/jobs.md describes")),
    ("unresolved", ("names a device that the node does not have", "name devices that the node does not have",
                    "compare its devices with those of {node}; if Slurm's hooks wrote it, check journalctl -u accelmon-slurm-hooks there")),
    ("unverified", ("may be of a job that has ended", "may be of jobs that have ended",
                    "check that squeue answers on {node}, and journalctl -u accelmon-slurm-hooks there")),
))


def job_failures(cluster, node, seen):
    """Owner files of jobs that say nothing, or may say something wrong; one failure for each problem."""
    found, wrong = [], seen["job_files"].get((cluster, node), {})
    for problem, (of_one, of_many, fix) in JOB_FILES.items():
        count, names = wrong.get(problem, (0, ()))
        if count:
            named = " (%s)" % ", ".join(names) if names else ""
            reason = "%d owner %s %s%s" % (count, "file" if count == 1 else "files", of_one if count == 1 else of_many, named)
            found.append(failure(cluster, node, "jobs", reason, fix.format(node=node, folder=paths.JOBS)))
    return found


def kind_of_devices(host, vendor):
    """What equal devices of two hosts have in common: their vendor, the source in charge, and their models."""
    return vendor, sources_of(host, vendor).get("source"), frozenset((host.get("seen") or {}).get(vendor, ()))


def readings_by_kind(cluster, hosts, seen):
    """{kind of devices: readings that at least one host of the cluster has of them}."""
    found = {}
    for node, host in hosts.items():
        for vendor in expected_devices(host):
            found.setdefault(kind_of_devices(host, vendor), set()).update(seen["readings"].get((cluster, node, vendor), ()))
    return found


def blind_on(cluster, node, host, seen, inputs, of_kinds):
    """[(vendor, source in charge, what `inputs.blind_alerts` finds)] of the vendors whose devices are there; of_kinds: see `readings_by_kind`."""
    found = []
    for vendor in sorted(expected_devices(host)):
        source = sources_of(host, vendor).get("source")
        if source and inputs and seen["devices"].get((cluster, node, vendor)):
            present = seen["readings"].get((cluster, node, vendor), set())
            found.append((vendor, source, blind_alerts(vendor, source, present, inputs, of_kinds[kind_of_devices(host, vendor)])))
    return found


def input_failures(cluster, node, blind):
    """Alerts that cannot fire though the source in charge should provide what they look at; one failure for each vendor."""
    return [failure(
        cluster, node, "inputs", "%s cannot fire for %s: %s does not report here what it reports of the same model elsewhere" % (
            listing(found["broken"]), vendor, source),
        "compare the exporter's version, configuration and log on %s with those of another node" % node)
        for vendor, source, found in blind if found["broken"]]


def input_notes(cluster, blind):
    """Notes about alerts that cannot fire, each for all nodes that it is the same on. blind: {node: as `blind_on` gives it}."""
    grouped = {}
    for node, found_by in blind.items():
        for vendor, source, found in found_by:
            for role, alerts in found["elsewhere"].items():
                grouped.setdefault((vendor, source, tuple(alerts), "; %s provides what they look at" % role), []).append(node)
            if found["unreported"]:
                grouped.setdefault((vendor, source, tuple(found["unreported"]), ": these devices do not report what they look at"), []).append(node)
    return [{"cluster": cluster, "node": shortened(nodes), "note": "%s cannot fire for %s, read by %s%s" % (listing(alerts), vendor, source, why)}
            for (vendor, source, alerts, why), nodes in sorted(grouped.items())]


# ---- the monitoring host ----


def rules_failures(seen, monitor, wanted_groups, watchdog):
    """Failures of the rule evaluator: unreachable, groups missing, rules unhealthy, watchdog silent."""
    if seen["rules_error"]:
        return [failure("", monitor, "rules", seen["rules_error"], service_fix(seen["rules_error"], monitor))]
    found = []
    loaded = dict((group["name"], group) for group in seen["groups"])
    if not loaded:
        return [failure("", monitor, "rules", "no rules are loaded", "run site.yml")]
    for name in wanted_groups:
        if name not in loaded:
            found.append(failure("", monitor, "rules", "rule group %s is not loaded" % name, "run site.yml"))
    for name in sorted(loaded):
        found += _group_failures(monitor, name, loaded[name]["rules"])
    if watchdog and not found:
        found += _watchdog_failures(monitor, watchdog, [rule["state"] for group in seen["groups"] for rule in group["rules"] if rule["name"] == watchdog])
    return found


def _group_failures(monitor, name, rules):
    """Failures of a loaded group of rules: the rules that fail, else those that nobody evaluated yet."""
    sick = [rule for rule in rules if rule["health"] not in ("ok", "unknown")]
    if sick:
        return [failure(
            "", monitor, "rules",
            "%d of %d rules in group %s fail, first %s: %s" % (
                len(sick), len(rules), name, sick[0]["name"], sick[0]["last_error"] or sick[0]["health"] or "no health given"),
            "check that the storage answers, then correct the rule")]
    fresh = [rule for rule in rules if rule["health"] == "unknown"]
    if fresh:
        return [failure(
            "", monitor, "rules",
            "%d of %d rules in group %s have not been evaluated yet, first %s" % (len(fresh), len(rules), name, fresh[0]["name"]),
            "wait for one evaluation")]
    return []


def _watchdog_failures(monitor, watchdog, states):
    """Failures of the alert that must always fire. states: those of the rules that are called so"""
    if not states:
        return [failure("", monitor, "watchdog", "the alert %s is not loaded" % watchdog, "run site.yml")]
    if "firing" not in states:
        return [failure(
            "", monitor, "watchdog", "the alert %s, which must always fire, does not" % watchdog,
            "wait for one evaluation; if this persists, check the log of the rule evaluator on %s" % monitor)]
    return []


def alertmanager_failures(seen, monitor, watchdog):
    """Failures of what receives the alerts: unreachable, or nothing arrives there."""
    found = []
    for url, error, arrived in seen["alertmanagers"]:
        if error:
            found.append(failure("", monitor, "alertmanager", error, service_fix(error, monitor)))
        elif watchdog and not arrived:
            found.append(failure(
                "", monitor, "alertmanager", "the alert %s does not arrive at the Alertmanager at %s" % (watchdog, url),
                "wait for one evaluation; if this persists, check the log of the rule evaluator on %s" % monitor))
    return found


def access_failures(seen, monitor):
    """Listeners of the stack that answer a stranger."""
    return [failure("", monitor, "access", "%s at %s %s" % (name, url, what),
                    "run site.yml --limit %s; if this persists, another service listens there, or a version that only protects some paths" % monitor)
            for name, url, what in seen["open_stack"]]


def own_targets(clusters, status=("active",)):
    """{target: registered exporter} of the exporters that are the collection's own, on hosts with one of these states."""
    found = {}
    for data in clusters.values():
        for host in data["hosts"].values():
            if host["status"] in status:
                for exporter, (_job, target, _instance) in zip(host["exporters"], exporter_targets(host)):
                    if not exporter.get("custom"):
                        found[target] = exporter
    return found


def open_failures(cluster, node, host, seen):
    """Exporters of a host that let a stranger in, though they shall not."""
    return [failure(cluster, node, "open", "%s on %s %s" % (job, name, seen["open_targets"][target]),
                    "run site.yml --limit %s; if this persists, another service listens there" % node)
            for job, target, name in exporter_targets(host) if target in seen["open_targets"]]


def generation_failures(clusters, seen, monitor):
    """Clusters whose registry is newer than what the storage knows of it."""
    found = []
    for cluster in sorted(clusters):
        wanted = clusters[cluster]["generation"]
        known = seen["generations"].get(cluster) or set()
        # Registries of several hosts need not have the same number.
        if wanted in known or known and not seen["scraped"]:
            continue
        reason = "the storage lacks the expected devices of cluster %s (registry generation %s)" % (cluster, wanted)
        if known:
            reason = "the storage has generation %s of cluster %s, the registry %s" % (max(known), cluster, wanted)
        found.append(failure(
            cluster, monitor, "generation", reason,
            "wait two scrape intervals; if this persists, check node_exporter on %s and its textfile directory" % monitor))
    return found


# ---- the whole ----


def finish(failures, many_clusters):
    """The failures with their `line`, each once, in a fixed order: the monitoring host's first, then by cluster and node."""
    unique = {}
    for item in failures:
        of_host = CHECKS.index(item["check"]) >= CHECKS.index("registered")
        who = item["node"]
        if many_clusters and of_host and item["cluster"]:
            who = "%s (%s)" % (who, item["cluster"])
        line = "%s: %s; %s" % (who, item["reason"], item["fix"])
        order = (of_host, item["cluster"] if of_host else "", natural(item["node"]), CHECKS.index(item["check"]), line)
        unique[line] = (order, dict(item, line=line))
    return [item for _order, item in sorted(unique.values(), key=lambda pair: pair[0])]


def _surplus_notes(cluster, node, expected, seen, vendors):
    """Notes for vendors with more devices than the registry knows: a run of the node records them."""
    found = []
    for vendor in vendors:
        count = seen["devices"].get((cluster, node, vendor), 0)
        if count > expected.get(vendor, 0):
            found.append({"cluster": cluster, "node": node, "note": (
                "%d %s accelerators seen, %d expected; site.yml --limit %s records them" % (count, vendor, expected.get(vendor, 0), node))})
    return found


def _with_status(status, cluster, node, found):
    """(failures, notes) of one host: what its status makes of what was found."""
    now = "; ".join(item["reason"] for item in found)
    if status == "pending":
        reason = "never reached by any run" + ("; " + now if now else "")
        fix = "make it reachable for Ansible and run site.yml --limit %s" % node
        return [failure(cluster, node, "pending", reason, fix)], []
    if status == "maintenance":
        note = "in maintenance, its alerts are muted" + ("; now " + now if now else "")
        return [], [{"cluster": cluster, "node": node, "note": note}]
    if status == "retired":
        note = "retired: no longer in the inventory but still scraped; prune.yml removes it"
        return [], [{"cluster": cluster, "node": node, "note": note}]
    return found, []


def shortened(nodes):
    """Names of nodes in one line, the first three of many."""
    nodes = sorted(nodes, key=natural)
    return ", ".join(nodes[:3]) + (" and %d more" % (len(nodes) - 3) if len(nodes) > 3 else "")


def blind_note(cluster, vendor, found):
    """The note about devices that are not monitored; found: [(node, count)]."""
    total = sum(count for _node, count in found)
    return {"cluster": cluster, "node": shortened(node for node, _count in found), "note": (
        "%d %s accelerator%s recorded but not monitored: no exporter on the node reads them; list one that does (all_smi reads all vendors) in "
        "accelmon_exporters and accelmon_accelerator_source, or set both to auto" % (total, vendor, "" if total == 1 else "s"))}


# What `verdict` is asked beside the present state.
# only: names of the nodes to judge, None for all; inventory_hosts: names that must be registered
# registry_problems: [(cluster or "", reason, fix)] from reading the registry files
# rule_groups: names of those that must be loaded; watchdog: the alert that always fires, "" for none
# collector_limit, dial_timeout: seconds
# inputs: what alerts look at, see inputs.py
Wanted = collections.namedtuple("Wanted", "only inventory_hosts registry_problems rule_groups watchdog collector_limit dial_timeout inputs")
Wanted.__new__.__defaults__ = (None, (), (), (), WATCHDOG, 60, 2.0, None)


def verdict(clusters, seen, dials, monitor, **wanted):
    """Everything that is wrong.

    dials: {target: (kind, detail)} as `dial.dial_all` gives them
    monitor: the name of this monitoring host, used in the lines
    wanted: fields of `Wanted`

    Returns {"failures": [{cluster, node, check, reason, fix, line}], "notes": [{cluster, node, note}],
    "counts": {...}, "to_dial": [target, ...]}.
    to_dial: targets that are not up and matter; dial them and judge again for the reasons.
    """
    judge = Judge(clusters, seen, dials, monitor, Wanted(**wanted))
    judge.judge_monitor()
    judge.judge_registered()
    for cluster, data in sorted(select(clusters, judge.wanted.only).items()):
        judge.judge_cluster(cluster, data)
    return judge.result()


class Judge(object):
    """Collects what is wrong, noteworthy and countable: of the monitoring host, then cluster by cluster and host by host."""

    def __init__(self, clusters, seen, dials, monitor, wanted):
        self.clusters, self.seen, self.dials, self.monitor, self.wanted = clusters, seen, dials, monitor, wanted
        self.storage = not seen["storage_error"]
        self.scraped = set(key[0] for key in seen["up"]) if self.storage else set()
        self.recorded = set(key[0] for key in seen["devices"])
        self.vendors = sorted(set(key[2] for key in seen["devices"]))
        self.failures, self.notes, self.to_dial, self.blind, self.of_kinds = [], [], set(), {}, {}
        self.counts = dict.fromkeys(
            ("nodes", "fine", "maintenance", "retired", "pending", "targets", "targets_up", "accelerators_expected", "accelerators_fresh"), 0)

    def result(self):
        """What `verdict` returns."""
        self.notes.sort(key=lambda item: (item["cluster"], natural(item["node"]), item["note"]))
        return {"failures": finish(self.failures, len(self.clusters) > 1), "notes": self.notes, "counts": self.counts,
                "to_dial": sorted(self.to_dial)}

    def fail(self, cluster, node, check, reason, fix):
        """Add a failure."""
        self.failures.append(failure(cluster, node, check, reason, fix))

    def note(self, cluster, node, text):
        """Add a note."""
        self.notes.append({"cluster": cluster, "node": node, "note": text})

    def judge_monitor(self):
        """The services of the monitoring host, and its registry."""
        for cluster, reason, fix in self.wanted.registry_problems or ():
            self.fail(cluster, self.monitor, "registry", reason, fix)
        error, watchdog = self.seen["storage_error"], self.wanted.watchdog
        if error:
            self.fail("", self.monitor, "storage", error, "%s; until then no node can be checked" % service_fix(error, self.monitor))
        else:
            self.failures += generation_failures(self.clusters, self.seen, self.monitor)
            if not self.seen["up"] and any(has_targets(data) for data in self.clusters.values()):
                # Where nothing is scraped the watchdog ends: that is one cause, and told as the scraper's.
                watchdog = ""
        self.failures += rules_failures(self.seen, self.monitor, self.wanted.rule_groups, watchdog)
        self.failures += alertmanager_failures(self.seen, self.monitor, watchdog)
        if self.seen["grafana"]:
            self.fail("", self.monitor, "grafana", self.seen["grafana"], service_fix(self.seen["grafana"], self.monitor))
        self.failures += access_failures(self.seen, self.monitor)

    def judge_registered(self):
        """Hosts of the inventory that the registry lacks."""
        if self.wanted.registry_problems:
            return  # without a readable registry every name would be missing: that is one cause, and already told
        registered = set(node for data in self.clusters.values() for node, _host in present_hosts(data))
        for node in set(self.wanted.inventory_hosts or ()) - registered:
            self.fail("", node, "registered", "in the inventory, but not in the registry of %s" % self.monitor, "run site.yml --limit %s" % node)

    def judge_cluster(self, cluster, data):
        """The hosts of one cluster, and what they have in common."""
        blind, unrecorded, self.blind = {}, 0, {}
        self.of_kinds = readings_by_kind(cluster, data["hosts"], self.seen)
        for node, host in data["hosts"].items():
            if host["status"] == "replaced":
                self.note(cluster, node, "replaced by %s; prune.yml removes it from the registry" % replacement(cluster, host))
                continue
            for vendor, count in unmonitored_devices(host).items():
                blind.setdefault(vendor, []).append((node, count))
            unrecorded += self.judge_host(cluster, node, host)
        for vendor in sorted(blind):
            self.notes.append(blind_note(cluster, vendor, blind[vendor]))
        self.notes += input_notes(cluster, self.blind)
        if self.storage and cluster not in self.scraped and has_targets(data):
            self.fail(cluster, self.monitor, "scraper", "no target of cluster %s is scraped" % cluster,
                      "check that the scraper on %s is running, reads its targets and can write to the storage" % self.monitor)
        if unrecorded:
            self.fail(cluster, self.monitor, "recording",
                      "the recording layer has no accelerators for cluster %s, although nodes have some (%d)" % (cluster, unrecorded),
                      "check the rule evaluator on %s; after a fresh start, wait for two evaluations" % self.monitor)

    def judge_host(self, cluster, node, host):
        """One host. Returns whether nothing is wrong with it but that none of its accelerators is recorded, as in the whole cluster."""
        status, scraped = host["status"], cluster in self.scraped
        self.count(host)
        found = self.scraped_failures(cluster, node, host) if scraped else []
        missing_layer = (scraped and status != "pending" and cluster not in self.recorded and not found
                         and any(expected_devices(host).values()))
        if status == "active" and scraped and not found:
            self.blind[node] = blind_on(cluster, node, host, self.seen, self.wanted.inputs, self.of_kinds)
            found = input_failures(cluster, node, self.blind[node])
        found += open_failures(cluster, node, host, self.seen)
        found, notes = _with_status(status, cluster, node, found)
        self.failures += found
        self.notes += notes
        if status != "active":
            return False
        if scraped and not found and not missing_layer:
            self.counts["fine"] += 1
        return missing_layer

    def count(self, host):
        """Add what the registry knows of a host to the sums."""
        self.counts["nodes"] += 1
        self.counts["targets"] += len(exporter_targets(host))
        self.counts["accelerators_expected"] += sum(expected_devices(host).values())
        if host["status"] in self.counts:
            self.counts[host["status"]] += 1

    def scraped_failures(self, cluster, node, host):
        """What is wrong with the targets and devices of a host whose cluster is scraped."""
        seen, expected, status = self.seen, expected_devices(host), host["status"]
        down = down_targets(cluster, node, host, seen["up"])
        self.counts["targets_up"] += len(host["exporters"]) - len(down)
        self.counts["accelerators_fresh"] += sum(
            min(count, seen["devices"].get((cluster, node, vendor), 0)) for vendor, count in expected.items())
        # Nobody waits for a host in maintenance or retired: what is wrong there is not worth a call.
        dialled = status in ("active", "pending")
        if dialled:
            self.to_dial.update(target for _job, target, _scraped in down)
        found = target_failures(cluster, node, down, self.dials if dialled else {}, self.monitor, self.wanted.dial_timeout, stands_by(host))
        if status == "pending":
            return found
        down_jobs = set(job for job, _target, _scraped in down)
        found += device_failures(cluster, node, host, seen, down_jobs, self.wanted.collector_limit, cluster in self.recorded)
        self.notes += _surplus_notes(cluster, node, expected, seen, self.vendors)
        return (found or series_failures(cluster, node, host, seen)) + job_failures(cluster, node, seen)


def has_targets(data):
    """Whether a cluster has anything to scrape."""
    return any(host["exporters"] for _node, host in present_hosts(data))


def report(result):
    """The verdict as text: a summary, one line for each failure, one for each note."""
    counts = result["counts"]
    failures = result["failures"]
    lines = ["%s: %d of %d nodes fine, %d of %d targets up, %d of %d accelerators fresh" % (
        "%d failure%s" % (len(failures), "" if len(failures) == 1 else "s") if failures else "all is well",
        counts["fine"], counts["nodes"], counts["targets_up"], counts["targets"],
        counts["accelerators_fresh"], counts["accelerators_expected"])]
    lines += [item["line"] for item in failures]
    lines += ["note: %s: %s" % (item["node"], item["note"]) for item in result["notes"]]
    return "\n".join(lines)


# ---- the status table ----


def status_rows(clusters, seen, only=None):
    """One row for each registered node.

    Row: {cluster, node, address, state, accelerators: {vendor: {"seen": n or None, "expected": n, "unmonitored"?: n,
    "source"?: the source in charge, "standby"?: [sources that could be]}},
    exporters: {job: up | down | unknown}, alerts: [name], health?: [{vendor, index, score}], drain?: {action, cause, why},
    problem: bool}
    state: active, maintenance, retired, pending, replaced ("replaced_by": by which host), or down: active, with exporters and none of them up
    health has the devices whose health score is below 100, the worst first
    unmonitored counts the recorded devices that no exporter of the host reads; they are not among the expected ones
    seen is None and exporters are unknown while the storage cannot be asked. seen is also None where no rules are evaluated and nothing is recorded
    of a whole cluster: then it is the recording that is missing.
    Rows are sorted by cluster and node.
    """
    firing = {}
    for labels in labels_of(seen["firing"]):
        if labels.get("node"):
            firing.setdefault((labels.get("cluster", ""), labels["node"]), set()).add(labels.get("alertname", ""))
    rows, told = [], evaluated(seen)
    recorded = set(key[0] for key in seen["devices"])
    for cluster, data in sorted(select(clusters, only).items()):
        for node in sorted(data["hosts"], key=natural):
            host = data["hosts"][node]
            row = {"cluster": cluster, "node": node, "address": host["address"], "state": host["status"], "accelerators": {}, "exporters": {}, "alerts": []}
            if host["status"] == "replaced":
                rows.append(dict(row, replaced_by=replacement(cluster, host), problem=True))
                continue
            row["accelerators"] = accelerator_cells(cluster, node, host, seen, told or cluster in recorded)
            row["exporters"] = exporter_cells(cluster, node, host, seen)
            if row["state"] == "active" and row["exporters"] and set(row["exporters"].values()) == set(["down"]):
                row["state"] = "down"
            row["alerts"] = sorted(firing.get((cluster, node), set()) | firing.get(("", node), set()))
            if (cluster, node) in seen["health"]:
                row["health"] = sorted(seen["health"][cluster, node], key=lambda one: (one["score"], one["vendor"], natural(one["index"])))
            if (cluster, node) in seen["drains"]:
                row["drain"] = seen["drains"][cluster, node]
            row["problem"] = _rank(row) < _RANK_MAINTENANCE
            rows.append(row)
    return rows


def accelerator_cells(cluster, node, host, seen, recorded):
    """What a row says of each vendor's devices; recorded: whether one that is not recorded is not there."""
    expected = expected_devices(host)
    cells = {}
    for vendor in sorted(set(expected) | set(key[2] for key in seen["devices"])):
        count = seen["devices"].get((cluster, node, vendor), 0)
        if expected.get(vendor, 0) or count:
            cells[vendor] = {"seen": None if seen["storage_error"] or not recorded else count, "expected": expected.get(vendor, 0)}
            cells[vendor].update(sources_of(host, vendor))
    for vendor, count in unmonitored_devices(host).items():
        cells.setdefault(vendor, {"seen": 0, "expected": 0})["unmonitored"] = count
    return cells


def shortfall(state, cell):
    """How many devices of a vendor a node shows too few, from its state and the cell; None if unknown, and 0 where nobody expects them now."""
    if cell["seen"] is None:
        return None
    return 0 if state in ("maintenance", "retired") else max(0, cell["expected"] - cell["seen"])


def exporter_cells(cluster, node, host, seen):
    """What a row says of each job; of two targets of one job, the worse one."""
    cells = {}
    for job, _target, name in exporter_targets(host):
        state = "unknown" if seen["storage_error"] else "up" if seen["up"].get((cluster, node, job, name)) else "down"
        if cells.get(job) != "down":
            cells[job] = state
    return cells


_RANK_MAINTENANCE = 4


def _rank(row):
    """How bad a row is: 0 is worst."""
    order = {"down": 0, "pending": 1, "retired": 3, "replaced": 3, "maintenance": _RANK_MAINTENANCE}
    if row["state"] in order:
        return order[row["state"]]
    if _lacks(row) or row["alerts"] or "down" in row["exporters"].values():
        return 2
    return 5


def evaluated(seen):
    """Whether rules are evaluated, which the alert tells that always fires."""
    return any(labels.get("alertname") == WATCHDOG for labels in labels_of(seen["firing"]))


def labels_of(firing):
    """[labels] of alerts."""
    return [alert["labels"] for alert in firing]


def worst_first(rows):
    """The rows sorted by how bad they are, then by cluster and node."""
    return sorted(rows, key=lambda row: (_rank(row), row["cluster"], natural(row["node"])))


def fleet_alerts(clusters, seen):
    """Firing alerts that belong to no registered node: their names, and in parentheses the host that they are about, such as a monitoring host.

    Watchdog always fires and says nothing.
    """
    registered = set(node for data in clusters.values() for node in data["hosts"])
    return sorted(set(
        labels.get("alertname", "") + (" (%s)" % labels["node"] if labels.get("node") else "") for labels in labels_of(seen["firing"])
        if labels.get("node") not in registered and labels.get("alertname") != WATCHDOG))


# What to do about rows of the status table: (what is the matter, whether it is with a row, what to do).
ADVICE = (
    ("down", lambda row: row["state"] == "down", "run verify.yml to learn why"),
    ("never reached", lambda row: row["state"] == "pending", "make it reachable for Ansible, then run site.yml for it"),
    ("an exporter is down", lambda row: row["state"] == "active" and "down" in row["exporters"].values(), "run verify.yml to learn why"),
    ("fewer accelerators than expected", lambda row: row["state"] == "active" and _lacks(row),
     "run verify.yml to see which are gone; repair them, or accept it with accept_devices.yml"),
    ("accelerators that no exporter reads", lambda row: any("unmonitored" in item for item in row["accelerators"].values()),
     "name an exporter that reads them in accelmon_exporters, or set it to auto"),
    ("in maintenance", lambda row: row["state"] == "maintenance", "set accelmon_state to active when it is back"),
    ("retired", lambda row: row["state"] == "retired", "put it back into the inventory, or run prune.yml"),
    ("replaced", lambda row: row["state"] == "replaced", "run prune.yml to forget it"),
)


def _lacks(row):
    """Whether fewer devices are seen than expected."""
    return any(item["seen"] is not None and item["seen"] < item["expected"] for item in row["accelerators"].values())


def advice(rows):
    """[one line for each thing that is the matter with rows]: who they are, and what to do."""
    lines = []
    for what, fits, fix in ADVICE:
        nodes = sorted(set(row["node"] for row in rows if fits(row)), key=natural)
        if nodes:
            named = listing(nodes) if len(nodes) < 4 else "%s and %d more" % (", ".join(nodes[:3]), len(nodes) - 3)
            lines.append("%s: %s; %s" % (named, what, fix))
    return lines


def totals(rows):
    """Sums over the rows: {nodes, states: {state: n}, accelerators: {vendor: {seen, expected}}, alerts: n}."""
    states = {}
    accelerators = {}
    for row in rows:
        states[row["state"]] = states.get(row["state"], 0) + 1
        for vendor, item in row["accelerators"].items():
            entry = accelerators.setdefault(vendor, {"seen": 0, "expected": 0})
            entry["expected"] += item["expected"]
            if "unmonitored" in item:
                entry["unmonitored"] = entry.get("unmonitored", 0) + item["unmonitored"]
            if item["seen"] is None:
                entry["seen"] = None
            elif entry["seen"] is not None:
                entry["seen"] += item["seen"]
    return {
        "nodes": len(rows), "states": states, "accelerators": accelerators,
        "alerts": sum(len(row["alerts"]) for row in rows),
    }


def accelerator_words(accelerators):
    """ "nvidia 7/8, amd 4/4", "nvidia ?/8" while nothing is known, "furiosa 2 (not monitored)", "-" for none.

    Of a node also by which source: "nvidia 7/8 dcgm (standby all_smi)".
    """
    words = []
    for vendor, item in sorted(accelerators.items()):
        if item["expected"] or item["seen"] or not item.get("unmonitored"):
            words.append("%s %s/%d" % (vendor, "?" if item["seen"] is None else item["seen"], item["expected"])
                         + (" " + item["source"] if item.get("source") else "")
                         + (" (standby %s)" % " ".join(item["standby"]) if item.get("standby") else ""))
        if item.get("unmonitored"):
            words.append("%s %d (not monitored)" % (vendor, item["unmonitored"]))
    return ", ".join(words) or "-"


def health_words(row):
    """ "0 (nvidia 3), 70 (nvidia 5)": the health of the worst devices of a node; "-" if none is known to be unwell."""
    found = row.get("health", [])
    words = ["%d (%s %s)" % (one["score"], one["vendor"], one["index"]) for one in found[:HEALTH_WORDS]]
    return ", ".join(words + ["%d more" % (len(found) - HEALTH_WORDS)] * (len(found) > HEALTH_WORDS)) or "-"


# What a Slurm controller says about draining a node, by the action that it names.
DRAIN_WORDS = {"drain": "drained", "kept": "drained", "observe": "would be drained", "blocked": "not drained", "left": "left alone", "failed": "drain failed"}


def drain_words(row):
    """ "not drained: error (mass)": what a Slurm controller decides about a node; "-" if it has no reason to drain it."""
    if "drain" not in row:
        return "-"
    drain = row["drain"]
    words = "%s: %s" % (DRAIN_WORDS.get(drain["action"], drain["action"]), drain["cause"])
    return words + " (%s)" % drain["why"] if drain["why"] else words


def table(rows):
    """The rows as aligned text, without blanks at the ends of lines. Columns CLUSTER if there are several, HEALTH if a device is unwell, and SLURM if
    a node is, or should be, drained."""
    several = len(set(row["cluster"] for row in rows)) > 1
    cells = [["NODE", "ADDRESS", "ACCELERATORS", "EXPORTERS", "STATE", "ALERTS"]]
    for row in rows:
        cells.append([
            row["node"], row["address"], accelerator_words(row["accelerators"]),
            ", ".join("%s %s" % item for item in sorted(row["exporters"].items())) or "-",
            row["state"] + (" by %s" % row["replaced_by"] if "replaced_by" in row else ""), ", ".join(row["alerts"]) or "-",
        ])
    for key, title, words_of in (("health", "HEALTH", health_words), ("drain", "SLURM", drain_words)):
        if any(key in row for row in rows):
            for line, words in zip(cells, [title] + [words_of(row) for row in rows]):
                line.insert(-1, words)
    if several:
        for line, row in zip(cells, [{"cluster": "CLUSTER"}] + list(rows)):
            line.insert(0, row["cluster"])
    return aligned(cells)


def totals_line(summary):
    """ "4 nodes: 3 active, 1 down; accelerators nvidia 15/16; 2 alerts"."""
    states = ", ".join("%d %s" % (summary["states"][name], name) for name in sorted(summary["states"]))
    words = "%d node%s%s" % (summary["nodes"], "" if summary["nodes"] == 1 else "s", ": " + states if states else "")
    if summary["accelerators"]:
        words += "; accelerators " + accelerator_words(summary["accelerators"])
    return "%s; %d alert%s" % (words, summary["alerts"], "" if summary["alerts"] == 1 else "s")
