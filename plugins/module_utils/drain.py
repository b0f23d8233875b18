# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes Slurm should drain: pure functions from what is known to decisions. The program on a Slurm controller has a copy of this file beside
it, and the rehearsal imports it: standard library only.

Nothing here follows from what is missing: without a verdict there is no decision.

An entry of the past is {"node", "action": drain or observe, "cause", "since": of the verdict, "at": time of the decision, "until": time at which
the node was last seen as the decision left it}.
"""
import bisect
import collections
import json
import re
import time

# What our reasons begin with. A node that is drained with another reason is somebody else's.
PREFIX = "accelmon:"
MODES = ("observe", "drain")
# limits: why a decision waits, and what each means
LIMITS = collections.OrderedDict((
    ("mass", "the same cause on many nodes within minutes points to something that they share"),
    ("total", "too many nodes of the partition are out of work, whoever drained them"),
    ("own", "too many nodes of the partition are drained by this program"),
    ("hour", "enough nodes were drained within the last hour"),
))
# Why a node is left alone, and what each means.
LEFT = collections.OrderedDict((
    ("unknown", "Slurm has no such node"),
    ("theirs", "somebody else has drained it"),
    ("down", "Slurm does not use it anyway"),
    ("busy", "it is in maintenance, reserved, planned for a job, booting, powered off, or does not respond"),
    ("silenced", "its alert is silenced in Alertmanager"),
    ("resumed", "it was drained for this before, and somebody has resumed it"),
))
# What becomes of a verdict. `kept` is a node that is drained already, by us; `failed` one that Slurm refused to drain.
ACTIONS = ("drain", "observe", "blocked", "left", "kept", "failed")

BUSY = re.compile(r"(MAINT|REBOOT_.*|POWER.*|PLANNED|RESERVED|NOT_RESPONDING)\Z")
# The same cause on more than so many nodes, each within so many seconds of the other.
MASS_NODES, MASS_SECONDS = 3, 600
HOUR, DAY = 3600, 86400
# For how long a decision is remembered, so that a node that somebody has resumed is not drained for the same verdict again.
MEMORY = 7 * DAY
DEVICES = 4  # that a reason names at most
# A monitoring host that has not reached its Alertmanager for so many seconds does not know its silences.
SILENCES_SECONDS = 600
# A silence that the last look did not find is over. So many seconds, as the storage may show that look before what it found.
LOOK_SECONDS = 60
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,39}\Z")

# node: Slurm's name; device: as a reason names it, or ""; code: as in xid-79, or ""; since: seconds since the epoch; silenced: whether its alert is
Verdict = collections.namedtuple("Verdict", "node cause device code since silenced")
# own_percent: of a partition's nodes that may be drained by us, at least one; total_percent: at which nothing more is drained, whoever did it
Limits = collections.namedtuple("Limits", "own_percent total_percent per_hour")
# why: one of LIMITS or LEFT, or ""; reason: for Slurm, of drain and observe; new: whether it was not decided before
Decision = collections.namedtuple("Decision", "node action cause why reason since new")


def verdict(labels, since, names=None, silences=()):
    """The Verdict of a row of the storage's answer, or None if it is none. Labels are a stranger's.

    names: {the inventory's name: Slurm's}, where they differ; silences: see known_silences()
    """
    words = dict((key, text if WORD.match(text) else "") for key, text in labels.items())
    node = (names or {}).get(labels.get("node"), labels.get("node"))
    if not node or not words.get("cause") or not since > 0 or since == float("inf"):
        return None
    device = next(("%s=%s" % (word, words[label]) for label, word in (("index", "gpu"), ("pci_bus_id", "pci"), ("vendor", "vendor")) if words.get(label)), "")
    code = "%s-%s" % (words["kind"], words["code"]) if words.get("kind") and words.get("code") else ""
    return Verdict(node, words["cause"], device, code, since, any(is_about(silence, labels) for silence in silences))


def agreed(answers):
    """The verdicts that every answer has: two monitoring hosts must see the same. answers: [[Verdict]]"""
    found = {}
    for answer in answers:
        for one in answer:
            seen = found.setdefault(one[:4], {"since": [], "silenced": [], "by": set()})
            seen["since"].append(one.since)
            seen["silenced"].append(one.silenced)
            seen["by"].add(id(answer))
    return [Verdict(*(key + (min(seen["since"]), all(seen["silenced"])))) for key, seen in sorted(found.items()) if len(seen["by"]) == len(answers)]


def known_silences(rows, now):
    """[[matcher]] of the active silences, or None if nobody knows them. Where nothing was ever told of silences, there are none.

    rows: [(labels, seconds since the epoch)]: with `matchers`, when a monitoring host last saw such a silence; without, when it last saw them all
    matcher: {"name", "value", "isRegex", "isEqual"}, as in Alertmanager's API
    """
    looked = {}
    for labels, moment in rows:
        if "matchers" not in labels:
            looked[labels.get("node")] = max(moment, looked.get(labels.get("node"), moment))
    known = dict((node, moment) for node, moment in looked.items() if moment > now - SILENCES_SECONDS)
    if looked and not known:
        return None
    return [matchers_of(labels["matchers"]) for labels, moment in rows
            if "matchers" in labels and moment > known.get(labels.get("node"), float("inf")) - LOOK_SECONDS]


def matchers_of(text):
    """The matchers of a silence. What cannot be read could be about anything, as a silence without matchers is."""
    try:
        return [{"name": str(one["name"]), "value": str(one["value"]), "isRegex": bool(one["isRegex"]), "isEqual": bool(one["isEqual"])}
                for one in json.loads(text)]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []


def is_about(silence, labels):
    """Whether a silence is about an alert with these labels, in doubt too: if just labels do not fit that are not here. Alertmanager may have them."""
    misses = [one for one in silence if not fits(one, labels.get(one["name"], ""))]
    return not misses or len(misses) < len(silence) and not any(one["name"] in labels for one in misses)


def fits(matcher, text):
    """Whether a matcher fits the value of its label, "" for none. An expression that is not understood does."""
    if not matcher["isRegex"]:
        return (text == matcher["value"]) == matcher["isEqual"]
    if "[:" in matcher["value"]:
        return True  # [[:digit:]] is for Python a set of these very characters
    try:
        return (re.fullmatch(matcher["value"], text, re.ASCII) is not None) == matcher["isEqual"]
    except (re.error, OverflowError, RecursionError):
        return True


def is_ours(node):
    """Whether a node is drained with a reason of ours. The text alone says nothing: Slurm still shows it for a while after a resume."""
    return "DRAIN" in node.flags and node.reason.startswith(PREFIX)


def is_out(node):
    """Whether a node gets no work."""
    return node.base == "DOWN" or bool(node.flags.intersection(("DRAIN", "FAIL")))


def hindrance(node):
    """Why a node must not be drained, as in LEFT, or "". It is asked again immediately before that."""
    if node is None:
        return "unknown"
    if node.flags.intersection(("DRAIN", "FAIL")):
        return "theirs"
    if node.base not in ("IDLE", "MIXED", "ALLOCATED"):
        return "down"
    return "busy" if any(BUSY.match(flag) for flag in node.flags) else ""


def reason(verdicts):
    """The reason for Slurm: one line, from verdicts of one cause, the first of which counts."""
    first = verdicts[0]
    devices = list(collections.OrderedDict((one.device, None) for one in verdicts if one.device))
    more = ["and %d more" % (len(devices) - DEVICES)] if len(devices) > DEVICES else []
    words = [PREFIX, first.cause] + devices[:DEVICES] + more + [first.code] + [time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(first.since))]
    return " ".join(word for word in words if word)


class Crowds(object):
    """Which verdicts are some of many alike."""

    def __init__(self, events):
        """events: [(cause, since, node)] of verdicts and of the past."""
        self.events = collections.defaultdict(list)
        for cause, since, node in events:
            self.events[cause].append((since, node))
        for moments in self.events.values():
            moments.sort()

    def has(self, one):
        """Whether a verdict has the same cause as those of more than MASS_NODES nodes around its time, its own among them."""
        moments, nodes = self.events[one.cause], set()
        for place in range(bisect.bisect_left(moments, (one.since - MASS_SECONDS, "")), len(moments)):
            since, node = moments[place]
            if since > one.since + MASS_SECONDS or len(nodes) > MASS_NODES:
                break
            nodes.add(node)
        return len(nodes) > MASS_NODES


class Room(object):
    """How many more nodes may be drained: in each partition, and within the hour."""

    def __init__(self, nodes, limits, ours, past, mode, now):
        self.nodes, self.limits = nodes, limits
        self.size, self.out, self.own = collections.Counter(), collections.Counter(), collections.Counter()
        self.hour = sum(1 for entry in past if entry["action"] == mode and entry["at"] > now - HOUR)
        for name, node in nodes.items():
            for partition in self.partitions(name):
                self.size[partition] += 1
                self.out[partition] += is_out(node) or name in ours
                self.own[partition] += name in ours

    def partitions(self, name):
        """Of a node. Nodes without one count together."""
        return self.nodes[name].partitions or ("",)

    def limit(self, name):
        """The limit that one more node would exceed, or ""."""
        for partition in self.partitions(name):
            if self.out[partition] * 100 >= self.limits.total_percent * self.size[partition]:
                return "total"
        for partition in self.partitions(name):
            if self.own[partition] + 1 > max(1, self.limits.own_percent * self.size[partition] / 100.0):
                return "own"
        return "hour" if self.hour >= self.limits.per_hour else ""

    def take(self, name):
        """Count one more."""
        self.hour += 1
        for partition in self.partitions(name):
            self.out[partition] += 1
            self.own[partition] += 1


def decide(verdicts, nodes, limits, past, now, mode):
    """[Decision], one for each node with a verdict, those with the oldest verdict first.

    nodes: {Slurm's name: slurm.Node}; past: entries, see above; mode: one of MODES
    """
    by_node, until = collections.OrderedDict(), {}
    for one in sorted(verdicts, key=lambda one: (one.since, one)):
        by_node.setdefault(one.node, []).append(one)
    crowds = Crowds([(one.cause, one.since, one.node) for one in verdicts] + [(entry["cause"], entry["since"], entry["node"]) for entry in past])
    for entry in past:
        if entry["action"] == mode:
            until[entry["node"]] = max(entry["until"], until.get(entry["node"], 0))
    # In observe mode, those that would be drained by now count like drained ones.
    watched = set(name for name in by_node if mode == "observe" and name in until) & set(nodes)
    room = Room(nodes, limits, set(name for name, node in nodes.items() if is_ours(node)) | watched, past, mode, now)
    return [_decision(found, nodes.get(name), until.get(name, 0), crowds, room, mode) for name, found in by_node.items()]


def _decision(found, node, until, crowds, room, mode):
    """The Decision about one node. found: its verdicts, the oldest first; until: when the node was last as a decision left it, or 0"""
    loud = [one for one in found if not one.silenced]

    def made(action, why="", of=(loud or found)[0], new=True):
        text = reason([one for one in loud if one.cause == of.cause and one.since >= of.since]) if action in MODES else ""
        return Decision(of.node, action, of.cause, why, text, of.since, new)

    if node is not None and is_ours(node):
        return made("kept")
    why = hindrance(node) or ("" if loud else "silenced")
    if why:
        return made("left", why)
    fresh = [one for one in loud if one.since > until]
    if not fresh:
        # What began before somebody resumed the node is for them to judge.
        return made("observe", new=False) if mode == "observe" else made("left", "resumed")
    alone = [one for one in fresh if not crowds.has(one)]
    if not alone:
        return made("blocked", "mass", fresh[0])
    limit = room.limit(found[0].node)
    if limit:
        return made("blocked", limit, alone[0])
    room.take(found[0].node)
    return made(mode, of=alone[0])


def entry_of(decision, now):
    """The entry of the past for a decision to drain or to observe."""
    return {"node": decision.node, "action": decision.action, "cause": decision.cause, "since": decision.since, "at": now, "until": now}


def remembered(past, decisions, now):
    """The past without what is over, and with what is as it was left: drained, or still to be drained in observe mode.

    A node that is drained with a reason of ours has an entry from then on, also if another controller drained it, or the past was lost.
    """
    action = dict((one.node, {"kept": "drain", "observe": "observe"}.get(one.action)) for one in decisions)
    made = [dict(entry, until=now) if action.get(entry["node"]) == entry["action"] else entry for entry in past]
    known = set(entry["node"] for entry in past if entry["action"] == "drain")
    # Not of this hour: nobody knows when.
    made += [dict(entry_of(one, now), action="drain", at=0.0) for one in decisions if one.action == "kept" and one.node not in known]
    return [entry for entry in made if entry["node"] in action or entry["until"] > now - MEMORY]
