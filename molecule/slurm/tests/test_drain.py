# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draining on the real slurmctld of Debian 12 and 13: the right node with our reason, and nobody else's.

Stubbed: collector, exporter, vmalert, and what publishes Alertmanager's silences. The tests write the series of an error, of its alert and of a silence
into a real VictoriaMetrics on slurm13.
"""

import json
import time

import pytest
from lab_fleet import Seen, eventually
from slurm_host import ALL, TEXTFILES, Host

PLAY = "molecule/slurm/drain.yml"
UNIT = "slurm-drain"
STORAGE = "slurm13"
FOLDER = "/var/tmp/lab-storage"
DRAINED = 'slurm_node_drain_decision_info{node="NODE",action="drain",cause="error",why=""} 1'
OTHER = 'slurm_node_drain_decision_info{node="elsewhere",action="left",cause="error",why="unknown"} 1'


class Controller(Host):
    """A host whose program has done nothing yet, and the storage, which is empty."""

    def __init__(self, fleet, name):
        super().__init__(fleet, name)
        self.began = int(time.time())
        # What it did before counts against its limits.
        self.shell("rm -f /var/lib/accelmon/slurm_drain/state.json")
        self.start_storage()
        self.resume()

    def start_storage(self):
        """Start it without any data."""
        self.fleet.shell(STORAGE, f"systemctl stop lab-storage 2>/dev/null; rm -rf {FOLDER}; systemd-run --quiet --unit=lab-storage victoria-metrics "
                                  f"-storageDataPath={FOLDER} -httpListenAddr=:8428")

    def error(self, *nodes):
        """Let nodes have an error from before the test, as if their alert fired now."""
        device = 'cluster="default",vendor="nvidia",pci_bus_id="0000:1b:00.0",index="3",kind="xid",code="79"'
        lines = [line for node in nodes for line in (
            f'accelerator_error_last_timestamp_seconds{{node="{node}",{device}}} {self.began - 60}',
            f'ALERTS{{alertname="AcceleratorErrorFatal",alertstate="firing",node="{node}",{device}}} 1')]
        self.write(*lines)

    def write(self, *lines):
        """Samples of now for the storage."""
        text = "\n".join(lines)
        self.fleet.shell(STORAGE, f"curl -sSf --max-time 20 --data-binary '{text}' http://127.0.0.1:8428/api/v1/import/prometheus")

    def silence(self, seen):
        """Let a monitoring host have seen a silence about the node then, and have looked for silences now."""
        matchers = json.dumps(json.dumps([{"isEqual": True, "isRegex": False, "name": "node", "value": self.name}]))
        self.write(f'accelmon_fleet_silence_seen_timestamp_seconds{{node="mon1",matchers={matchers}}} {seen}',
                   f'accelmon_fleet_silences_last_success_timestamp_seconds{{node="mon1"}} {int(time.time())}')

    def knows(self, text):
        """Whether the storage tells a text of silences."""
        query = "last_over_time({__name__=~\"accelmon_fleet_silence.*\"}[15m])"
        Seen.text = self.fleet.shell(STORAGE, f"curl -sSf --max-time 20 --data-urlencode 'query={query}' -d latency_offset=1s "
                                              "http://127.0.0.1:8428/api/v1/query")
        return text in Seen.text

    def decides(self, *lines, errors, without=()):
        """Wait until a run writes these lines, while nodes have an error."""
        eventually(lambda: [self.error(*errors)], "the storage takes samples")
        self.says(UNIT, *lines, without=without)


def converge(fleet, mode):
    """Install it in a mode on all hosts; a second run changes nothing. Afterwards the tests start it, not its timer."""
    run = fleet.play(PLAY, "-e", f"accelmon_drain={mode}")
    assert run.code == 0, run.output
    run = fleet.play(PLAY, "-e", f"accelmon_drain={mode}")
    assert run.code == 0 and run.changed() == 0, run.output
    for host in fleet.hosts:
        fleet.shell(host, f"systemctl stop accelmon-{UNIT}.timer accelmon-{UNIT}")


@pytest.fixture(name="observed", scope="module")
def _observed(fleet):
    converge(fleet, "observe")


@pytest.fixture(name="drained", scope="module")
def _drained(fleet):
    converge(fleet, "drain")


@pytest.fixture(name="observer", params=ALL)
def _observer(fleet, request, observed):  # pylint: disable=unused-argument
    controller = Controller(fleet, request.param)
    yield controller
    controller.resume()


@pytest.fixture(name="controller", params=ALL)
def _controller(fleet, request, drained):  # pylint: disable=unused-argument
    controller = Controller(fleet, request.param)
    yield controller
    controller.resume()


def test_an_observer_only_says_what_it_would_drain(observer):
    observer.decides('slurm_node_drain_decision_info{node="NODE",action="observe",cause="error",why=""} 1', OTHER, "slurm_drain_acting 0",
                     errors=[observer.name, "elsewhere"])
    assert " State=IDLE " in observer.node()
    assert f"{observer.name}: would be drained for error: accelmon: error gpu=3 xid-79 " in observer.shell(
        f"journalctl --unit accelmon-{UNIT} --since=@{observer.began}")


def test_a_fatal_error_drains_its_node_and_jobs_go_on(controller):
    job = controller.submit("--gres=gpu:h100:1")
    eventually(lambda: "State=MIXED" in controller.node(), "the job runs")
    controller.decides(DRAINED, OTHER, 'slurm_drain_success{query="nodes"} 1', errors=[controller.name, "elsewhere"])
    node = controller.node()
    assert "State=MIXED+DRAIN " in node and "Reason=accelmon: error gpu=3 xid-79 " in node and "[slurm@" in node, node
    assert controller.shell(f"squeue -h -o %T -j {job}").strip() == "RUNNING"
    controller.decides('{node="NODE",action="kept",cause="error",why=""} 1', errors=[controller.name])
    # Who resumes it has judged the error, so it is not drained for that again.
    controller.resume()
    controller.decides('{node="NODE",action="left",cause="error",why="resumed"} 1', errors=[controller.name])
    assert " State=IDLE " in controller.node()


def test_a_node_that_somebody_else_drained_keeps_its_reason(controller):
    controller.shell(f"scontrol update nodename={controller.name} state=drain reason='new PSU'")
    said = controller.shell("sinfo -h -o '%E %u %H'")
    assert said.startswith("new PSU root ")
    controller.decides('{node="NODE",action="left",cause="error",why="theirs"} 1', errors=[controller.name])
    assert controller.shell("sinfo -h -o '%E %u %H'") == said


def test_a_silence_keeps_a_node_until_it_is_over(controller):
    eventually(lambda: [controller.silence(int(time.time()))], "the storage takes samples")
    # Before the error: a run of then would drain the node.
    eventually(lambda: controller.knows(controller.name), "the storage knows of the silence")
    controller.decides('{node="NODE",action="left",cause="error",why="silenced"} 1', 'slurm_drain_success{query="silences"} 1',
                       errors=[controller.name])
    assert " State=IDLE " in controller.node()
    # The monitoring host has not seen it for two minutes, while it looked.
    eventually(lambda: [controller.silence(int(time.time()) - 120)], "the storage takes samples")
    controller.decides(DRAINED, errors=[controller.name])
    assert " State=IDLE+DRAIN " in controller.node()


def test_the_same_error_on_many_nodes_drains_none(controller):
    controller.decides('{node="NODE",action="blocked",cause="error",why="mass"} 1', 'slurm_drain_blocked{limit="mass"} 1', without=[DRAINED],
                       errors=[controller.name, "elsewhere", "n2", "n3"])
    assert " State=IDLE " in controller.node()


def test_nothing_is_decided_without_slurmctld_or_the_storage(controller):
    controller.shell("systemctl stop slurmctld")
    controller.decides('slurm_drain_success{query="nodes"} 0', 'slurm_drain_success{query="verdicts"} 1', without=["slurm_node_drain_decision_info"],
                       errors=[controller.name])
    controller.shell("systemctl start slurmctld")
    controller.fleet.shell(STORAGE, "systemctl stop lab-storage")
    controller.idle()
    controller.says(UNIT, 'slurm_drain_success{query="nodes"} 1', 'slurm_drain_success{query="verdicts"} 0', without=["slurm_node_drain_decision_info"])
    assert " State=IDLE " in controller.node()
    controller.start_storage()
    controller.decides(DRAINED, errors=[controller.name])
    assert " State=IDLE+DRAIN " in controller.node()


def test_it_goes_and_what_is_drained_stays_drained(fleet, drained):  # pylint: disable=unused-argument
    """The last test: it takes the program away."""
    controllers = [Controller(fleet, name) for name in fleet.hosts]
    for controller in controllers:
        controller.decides(DRAINED, errors=[controller.name])
    run = fleet.play(PLAY, "-e", "accelmon_drain=none")
    assert run.code == 0, run.output
    for controller in controllers:
        assert "+DRAIN " in controller.node()
        assert controller.shell(f"ls /etc/systemd/system | grep slurm-drain; ls {TEXTFILES} | grep drain", check=False) == ""
        controller.resume()
    fleet.shell(STORAGE, f"systemctl stop lab-storage; rm -rf {FOLDER}")
