# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drains nodes of Slurm that have a device with a fatal verdict in the storage, or says which it would drain.

One run asks the storages for verdicts and silences, and the controller for all nodes. Without all of these, nothing is decided. What is decided is in
drain.py. Every decision is a line on stderr when it is new, and a series in the file of metrics. Python >= 3.6, standard library only.

Exit status: 0 the file was written (also when nobody answered: the metrics say so), 1 it was not, or what was done before cannot be read.
"""

import argparse
import base64
import collections
import fcntl
import http.client
import json
import os
import ssl
import sys
import time
import urllib.parse
import urllib.request

# What other programs use too: a copy is beside this program. In the collection it is where they have it.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # it would lie beside the program for ever
sys.path += [HERE, os.path.join(HERE, "../../../plugins/module_utils")]

import drain  # noqa: E402  pylint: disable=wrong-import-position,import-error
import slurm  # noqa: E402  pylint: disable=wrong-import-position,import-error
from slurmctl import Failure, ask, names_of, plain, seconds  # noqa: E402  pylint: disable=wrong-import-position,import-error
from textfile import Samples, publish_alone, replace_file  # noqa: E402  pylint: disable=wrong-import-position,import-error

ALL_NODES = ["--all", "--oneliner", "--details", "show", "node"]
ANSWER_LIMIT = 16 * 1024 * 1024  # bytes
QUERIES = ("verdicts", "silences", "nodes")

# name -> (type, help). The order is that of the file.
FAMILIES = collections.OrderedDict((
    ("slurm_node_drain_decision_info", ("gauge", "What is decided about the node, for which cause, and why it is not drained; always 1.")),
    ("slurm_drain_decisions_total", ("counter", "New decisions, by what is done and the cause.")),
    ("slurm_drain_blocked", ("gauge", "Nodes that wait because of the limit.")),
    ("slurm_drain_acting", ("gauge", "1 if nodes are drained, 0 if it is only said which.")),
    ("slurm_drain_success", ("gauge", "1 if there was an answer in the last run.")),
    ("slurm_drain_last_run_timestamp_seconds", ("gauge", "When it last ran.")),
    ("slurm_drain_last_success_timestamp_seconds", ("gauge", "When there was last an answer to everything; 0 for never.")),
))


def say(words):
    """One line for the log."""
    sys.stderr.write(plain(words, 400) + "\n")


class Storage:
    """A storage that is asked with a password, never through a proxy. Where it redirects to is not shown the password."""

    def __init__(self, url, options):
        self.url, self.timeout = url.rstrip("/") + "/api/v1/query", options.timeout
        self.headers = {}
        if options.password_file:
            with open(options.password_file, encoding="utf-8") as stream:
                known = "%s:%s" % (options.user, stream.read().strip())
            self.headers["Authorization"] = "Basic " + base64.b64encode(known.encode("utf-8")).decode("ascii")
        handlers = [urllib.request.ProxyHandler({})]
        if url.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=options.ca)))
        self.opener = urllib.request.build_opener(*handlers)

    def rows(self, query):
        """[(labels, value)] of an instant query. Raises OSError, or ValueError for an answer that is none."""
        # VictoriaMetrics hides the last 30 s unless it is told otherwise; Prometheus ignores that.
        form = urllib.parse.urlencode({"query": query, "latency_offset": "1s"}).encode("ascii")
        request = urllib.request.Request(self.url, data=form)
        for name, value in self.headers.items():
            request.add_unredirected_header(name, value)
        with self.opener.open(request, timeout=self.timeout) as answer:
            text = answer.read(ANSWER_LIMIT + 1)
        if len(text) > ANSWER_LIMIT:
            raise ValueError("the answer is too long")
        try:
            data = json.loads(text.decode("utf-8"))
            if data["status"] != "success" or data["data"]["resultType"] != "vector" or data.get("isPartial"):
                raise ValueError("not a whole answer")
            return [(dict(row["metric"]), float(row["value"][1])) for row in data["data"]["result"]]
        except (KeyError, TypeError, IndexError, AttributeError):
            raise ValueError("not an answer of the Prometheus API") from None


def rows_of(options):
    """[(rows of verdicts, rows of silences)] of the storages that answer. Raises Failure if none does."""
    answers = []
    for url in options.storage:
        try:
            storage = Storage(url, options)
            answers.append((storage.rows(options.verdicts["query"]), storage.rows(options.verdicts["silences"])))
        except (OSError, ValueError, http.client.HTTPException) as error:
            say("%s: %s" % (url, getattr(error, "reason", None) or error))
    if not answers:
        raise Failure("unreachable")
    return answers


def silences_of(answers, now):
    """The silences that any of the storages has. Raises Failure if they are not known."""
    found = drain.known_silences([row for _verdicts, rows in answers for row in rows], now)
    if found is None:
        raise Failure("no monitoring host has reached its Alertmanager for %d minutes" % (drain.SILENCES_SECONDS // 60))
    return found


def verdicts_of(answers, silences, options):
    """The verdicts that all storages have that answered."""
    slurms = {other: name for name, other in options.names.items()}
    found = [[drain.verdict(labels, value, slurms, silences) for labels, value in rows] for rows, _silences in answers]
    return drain.agreed([[one for one in rows if one is not None and one.cause in options.verdicts["causes"]] for rows in found])


def nodes_of(options, name=None):
    """{Slurm's name: node} of all nodes, or of one. Raises Failure."""
    found = {}
    for record in slurm.records(ask(options.scontrol, ALL_NODES + ([name] if name else []), options.timeout)):
        try:
            found[record["NodeName"]] = slurm.node(record)
        except ValueError:
            say("%s: state %s is not understood" % (record["NodeName"], record.get("State", "(none)")))
    if not found:
        raise Failure("bad_output")
    return found


class State:
    """What is kept between runs: what was done, what was last said of each node, and the counters."""

    def __init__(self, path):
        self.path, self.past, self.said, self.success = path, [], {}, 0.0
        self.counts = collections.Counter()
        if os.path.exists(path):
            with open(path, encoding="utf-8") as stream:
                data = json.load(stream)
            self.past = [{"node": str(one["node"]), "action": str(one["action"]), "cause": str(one["cause"]), "since": float(one["since"]),
                          "at": float(one["at"]), "until": float(one["until"])} for one in data["past"]]
            self.said = {str(node): [str(word) for word in words] for node, words in data["said"].items()}
            self.counts.update({(str(action), str(cause)): int(count) for action, cause, count in data["counts"]})
            self.success = float(data["success"])

    def save(self):
        """Write it."""
        counts = [[action, cause, count] for (action, cause), count in sorted(self.counts.items())]
        replace_file(self.path, json.dumps({"past": self.past, "said": self.said, "counts": counts, "success": self.success}), 0o600)


def act(decision, options, state, now):
    """Drain a node. Returns the decision as it turned out."""
    entry = drain.entry_of(decision, now)
    try:
        # Somebody may have been faster.
        why = drain.hindrance(nodes_of(options, decision.node).get(decision.node))
        if why:
            return decision._replace(action="left", why=why)
        # Written first: a run that is killed now must not drain the node again once somebody has resumed it.
        state.past.append(entry)
        state.save()
        ask(options.scontrol, ["update", "NodeName=" + decision.node, "State=DRAIN", "Reason=" + decision.reason], options.timeout)
        return decision
    except Failure as failure:
        if entry in state.past:
            state.past.remove(entry)
        return decision._replace(action="failed", why=failure.args[0])


def answers_of(options, now):
    """{one of QUERIES: its answer}. What there is none for is said."""
    answers = {}

    def add(what, function, *arguments):
        try:
            answers[what] = function(*arguments)
        except Failure as failure:
            say("no %s: %s; nothing is decided" % (what, failure.args[0]))
    add("verdicts", rows_of, options)
    if "verdicts" in answers:  # silences come from the storages too
        add("silences", silences_of, answers["verdicts"], now)
    add("nodes", nodes_of, options)
    return answers


def decisions_of(options, state, answers, now):
    """[Decision] of a run, carried out."""
    found = verdicts_of(answers["verdicts"], answers["silences"], options)
    made = drain.decide(found, answers["nodes"], options.limits, state.past, now, options.mode)
    state.past = drain.remembered(state.past, made, now)
    done = []
    for decision in made:
        if decision.action == "drain":
            decision = act(decision, options, state, now)
        elif decision.action == "observe" and decision.new:
            state.past.append(drain.entry_of(decision, now))
        done.append(decision)
    return done


WORDS = {"drain": "drained", "observe": "would be drained", "blocked": "not drained, the limit %s is reached", "left": "left alone (%s)",
         "kept": "is drained already", "failed": "could not be drained (%s)"}


def tell(decisions, state):
    """Say and count what is new."""
    said = {}
    for one in decisions:
        said[one.node] = [one.action, one.cause, one.why]
        before = state.said.get(one.node)
        # That a node is still drained, after it was drained for this, is no news.
        if said[one.node] != before and not (one.action == "kept" and before and before[0] == "drain"):
            state.counts[one.action, one.cause] += 1
            words = WORDS[one.action]
            say("%s: %s for %s%s" % (one.node, words % one.why if "%s" in words else words, one.cause, ": " + one.reason if one.action in drain.MODES else ""))
    state.said = said


def run(options):
    """Ask, decide, act, and write the file. Returns the exit status."""
    try:
        state = State(options.state)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        say("%s: damaged (%s); nothing is drained, as nobody knows what was drained before; remove it to start over" % (options.state, error))
        return 1
    now, samples = time.time(), Samples(FAMILIES)
    answers = answers_of(options, now)
    try:
        blocked = collections.Counter()
        if len(answers) == len(QUERIES):
            decisions = decisions_of(options, state, answers, now)
            tell(decisions, state)
            state.success = round(now, 3)
            blocked.update(one.why for one in decisions if one.action == "blocked")
            for one in decisions:
                name = options.names.get(one.node, one.node)
                samples.add("slurm_node_drain_decision_info", 1, ("node", plain(name)), ("action", one.action), ("cause", one.cause), ("why", one.why))
            for limit in drain.LIMITS:
                samples.add("slurm_drain_blocked", blocked[limit], ("limit", limit))
        for action in drain.ACTIONS:
            for cause in options.verdicts["causes"]:
                samples.add("slurm_drain_decisions_total", state.counts[action, cause], ("action", action), ("cause", cause))
        samples.add("slurm_drain_acting", int(options.mode == "drain"))
        for what in QUERIES:
            samples.add("slurm_drain_success", int(what in answers), ("query", what))
        samples.add("slurm_drain_last_run_timestamp_seconds", round(now, 3))
        samples.add("slurm_drain_last_success_timestamp_seconds", state.success)
        state.save()
        replace_file(options.output, samples.text())
    except OSError as error:
        say("%s: %s" % (error.filename, error.strerror))
        return 1
    return 0


def percent(text):
    """A share of a partition."""
    value = int(text)
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError("%s is not between 1 and 100" % text)
    return value


def verdicts_in(path):
    """{"query": of the verdicts, "silences": the query of these, "causes": [name]}."""
    try:
        with open(path, encoding="utf-8") as stream:
            data = json.load(stream)
        return {"query": str(data["query"]), "silences": str(data["silences"]), "causes": [str(cause) for cause in data["causes"]]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise argparse.ArgumentTypeError("%s: %s" % (path, error)) from None


def main(argv=None):
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Drain nodes of Slurm that have a device with a fatal verdict.")
    parser.add_argument("--output", required=True, metavar="FILE", help="file of metrics to replace, ending in .prom")
    parser.add_argument("--state", required=True, metavar="FILE", help="file that keeps what was done")
    parser.add_argument("--mode", choices=drain.MODES, default="observe", help="whether to drain, or only to say what would be drained (default)")
    parser.add_argument("--storage", action="append", default=[], metavar="URL", help="storage to ask for verdicts; repeatable")
    parser.add_argument("--user", default="accelmon", metavar="NAME", help="user of the storages (default accelmon)")
    parser.add_argument("--password-file", metavar="FILE", help="file with the user's password")
    parser.add_argument("--ca", metavar="FILE", help="authorities that a storage's certificate must lead to")
    parser.add_argument("--verdicts", type=verdicts_in, default={"query": "", "silences": "", "causes": []}, metavar="FILE",
                        help="JSON of the queries for verdicts and silences, and of the verdicts' causes")
    parser.add_argument("--names", type=names_of, default={}, metavar="FILE", help="JSON of Slurm's names of nodes and the inventory's, where they differ")
    parser.add_argument("--own-percent", type=percent, default=5, metavar="PERCENT", help="of a partition's nodes that this program may drain (default 5)")
    parser.add_argument("--total-percent", type=percent, default=25, metavar="PERCENT",
                        help="of a partition's nodes out of work at which it drains none (default 25)")
    parser.add_argument("--per-hour", type=int, default=3, metavar="NODES", help="nodes that it may drain within an hour (default 3)")
    parser.add_argument("--timeout", type=seconds, default=10.0, metavar="SECONDS", help="time for each answer (default 10)")
    parser.add_argument("--scontrol", default="scontrol", metavar="PROGRAM", help="name or path of scontrol")
    parser.add_argument("--publish", metavar="DIRECTORY", help="ask nothing; copy the file into a directory that somebody else owns")
    options = parser.parse_args(argv)
    if options.publish:
        return publish_alone(options.output, options.publish)
    options.limits = drain.Limits(options.own_percent, options.total_percent, options.per_hour)
    with open(options.state + ".lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another run has the lock %s.lock" % options.state)
            return 1
        return run(options)


if __name__ == "__main__":
    sys.exit(main())
