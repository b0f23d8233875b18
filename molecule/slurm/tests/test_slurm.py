# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which job has which device, by the real Slurm of Debian 12 and 13: owners are right at every step, and no hook ever drains the node."""

import json
import re

import pytest
from lab_fleet import Seen, eventually
from slurm_host import ALL, TEXTFILES, USER, Host

PLAY = "molecule/slurm/converge.yml"
JOBS = "/run/accelmon/jobs"
PAGE = TEXTFILES + "/accelmon_accelerators.prom"
# What files/slurm.sh says in gres.conf: the device, by its number, at each position in the node's list. Those at first are slices.
DEVICES = {"slurm12": [0, 2, 1, 3], "slurm13": [0, 0, 2, 1, 3]}


class Node(Host):
    """A host with owner files."""

    def running(self, job):
        """Numbers of the devices that Slurm says the job has; wait until it runs."""
        def found():
            Seen.text = self.shell(f"scontrol show job -d {job}", check=False)
            # An array answers to the number of its last task with all of them.
            own = "".join(part for part in Seen.text.split("\n\n") if part.startswith(f"JobId={job} "))
            match = re.search(r"JobState=RUNNING.*GRES=gpu:\w+:[0-9]+\(IDX:([0-9,-]+)\)", own, re.DOTALL)
            return match and match.group(1)
        numbers = set()
        for part in eventually(found, f"{self.name}: job {job} runs").split(","):
            first, _dash, last = part.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
        return {DEVICES[self.name][position] for position in numbers}

    def page(self):
        """What the collector writes now, with what it needs from the timer of the hooks."""
        self.shell("systemctl start accelmon-slurm-hooks && systemctl start accelmon-textfile-collector")
        Seen.text = self.shell(f"grep job_ {PAGE} || true")
        return Seen.text

    def owners(self):
        """{job: numbers of its devices} as exported."""
        found = {}
        for labels in re.findall(r"accelerator_job_info\{(.*)\}", self.page()):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            found.setdefault(labels["job_id"], set()).add(int(labels["index"]))
        return found

    def owned(self, expected):
        """Wait until exactly these jobs have exactly these devices."""
        eventually(lambda: self.owners() == expected, f"{self.name}: owners are {expected}")

    def files(self, result):
        """How many owner files have a result."""
        return int(re.search(r'accelmon_collector_job_files\{result="%s"\} ([0-9]+)' % result, self.page()).group(1))

    def ask_anew(self):
        """Make all owner files old, and let the next run of the timer ask Slurm about them."""
        self.shell(f"touch -d '-1 hour' {JOBS}/*; rm -f /run/accelmon/slurm.json")

    def left(self):
        return self.shell(f"ls {JOBS}").split()

    def kill_slurmd(self, others="true"):
        """Kill slurmd, with what another command kills, and start it again once systemd has noticed."""
        self.shell(f"pkill -KILL -x slurmd; {others}; while systemctl -q is-active slurmd; do sleep 0.2; done; "
                   "systemctl reset-failed slurmd; systemctl start slurmd")

    def emptied(self):
        """End all jobs, and wait until their owner files are gone and the node takes jobs. It was not drained."""
        assert "drain" not in self.shell("sinfo -h -o %T")
        self.shell(f"scancel -u {USER}")
        eventually(lambda: self.shell("squeue -h") == "" and self.left() == [], f"{self.name}: jobs and owner files are gone")
        self.idle()


@pytest.fixture(name="node", params=ALL)
def _node(fleet, request):
    """A node without jobs. Afterwards it is not drained, and has no jobs and no owner files again."""
    node = Node(fleet, request.param)
    node.idle()
    yield node
    node.emptied()


@pytest.fixture(name="nodes")
def _nodes(fleet):
    """All of them, for what takes playbooks."""
    nodes = [Node(fleet, name) for name in ALL]
    for node in nodes:
        node.idle()
    yield nodes
    for node in nodes:
        node.emptied()


def converge(fleet, **variables):
    run = fleet.play(PLAY, "-e", json.dumps(variables))
    assert run.code == 0, run.output
    return run


def test_jobs_have_the_devices_that_slurm_means(node):
    jobs = [node.submit("--gres=gpu:" + gpus) for gpus in ["h100:1", "h100:2"] + ["slice:1"] * DEVICES[node.name].count(0)]
    node.owned({job: node.running(job) for job in jobs})
    assert len(jobs) == node.files("read") and node.files("unresolved") == 0
    node.shell(f"scancel {jobs[0]}")
    node.owned({job: node.running(job) for job in jobs[1:]})


def test_tasks_of_an_array_are_jobs_of_their_own(node):
    node.submit("--array=1-3", "--gres=gpu:h100:1")
    eventually(lambda: len(node.left()) == 3, "three owner files")
    tasks = set(node.shell("squeue -h -r -o %A").split())
    node.owned({task: node.running(task) for task in tasks})


def test_a_shared_device_keeps_all_its_owners(node):
    first, second = node.submit("--gres=shard:1"), node.submit("--gres=shard:1")
    eventually(lambda: set(node.owners()) == {first, second}, "both jobs are exported")
    owners = node.owners()
    assert owners[first] == owners[second] and len(owners[first]) == 1
    node.shell(f"scancel {first}")
    node.owned({second: owners[second]})


def test_a_requeued_job_gives_its_devices_back_and_gets_some_again(node):
    job = node.submit("--requeue", "--gres=gpu:h100:1")
    node.running(job)
    eventually(lambda: job in node.owners(), "the job is exported")
    node.shell(f"scontrol requeuehold {job}")
    node.owned({})
    node.shell(f"scontrol release {job}; scontrol update jobid={job} StartTime=now")
    node.owned({job: node.running(job)})


def test_a_suspended_job_keeps_its_devices(node):
    job = node.submit("--gres=gpu:h100:1")
    expected = {job: node.running(job)}
    node.shell(f"scontrol suspend {job}")
    eventually(lambda: node.shell("squeue -h -o %T").strip() == "SUSPENDED", "the job is suspended")
    node.ask_anew()
    node.owned(expected)
    assert node.files("unverified") == 0
    node.shell(f"scontrol resume {job}")
    node.owned(expected)


def test_owners_outlive_slurmd(node):
    job = node.submit("--gres=gpu:h100:1")
    expected = {job: node.running(job)}
    node.shell("systemctl restart slurmd")
    node.ask_anew()
    node.owned(expected)
    node.kill_slurmd()
    node.owned(expected)
    node.shell(f"scancel {job}")
    node.owned({})


def test_a_job_whose_slurmstepd_died_is_forgotten_by_its_id(node):
    """Slurm no longer says which devices it had."""
    job = node.submit("--no-requeue", "--gres=gpu:h100:1")
    node.running(job)
    node.kill_slurmd(f"pkill -KILL -x slurmstepd; pkill -KILL -u {USER}")
    node.shell(f"scancel {job}")
    node.owned({})


def test_an_idle_allocation_stays_and_a_job_that_is_over_goes(node):
    node.shell(f"cd /tmp && su {USER} -c 'salloc --no-shell --gres=gpu:h100:1'")
    job, = node.left()
    node.shell(f"cp {JOBS}/{job} {JOBS}/999999")
    node.ask_anew()
    node.owned({job: node.running(job)})
    assert node.files("unverified") == 0


def test_without_a_controller_owners_stay_and_are_counted(node):
    job = node.submit("--gres=gpu:h100:1")
    expected = {job: node.running(job)}
    node.shell(f"systemctl stop slurmctld && cp {JOBS}/{job} {JOBS}/999999")
    node.ask_anew()
    device = next(iter(expected.values()))
    node.owned(dict(expected, **{"999999": device}))
    assert node.files("unverified") == 1
    node.shell("systemctl start slurmctld")
    eventually(lambda: "RUNNING" in node.shell("squeue -h -o %T", check=False), "the controller answers")
    node.ask_anew()
    node.owned(expected)


@pytest.mark.parametrize("mount", ["mount -t tmpfs -o nr_inodes=1 full", "mount -o bind,ro " + JOBS])
def test_a_directory_that_cannot_be_written_harms_no_job(node, mount):
    node.shell(f"{mount} {JOBS}")
    try:
        job = node.submit("--gres=gpu:h100:1")
        node.running(job)
        assert node.left() == []
        node.shell(f"scancel {job}")
        eventually(lambda: node.shell("squeue -h") == "", "the job has ended")
        assert "drain" not in node.shell("sinfo -h -o %T")
    finally:
        node.shell(f"umount {JOBS}")


def test_a_users_name_appears_nowhere_when_it_is_switched_off(fleet, nodes):
    try:
        for settings, places in (({"accelmon_job_user": "none"}, f"{PAGE} {JOBS}"),
                                 ({"accelmon_job_user": "hash", "accelmon_job_user_key": "a-key-that-nobody-guesses"}, PAGE)):
            converge(fleet, **settings)
            for node in nodes:
                # What epilogs of earlier jobs set aside has their names for a few minutes.
                eventually(lambda: node.shell(f"ls {JOBS}/.*.ended 2>/dev/null || true") == "", "nothing is set aside")  # pylint: disable=cell-var-from-loop
                job = node.submit("--gres=gpu:h100:1")
                node.owned({job: node.running(job)})
                assert node.shell(f"grep -r {USER} {places} /var/lib/accelmon /etc/accelmon || true") == ""
                assert ("user=" in node.page()) == (settings["accelmon_job_user"] == "hash")
                assert "nobody-guesses" not in node.shell("ps -ewwo args")
                node.emptied()
    finally:
        converge(fleet)


def test_the_role_says_what_slurm_still_needs_and_can_be_removed(fleet, nodes):
    assert "slurm.conf:" not in converge(fleet).output
    other = converge(fleet, slurm_hooks_prolog="/etc/accelmon/slurm/another").output
    assert "slurm.conf:" in other and "/etc/accelmon/slurm/another" in other
    refused = fleet.play(PLAY, "-e", "slurm_hooks_state=absent")
    assert refused.code != 0 and "slurm.conf still has Prolog" in refused.output, refused.output
    conf = "/etc/slurm/slurm.conf"
    try:
        for node in nodes:
            node.shell(f"cp -p {conf} {conf}.before && sed -i '/^Prolog=/d; /^Epilog=/d' {conf} && systemctl restart slurmctld slurmd")
            node.idle()
        converge(fleet, slurm_hooks_state="absent")
        for node in nodes:
            assert node.shell("ls -d /etc/accelmon/slurm /opt/accelmon/slurm_hooks /etc/systemd/system/accelmon-slurm-hooks.* 2>/dev/null || true") == ""
    finally:
        converge(fleet)
        for node in nodes:
            node.shell(f"mv {conf}.before {conf} && systemctl restart slurmctld slurmd")
            node.idle()
    for node in nodes:
        job = node.submit("--gres=gpu:h100:1")
        node.owned({job: node.running(job)})
