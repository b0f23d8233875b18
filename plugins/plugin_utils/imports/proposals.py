# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What import.yml proposes, as files and as a summary, and how it is written beside what somebody may have edited since."""
import json
import os

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.imports import history, hosts, rules, scrape_jobs, silences
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory.lists import shown, shown_path

# What was written, by name of the file: SHA-256. A file that differs was edited since.
MANIFEST = ".accelmon-import.json"
# So many lines of each kind are shown; all of them are in the file.
MOST_LINES = 40


def propose(asked):
    """({name: text of a file}, summary) of what was asked for.

    asked: {"prometheus": path, "rules": [pattern], "silences": path or URL, "login_file": path, "history": directory, "cluster": name}, of which
    all but the cluster may be empty. Raises Problem for what cannot be read at all.
    """
    files, summary, found = {}, {}, scrape_jobs.Findings()
    patterns, hosts_of, jobs, labels = asked["rules"], {}, {}, set()
    if asked["prometheus"]:
        path = os.path.expanduser(asked["prometheus"])
        found, named = scrape_jobs.read(path)
        proposal = hosts.Proposal(found)
        hosts_of, labels = proposal.instances(), proposal.label_names()
        jobs = {job: told["exporter"] for job, told in proposal.jobs.items()}
        patterns = patterns or [file for pattern in named for file in scrape_jobs.files(path, pattern, shown_path(path), found)]
        summary["inventory"] = {"from": path, "hosts": len(hosts_of), "jobs": [
            {"job": job, "exporter": told["exporter"] or "custom", "targets": told["targets"], "hosts": len(told["hosts"])}
            for job, told in proposal.jobs.items()]}
        if hosts_of:
            files["inventory.yml"] = proposal.text(path)
    alerts = {}
    if patterns:
        judged = rules.Rules(rules.files(patterns, found), found, jobs)
        alerts, summary["rules"] = judged.alerts, judged.told
        files.update(judged.files)
    if asked["silences"]:
        read = silences.Silences(silences.read(asked["silences"], asked["login_file"]), asked["silences"], found, hosts_of, alerts, labels)
        summary["silences"] = {"from": asked["silences"], "found": read.total, "expired": read.expired, "ready": len(read.calls)}
        if read.calls:
            files["silences.sh"] = read.text()
    if asked["history"]:
        files["history.sh"] = history.script(asked["history"], asked["cluster"])
        summary["history"] = {"snapshot": asked["history"]}
    summary["left_out"] = [{"where": where, "why": why} for where, why in found.left]
    summary["notes"] = [{"where": where, "what": what} for where, what in found.notes]
    files["summary.txt"] = "\n".join(lines(summary, None)) + "\n"
    return files, summary


def lines(summary, most=MOST_LINES):
    """A summary as lines of text; most: of each kind, or None for all."""
    found = []
    inventory = summary.get("inventory")
    if inventory:
        found.append(f"inventory: {counted(inventory['hosts'], 'host')} from {shown_path(inventory['from'])}")
        found += [f"  job {shown(one['job'])}: {one['exporter']}, {counted(one['targets'], 'target')}, {counted(one['hosts'], 'host')}"
                  for one in inventory["jobs"]]
    for one in summary.get("rules", ()):
        copy = f", in {one['copy']}" if one["copy"] else ""
        found.append(f"rules: {one['ready']} of {one['rules']} work here{copy} ({shown_path(one['file'])})")
    told = summary.get("silences")
    if told:
        found.append(f"silences: {told['ready']} of {told['found'] - told['expired']} can be created here ({told['expired']} have expired)")
    if "history" in summary:
        found.append(f"history: history.sh copies {shown_path(summary['history']['snapshot'])} into the storage")
    for title, key, word in (("left out", "left_out", "why"), ("look at", "notes", "what")):
        some = [f"  {one['where']}: {one[word]}" if one["where"] else f"  {one[word]}" for one in summary[key]]
        found += [f"{title}:"] * bool(some) + some[:most]
        if most is not None and len(some) > most:
            found.append(f"  and {len(some) - most} more, in summary.txt")
    return found


def counted(number, word):
    """A number of things in words."""
    return f"{number} {word}" + "s" * (number != 1)


def write(directory, files, check_mode):
    """({name of a file: what became of it}, [diff]): written unless check_mode. Raises Problem.

    A file that somebody has edited since, or that is not of an import, stays; what is proposed instead lies beside it, with `.new` at its end.
    """
    directory = os.path.expanduser(directory)
    before = _manifest(directory)
    fates, diffs, manifest = {}, [], dict(before)
    try:
        for name, text in sorted(files.items()):
            here = _content(os.path.join(directory, name))
            data = text.encode()
            if here is not None and here != data and before.get(name) != atomic.sha256_of(here):
                fates[name], name = f"edited, and kept; the new proposal is {name}.new", f"{name}.new"
                here = _content(os.path.join(directory, name))
            if name in files:
                manifest[name] = atomic.sha256_of(data)
                fates[name] = "unchanged" if here == data else "created" if here is None else "replaced"
            if here != data:
                path = os.path.join(directory, name)
                diffs.append({"before_header": path, "after_header": path, "before": (here or b"").decode("utf-8", "replace"), "after": text})
                if not check_mode:
                    atomic.make_folders(os.path.dirname(path), 0o700)
                    atomic.write(path, data, 0o600)
        if manifest != before and not check_mode:
            atomic.write(os.path.join(directory, MANIFEST), (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode(), 0o600)
    except OSError as error:
        raise Problem(f"it cannot be written ({error.strerror}); use another directory", "accelmon_import_directory", directory) from None
    return fates, diffs


def _content(path):
    """The content of a file; None if there is none."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _manifest(directory):
    """{name: SHA-256} of what earlier imports wrote. What cannot be read counts as nothing: files are then kept, as if they were edited."""
    try:
        found = json.loads(_content(os.path.join(directory, MANIFEST)) or "{}")
    except (OSError, ValueError):
        return {}
    return {name: digest for name, digest in found.items() if isinstance(digest, str)} if isinstance(found, dict) else {}
