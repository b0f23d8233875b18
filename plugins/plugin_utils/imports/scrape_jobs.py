# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The targets of a Prometheus or vmagent configuration: those in it, and those in the files that it names."""
import collections
import glob
import os
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.imports import documents
from ansible_collections.accelmon.fleet.plugins.plugin_utils.imports.documents import line_of, place
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory.lists import beside, shown

# One address that is scraped. host: without brackets; closed: whether the job sends a password, a token or a certificate
Target = collections.namedtuple("Target", "job host port scheme path labels closed where")

ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:/\[\]@\s]+)(?::(?P<port>[0-9]{1,5}))?\Z")
DEFAULT_PORTS = {"http": "80", "https": "443"}
# With any of these a job asks for more than everybody may see.
CREDENTIALS = ("basic_auth", "authorization", "bearer_token", "bearer_token_file", "oauth2", "tls_config", "proxy_url", "sigv4")
# What relabelling writes of these decides whom a job asks, and for what.
PLACES = ("__address__", "__scheme__", "__metrics_path__")
# Deeds of relabelling that may leave targets out, and those that change labels.
FILTERS = ("keep", "drop", "keepequal", "dropequal", "keep_if_equal", "drop_if_equal")


class Findings:
    """What was found: targets; `left`, {(where, what is left out and why): None}; `notes`, {(where, what to look at): None}. In their order, each once."""

    def __init__(self):
        self.targets, self.left, self.notes = [], {}, {}

    def leave(self, where, why):
        """Note what is left out; the same is said once."""
        self.left.setdefault((where, said(why)))

    def note(self, where, what):
        """Note what to look at; the same is said once."""
        self.notes.setdefault((where, said(what)))


def said(line):
    """A line as a result may hold it: what it quotes of strangers is no template, and nothing that a terminal acts on."""
    return "".join(letter if letter.isprintable() else "?" for letter in line).replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #")


def read(path):
    """(Findings, patterns of its rule files) of a configuration. Raises Problem if the configuration itself cannot be read."""
    document = documents.mapping(documents.read(path), path, 1, "the file")
    if not {"scrape_configs", "scrape_config_files"} & document.keys():
        raise Problem(f"{place(path)}: it has no scrape_configs; name the prometheus.yml of your Prometheus")
    found = Findings()
    jobs_of(document, path, found)
    for pattern in documents.entries(document, "scrape_config_files", path, str):
        for file in files(path, pattern, place(path, line_of(document, "scrape_config_files")), found):
            try:
                jobs_of(documents.mapping(documents.read(file), file, 1, "the file"), file, found)
            except Problem as problem:
                found.leave("", str(problem))
    return found, documents.entries(document, "rule_files", path, str)


def jobs_of(document, path, found):
    """The jobs of one file."""
    for job in documents.entries(document, "scrape_configs", path):
        try:
            _Job(job, path, found).read()
        except Problem as problem:
            found.leave("", str(problem))


def files(config, pattern, where, found):
    """Files that a pattern of a configuration names: where it says, or else beside the configuration, whose folder may be a copy."""
    # Not by its last part alone, which may be a pattern of everything beside the configuration.
    for choice in (pattern, "/".join(pattern.split("/")[-2:])):
        paths = sorted(path for path in glob.glob(beside(config, choice)) if os.path.isfile(path))
        if paths:
            return paths
    found.leave(where, f"{shown(pattern)}: no such file; copy it beside the configuration")
    return []


class _Job:
    """One scrape job."""

    def __init__(self, job, path, found):
        self.job, self.path, self.found = job, path, found
        self.where = place(path, line_of(job))
        self.name = documents.text(job, "job_name", path)
        self.scheme = documents.text(job, "scheme", path, "http")
        self.page = documents.text(job, "metrics_path", path, "/metrics")
        self.closed = any(key in job for key in CREDENTIALS)

    def read(self):
        """Note its targets, or why it has none that can be taken over."""
        if not self.name:
            raise Problem(f"{self.where}: a job without job_name; correct the file")
        why = self.unusable()
        if why:
            self.found.leave(self.where, f"job {shown(self.name)}: {why}")
            return
        self.relabelling()
        for key in self.job:
            if key.endswith("_sd_configs") and key != "file_sd_configs":
                self.found.leave(place(self.path, line_of(self.job, key)),
                                 f"job {shown(self.name)}: {shown(key)}: its hosts are not in a file; list them in the inventory yourself")
        self.groups(documents.entries(self.job, "static_configs", self.path), self.path)
        for discovery in documents.entries(self.job, "file_sd_configs", self.path):
            for pattern in documents.entries(discovery, "files", self.path, str):
                for file in files(self.path, pattern, place(self.path, line_of(discovery, "files")), self.found):
                    self.file(file)

    def file(self, path):
        """Note the targets of a file for file-based discovery."""
        try:
            document = documents.read(path)
            if document is not None and not isinstance(document, documents.Sequence):
                raise Problem(f"{place(path)}: not a list of targets; correct the file")
            self.groups(documents.entries(documents.Mapping(groups=document), "groups", path), path)
        except Problem as problem:
            self.found.leave("", str(problem))

    def unusable(self):
        """Why its targets are not what they look like; "" if they are."""
        steps = documents.entries(self.job, "relabel_configs", self.path)
        written = {documents.text(step, "target_label", self.path) for step in steps}
        if self.page == "/probe" or any(label.startswith("__param_") for label in written):
            return "it has one exporter probe others, as blackbox_exporter does; keep it in a Prometheus of your own"
        if self.page == "/federate":
            return "it reads another Prometheus; import that one"
        if self.job.get("params"):
            return "it asks with params, which accelmon_custom_exporters cannot; keep it in a Prometheus of your own"
        changed = sorted(written & set(PLACES))
        if changed:
            return f"its relabelling writes {', '.join(changed)}, so its targets are not the addresses that are scraped; list them in the inventory yourself"
        return ""

    def relabelling(self):
        """Note what its relabelling does that is not taken over."""
        for step in documents.entries(self.job, "relabel_configs", self.path):
            action = documents.text(step, "action", self.path, "replace").lower()
            where = place(self.path, line_of(step))
            if action in FILTERS:
                self.found.note(where, f"job {shown(self.name)}: its relabelling leaves out targets ({shown(action)}), the proposal has them all; "
                                       "remove those that you do not want")
            else:
                label = documents.text(step, "target_label", self.path) or documents.text(step, "regex", self.path)
                self.found.note(where, f"job {shown(self.name)}: its relabelling changes labels ({shown(action)} {shown(label)}), the proposal does not; "
                                       "put them into accelmon_labels")
        if self.job.get("metric_relabel_configs"):
            self.found.note(place(self.path, line_of(self.job, "metric_relabel_configs")),
                            f"job {shown(self.name)}: metric_relabel_configs are not taken over; see docs/series.md for what is stored")

    def groups(self, groups, path):
        """Note the targets of groups {targets, labels}."""
        for group in groups:
            labels = documents.mapping(group.get("labels"), path, line_of(group, "labels"), "labels")
            wrong = [name for name, value in labels.items() if value is not None and not isinstance(value, str)]
            if wrong:
                raise Problem(f"{place(path, line_of(labels, wrong[0]))}: the label {shown(wrong[0])} is not a text; correct it")
            labels = {name: value for name, value in labels.items() if value}
            targets = documents.entries(group, "targets", path, str)
            for number, target in enumerate(targets):
                self.target(target, labels, place(path, targets.spans[number][0] if targets.spans else 0))

    def target(self, text, labels, where):
        """Note one target, or why it is none."""
        scheme = labels.get("__scheme__", self.scheme)
        match = ADDRESS.match(text)
        port = match and (match.group("port") or DEFAULT_PORTS.get(scheme))
        if not port or not 1 <= int(port) <= 65535:
            self.found.leave(where, f"{shown(text)}: not host:port; correct it")
            return
        others = sorted(label for label in labels if label.startswith("__param_") or label == "__address__")
        if others:
            self.found.leave(where, f"{shown(text)}: the label {shown(others[0])} changes what is asked for; list the host in the inventory yourself")
            return
        self.found.targets.append(Target(
            labels.get("job", self.name), match.group("host").strip("[]"), int(port), scheme, labels.get("__metrics_path__", self.page),
            {name: value for name, value in labels.items() if not name.startswith("__") and name != "job"}, self.closed, where))
