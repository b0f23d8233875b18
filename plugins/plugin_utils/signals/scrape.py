# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scrape configuration of vmagent and of Prometheus: jobs, access, and identity written by relabelling.

Targets are in files of the registry; only jobs and relabelling are here, so that this file changes with the
configuration of the collection and never with the fleet.
"""

import re

from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.module_utils.detect.ids import GENERIC
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import limits, reserved, rollups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import closest, dump, load, plain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.stack import NAME, USER

BACKENDS = tuple(backend.scraper for backend in stack.BACKENDS.values())
DEFAULTS = {
    "backend": "vmagent",
    "scrape_interval": "15s",
    "scrape_timeout": None,
    "targets_dir": paths.TARGETS,
    "node_exporter": None,
    "node_exporter_path": "/metrics",
    "node_exporter_scheme": "http",
    "exporter_tls": False,
    "exporter_password_file": None,
    "stack": {},
    "elsewhere": [],
    "shard": {},
    "stack_password_file": None,
    "alertmanagers": [],
    "global_place": [],
    "rule_files": [],
    "limits": {},
    "cluster": None,
    "node": None,
    "pair": False,
}
LONGEST_TIMEOUT = 10_000
HOST_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[^\s:/\[\]]+):(\d{1,5})\Z")
JOB = re.compile(r"[a-z][a-z0-9_]*\Z")
HOST_NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"
OWN_JOBS = tuple(dict.fromkeys(source["job"] for source in load("sources")["sources"].values())) + tuple(load("sources")["delegated"]) + (
    "custom", "accelmon_fleet", rollups.JOB)

# Series of the registry come from the monitoring host through a job of their own; no other exporter may speak for it.
REGISTRY = {"source_labels": ["__name__"], "regex": "|".join(load("sources")["registry"]), "action": "keep"}
REGISTRY_JOB = "accelmon_fleet"
# Where storages have the registries of several hosts, each tells the same series, but for how often it was written.
OWN_COUNT = "accelmon_fleet_generation"
ANYBODY = {"source_labels": ["__name__"], "regex": "|".join(name for name in load("sources")["registry"] if name != OWN_COUNT), "target_label": "instance",
           "replacement": ""}
# Labels that we alone write. A page's own gets the name that it would get beside a target's.
OUR_LABELS = ("source",)
# Labels of targets that not every target has: where it has none, a page may not choose it.
TARGET_LABELS = ("rack",)
# The parameter by which node_exporter shows the files of the textfile directory alone.
TEXTFILE_ONLY = {"params": {"collect[]": ["textfile"]}}
# Names of labels that only relabelling has; a page may try to bring them.
LAST_NAME, LET_THROUGH, OF_DEVICE = "__accelmon_name", "__accelmon_through", "__accelmon_device"
# A label of a target that no series gets.
SHARD = "__tmp_shard"
# The value of the last one for a source's series of devices. vmagent remembers every text that it matched for minutes: of names with the values of
# labels that would be each series of the fleet, of this with the values it is each device. And what begins with it and goes on with (.+) is not
# matched as an expression at all.
DEVICE = "1"
# A page may name a series twice, name{__name__="other"}. vmagent relabels by the first, VictoriaMetrics stores under the last.
ONE_NAME = [
    {"regex": "__name__", "action": "labelmap", "replacement": LAST_NAME},
    {"regex": "__name__", "action": "labeldrop"},
    {"source_labels": [LAST_NAME], "target_label": "__name__"},
    {"regex": LAST_NAME, "action": "labeldrop"},
]
# For every job: nobody leads a scrape elsewhere, or says when something was. Of a redirect the answer is that of another, which
# only this host may reach.
CAREFUL = {"follow_redirects": False, "honor_timestamps": False}


def timeout(interval, wanted=None):
    """The scrape timeout for an interval, both durations as text.

    Without a wanted one: 10 s, or four fifths of an interval that is not longer. Prometheus refuses a timeout longer
    than the interval and vmagent shortens it silently, so that a wanted one that is too long is an error here.
    """
    length = milliseconds(interval)
    if wanted is None:
        chosen = LONGEST_TIMEOUT if length > LONGEST_TIMEOUT else length * 4 // 5
        return f"{chosen // 1000}s" if chosen % 1000 == 0 else f"{chosen}ms"
    if milliseconds(wanted) >= length or not milliseconds(wanted):
        raise Problem(f"not between 0 and scrape_interval ({interval}); give a shorter one, or none", "scrape_timeout", wanted)
    return wanted


def checked(options):
    """The options with defaults filled in, in plain types; raises Problem for the first that is wrong."""
    given = plain(options)
    if not isinstance(given, dict):
        raise Problem(f"not a mapping; give a mapping with some of {', '.join(sorted(DEFAULTS))}", "the options", given)
    for name, value in given.items():
        if name not in DEFAULTS:
            raise Problem(f"no such option; {closest(name, DEFAULTS)}", name, value)
    chosen = {**DEFAULTS, **given}
    _check_backend(chosen)
    _check_times(chosen)
    if not str(chosen["targets_dir"]).startswith("/"):
        raise Problem("not an absolute path; give one", "targets_dir", chosen["targets_dir"])
    for name in ("cluster", "node"):
        if not isinstance(chosen[name], str) or not chosen[name]:
            raise Problem(f"not a name; give the {name} of the host that scrapes", name, chosen[name])
    if chosen["shard"] and not 0 <= chosen["shard"]["number"] < chosen["shard"]["members"] > chosen["shard"]["copies"] > 0:
        raise Problem("number must be less than members, and so must copies, which is at least 1", "shard", chosen["shard"])
    chosen["limits"] = _checked_limits(chosen["limits"])
    chosen["stack"] = _checked_stack(chosen["stack"])
    targets = {f"stack.{job}": service.get("target") for job, service in chosen["stack"].items()}
    targets.update((f"elsewhere.{service['job']} on {service['node']}", service.get("target")) for service in chosen["elsewhere"])
    for name, value in {"node_exporter": chosen["node_exporter"], **targets}.items():
        match = HOST_PORT.match(str(value))
        if not match or not 0 < int(match.group(1)) < 65536:
            raise Problem("not host:port; write for instance 127.0.0.1:9100 or [::1]:9100", name, value)
    return chosen


def _check_backend(chosen):
    """What reads the configuration, and options that it alone knows."""
    backend = chosen["backend"]
    if backend not in BACKENDS:
        raise Problem(f"no such backend; {closest(backend, BACKENDS)}", "backend", backend)
    for name in ("alertmanagers", "rule_files"):
        if chosen[name] and backend != "prometheus":
            raise Problem(f"{backend} knows none; leave it out, or set backend to prometheus", name, chosen[name])


def _check_times(chosen):
    """The interval, and the timeout where there is one; `timeout` knows how long that may be."""
    for name in ("scrape_interval", "scrape_timeout"):
        value = chosen[name]
        if name == "scrape_timeout" and value is None:
            continue
        try:
            length = milliseconds(value)
        except ValueError:
            length = None
        if length is None or (name == "scrape_interval" and not length):
            raise Problem("not a duration; write a number with a unit, for instance 15s", name, value)


def _checked_limits(given):
    """{job: series}."""
    if not isinstance(given, dict):
        raise Problem("not a mapping; give a mapping of job to a number of series", "limits", given)
    try:
        return limits.checked(given)
    except Problem as problem:
        raise Problem(problem, "limits", given) from None


def _checked_stack(given):
    """{job: {"target", ...}} of the services of the stack."""
    if not isinstance(given, dict):
        raise Problem("not a mapping; give a mapping of job to host:port", "stack", given)
    found = {job: target if isinstance(target, dict) else {"target": target} for job, target in given.items()}
    for job, service in found.items():
        if not JOB.match(str(job)) or job in OWN_JOBS:
            raise Problem(f"not a name that a job can have here; use small letters, digits and _, and none of {', '.join(OWN_JOBS)}",
                          f"stack.{job}", service.get("target"))
    return found


def copied(theirs, ours):
    """Relabelling: a label of the source's under our name, where it is there."""
    return {"source_labels": [OF_DEVICE, theirs], "regex": f"{DEVICE};(.+)", "target_label": ours, "replacement": "$1"}


def about_devices(spec, target, value):
    """Relabelling: a label that is not there yet, for the series that are about a device, by whichever of its keys is there."""
    # A sign that is no semicolon, said without [^;]: see sources.yml.
    return {"source_labels": [target, OF_DEVICE, *spec["keys"]], "regex": f";{DEVICE};.*[!-:<-~].*", "target_label": target, "replacement": value}


def vendors(spec, tables):
    """Relabelling: the vendor by the tables of its labels, the first pattern that fits."""
    rules = [{"source_labels": [OF_DEVICE, "vendor", label], "regex": f"{DEVICE};;{pattern}", "target_label": "vendor", "replacement": vendor}
             for label, table in spec["vendor_by"].items() for vendor, pattern in tables[table].items()]
    return rules + [about_devices(spec, "vendor", "unknown")]


def forgotten(spec, unknown):
    """Relabelling: a label by which a device is known, or a row is chosen, is taken away where it only says that its value is not known.

    Then it is as if it were not there: the next of its kind counts instead, and devices that share it are not one.
    """
    used = [*spec["keys"], *sum(spec["labels"].values(), []), *spec.get("further", ()), *([spec["parts"]] if "parts" in spec else [])]
    whose = sum((spec["labels"].get(ours, []) for ours in ("uuid", "serial", "pci_bus_id")), [])
    kinds = spec["labels"].get("model", [])[:-1]  # what names only a kind of devices stands back behind the next
    rules = []
    for label in dict.fromkeys(used):
        pattern = "|".join([unknown["any"]] + ([unknown["identity"]] if label in whose else []) + ([f"(?i:{GENERIC})"] if label in kinds else []))
        rules.append({"source_labels": [OF_DEVICE, label], "regex": f"{DEVICE};(?:{pattern})", "target_label": label, "replacement": ""})
    return rules


def identity(source, spec, catalogue):
    """Relabelling of one source's series: our labels beside its own, its name, and what is left out.

    It says whose a series is, and not whether it counts: which source is in charge is a series of the registry, as a device
    whose labels changed with that would be another device.
    """
    rules = [{"source_labels": ["__name__"], "regex": part["series"], "action": "drop"} for part in spec.get("drop", [])]
    rules += [{"source_labels": ["__name__"], "regex": theirs, "target_label": "__name__", "replacement": ours}
              for ours, theirs in spec.get("renamed", {}).items()]
    rules.append({"source_labels": ["__name__"], "regex": spec["devices"], "target_label": OF_DEVICE, "replacement": DEVICE})
    rules += forgotten(spec, catalogue["unknown"])
    if "pci" in spec:
        # As the kernel writes it: four digits of the domain, small letters. all-smi has it within its uuid.
        rules.append({"source_labels": [spec["pci"]], "regex": "(?:.*-)?(?:0000)?([0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}[.][0-7])",
                      "target_label": "pci_bus_id", "replacement": "$1"})
        rules.append({"source_labels": ["pci_bus_id"], "target_label": "pci_bus_id", "action": "lowercase"})
    for ours, theirs in spec["labels"].items():
        rules += [copied(label, ours) for label in reversed(theirs)]
    if "model" in spec["labels"]:
        rules.append({"source_labels": [OF_DEVICE, "model"], "regex": f"{DEVICE};(?i:{GENERIC})", "target_label": "model", "replacement": ""})
    rules.append(about_devices(spec, "source", source))
    if "own" in spec:
        rules.append({"source_labels": ["__name__"], "regex": spec["own"], "target_label": "source", "replacement": source})
    if "vendor" in spec:
        rules.append(about_devices(spec, "vendor", spec["vendor"]))
    if "vendor_by" in spec:
        rules += vendors(spec, catalogue)
    rules.append({"regex": "|".join([OF_DEVICE, *(part["label"] for part in spec.get("forget", []))]), "action": "labeldrop"})
    return rules


def delegated(spec):
    """Relabelling of what a host may say about others: the node that a series is about is in the label that the page had beside the target's own."""
    about = "|".join(spec["about"])
    return [
        {"source_labels": ["__name__"], "regex": "|".join([about, *spec["own"]]), "action": "keep"},
        {"source_labels": ["__name__", "exported_node"], "regex": f"(?:{about});({HOST_NAME})", "target_label": LET_THROUGH, "replacement": "$1"},
        {"source_labels": ["__name__", LET_THROUGH], "regex": f"(?:{about});", "action": "drop"},
        {"source_labels": [LET_THROUGH], "regex": "(.+)", "target_label": "node", "replacement": "$1"},
        {"source_labels": [LET_THROUGH], "regex": ".+", "target_label": "rack", "replacement": ""},
        {"regex": f"exported_node|{LET_THROUGH}", "action": "labeldrop"},
    ]


def basic_auth(password_file):
    """A job's password, by its file."""
    return {"basic_auth": {"username": USER, "password_file": password_file}} if password_file else {}


def exporter_tls(server_name=None):
    """How an exporter is asked that speaks TLS: it is checked, and shown the certificate of this host."""
    return {"tls_config": {"ca_file": paths.CA, "cert_file": paths.CERTIFICATE, "key_file": paths.KEY,
                           **({"server_name": server_name} if server_name else {})}}


def service_access(service, password_file):
    """How a service of the stack is asked: {"scheme"?, "tls_config"?, "basic_auth"?}."""
    access = basic_auth(password_file)
    if service.get("scheme") == "https":
        access.update(scheme="https", tls_config={"ca_file": paths.CA, "server_name": service["server_name"]})
    return access


def service_page(service):
    """Where a service of the stack has its series, and which of them are kept, where that is not the usual page and all of it."""
    series = [{"source_labels": ["__name__"], "regex": service["series"], "action": "keep"}] if "series" in service else []
    return {**({"metrics_path": service["path"]} if service.get("path", "/metrics") != "/metrics" else {}),
            **({"metric_relabel_configs": series} if series else {})}


def own_shard(shard):
    """Relabelling of targets that keeps those of the nodes that are this scraper's; {} is all.

    Of "members" scrapers each node has "copies" that follow one another; this one is "number", from 0. All exporters of a node are asked by the same.
    """
    if not shard:
        return []
    own = sorted((shard["number"] - further) % shard["members"] for further in range(shard["copies"]))
    return [{"source_labels": ["cluster", "node"], "modulus": shard["members"], "target_label": SHARD, "action": "hashmod"},
            {"source_labels": [SHARD], "regex": "|".join(map(str, own)), "action": "keep"}]


def page_relabelling(job, backend, bare):
    """Relabelling before any other of a page that a node writes. bare: of targets without the labels that not every target has."""
    labels = "|".join(OUR_LABELS + (TARGET_LABELS if bare else ()))
    return (ONE_NAME if backend == "vmagent" else []) + [
        {"regex": f"({labels})", "action": "labelmap", "replacement": "exported_$1"},
        {"regex": f"{labels}|{LET_THROUGH}|{OF_DEVICE}", "action": "labeldrop"},
    ] + reserved.rules(job, LET_THROUGH)


def file_jobs(job, pattern, relabelling, chosen, access=None, suffix="", targets=()):
    """Two jobs whose targets are in files of the registry: of targets with a rack, and of those without.

    Only what is done to a page differs: the page of a target without a rack may bring one, and be counted there.
    access: {"tls_config"?, "basic_auth"?}; suffix: of the jobs' names; targets: relabelling that chooses targets
    """
    files = {"files": [pattern]}
    if chosen["backend"] == "prometheus":
        # vmagent takes the interval from its command line and refuses it here.
        files["refresh_interval"] = "15s"
    made = []
    for bare in (False, True):
        name = f"{job}{suffix}{'_bare' if bare else ''}"
        named = [{"source_labels": ["job"], "regex": name, "target_label": "job", "replacement": job}] if name != job else []
        made.append({
            "job_name": name, **(access or {}), **CAREFUL, **limits.keys(job, chosen["backend"], chosen["limits"]), "file_sd_configs": [files],
            "relabel_configs": [*own_shard(chosen["shard"]), *targets,
                                {"source_labels": list(TARGET_LABELS), "regex": ".+", "action": "drop" if bare else "keep"}, *named],
            "metric_relabel_configs": page_relabelling(job, chosen["backend"], bare) + relabelling})
    return made


def exporter_jobs(job, folder, relabelling, chosen, asked=None):
    """The jobs of one exporter of ours; more where the password must not go to those that speak no TLS. asked: what else its jobs have."""
    pattern, asked = f"{folder}/{job}/*.json", asked or {}
    tls = exporter_tls() if chosen["exporter_tls"] else {}
    secret = basic_auth(chosen["exporter_password_file"])
    if not (tls and secret):
        return file_jobs(job, pattern, relabelling, chosen, {**asked, **tls, **secret})
    # An adopted or external exporter has no TLS and knows no password of ours.
    return [made for suffix, action, access in (("", "keep", {**asked, **tls, **secret}), ("_plain", "drop", asked))
            for made in file_jobs(job, pattern, relabelling, chosen, access, suffix,
                                  [{"source_labels": ["__scheme__"], "regex": "https", "action": action}])]


def registry_jobs(chosen):
    """The jobs of what node_exporters of monitoring hosts publish of the registry: that of this host, and those of hosts that have no scraper."""
    own = {"target": chosen["node_exporter"], "scheme": chosen["node_exporter_scheme"], "path": chosen["node_exporter_path"]}
    # The node_exporters of two hosts may have one address there, as each sees its own.
    read = [(REGISTRY_JOB, own, {"labels": {"instance": chosen["node"]}} if chosen["pair"] else {})]
    # Where series of several hosts are not the same, there would be two of each.
    read += [(f"{REGISTRY_JOB} on {other['node']}", other, {"labels": {"job": REGISTRY_JOB, "instance": other["node"]}})
             for other in chosen["elsewhere"] if other["job"] == REGISTRY_JOB and chosen["pair"]]

    def secret(page):
        """The password, but for another host's that speaks no TLS where exporters do."""
        return None if page is not own and chosen["exporter_tls"] and page["scheme"] != "https" else chosen["exporter_password_file"]
    return [{
        "job_name": name,
        **CAREFUL,
        "honor_labels": True,
        **TEXTFILE_ONLY,
        **({"metrics_path": page["path"]} if page["path"] != "/metrics" else {}),
        **({"scheme": "https", **exporter_tls(NAME)} if page["scheme"] == "https" else {}),
        **basic_auth(secret(page)),
        "static_configs": [{"targets": [page["target"]], **labels}],
        "metric_relabel_configs": (ONE_NAME if chosen["backend"] == "vmagent" else []) + [REGISTRY] + [ANYBODY] * chosen["pair"],
    } for name, page, labels in read]


def stack_jobs(chosen):
    """The jobs of the stack's services: of those of this host, and of those on hosts that have no scraper of their own."""
    here = {"cluster": chosen["cluster"], "node": chosen["node"]}
    watched = [(job, service, here) for job, service in sorted(chosen["stack"].items())]
    watched += [(f"{service['job']} on {service['node']}", service, {name: service[name] for name in ("job", "cluster", "node")})
                for service in chosen["elsewhere"] if service["job"] != REGISTRY_JOB]
    return [{"job_name": name, **CAREFUL, **service_page(service), **service_access(service, chosen["stack_password_file"]),
             "static_configs": [{"targets": [service["target"]], "labels": labels}]} for name, service, labels in watched]


def prometheus_sections(chosen):
    """Prometheus' own sections: it evaluates the rules in vmalert's place, and says itself where it writes."""
    managers = [{**service_access(service, chosen["stack_password_file"]), "static_configs": [{"targets": [service["target"]]}]}
                for service in chosen["alertmanagers"]]
    return {
        **({"rule_files": list(chosen["rule_files"])} if chosen["rule_files"] else {}),
        **({"alerting": {"alertmanagers": managers}} if managers else {}),
        **({"remote_write": [rollups.remote_write(place) for place in chosen["global_place"]]} if chosen["global_place"] else {}),
    }


def scrape_file(options):
    """Text of the scrape configuration; see the filter scrape_config for the options. Raises Problem."""
    chosen = checked(options)
    catalogue = load("sources")
    backend, folder = chosen["backend"], chosen["targets_dir"].rstrip("/")
    jobs = {}
    for name, spec in catalogue["sources"].items():
        jobs.setdefault(spec["job"], []).extend(identity(name, spec, catalogue))
    configs = []
    for job, relabelling in jobs.items():
        configs += exporter_jobs(job, folder, relabelling, chosen)
    for job, spec in catalogue["delegated"].items():
        configs += exporter_jobs(job, folder, delegated(spec), chosen, TEXTFILE_ONLY)
    # A target's own label `job` wins over the name of this job: each custom exporter appears under its own.
    # Some other program's exporter: none of our passwords goes there.
    configs += file_jobs("custom", f"{folder}/custom/*.json", [], chosen)
    configs += registry_jobs(chosen) + stack_jobs(chosen)
    if chosen["global_place"] and backend == "vmagent":
        storage = chosen["stack"]["victoriametrics"]
        configs.append(rollups.job(storage["target"], service_access(storage, chosen["stack_password_file"]), chosen["cluster"]))
    interval = str(chosen["scrape_interval"])
    return dump({
        "global": {"scrape_interval": interval, "scrape_timeout": timeout(interval, chosen["scrape_timeout"]),
                   **({"evaluation_interval": interval} if backend == "prometheus" else {})},
        **(prometheus_sections(chosen) if backend == "prometheus" else {}),
        "scrape_configs": configs,
    })
