# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes are drained, and which are not, with the failures that others have had with draining. Nothing is stubbed."""
import json

import pytest

from ansible_collections.accelmon.fleet.plugins.module_utils import drain, slurm

NOW = 1795900000
LIMITS = drain.Limits(own_percent=5, total_percent=25, per_hour=3)


def node(state="IDLE", reason="", partitions="train"):
    """A node as scontrol shows it."""
    return slurm.node({"NodeName": "x", "State": state, "Partitions": partitions, "Reason": reason})


def fleet(number=100, **others):
    """Idle nodes n1 to n<number>, and others by name."""
    return dict({"n%d" % count: node() for count in range(1, number + 1)}, **others)


def verdict(name, cause="error", since=NOW - 60, **labels):
    """A row of the storage."""
    return drain.verdict(dict({"node": name, "cause": cause, "index": "3", "kind": "xid", "code": "79"}, **labels), since)


def decide(verdicts, nodes=None, past=(), mode="drain", now=NOW, limits=LIMITS):
    """{node: (action, why)}."""
    return {one.node: (one.action, one.why) for one in drain.decide(verdicts, fleet() if nodes is None else nodes, limits, list(past), now, mode)}


def entry(name, action="drain", at=NOW - 600, **more):
    """An entry of the past."""
    return dict({"node": name, "action": action, "cause": "error", "since": at - 60, "at": at, "until": at}, **more)


DRAINED = ("drain", "")


def test_a_verdict_drains_its_node_and_no_other():
    made = drain.decide([verdict("n1")], fleet(), LIMITS, [], NOW, "drain")
    assert made == [drain.Decision("n1", "drain", "error", "", "accelmon: error gpu=3 xid-79 2026-11-28T21:05Z", NOW - 60, True)]


def test_running_jobs_do_not_keep_a_node_from_being_drained():
    assert decide([verdict("a"), verdict("b", since=NOW - 3000)], fleet(a=node("MIXED"), b=node("ALLOCATED"))) == {"a": DRAINED, "b": DRAINED}


def test_nothing_follows_from_nothing():
    assert decide([]) == decide([], past=[entry("n1")]) == {}


def test_a_node_with_several_verdicts_is_drained_once_for_the_oldest():
    found = drain.decide([verdict("n1", "links", index="5", kind="", since=NOW - 90), verdict("n1", index="7"), verdict("n1")], fleet(), LIMITS, [], NOW,
                         "drain")
    assert [(one.action, one.reason) for one in found] == [("drain", "accelmon: links gpu=5 2026-11-28T21:05Z")]


@pytest.mark.parametrize("labels, since, found", [
    ({"index": "0", "vendor": "nvidia"}, 5, drain.Verdict("a", "error", "gpu=0", "", 5, False)),
    ({"pci_bus_id": "0000:1b:00.0", "kind": "xid", "code": "79"}, 5, drain.Verdict("a", "error", "pci=0000:1b:00.0", "xid-79", 5, False)),
    ({"vendor": "amd"}, 5, drain.Verdict("a", "error", "vendor=amd", "", 5, False)),
    ({"index": "1 State=RESUME", "code": "x\ny", "kind": "xid"}, 5, drain.Verdict("a", "error", "", "", 5, False)),
    ({"cause": ""}, 5, None), ({"node": ""}, 5, None), ({}, 0, None), ({}, float("nan"), None), ({}, float("inf"), None),
])
def test_labels_are_a_strangers(labels, since, found):
    assert drain.verdict(dict({"node": "a", "cause": "error"}, **labels), since) == found


def test_slurm_has_its_own_names_of_nodes():
    assert drain.verdict({"node": "gpu7.example.org", "cause": "error"}, 5, {"gpu7.example.org": "gpu7"}).node == "gpu7"


def test_two_monitoring_hosts_have_to_agree():
    early, late, other = (drain.verdict({"node": name, "cause": "error"}, since) for name, since in (("a", 5), ("a", 9), ("b", 5)))
    assert drain.agreed([[late, other], [early]]) == [early]
    assert drain.agreed([[early, other]]) == [early, other]
    assert drain.agreed([[early], []]) == drain.agreed([[]]) == []


def test_a_reason_names_a_few_devices():
    verdicts = [verdict("n1", index=str(index)) for index in range(6)]
    assert drain.reason(verdicts) == "accelmon: error gpu=0 gpu=1 gpu=2 gpu=3 and 2 more xid-79 2026-11-28T21:05Z"


@pytest.mark.parametrize("state, reason, expected", [
    ("IDLE", "", DRAINED), ("MIXED", "", DRAINED), ("ALLOCATED", "", DRAINED), ("MIXED+COMPLETING", "", DRAINED), ("IDLE+CLOUD", "", DRAINED),
    # Slurm still shows a reason for a while after a resume.
    ("IDLE", "accelmon: error [slurm@2026-11-28T06:02:12]", DRAINED), ("IDLE", "fan [root@2026-11-28T06:02:12]", DRAINED),
    ("IDLE+DRAIN", "accelmon: error gpu=3 [slurm@2026-11-28T06:02:12]", ("kept", "")), ("MIXED+DRAIN", "accelmon: links", ("kept", "")),
    ("IDLE+DRAIN", "ADMIN SHUTDOWN [root@2026-11-28T06:02:12]", ("left", "theirs")), ("IDLE+DRAIN", "", ("left", "theirs")),
    ("MIXED+DRAIN", "NHC: check_hw", ("left", "theirs")), ("IDLE+FAIL", "x", ("left", "theirs")), ("DOWN+DRAIN", "x", ("left", "theirs")),
    ("DOWN", "Not responding", ("left", "down")), ("DOWN*", "", ("left", "down")), ("FUTURE", "", ("left", "down")), ("UNKNOWN*", "", ("left", "down")),
    ("ERROR", "", ("left", "down")), ("IDLE+MAINT", "", ("left", "busy")), ("IDLE$", "", ("left", "busy")), ("IDLE+REBOOT_ISSUED", "", ("left", "busy")),
    ("IDLE@", "", ("left", "busy")), ("IDLE+POWERED_DOWN", "", ("left", "busy")), ("IDLE#", "", ("left", "busy")), ("IDLE~", "", ("left", "busy")),
    ("MIXED+PLANNED", "", ("left", "busy")), ("IDLE+RESERVED", "", ("left", "busy")), ("IDLE*", "", ("left", "busy")),
])
def test_states(state, reason, expected):
    assert decide([verdict("a")], fleet(a=node(state, reason))) == {"a": expected}


def test_a_node_that_slurm_does_not_know_is_left():
    assert decide([verdict("login1")]) == {"login1": ("left", "unknown")}


# What has gone wrong elsewhere.

def test_a_hung_check_does_not_overwrite_an_administrators_reason():
    """A check that hung replaced "ADMIN SHUTDOWN", and the next one put the node online."""
    nodes = fleet(a=node("IDLE+DRAIN", "ADMIN SHUTDOWN [root@2026-11-28T06:02:12]"))
    for verdicts in ([verdict("a")], []):
        assert {action for action, dummy in decide(verdicts, nodes, past=[entry("a")]).values()} <= {"left"}


def test_nothing_is_ever_resumed():
    """A node that was healthy after a reboot, without load, was given back and failed again."""
    nodes = fleet(a=node("IDLE+DRAIN", "accelmon: error gpu=3"))
    assert decide([], nodes, past=[entry("a")]) == {}
    assert "resume" not in drain.ACTIONS


def test_a_node_that_somebody_resumed_is_left_while_the_verdict_lasts():
    for when in (NOW, NOW + 30 * drain.DAY):
        assert decide([verdict("n1", since=NOW - 700)], past=[entry("n1")], now=when) == {"n1": ("left", "resumed")}


def test_a_new_verdict_drains_a_resumed_node_again():
    assert decide([verdict("n1", since=NOW - 700), verdict("n1", since=NOW - 60)], past=[entry("n1")]) == {"n1": DRAINED}


def test_what_began_while_a_node_was_drained_is_known_to_whoever_resumes_it():
    past, nodes = [entry("n1")], fleet(n1=node("IDLE+DRAIN", "accelmon: error"))
    made = drain.decide([verdict("n1", since=NOW - 60)], nodes, LIMITS, past, NOW, "drain")
    past = drain.remembered(past, made, NOW)
    assert decide([verdict("n1", since=NOW - 60)], past=past, now=NOW + 60) == {"n1": ("left", "resumed")}


def test_a_node_that_another_controller_drained_is_left_too_once_somebody_has_resumed_it():
    """The same if the past was lost."""
    made = drain.decide([verdict("n1")], fleet(n1=node("IDLE+DRAIN", "accelmon: error")), LIMITS, [], NOW, "drain")
    past = drain.remembered([], made, NOW)
    assert decide([verdict("n1")], past=past, now=NOW + 60) == {"n1": ("left", "resumed")}
    assert decide([verdict("n9", "links")], past=past * 3, now=NOW + 60) == {"n9": DRAINED}, "it is none of this hour"


def test_the_past_is_kept_while_a_verdict_lasts_and_for_a_week():
    past, late = [entry("n1")], NOW + 8 * drain.DAY
    assert drain.remembered(past, [], NOW + drain.DAY) == past
    assert drain.remembered(past, [], late) == []
    assert drain.remembered(past, drain.decide([verdict("n1", since=NOW - 700)], fleet(), LIMITS, past, late, "drain"), late) == past


def test_a_new_driver_that_looks_like_a_mass_failure_stops_draining():
    """Driver upgrades and growing clusters have looked like mass failures."""
    many = [verdict("n%d" % number, since=NOW - 60 * number) for number in range(1, 5)]
    assert decide(many) == {"n%d" % number: ("blocked", "mass") for number in range(1, 5)}
    assert set(decide(many[:3]).values()) == {DRAINED}, "three nodes are no mass"
    assert set(decide(many, now=NOW + 5 * drain.HOUR).values()) == {("blocked", "mass")}, "it waits for a person, not for time to pass"


def test_nodes_that_were_drained_before_count_for_the_mass():
    past = [entry("n%d" % number, at=NOW - 300) for number in range(1, 4)]
    assert decide([verdict("n9", since=NOW - 60)], past=past) == {"n9": ("blocked", "mass")}
    assert decide([verdict("n9", since=NOW - 60)], past=past, limits=LIMITS._replace(per_hour=9)) == {"n9": ("blocked", "mass")}
    assert decide([verdict("n9", "missing", since=NOW - 60)], past=past, limits=LIMITS._replace(per_hour=9)) == {"n9": DRAINED}, "another cause"


def test_a_mass_does_not_hide_another_verdict():
    many = [verdict("n%d" % number) for number in range(1, 5)] + [verdict("n1", "row_remap_failed", kind="")]
    assert decide(many)["n1"] == DRAINED


def test_a_tripped_limit_leaves_nothing_stuck():
    """A tripped breaker also stopped nodes from coming back. Here, people resume nodes, and no limit can stop them."""
    many = [verdict("n%d" % number) for number in range(1, 5)]
    assert decide([verdict("n9", "missing", since=NOW - 3000)] + many)["n9"] == DRAINED, "other causes go on"


def test_at_most_so_many_of_a_partition_are_drained_by_us():
    spread = [verdict("n%d" % number, since=NOW - 2000 * number) for number in range(1, 8)]
    found = decide(spread, limits=LIMITS._replace(per_hour=100))
    assert sorted(found.values()) == [("blocked", "own")] * 2 + [DRAINED] * 5
    assert found["n7"] == DRAINED, "the oldest first"
    nodes = fleet(**{"o%d" % number: node("IDLE+DRAIN", "accelmon: error") for number in range(1, 6)})
    assert decide([verdict("n1")], nodes) == {"n1": ("blocked", "own")}


def test_one_node_of_a_small_partition_may_be_drained():
    assert sorted(decide([verdict("n1"), verdict("n2", since=NOW - 3000)], fleet(5)).values()) == [("blocked", "own"), DRAINED]


def test_nothing_is_drained_where_a_quarter_is_out_of_work():
    nodes = fleet(75, **{"o%d" % number: node("DOWN*" if number % 2 else "IDLE+DRAIN", "fan") for number in range(1, 26)})
    assert decide([verdict("n1")], nodes) == {"n1": ("blocked", "total")}
    nodes["o1"] = node()
    assert decide([verdict("n1")], nodes) == {"n1": DRAINED}


def test_every_partition_of_a_node_has_to_allow_it():
    nodes = fleet(a=node(partitions="train,small"), b=node("IDLE+DRAIN", "x", "small"), c=node(partitions="small"))
    assert decide([verdict("a")], nodes) == {"a": ("blocked", "total")}
    assert decide([verdict("a")], {"a": node(partitions=""), "b": node(partitions="")}) == {"a": DRAINED}


def test_at_most_so_many_within_an_hour():
    past = [entry("n%d" % number, at=NOW - 900 * number) for number in range(1, 4)]
    assert decide([verdict("n9")], past=past) == {"n9": ("blocked", "hour")}
    assert decide([verdict("n9")], past=past, now=NOW + 2000) == {"n9": DRAINED}
    assert decide([verdict("n9")], past=[dict(one, action="observe") for one in past]) == {"n9": DRAINED}, "nothing was drained in observe mode"


def test_observing_says_what_draining_would_do():
    verdicts = [verdict("n%d" % number, since=NOW - 2000 * number) for number in range(1, 5)]
    past = []
    for moment in range(NOW, NOW + 300, 60):
        made = drain.decide(verdicts, fleet(), LIMITS, past, moment, "observe")
        assert [(one.node, one.action, one.why) for one in made] == [
            ("n4", "observe", ""), ("n3", "observe", ""), ("n2", "observe", ""), ("n1", "blocked", "hour")]
        assert {one.new for one in made if one.action == "observe"} == {moment == NOW}
        past = drain.remembered(past, made, moment) + [drain.entry_of(one, moment) for one in made if one.action == "observe" and one.new]
    assert len(past) == 3
    assert decide(verdicts[1:], past=past) == {"n%d" % number: DRAINED for number in (2, 3, 4)}, "the mode was changed"


def test_observed_nodes_count_for_a_partition_as_drained_ones():
    past = [entry("n%d" % number, action="observe", at=NOW - 7200) for number in range(1, 6)]
    verdicts = [verdict("n%d" % number, since=NOW - 8000) for number in range(1, 6)]
    assert decide(verdicts + [verdict("n9", "missing")], past=past, mode="observe")["n9"] == ("blocked", "own")


def test_ten_thousand_nodes_with_verdicts_are_decided_about_at_once():
    found = decide([verdict("n%d" % number, since=NOW - number) for number in range(1, 10001)], fleet(10000))
    assert {why for dummy, why in found.values()} == {"mass"}


# Silences.

def matcher(name, value, sign="="):
    """A matcher as Alertmanager's API has it."""
    return {"name": name, "value": value, "isRegex": "~" in sign, "isEqual": "!" not in sign}


def told(*matchers, node="mon1", at=NOW - 20):
    """A row of the storage about a silence."""
    return {"node": node, "matchers": json.dumps(matchers)}, at


def looked(node="mon1", at=NOW - 20):
    """A row of the storage about the last look at all silences."""
    return {"node": node}, at


ALERT = {"alertname": "AcceleratorErrorFatal", "alertstate": "firing", "severity": "critical", "cluster": "west", "node": "gpu7.x", "index": "3",
         "cause": "error"}


@pytest.mark.parametrize("about, matchers", [
    (True, [matcher("node", "gpu7.x")]), (False, [matcher("node", "gpu7")]), (False, [matcher("node", "gpu8.x")]), (False, [matcher("node", "")]),
    (False, [matcher("node", "gpu7.x", "!=")]), (True, [matcher("node", "gpu8.x", "!=")]),
    # The whole label has to match.
    (True, [matcher("node", "gpu.*", "=~")]), (False, [matcher("node", "gpu7", "=~")]), (False, [matcher("node", "pu7.x", "=~")]),
    (True, [matcher("node", "gpu6.x|gpu7.x", "=~")]), (True, [matcher("node", "gpu7|gpu7.x", "=~")]), (True, [matcher("node", "(?i)GPU7.X", "=~")]),
    (False, [matcher("node", "gpu.*", "!~")]), (True, [matcher("node", "gpu7", "!~")]), (True, [matcher("node", "gpu8.*", "!~")]),
    # All of them.
    (True, [matcher("node", "gpu7.x"), matcher("alertname", "AcceleratorErrorFatal"), matcher("severity", "info", "!=")]),
    (False, [matcher("node", "gpu7.x"), matcher("alertname", "AcceleratorLinkDown")]), (False, [matcher("cluster", "east")]),
    (False, [matcher("severity", "warning")]), (False, [matcher("index", "2")]),
    # A label that an alert may have got on its way; the rest has to fit.
    (True, [matcher("replica", "a"), matcher("node", "gpu7.x")]), (True, [matcher("replica", "", "!="), matcher("node", "gpu.*", "=~")]),
    (False, [matcher("replica", "a"), matcher("index", "2")]), (False, [matcher("replica", "a"), matcher("index", "2"), matcher("node", "gpu7.x")]),
    # Another alert's label.
    (False, [matcher("integration", "slack")]), (False, [matcher("integration", "s.*", "=~")]), (False, [matcher("integration", "", "!=")]),
    (True, [matcher("integration", "slack", "!=")]), (True, [matcher("integration", "")]), (True, [matcher("integration", ".*", "=~")]),
    # What Python does not understand, or understands in another way than Alertmanager.
    (True, [matcher("node", r"\pL+\z", "=~")]), (True, [matcher("node", "(", "!~")]),
    (True, [matcher("node", "[[:alpha:]]pu7[.]x", "=~")]), (True, [matcher("node", "x{99999999999}", "=~")]),
    (False, [matcher("index", "[[:alpha:]]", "=~"), matcher("node", "gpu8.x")]),
    (True, [])])
def test_what_a_silence_is_about(about, matchers):
    assert drain.is_about(matchers, ALERT) == about


@pytest.mark.parametrize("text", ["", "[", "{}", "5", "null", '"abc"', "[5]", '["abc"]', '[{"name": "node"}]', "[" * 1000, "[]"])
def test_a_silence_that_cannot_be_read_could_be_about_anything(text):
    (silence,) = drain.known_silences([({"node": "mon1", "matchers": text}, NOW), looked()], NOW)
    assert drain.is_about(silence, ALERT)


def test_strangers_in_a_matcher_do_no_harm():
    text = json.dumps([{"name": ["a"], "value": {"b": 1}, "isRegex": 0, "isEqual": "yes"}])
    assert not drain.is_about(drain.matchers_of(text), ALERT)
    assert drain.is_about([matcher("node", "(" * 490 + ")" * 490, "=~")], ALERT) in (True, False), "some versions of Python refuse that"
    assert not drain.is_about(drain.matchers_of(json.dumps([{"name": "node", "value": 7, "isRegex": False, "isEqual": True}])), ALERT)


A, B = [matcher("node", "a")], [matcher("node", "b")]


@pytest.mark.parametrize("rows, known", [
    ([], []), ([looked()], []), ([told(*A), looked(), told(*B)], [A, B]),
    # It is over: a later look did not find it.
    ([told(*A, at=NOW - 120), looked(at=NOW - 20)], []), ([told(*A, at=NOW - 60), looked(at=NOW - 20)], [A]),
    # Nothing is scraped any more, or Alertmanager does not answer: what was last known counts for a while.
    ([told(*A, at=NOW - 590), looked(at=NOW - 590)], [A]), ([told(*A, at=NOW - 610), looked(at=NOW - 610)], None), ([looked(at=NOW - 610)], None),
    # Of two monitoring hosts one is enough, and who does not know does not count.
    ([told(*A, node="mon2"), looked("mon2"), looked("mon1", NOW - 7200), told(*B, node="mon1", at=NOW - 7200)], [A]),
    ([told(*A, node="mon2"), looked("mon2"), looked("mon1")], [A]),
    # Two storages tell the same, one of them later.
    ([told(*A), looked(), told(*A, at=NOW - 50), looked(at=NOW - 50)], [A, A]),
    # A row of nobody.
    ([told(*A, node="mon3"), looked()], []), ([looked(at=float("nan"))], None)])
def test_which_silences_are_known(rows, known):
    assert drain.known_silences(rows, NOW) == known


def silenced(name, cause="error", **labels):
    """A verdict with a silence about its node and cause."""
    row = dict({"node": name, "cause": cause, "index": "3", "kind": "xid", "code": "79"}, **labels)
    return drain.verdict(row, NOW - 60, silences=[[matcher("node", name), matcher("cause", cause)]])


def test_a_silence_keeps_a_node_from_being_drained_and_no_other():
    assert decide([silenced("n1"), verdict("n2")]) == {"n1": ("left", "silenced"), "n2": DRAINED}
    assert decide([silenced("n1")], mode="observe") == {"n1": ("left", "silenced")}


def test_a_verdict_without_a_silence_drains_and_is_the_reason():
    found = drain.decide([silenced("n1", index="7"), silenced("n1", "links"), verdict("n1", since=NOW - 30)], fleet(), LIMITS, [], NOW, "drain")
    assert [(one.action, one.cause, one.reason) for one in found] == [("drain", "error", "accelmon: error gpu=3 xid-79 2026-11-28T21:06Z")]


@pytest.mark.parametrize("state, reason, expected", [
    ("IDLE+DRAIN", "accelmon: error gpu=3", ("kept", "")), ("IDLE+DRAIN", "fan", ("left", "theirs")), ("DOWN", "", ("left", "down")),
    ("IDLE+MAINT", "", ("left", "busy"))])
def test_a_silence_hides_nothing_that_is_so_already(state, reason, expected):
    assert decide([silenced("a")], fleet(a=node(state, reason))) == {"a": expected}


def test_the_end_of_a_silence_drains_what_began_before_it_but_nothing_that_somebody_resumed():
    past = drain.remembered([], drain.decide([silenced("n1")], fleet(), LIMITS, [], NOW, "drain"), NOW)
    assert past == [] and decide([verdict("n1")], past=past) == {"n1": DRAINED}
    past = [entry("n1", at=NOW - 30)]
    assert decide([silenced("n1")], past=past) == {"n1": ("left", "silenced")}
    assert decide([verdict("n1")], past=past) == {"n1": ("left", "resumed")}


def test_silenced_verdicts_tell_of_a_shared_cause_all_the_same():
    """A silence says that somebody knows of a node; whether a switch or a driver is the cause does not depend on that."""
    assert decide([silenced("n1"), silenced("n2"), silenced("n3"), verdict("n4")])["n4"] == ("blocked", "mass")
    assert decide([silenced("n1"), silenced("n2"), verdict("n3")])["n3"] == DRAINED


def test_two_monitoring_hosts_agree_about_a_silenced_verdict():
    assert drain.agreed([[silenced("a")], [silenced("a")]]) == [silenced("a")]
    # Two alerts about one device, of which only one is silenced.
    assert drain.agreed([[silenced("a"), verdict("a")], [silenced("a"), verdict("a")]]) == [verdict("a")]
