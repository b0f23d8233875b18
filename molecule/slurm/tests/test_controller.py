# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collector on a controller says, beside the real slurmctld of Debian 12 and 13."""

import pytest
from slurm_host import ALL, PAGES, TEXTFILES, Host

PLAY = "molecule/slurm/collector.yml"
UNIT = "slurm-collector"


@pytest.fixture(name="installed", scope="module")
def _installed(fleet):
    """The collector is on all hosts, and a second run changes nothing."""
    run = fleet.play(PLAY)
    assert run.code == 0, run.output
    run = fleet.play(PLAY)
    assert run.code == 0 and run.changed() == 0, run.output


@pytest.fixture(name="host", params=ALL)
def _host(fleet, request, installed):  # pylint: disable=unused-argument
    """A controller that answers, whose node takes jobs."""
    host = Host(fleet, request.param)
    host.resume()
    yield host
    host.resume()


def test_a_drained_node_says_why_and_since_when(host):
    host.says(UNIT, 'slurm_node_state_info{node="NODE",state="idle"} 1', 'slurm_node_gres_total{node="NODE",gres="gpu",type="h100"} 3',
              'slurm_node_gres_used{node="NODE",gres="gpu",type="h100"} 0', without=['flag="drain"'])
    host.shell(f"""scontrol update nodename={host.name} state=drain reason='new "PSU" [2]'""")
    host.says(UNIT, 'slurm_node_flag{node="NODE",flag="drain"} 1', r'slurm_node_drain_reason_info{node="NODE",reason="new \"PSU\" [2]",by="root"} 1',
              'slurm_node_drain_since_timestamp_seconds{node="NODE"} ')
    host.shell(f"scontrol update nodename={host.name} state=resume")
    host.says(UNIT, 'slurm_node_state_info{node="NODE",state="idle"} 1', without=['flag="drain"'])


def test_jobs_are_counted_and_their_devices_are_used(host):
    job = host.submit("--gres=gpu:h100:2")
    host.submit("--hold")
    host.says(UNIT, 'slurm_jobs{state="running",partition="gpu"} 1', 'slurm_jobs{state="pending",partition="gpu"} 1',
              'slurm_node_gres_used{node="NODE",gres="gpu",type="h100"} 2', 'slurm_node_state_info{node="NODE",state="mixed"} 1')
    host.shell(f"scancel {job}")
    host.says(UNIT, 'slurm_node_gres_used{node="NODE",gres="gpu",type="h100"} 0', without=['slurm_jobs{state="running"'])


def test_a_controller_that_is_down(host):
    host.shell("systemctl stop slurmctld")
    host.says(UNIT, 'slurm_collector_success{query="nodes"} 0', without=["slurm_node_", "slurm_jobs"])
    host.shell("systemctl start slurmctld")
    host.says(UNIT, 'slurm_collector_success{query="nodes"} 1', 'slurm_collector_success{query="jobs"} 1', 'slurm_node_state_info{node="NODE",')


def test_it_goes_without_a_trace(fleet, installed):  # pylint: disable=unused-argument
    """The last test: it takes the collector away."""
    run = fleet.play(PLAY, "-e", "slurm_collector_state=absent")
    assert run.code == 0, run.output
    for host in fleet.hosts:
        assert fleet.shell(host, "ls /etc/systemd/system | grep slurm-collector || true") == ""
        assert fleet.shell(host, f"ls {TEXTFILES}/{PAGES[UNIT]} 2>/dev/null || true") == ""
