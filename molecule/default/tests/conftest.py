"""The lab as its user sees it: playbooks run from the checkout, queries to the real storage, faults on real hosts.

Simulated in every test of this folder: the accelerators, below nvidia-smi for NVIDIA and below sysfs for AMD. The hosts
are containers with a systemd of their own; nothing else is stubbed.
"""

import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.parse

import pytest
import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
LAB = [sys.executable, str(CHECKOUT / "lab" / "lab.py")]
PLAYBOOK = pathlib.Path(sys.executable).with_name("ansible-playbook")
ADHOC = pathlib.Path(sys.executable).with_name("ansible")


class Run:
    """How a playbook ended: its exit status, what it printed, and its recap as {host: {counter: n}}."""

    def __init__(self, process):
        self.code, self.output = process.returncode, process.stdout
        self.recap = {}
        for line in self.output.rpartition("PLAY RECAP")[2].splitlines()[1:]:
            host, found, counters = line.partition(" : ")
            if found:
                self.recap[host.strip()] = {key: int(value) for key, value in (pair.split("=") for pair in counters.split())}

    def changed(self):
        """How many results changed something, on all hosts together."""
        return sum(counters["changed"] for counters in self.recap.values())


class Fleet:
    """The lab's fleet."""

    def __init__(self, name, inventory):
        self.name, self.inventory = name, inventory

    def start(self, playbook, *arguments, inventory=None, env=None):
        """Start a playbook of the checkout; the process."""
        command = [str(PLAYBOOK), "-i", str(inventory or self.inventory), str(CHECKOUT / playbook), *map(str, arguments)]
        return subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", **(env or {})})

    def play(self, playbook, *arguments, **options):
        """Run a playbook of the checkout to its end."""
        process = self.start(playbook, *arguments, **options)
        process.stdout_text = process.communicate(timeout=600)[0]
        return Run(subprocess.CompletedProcess(process.args, process.returncode, process.stdout_text))

    def site(self, *arguments, **options):
        """Run site.yml; it has to succeed."""
        run = self.play("site.yml", *arguments, **options)
        assert run.code == 0, run.output
        return run

    def lab(self, *arguments):
        """Run lab.py for this lab; what it printed."""
        command, *rest = arguments
        return subprocess.run([*LAB, command, "--name", self.name, *rest], check=True, stdout=subprocess.PIPE, text=True).stdout

    def container(self, host):
        """The container that stands for a host."""
        return f"accelmon-{self.name}-{host}"

    def pci(self, host):
        """The host's PCI tree, on this machine."""
        mounts = json.loads(subprocess.run(["podman", "inspect", "--format", "{{json .Mounts}}", self.container(host)],
                                           check=True, stdout=subprocess.PIPE, text=True).stdout)
        return pathlib.Path(next(mount["Source"] for mount in mounts if mount["Destination"] == "/sys/bus/pci/devices"))

    def inventory_of(self, path, hosts=None, groups=None, variables=None):
        """Write an inventory of some of the lab's hosts (default: all) and give its path.

        groups: {group: [hosts]} instead of the lab's; variables: {host: {name: value}}, for new hosts too.
        """
        known = json.loads(self.lab("inventory"))["all"]
        kept = {host: entry for host, entry in known["hosts"].items() if hosts is None or host in hosts}
        for host, values in (variables or {}).items():
            kept[host] = {**kept.get(host, {}), **values}
        groups = groups or {group: list(entry["hosts"]) for group, entry in known["children"].items()}
        children = {group: {"hosts": {host: {} for host in members if host in kept}} for group, members in groups.items()}
        settings = yaml.safe_load((CHECKOUT / "molecule/default/molecule.yml").read_text())["provisioner"]["inventory"]["group_vars"]["all"]
        path.write_text(json.dumps({"all": {"hosts": kept, "children": children, "vars": settings}}))
        return path

    def shell(self, host, command, check=True):
        """Run a command as root on a host; what it printed."""
        done = subprocess.run(["podman", "exec", self.container(host), "sh", "-c", command],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert not check or done.returncode == 0, f"{host}: {command}: {done.stdout}"
        return done.stdout

    def fetch(self, url):
        """A page as the monitoring host sees it, decoded from JSON."""
        return json.loads(self.shell("mon1", f"curl -sf --max-time 20 '{url}'"))

    def query(self, expression, **options):
        """{labels as a frozenset of pairs: value} of an instant query to the storage."""
        arguments = urllib.parse.urlencode({"query": expression, "latency_offset": "1s", **options})
        answer = self.fetch(f"http://127.0.0.1:8428/api/v1/query?{arguments}")
        return {frozenset(series["metric"].items()): float(series["value"][1]) for series in answer["data"]["result"]}

    def values(self, expression, label="node"):
        """{value of one label: value} of an instant query."""
        return {dict(labels).get(label): value for labels, value in self.query(expression).items()}

    def firing(self, alert, **labels):
        """Whether vmalert fires the alert with these labels."""
        alerts = self.fetch("http://127.0.0.1:8880/api/v1/alerts")["data"]["alerts"]
        return any(found["name"] == alert and found["state"] == "firing" and labels.items() <= found["labels"].items() for found in alerts)

    def verify(self, *arguments, **options):
        """Run playbooks/verify.yml."""
        return self.play("playbooks/verify.yml", *arguments, **options)


def eventually(condition, seconds=90, what=None):
    """Wait until a condition holds; its last value."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = condition()
        except AssertionError:
            value = None
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition.__doc__ or condition}"
        time.sleep(1)


@pytest.fixture(scope="session")
def fleet():
    """The fleet of the scenario."""
    return Fleet(os.environ["ACCELMON_LAB_NAME"], os.environ["MOLECULE_INVENTORY_FILE"])
