# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of rules that a site has: which of them would work here, and copies in which the others are remarks."""
import collections
import glob
import os
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.imports import documents, emitted
from ansible_collections.accelmon.fleet.plugins.plugin_utils.imports.documents import line_of, place
from ansible_collections.accelmon.fleet.plugins.plugin_utils.imports.scrape_jobs import said
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory.lists import read_list, shown
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import promql, reserved, site_rules
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import DELEGATES, PORT_EXPORTERS, STACK

SERIES = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
JOBS = frozenset(PORT_EXPORTERS + STACK + DELEGATES + ("grafana", "accelmon_fleet"))

# One rule of a file. span: its first line and the one behind its last, from 1
Rule = collections.namedtuple("Rule", "group name record expr labels line span")
# The rules of a group, and its span.
Group = collections.namedtuple("Group", "rules span")


class Rules:
    """Files of rules. found: a scrape_jobs.Findings; jobs: {job of the site: role that scrapes it here, or "" where it keeps its name}

    files: {name of the copy: its text}; told: [{"file", "rules", "ready", "copy"}]; alerts: {name: labels that its rules set} of those that are ready
    """

    def __init__(self, paths, found, jobs=None):
        self.found, self.renamed = found, {job: role for job, role in (jobs or {}).items() if role}
        self.jobs = JOBS | {job for job, role in (jobs or {}).items() if not role}
        self.files, self.told, self.alerts = {}, [], collections.defaultdict(set)
        read = [(path, *one) for path in paths for one in [self._read(path)] if one]
        self.recorded = {rule.name for dummy, dummy, groups in read for group in groups for rule in group.rules if rule.record}
        ours = {alert["alert"] for alert in load("alerts")["alerts"]}
        for path, text, groups in read:
            self._file(path, text, groups, ours)

    def _read(self, path):
        """(text, [[Rule of a group]]) of a file, or None if it cannot be read, which is noted."""
        try:
            text = read_list(path)
            document = documents.mapping(documents.parse(text, path), path, 1, "the file")
            if "groups" not in document:
                raise Problem(f"{place(path)}: no rule file, which begins with groups; name one")
            site_rules.check_text(text)
            return text, groups_of(document, path)
        except (Problem, ValueError) as problem:
            self.found.leave("", str(problem) if isinstance(problem, Problem) else f"{place(path)}: {shown(str(problem))}; correct the file")
            return None

    def _file(self, path, text, groups, ours):
        """Judge the rules of a file, and copy it."""
        wrong = {}
        rules = [rule for group in groups for rule in group.rules]
        for rule in rules:
            whys = self.faults(rule)
            for why in whys:
                self.found.leave(place(path, rule.line), f"{shown(rule.name)}: {why}")
            if whys:
                wrong[rule.span] = whys
                continue
            self._notes(path, rule, ours)
        told = {"file": path, "rules": len(rules), "ready": len(rules) - len(wrong), "copy": ""}
        self.told.append(told)
        if not told["ready"]:
            return
        try:
            copy = without(text, path, groups, wrong) if wrong else text
        except Problem as problem:
            self.found.leave("", str(problem))
            return
        told["copy"] = self._name(path)
        self.files[told["copy"]] = copy
        for rule in rules:
            if rule.span not in wrong and not rule.record:
                self.alerts[rule.name] |= rule.labels

    def _name(self, path):
        """A name for the copy of a file."""
        stem, number = re.sub(r"[^a-zA-Z0-9_.-]", "_", os.path.basename(path).rpartition(".")[0]).lstrip(".-") or "rules", 2
        name = stem
        while f"rules/{name}.yml" in self.files:
            name, number = f"{stem}_{number}", number + 1
        return f"rules/{name}.yml"

    def faults(self, rule):
        """What keeps a rule from working here, as [`wrong; fix`]."""
        if rule.record and not SERIES.match(rule.name):
            return ["not a name of a series; correct it"]
        if rule.record and re.fullmatch("|".join(reserved.families() + [*reserved.WRITTEN]), rule.name):
            return ["the collection records a series of this name; record it under another one"]
        try:
            selectors, labels = promql.read(rule.expr)
        except Problem as problem:
            return [str(problem)]
        found = []
        for selector in selectors:
            why = emitted.missing(selector.name) if selector.name and selector.name not in self.recorded else ""
            if why:
                found.append(f"{shown(selector.name)}: {why}")
            found += self._job(selector)
            dropped = selector.name and emitted.forgotten(selector.name)
            found += [f"the label {label} of {selector.name} is dropped when it is scraped; use node" for label in sorted(labels)
                      if dropped and dropped.fullmatch(label)]
        return list(dict.fromkeys(found))

    def _job(self, selector):
        """What is wrong with the jobs that a selector asks for."""
        for label, sign, value in selector.matchers:
            if label == "job" and sign in ("=", "=~") and value:
                names = [value] if sign == "=" else promql.plain_names(value.replace("-", "_"))
                wanted = [value] if sign == "=" else value.split("|")
                if names is not None and not self.jobs & set(wanted):
                    if wanted[0] in self.renamed:
                        return [f"the job {shown(wanted[0])} is called {self.renamed[wanted[0]]} here; write that, or leave the job out"]
                    return [f"no job is called {shown(value)} here; leave the job out, or use one of {', '.join(sorted(PORT_EXPORTERS))}"]
        return []

    def _notes(self, path, rule, ours):
        """Note what is worth a look in a rule that works."""
        where = place(path, rule.line)
        if not rule.record and rule.name in ours:
            self.found.note(where, f"{rule.name}: the collection has an alert of this name too; keep one of them (see docs/alerts.md)")
        for selector in promql.read(rule.expr)[0]:
            same = emitted.neutral(selector.name)
            if same:
                self.found.note(where, f"{shown(rule.name)}: {selector.name} is of one vendor; {same} is of all")


def groups_of(document, path):
    """[Group] of the document of a rule file. Raises Problem."""
    groups = documents.entries(document, "groups", path)
    return [Group(_rules(group, path), span) for group, span in zip(groups, groups.spans)]


def _rules(group, path):
    """The rules of a group. Raises Problem."""
    found, name = [], documents.text(group, "name", path)
    rules = documents.entries(group, "rules", path)
    for rule, span in zip(rules, rules.spans):
        labels = documents.mapping(rule.get("labels"), path, line_of(rule), "labels")
        found.append(Rule(name, documents.text(rule, "record" if "record" in rule else "alert", path), "record" in rule,
                          documents.text(rule, "expr", path), frozenset(labels), line_of(rule), span))
    return found


def without(text, path, groups, wrong):
    """The text of a file in which the rules of `wrong`, {span: [why]}, are remarks. Raises Problem where they cannot be cut out."""
    lines = text.split("\n")
    for group in groups:
        spans = [rule.span for rule in group.rules if rule.span in wrong]
        if spans and len(spans) == len(group.rules):
            _remark(lines, group.span, [why for span in spans for why in wrong[span]])
            continue
        for span in spans:
            _remark(lines, span, wrong[span])
    copy = "\n".join(lines)
    wanted = [[rule for rule in group.rules if rule.span not in wrong] for group in groups]
    if _told(copy, path) != [[rule[:5] for rule in rules] for rules in wanted if rules]:
        raise Problem(f"{place(path)}: some rules work here and some do not, and they share lines or anchors; split the file")
    return copy


def _told(text, path):
    """What the rules of a file say, group by group; None if it is no rule file."""
    try:
        site_rules.check_text(text)
        return [[rule[:5] for rule in group.rules] for group in groups_of(documents.mapping(documents.parse(text, path), path), path)]
    except (Problem, ValueError):
        return None


def _remark(lines, span, whys):
    """Make remarks of lines, with the reasons before them, and without changing how many lines there are."""
    first, behind = span[0] - 1, max(min(span[1] - 1, len(lines)), span[0])
    while behind > first + 1 and (not lines[behind - 1].strip() or lines[behind - 1].lstrip().startswith("#")):
        behind -= 1
    lines[first:behind] = [f"# {line}" for line in lines[first:behind]]
    lines[first] = "\n".join([f"# Left out: {said(why)}" for why in dict.fromkeys(whys)] + [lines[first]])


def files(patterns, found):
    """Paths of rule files that a site names, of patterns too."""
    paths = []
    for pattern in patterns:
        some = sorted(path for path in glob.glob(os.path.expanduser(pattern)) if os.path.isfile(path))
        if not some:
            found.leave("", f"{place(pattern)}: no such file; correct the path")
        paths += [path for path in some if path not in paths]
    return paths
