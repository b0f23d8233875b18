# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What draining would have done over the stored past: the same decisions as on a Slurm controller, from stored verdicts and stored states of nodes."""
import time

from ansible_collections.accelmon.fleet.plugins.module_utils import drain, slurm
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import query
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.rehearsal import LONGEST, span
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.verdict import aligned

# Decisions that are listed, of each cluster.
LISTED = 500
# Who drains a node in a rehearsal, as Slurm would show it.
OURS = slurm.Node("IDLE", frozenset(["DRAIN"]), drain.PREFIX, "", ())
IDLE = slurm.Node("IDLE", frozenset(), "", "", ())
OUT = slurm.Node("DOWN", frozenset(), "", "", ())


class Rehearsal(object):
    """The past, moment by moment. A node that would have been drained stays so until its verdicts are over: then somebody resumes it."""

    def __init__(self, limits):
        self.limits, self.past, self.drained, self.said, self.before = limits, [], set(), {}, None
        self.events = []

    def step(self, moment, verdicts, states, size, out):
        """One moment. states: {node: slurm.Node} of nodes with a verdict; size, out: how many nodes there are, and are out of work."""
        self.drained &= set(one.node for one in verdicts)
        inputs = (sorted(verdicts), sorted(states.items(), key=lambda item: item[0]), size, out)
        if not verdicts:
            self.said = {}
        # What waits may go on by time alone.
        if not verdicts or inputs == self.before and not any(words[0] == "blocked" for words in self.said.values()):
            self.before = inputs
            return
        self.before = inputs
        made = drain.decide(verdicts, self.nodes(states, size, out), self.limits, self.past, moment, "drain")
        self.past = drain.remembered(self.past, made, moment)
        said = {}
        for one in made:
            said[one.node] = (one.action, one.cause, one.why)
            if one.action == "drain":
                self.drained.add(one.node)
                self.past.append(drain.entry_of(one, moment))
            if said[one.node] != self.said.get(one.node) and not (one.action == "kept" and one.node in self.drained):
                self.events.append({"at": moment, "node": one.node, "action": one.action, "cause": one.cause, "why": one.why, "reason": one.reason})
        self.said = said

    def nodes(self, states, size, out):
        """{name: slurm.Node} of the whole cluster, as it would be had the rehearsal drained its nodes."""
        nodes = dict((name, OURS if name in self.drained and not drain.is_out(node) else node) for name, node in states.items())
        others_out = max(0, out - sum(1 for node in states.values() if drain.is_out(node)))
        # Names that no host can have: only their number counts.
        nodes.update((" %d" % number, OUT if number < others_out else IDLE) for number in range(size - len(states)))
        return nodes


def states_of(rows, moments):
    """{moment: {node: slurm.Node}} of stored series about nodes: states, flags and reasons. rows: [(labels, [(moment, value)])]"""
    found = dict((moment, {}) for moment in moments)
    for labels, values in rows:
        for moment, _value in values:
            if moment in found:
                node = found[moment].setdefault(labels.get("node", ""), {"flags": set()})
                if "state" in labels:
                    node["base"] = labels["state"].upper()
                elif "flag" in labels:
                    node["flags"].add(labels["flag"].upper())
                else:
                    node["reason"] = labels.get("reason", "")
    return dict((moment, dict((name, slurm.Node(node.get("base", "UNKNOWN"), frozenset(node["flags"]), node.get("reason", ""), "", ()))
                              for name, node in nodes.items())) for moment, nodes in found.items())


def counts_of(rows):
    """{moment: count} of a series without labels."""
    return dict((moment, int(value)) for _labels, values in rows for moment, value in values)


def verdicts_of(rows, silences, moments):
    """{moment: [drain.Verdict]} of stored verdicts, without moments at which nobody knew which silences there were.

    rows, silences: [(labels, [(moment, value)])]
    """
    told = dict((moment, []) for moment in moments)
    for labels, values in silences:
        for moment, seen in values:
            if moment in told:
                told[moment].append((labels, seen))
    known = dict((moment, drain.known_silences(found, moment)) for moment, found in told.items())
    verdicts = dict((moment, []) for moment, found in known.items() if found is not None)
    for labels, values in rows:
        for moment, since in values:
            verdict = drain.verdict(labels, since, silences=known[moment]) if moment in verdicts else None
            if verdict is not None:
                verdicts[moment].append(verdict)
    return verdicts


def rehearse_cluster(ask, one, first, last, step):
    """(events, whether the storage knew states of nodes) of a cluster. ask: function of (expression, first, last) that gives [(labels, values)]"""
    rehearsal, known = Rehearsal(drain.Limits(one["own_percent"], one["total_percent"], one["per_hour"])), False
    where = query.matcher("cluster", [one["cluster"]])
    start = first
    while start <= last:
        end = min(last, start + (LONGEST - 1) * step)
        rows = ask(one["query"], start, end)
        silences = ask(one["silences"], start, end) if rows else []
        moments = verdicts_of(rows, silences, [float(moment) for moment in range(start, end + 1, step)])
        nodes = set(verdict.node for verdicts in moments.values() for verdict in verdicts)
        states, sizes, outs, hosts = {}, {}, {}, {}
        if nodes:
            about = 'job="slurm_collector",%s,%s' % (where, query.matcher("node", nodes))
            states = states_of([row for name in ("slurm_node_state_info", "slurm_node_flag", "slurm_node_drain_reason_info")
                                for row in ask("%s{%s}" % (name, about), start, end)], moments)
            everywhere = 'job="slurm_collector",%s' % where
            sizes = counts_of(ask("count(count by (node) (slurm_node_state_info{%s}))" % everywhere, start, end))
            outs = counts_of(ask('count(count by (node) (slurm_node_flag{%s,flag=~"drain|fail"} or slurm_node_state_info{%s,state="down"}))'
                                 % (everywhere, everywhere), start, end))
            known = known or bool(sizes)
            hosts = counts_of(ask('count(count by (node) (up{%s,node!=""}))' % where, start, end))
        for moment in sorted(moments):
            if moment in sizes or not moments[moment]:
                rehearsal.step(moment, moments[moment], states.get(moment, {}), sizes.get(moment, 0), outs.get(moment, 0))
            elif not known:
                # Slurm was not asked then.
                idle = dict((one.node, IDLE) for one in moments[moment])
                rehearsal.step(moment, moments[moment], idle, max(len(idle), hosts.get(moment, 0)), 0)
        start = end + step
    return rehearsal.events, known


def table(rows):
    """The decisions as aligned text."""
    cells = [["TIME (UTC)", "CLUSTER", "NODE", "DECISION", "CAUSE", "WHY"]]
    cells += [[time.strftime("%Y-%m-%d %H:%M", time.gmtime(row["at"])), row["cluster"], row["node"], row["action"], row["cause"], row["why"] or "-"]
              for row in rows]
    return aligned(cells)


def rehearse(clusters, days, step, storage_url, timeout, access, now=None):
    """{"rows", "table", "notes", "problems"} of what draining would have done.

    clusters: [{"cluster", "query", "silences", "own_percent", "total_percent", "per_hour"}]
    """
    first, last = span(days, step, time.time() if now is None else now)

    def ask(expression, start, end):
        begin = time.time()
        found = query.range_query(storage_url, expression, timeout, start, end, step, access)
        # The storage has others to answer.
        time.sleep(min(5, time.time() - begin))
        return found

    rows, notes, problems = [], ["limits count over all nodes of a cluster: the storage does not know partitions"], []
    for one in clusters:
        try:
            events, known = rehearse_cluster(ask, one, first, last, step)
        except Failure as error:
            problems.append("%s: %s" % (one["cluster"], error))
            continue
        if not known and events:
            notes.append("%s: the storage has no states of Slurm's nodes; all nodes with a verdict count as idle" % one["cluster"])
        if len(events) > LISTED:
            notes.append("%s: the last %d of %d decisions" % (one["cluster"], LISTED, len(events)))
        rows += [dict(event, cluster=one["cluster"]) for event in events[-LISTED:]]
    return {"rows": rows, "table": table(rows), "notes": notes, "problems": problems}
