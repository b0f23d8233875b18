# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes what Slurm's controller says about nodes and jobs for node_exporter's textfile collector.

One run asks the controller twice, once for all nodes and once for all jobs, and replaces one file of metrics. An answer that does not come
in time, or is none, leaves its series out: nothing in the file is older than the run. Python >= 3.6, standard library only.

Exit status: 0 the file was written (also when the controller did not answer: the metrics say so), 1 it was not.
"""

import argparse
import collections
import functools
import json
import os
import re
import sys
import time

# What the inventory plugin and other collectors use too: a copy is beside this program. In the collection it is where they have it.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # it would lie beside the program for ever
sys.path += [HERE, os.path.join(HERE, "../../../plugins/module_utils")]

import slurm  # noqa: E402  pylint: disable=wrong-import-position,import-error
from slurmctl import Failure, IN_VAIN, REASONS, ask, names_of, plain, seconds  # noqa: E402  pylint: disable=wrong-import-position,import-error
from textfile import Samples, publish_alone, replace_file  # noqa: E402  pylint: disable=wrong-import-position,import-error

ARGUMENTS = {
    "nodes": ["--all", "--oneliner", "--details", "show", "node"],
    "jobs": ["--all", "--noheader", "--format=%T|%P"],
}
REASON_LIMIT = 120  # characters
# With one of these a node gets no work, and there is a reason.
OUT = frozenset(("DRAIN", "DOWN", "FAIL"))

# name -> (type, help). The order is that of the file.
FAMILIES = collections.OrderedDict((
    ("slurm_node_state_info", ("gauge", "State of the node, without its flags; always 1.")),
    ("slurm_node_flag", ("gauge", "1 for each flag of the node's state.")),
    ("slurm_node_drain_reason_info", ("gauge", "Why the node is down or drained, and who says so; always 1.")),
    ("slurm_node_drain_since_timestamp_seconds", ("gauge", "When the reason was given.")),
    ("slurm_node_gres_total", ("gauge", "Generic resources of the node.")),
    ("slurm_node_gres_used", ("gauge", "Generic resources of the node that jobs have.")),
    ("slurm_jobs", ("gauge", "Jobs in the queue. A job array that waits is one, and a job that waits for one of several partitions is in each.")),
    ("slurm_collector_success", ("gauge", "1 if the controller answered in the last run.")),
    ("slurm_collector_last_run_timestamp_seconds", ("gauge", "When the collector last ran.")),
    ("slurm_collector_last_success_timestamp_seconds", ("gauge", "When the controller last answered; 0 for never.")),
    ("slurm_collector_duration_seconds", ("gauge", "How long the controller took to answer.")),
    ("slurm_collector_errors_total", ("counter", "Answers that did not come, and lines that were left out.")),
))

NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}\Z")
STATE = re.compile(r"[A-Z_]{1,40}\Z")


# The values of nodes repeat.
node_state = functools.lru_cache(maxsize=1024)(slurm.state)


@functools.lru_cache(maxsize=1024)
def resources(listed, counted):
    """[(name, type, count)] of generic resources, each once."""
    found = collections.OrderedDict()
    for name, kind, count in slurm.resources(slurm.gres(listed), slurm.tres(counted)):
        found[name, kind] = found.get((name, kind), 0) + count
    return [(plain(name), plain(kind), count) for (name, kind), count in found.items()]


def timestamp(text):
    """Seconds of a time as Slurm writes it, in the time zone of this host, or None."""
    try:
        return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))
    except (ValueError, OverflowError):
        return None


def add_node(samples, record, names):
    """The samples of one node. Raises ValueError for a record that is no node. names: {Slurm's name: the inventory's}"""
    name = names.get(record["NodeName"], record["NodeName"])
    if not NODE.match(name) or "State" not in record:
        raise ValueError(name)
    base, flags = node_state(record["State"])
    node = ("node", name)
    samples.add("slurm_node_state_info", 1, node, ("state", base.lower()))
    for flag in flags:
        samples.add("slurm_node_flag", 1, node, ("flag", flag.lower()))
    # The text of a reason may stay when what it was given for is over: the state counts.
    if OUT.intersection(flags + [base]):
        words, who, when = slurm.reason(record.get("Reason", ""))
        if words:
            samples.add("slurm_node_drain_reason_info", 1, node, ("reason", plain(words, REASON_LIMIT)), ("by", plain(who)))
            since = timestamp(when)
            if since is not None:
                samples.add("slurm_node_drain_since_timestamp_seconds", since, node)
    for family, listed, counted in (("total", "Gres", "CfgTRES"), ("used", "GresUsed", "AllocTRES")):
        for kind, model, count in resources(record.get(listed, ""), record.get(counted, "")):
            samples.add("slurm_node_gres_" + family, count, node, ("gres", kind), ("type", model))


def add_nodes(samples, text, names):
    """The samples of all nodes. Returns how many of them could not be read; raises Failure if this is no list of nodes."""
    seen, bad = 0, 0
    for seen, record in enumerate(slurm.records(text), 1):
        try:
            add_node(samples, record, names)
        except ValueError:
            bad += 1
    if not seen and not text.startswith("No nodes"):
        raise Failure("bad_output")
    return bad


def add_jobs(samples, text):
    """The samples of the queue. Returns how many lines could not be read."""
    found, bad = collections.Counter(), 0
    for line, count in collections.Counter(text.splitlines()).items():
        state, separator, partitions = line.strip().partition("|")
        if not separator or not STATE.match(state):
            bad += count
            continue
        for partition in partitions.split(","):
            found[state.lower(), plain(partition)] += count
    for (state, partition), count in sorted(found.items()):
        samples.add("slurm_jobs", count, ("state", state), ("partition", partition))
    return bad


def load(path):
    """{"success": {what: time}, "errors": {what: {reason: count}}} of the runs before."""
    try:
        with open(path, encoding="utf-8") as stream:
            state = json.load(stream)
        return {"success": {what: float(state["success"][what]) for what in ARGUMENTS},
                "errors": {what: {reason: int(state["errors"][what].get(reason, 0)) for reason in REASONS} for what in ARGUMENTS}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {"success": {what: 0.0 for what in ARGUMENTS}, "errors": {what: {reason: 0 for reason in REASONS} for what in ARGUMENTS}}


def run(options):
    """Ask, write the file, keep the counters. Returns the exit status."""
    state, samples, failed = load(options.state), Samples(FAMILIES), None
    programs = {"nodes": options.scontrol, "jobs": options.squeue}
    readers = {"nodes": lambda text: add_nodes(samples, text, options.names), "jobs": lambda text: add_jobs(samples, text)}
    for what, arguments in ARGUMENTS.items():
        begin, success = time.monotonic(), 0
        try:
            if failed in IN_VAIN:
                raise Failure(failed)
            text = ask(programs[what], arguments, options.timeout)
            duration = time.monotonic() - begin
            state["errors"][what]["bad_output"] += readers[what](text)
            success, state["success"][what] = 1, round(time.time(), 3)
        except Failure as failure:
            failed, duration = failure.args[0], time.monotonic() - begin
            state["errors"][what][failed] += 1
        label = ("query", what)
        samples.add("slurm_collector_success", success, label)
        samples.add("slurm_collector_last_success_timestamp_seconds", state["success"][what], label)
        samples.add("slurm_collector_duration_seconds", round(duration, 6), label)
        for reason, count in state["errors"][what].items():
            samples.add("slurm_collector_errors_total", count, label, ("reason", reason))
    samples.add("slurm_collector_last_run_timestamp_seconds", round(time.time(), 3))
    try:
        replace_file(options.output, samples.text())
        replace_file(options.state, json.dumps(state), 0o600)
    except OSError as error:
        print("%s: %s" % (error.filename, error.strerror), file=sys.stderr)
        return 1
    return 0


def main(argv=None):
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Write metrics of Slurm's nodes and jobs for node_exporter.")
    parser.add_argument("--output", required=True, metavar="FILE", help="file to replace, ending in .prom")
    parser.add_argument("--state", required=True, metavar="FILE", help="file that keeps counters between runs")
    parser.add_argument("--names", type=names_of, default={}, metavar="FILE", help="JSON of Slurm's names of nodes and the inventory's, where they differ")
    parser.add_argument("--timeout", type=seconds, default=10.0, metavar="SECONDS", help="time for each answer (default 10)")
    parser.add_argument("--scontrol", default="scontrol", metavar="PROGRAM", help="name or path of scontrol")
    parser.add_argument("--squeue", default="squeue", metavar="PROGRAM", help="name or path of squeue")
    parser.add_argument("--publish", metavar="DIRECTORY", help="ask nothing; copy the file into a directory that somebody else owns")
    options = parser.parse_args(argv)
    if options.publish:
        return publish_alone(options.output, options.publish)
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
