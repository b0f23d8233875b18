# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules share that ask about the fleet: their options, registry files, storage and rule evaluator."""
import errno
import os
import time

from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import choices, query, registry, verdict
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.client import Access
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds, seconds

DAY = 86400

ACCESS_ARGUMENTS = dict(
    query_timeout=dict(type="int", default=15),
    password_file=dict(type="path", default=paths.STACK_PASSWORD, no_log=False),
    ca_file=dict(type="path", default=paths.CA),
)
STORAGE_ARGUMENTS = dict(
    ACCESS_ARGUMENTS,
    clusters=dict(type="list", elements="str", default=[]),
    hosts=dict(type="list", elements="str"),
    storage_url=dict(type="str", default="http://127.0.0.1:8428"),
    storage_access=dict(type="dict", default={}),
)
ARGUMENTS = dict(
    STORAGE_ARGUMENTS,
    state_dir=dict(type="path", default=paths.REGISTRY),
    rules_url=dict(type="str", default="http://127.0.0.1:8880"),
    interval=dict(type="str", default="15s"),
    fresh_intervals=dict(type="int", default=3),
    recording_delay=dict(type="int", default=30),
)


def stack_access(params):
    """The access to services of the stack, on this host and on others."""
    return Access(params["password_file"], params["ca_file"], names=False)


def storage_access(params):
    """The access to the storage. One of the site's own gets its own user and password, and never those of the stack."""
    own = params.get("storage_access")
    return Access(own["password_file"], user=own["user"]) if own else stack_access(params)


def asking(params):
    """(ask, ask_range) of the storage: functions of (expression, moment), now by default, and of (expression, start, end, step), as in query.py."""
    url, timeout, access = params["storage_url"], params["query_timeout"], storage_access(params)

    def ask(expression, moment=None):
        return query.instant_query(url, expression, timeout, moment, access)

    def ask_range(expression, start, end, step):
        return query.range_query(url, expression, timeout, start, end, step, access)
    return ask, ask_range


def read_registry(state_dir, names):
    """(clusters, problems): the registry files of the named clusters, of all if `names` is empty.

    clusters: {cluster: registry}
    problems: [(cluster or "", reason, fix)] for what could not be read
    """
    if not names:
        try:
            names = registry.clusters(state_dir)
        except OSError as error:
            return {}, [("", "cannot read the registry %s: %s" % (state_dir, _os_words(error)), _os_fix(error))]
        if not names:
            return {}, [("", "the registry %s is empty" % state_dir, "run site.yml")]
    clusters, problems = {}, []
    for name in names:
        path = os.path.join(state_dir, name + ".json")
        try:
            found = registry.read(path, name)
            if found is None:
                raise Failure("cannot read the registry file %s: no such file or directory; run site.yml" % path)
            clusters[name] = found
        except EnvironmentError as error:
            problems.append((name, "cannot read the registry file %s: %s" % (path, _os_words(error)), _os_fix(error)))
        except Failure as error:
            reason, _semicolon, fix = str(error).rpartition("; ")
            problems.append((name, reason, fix))
    return clusters, problems


def read_choices(folder, now):
    """(choices that hold, problems): what somebody chose instead of the inventory; a problem is one line."""
    try:
        return choices.listing(choices.read(folder), now), []
    except EnvironmentError as error:
        return [], ["cannot read the choices in %s: %s; %s" % (folder, _os_words(error), _os_fix(error))]
    except Failure as error:
        return [], [str(error)]


def _os_words(error):
    return (error.strerror or str(error)).lower()


def _os_fix(error):
    if error.errno == errno.ENOENT:
        return "run site.yml"
    return "run as root (become: true)" if error.errno in (errno.EACCES, errno.EPERM) else "check the file and the kernel log on that host"


def fresh_devices(clusters, window, extra=""):
    """PromQL: recorded devices whose newest sample is younger than `window` seconds and not marked as gone."""
    selector = "accelerator_info{%s%s}" % (query.matcher("cluster", clusters), extra)
    return "%s and last_over_time(%s[%ds])" % (selector, selector, window)


def windows(params):
    """(seconds that a scraped sample may be old, seconds that a recorded one may be old)."""
    try:
        if not milliseconds(params["interval"]):
            raise ValueError("must be more than 0s")
        scraped = seconds(params["interval"]) * params["fresh_intervals"]
    except ValueError as error:
        raise ValueError("interval = %s: %s" % (params["interval"], error))
    return scraped, scraped + params["recording_delay"]


def collector_age(where, window):
    """PromQL: seconds since the last success of each textfile collector in charge of a vendor, when it was last scraped.

    Measured by the node's own clock, so that a wrong one does no harm; by ours where node_exporter does not tell its time.
    """
    return (
        "(max by (cluster, node) (last_over_time(node_time_seconds{{job=\"node_exporter\",{where}}}[{window}s]))"
        " or on (cluster, node) (0 * max by (cluster, node) (last_over_time(up{{job=\"node_exporter\",{where}}}[{window}s])) + time()))"
        " - on (cluster, node) group_right () max by (cluster, node, vendor) (last_over_time("
        "accelmon_collector_last_success_timestamp_seconds{{source=\"textfile\",{where}}}[{window}s]))"
    ).format(where=where, window=window)


def job_files(ask, where, window):
    """{(cluster, node): {problem: (number of owner files, [names of some])}} of what has been wrong with owner files of jobs for five minutes.

    What is right a moment later, as after a start of slurmd, is nothing to report.
    """
    files = 'accelmon_collector_job_files{source="textfile",result!="read",%s}' % where
    wrong = "max by (cluster, node, result) (min_over_time(%s[%ds]) and last_over_time(%s[%ds])) > 0" % (files, max(window, 300), files, window)
    names = 'last_over_time(accelmon_collector_job_file_problem{source="textfile",%s}[%ds])' % (where, window)
    named, found = {}, {}
    for labels, _value in ask(names):
        named.setdefault((labels.get("cluster"), labels.get("node"), labels.get("problem")), []).append(query.one_line(labels.get("file", ""), 64))
    for labels, value in ask(wrong):
        key, problem = (labels.get("cluster"), labels.get("node")), labels.get("result")
        found.setdefault(key, {})[problem] = (int(value), sorted(named.get(key + (problem,), ()), key=verdict.natural))
    return found


def sick_devices(where, window):
    """PromQL: the health score of each device that is not perfect."""
    # Scores are recorded once a minute. Of a host that has come to another rack, both are there for a while.
    return "min by (cluster, node, vendor, index, uuid) (last_over_time(accelerator_health_score{%s}[%ds])) < 100" % (where, max(window, 150))


def observe(params, clusters, rules=False, alerts=False, details=True, health=False):
    """The `seen` of verdict.empty_seen, for these clusters.

    params: the module's parameters; rules, alerts: ask the rule evaluator for them
    details: collectors, owner files and generations too; health: health scores, and what a Slurm controller decides about draining, too
    """
    seen = verdict.empty_seen()
    timeout, access = params["query_timeout"], stack_access(params)
    scraped, recorded = windows(params)
    where = query.matcher("cluster", clusters)
    ask = asking(params)[0]

    try:
        for labels, value in ask("last_over_time(up{%s}[%ds])" % (where, scraped)):
            key = (labels.get("cluster"), labels.get("node"), labels.get("job"), labels.get("instance"))
            # Two scrapers of one target: it is up if one of them reaches it.
            seen["up"][key] = seen["up"].get(key, False) or value == 1
        devices = "count by (cluster, node, vendor) (count by (cluster, node, vendor, index, uuid) (%s))"
        for labels, value in ask(devices % fresh_devices(clusters, recorded)):
            seen["devices"][(labels.get("cluster"), labels.get("node"), labels.get("vendor"))] = int(value)
        if details:
            for labels, value in ask(collector_age(where, scraped)):
                seen["collector_age"][(labels.get("cluster"), labels.get("node"), labels.get("vendor"))] = value
            seen["job_files"] = job_files(ask, where, scraped)
            for labels, value in ask("last_over_time(accelmon_fleet_generation{%s}[%ds])" % (where, scraped)):
                seen["generations"].setdefault(labels.get("cluster"), set()).add(int(value))
        if health:
            for labels, value in ask(sick_devices(where, recorded)):
                seen["health"].setdefault((labels.get("cluster"), labels.get("node")), []).append({
                    "vendor": labels.get("vendor", ""), "index": labels.get("index", ""), "score": int(value)})
            for labels, _value in ask('last_over_time(slurm_node_drain_decision_info{job="slurm_collector",%s}[%ds])' % (where, scraped)):
                seen["drains"][labels.get("cluster"), labels.get("node")] = dict((word, labels.get(word, "")) for word in ("action", "cause", "why"))
    except Failure as error:
        seen["storage_error"] = str(error)
    if rules:
        try:
            seen["groups"] = query.rule_groups(params["rules_url"], timeout, access)
        except Failure as error:
            seen["rules_error"] = str(error)
    if alerts:
        try:
            seen["firing"] = query.firing(params["rules_url"], timeout, access)
        except Failure as error:
            seen["rules_error"] = str(error)
            seen["firing"] = _recorded_alerts(ask, recorded) if not seen["storage_error"] else []
    return seen


def status(params, health=True):
    """(clusters, seen, rows of nodes, [what could be better], [what could not be read or asked]) of the fleet.

    health: whether rows say which devices are not well, and which nodes are drained for that; the report asks for all scores itself
    """
    clusters, unread = read_registry(params["state_dir"], params["clusters"])
    seen = observe(params, clusters, alerts=True, details=False, health=health)
    problems = ["%s; %s" % (reason, fix) for _cluster, reason, fix in unread]
    problems += [seen[key] for key in ("storage_error", "rules_error") if seen[key]]
    rows = verdict.status_rows(clusters, seen, params["hosts"])
    notes = verdict.advice(rows) + registry.better_sources(verdict.select(clusters, params["hosts"]))
    return clusters, seen, rows, notes, problems


def unrecorded(params, clusters, series):
    """{(cluster, node, vendor): [names]} of series that a source told a while ago and that are not recorded now.

    series: [{"name", "recorded": selector, "told": expression}]
    """
    _scraped, window = windows(params)
    now, ask = time.time(), asking(params)[0]

    def keys(expression, moment):
        return set((labels.get("cluster"), labels.get("node"), labels.get("vendor")) for labels, _value in ask(expression, moment))
    found = {}
    for item in series:
        lacking = keys(item["told"], now - window) - keys(
            "count by (cluster, node, vendor) (last_over_time(%s[%ds]))" % (item["recorded"], window), now)
        for key in lacking:
            if key[0] in clusters and item["name"] not in found.setdefault(key, []):
                found[key].append(item["name"])
    return found


def present_readings(params, clusters, inputs):
    """{(cluster, node, vendor): set of readings that a device there has}; inputs: see inputs.py."""
    ask, found = asking(params)[0], {}
    for name, reading in sorted(inputs.get("readings", {}).items()):
        for labels, _value in ask(reading["present"]):
            if labels.get("cluster") in clusters:
                found.setdefault((labels.get("cluster"), labels.get("node"), labels.get("vendor")), set()).add(name)
    return found


def arrivals(params):
    """[(url, error or None, whether the watchdog arrived)] of the programs that receive the alerts."""
    found = []
    for url in params["alertmanager_urls"]:
        error, arrived = None, not params["watchdog"]
        try:
            arrived = bool(query.received_alerts(url, params["watchdog"] or "Watchdog", params["query_timeout"], stack_access(params))) or arrived
        except Failure as problem:
            error = str(problem)
        found.append((url, error, arrived))
    return found


def grafana_error(params):
    """What is wrong with this host's Grafana, which says itself whether its database answers; None where it works or there is none."""
    url = params["stack_urls"].get("grafana")
    try:
        return query.grafana_health(url, params["query_timeout"], Access(ca_file=params["ca_file"], names=False)) if url else None
    except Failure as problem:
        return str(problem)


def _recorded_alerts(ask, window):
    """The same as `query.firing` as the evaluator wrote it into the storage, without texts: the last that is known while it is away."""
    try:
        firing = ask('last_over_time(ALERTS{alertstate="firing"}[%ds])' % window)
    except Failure:
        return []  # that the evaluator is away is already told
    return [{"labels": labels, "annotations": {}, "since": ""} for labels, value in firing if value == 1]


def findings(params, clusters):
    """What fires on each node now, and the errors of its devices within the last day, as far as both can be queried.

    clusters: {cluster: registry} of the nodes to look at
    {(cluster, node): {"alerts": [{alert, severity, since, summary, action}], "errors": [{kind, code, last, count, pci_bus_id?, index?, uuid?}]}}
    last: seconds since the epoch, None of an error that only an exporter saw
    """
    found = dict(((cluster, node), {"alerts": [], "errors": []}) for cluster, data in clusters.items() for node in data["hosts"])
    for alert in query.firing(params["rules_url"], params["query_timeout"], stack_access(params)):
        labels, texts = alert["labels"], alert["annotations"]
        node = (labels.get("cluster"), labels.get("node"))
        if node in found:
            found[node]["alerts"].append({
                "alert": labels.get("alertname", ""), "severity": labels.get("severity", ""), "since": alert["since"],
                "summary": texts.get("summary", ""), "action": texts.get("action", "")})
    for event, one in device_errors(params, clusters).items():
        if event[:2] in found:
            found[event[:2]]["errors"].append(one)
    for one in found.values():
        one["alerts"].sort(key=lambda alert: (alert["since"], alert["alert"]))
        one["errors"].sort(key=lambda error: (-(error["last"] or 0), error["kind"], verdict.natural(error["code"])))
    return found


def device_errors(params, clusters):
    """{(cluster, node, vendor, address, kind, code): error} of the last day, each as `findings` has it."""
    ask, last, errors = asking(params)[0], {}, {}
    for event, dummy, value in error_samples(ask, clusters, "accelerator_error_last_timestamp_seconds"):
        last[event] = max(value, last.get(event, 0))
    for event, labels, value in error_samples(ask, clusters, "accelerator_errors_total"):
        # Within a day a host may have had two racks, and a device two sources: whose count is higher has seen all of it.
        if last.get(event, time.time()) > time.time() - DAY and (event not in errors or value > errors[event]["count"]):
            device = dict((label, labels[label]) for label in ("pci_bus_id", "index", "uuid") if label in labels)
            errors[event] = dict(device, kind=event[4], code=event[5], count=int(value), last=last.get(event))
    return errors


def error_samples(ask, clusters, name):
    """(event, labels, value) of each series of this name within the last day."""
    for cluster in sorted(cluster for cluster, data in clusters.items() if data["hosts"]):
        where = query.matcher("cluster", [cluster]) + "," + query.matcher("node", clusters[cluster]["hosts"])
        expression = "last_over_time(%s{%s}[1d])" % (name, where)
        for labels, value in ask(expression):
            yield tuple(labels.get(label, "") for label in ("cluster", "node", "vendor", "pci_bus_id", "kind", "code")), labels, value


def lost_devices(params, keys):
    """{(cluster, node, vendor): [words]} of devices recorded within the last day that are not fresh now.

    keys: set of (cluster, node) to look at
    """
    _scraped, recorded = windows(params)
    ask, by_cluster = asking(params)[0], {}
    for cluster, node in keys:
        by_cluster.setdefault(cluster, set()).add(node)
    found = {}
    for cluster in sorted(by_cluster):
        nodes = ", " + query.matcher("node", by_cluster[cluster])
        selector = "accelerator_info{%s%s}" % (query.matcher("cluster", [cluster]), nodes)
        # A driver that has lost one device may number the others anew: they are known by what does not change.
        expression = "last_over_time(%s[1d]) unless on (cluster, node, vendor, index, uuid) (%s) unless on (cluster, node, vendor, uuid) (%s)" % (
            selector, fresh_devices([cluster], recorded, nodes), fresh_devices([cluster], recorded, nodes + ', uuid!=""'))
        for labels, _value in ask(expression):
            key = (labels.get("cluster"), labels.get("node"), labels.get("vendor"))
            words = "index %s" % labels.get("index", "?")
            identity = labels.get("uuid") or labels.get("serial")
            found.setdefault(key, set()).add(words + " (%s)" % identity if identity else words)
    return dict((key, sorted(words, key=verdict.natural)) for key, words in found.items())
