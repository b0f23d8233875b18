"""The lab as its user sees it: playbooks run from the checkout, queries to the real storage, faults on real hosts.

For the tests of every scenario. Simulated in all of them: the accelerators, below nvidia-smi for NVIDIA and below sysfs for
AMD. The hosts are containers with a systemd of their own; nothing else is stubbed.
"""

import contextlib
import itertools
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time
import urllib.parse

import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
LAB = [sys.executable, str(CHECKOUT / "lab" / "lab.py")]
PLAYBOOK = pathlib.Path(sys.executable).with_name("ansible-playbook")
STACK_PASSWORD = "/etc/accelmon/secrets/stack_password"
AUTHORITY = "/etc/accelmon/tls/ca.crt"
# Where the storage and what evaluates the rules answer, by backend.
PORTS = {"victoriametrics": (8428, 8880), "prometheus": (9090, 9090)}
# Hands the password to curl by standard input, so that no process list has it. printf is the shell's own.
CURL = (f"if test -s {STACK_PASSWORD}; then printf 'user = \"accelmon:%s\"' \"$(cat {STACK_PASSWORD})\"; fi | "
        f"curl --config - --silent --show-error --fail --max-time 20 $(test -s {AUTHORITY} && echo --cacert {AUTHORITY}) ")


# When to give up. How long something takes is for the benchmarks.
PLAY_SECONDS = 1800


class Run:
    """How a playbook ended: its exit status, what it printed, and its recap as {host: {counter: n}}.

    The output begins with the messages of what failed: pytest's summary has the first line of a failed assertion alone.
    """

    def __init__(self, process):
        failed = re.findall(r'^(?:fatal|failed): \[(.*?)\].*?"msg": "((?:[^"\\]|\\.)*)"', process.stdout, re.MULTILINE)
        self.code = process.returncode
        self.output = "exit status %d %s\n%s" % (self.code, "; ".join(map(": ".join, failed)), process.stdout)
        self.recap = {}
        for line in self.output.rpartition("PLAY RECAP")[2].splitlines()[1:]:
            host, found, counters = line.partition(" : ")
            if found:
                self.recap[host.strip()] = {key: int(value) for key, value in (pair.split("=") for pair in counters.split())}

    def changed(self):
        """How many results changed something, on all hosts together."""
        return sum(counters["changed"] for counters in self.recap.values())


class Seen:
    """What a fleet answered last, for the message of a test that waited in vain."""

    text = "nothing"


class Fleet:
    """The fleet of one scenario, in its lab.

    scenario: the scenario's folder
    """

    def __init__(self, scenario, name, inventory):
        self.name, self.inventory = name, inventory
        # Molecule replaces variables of the environment, too.
        self.definition = yaml.safe_load(os.path.expandvars((pathlib.Path(scenario) / "molecule.yml").read_text()))
        self.platforms = {entry["name"]: entry for entry in self.definition["platforms"]}
        self.variables = self.definition["provisioner"]["inventory"]
        self.settings = self.variables["group_vars"]["all"]
        self.backend = self.settings.get("accelmon_backend", "victoriametrics")
        # Monitoring hosts whose storage others reach, beside those of a pair.
        self.reached = ()

    @property
    def hosts(self):
        """Names of all hosts, in the order of the scenario."""
        return list(self.platforms)

    @property
    def interval(self):
        """Seconds between two scrapes of a target."""
        return int(self.settings["accelmon_scrape_interval"].rstrip("s"))

    @property
    def accelerators(self):
        """{host: {vendor: number of devices}} of the hosts that have some."""
        found = {}
        for name, entry in self.platforms.items():
            for text in entry.get("devices", []):
                vendor, dummy, count = text.split(":")[:3]
                found.setdefault(name, {})[vendor] = int(count)
        return found

    @property
    def paired(self):
        """Whether several monitoring hosts write to the storages of all."""
        return self.backend == "victoriametrics" and len(self.monitors) > 1

    @property
    def monitors(self):
        """Names of the monitoring hosts."""
        return [name for name, entry in self.platforms.items() if "monitoring" in entry.get("groups", [])]

    def start(self, playbook, *arguments, inventory=None, env=None):
        """Start a playbook of the checkout; the process."""
        command = [str(PLAYBOOK), "-i", str(inventory or self.inventory), str(CHECKOUT / playbook), *map(str, arguments)]
        return subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", **(env or {})})

    def play(self, playbook, *arguments, **options):
        """Run a playbook of the checkout to its end."""
        return self.ended(self.start(playbook, *arguments, **options))

    def killed(self, host, playbook, *arguments):
        """Start a playbook, and kill it and what it runs on the host when it is about to restart a service there."""
        wedge = "/usr/local/bin/systemctl"
        self.shell(host, f"printf '#!/bin/sh\\n[ \"$1\" = restart ] && exec sleep 600\\nexec /usr/bin/systemctl \"$@\"\\n' > {wedge} && chmod +x {wedge}")
        run = self.start(playbook, *arguments)
        try:
            eventually(lambda: "sleep 600" in self.shell(host, "ps -eo args"), "the run is about to restart the service")
        finally:
            run.kill()
            run.communicate()
            self.shell(host, f"pkill -9 -f '[A]nsiballZ'; pkill -9 -f '[s]leep 600'; rm {wedge}")

    def ended(self, process):
        """Wait for the end of a playbook that was started."""
        try:
            output = process.communicate(timeout=PLAY_SECONDS)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            output = process.communicate()[0]
            tasks = [line.rstrip(" *") for line in output.splitlines() if line.startswith("TASK [")]
            raise AssertionError(f"{process.args[3]}: not within {PLAY_SECONDS} s; last seen: {tasks[-1:]}\n{output}")
        return Run(subprocess.CompletedProcess(process.args, process.returncode, output))

    def site(self, *arguments, **options):
        """Run site.yml; it has to succeed."""
        run = self.play("site.yml", *arguments, **options)
        assert run.code == 0, run.output
        return run

    def counted(self, playbook, folder, *arguments):
        """Run a playbook that has nothing to do: how many results it costs, {"hosts": {host: n}, "roles": {host: {role: n}}}.

        folder: for the file of the callback that counts
        """
        path = folder / "results.json"
        run = self.play(playbook, *arguments, env={"ANSIBLE_CALLBACKS_ENABLED": "count_results", "COUNT_RESULTS_FILE": str(path),
                                                   "ANSIBLE_CALLBACK_PLUGINS": "tests/callback_plugins"})
        assert run.code == 0 and run.changed() == 0, run.output
        return json.loads(path.read_text())

    def lab(self, *arguments):
        """Run lab.py for this lab; what it printed."""
        command, *rest = arguments
        return subprocess.run([*LAB, command, "--name", self.name, *rest], check=True, stdout=subprocess.PIPE, text=True).stdout

    def reboot(self, host, job):
        """Restart a host and wait until an exporter of it is scraped again; the time when the host was back."""
        self.lab("reboot", host)
        back = time.time()
        up = f'up{{job="{job}",node="{host}"}}'
        # A sample from before says nothing about the time after.
        eventually(lambda: self.values(f"timestamp({up})").get(host, 0) > back and self.values(up) == {host: 1}, f"{host} is scraped again")
        return back

    def container(self, host):
        """The container that stands for a host."""
        return f"accelmon-{self.name}-{host}"

    def pci(self, host):
        """The host's PCI tree, on this machine."""
        mounts = json.loads(subprocess.run(["podman", "inspect", "--format", "{{json .Mounts}}", self.container(host)],
                                           check=True, stdout=subprocess.PIPE, text=True).stdout)
        return pathlib.Path(next(mount["Source"] for mount in mounts if mount["Destination"] == "/sys/bus/pci/devices"))

    def inventory_of(self, path, hosts=None, groups=None, variables=None, settings=None):
        """Write an inventory of some of the lab's hosts (default: all) and give its path.

        groups: {group: [hosts]} instead of the lab's; variables: {host: {name: value}}, for new hosts too;
        settings: {name: value} for all hosts, over those of the scenario
        """
        known = json.loads(self.lab("inventory"))["all"]
        kept = {host: {**entry, **self.variables.get("host_vars", {}).get(host, {})}
                for host, entry in known["hosts"].items() if hosts is None or host in hosts}
        for host, values in (variables or {}).items():
            kept[host] = {**kept.get(host, {}), **values}
        groups = groups or {group: list(entry["hosts"]) for group, entry in known["children"].items()}
        children = {group: {"hosts": {host: {} for host in members if host in kept}} for group, members in groups.items()}
        path.write_text(json.dumps({"all": {"hosts": kept, "children": children, "vars": {**self.settings, **(settings or {})}}}))
        return path

    def shell(self, host, command, check=True):
        """Run a command as root on a host; what it printed."""
        done = subprocess.run(["podman", "exec", self.container(host), "sh", "-c", command],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert not check or done.returncode == 0, f"{host}: {command}: {done.stdout}"
        return done.stdout

    @contextlib.contextmanager
    def kernel_log(self, host):
        """A function that writes a record of the kernel on a host, where journald reads a pipe: containers have no /dev/kmsg.

        Afterwards the journal is empty and the collector has forgotten all counts.
        """
        # Somebody has to hold the pipe open: journald would wait for that. It passes over records whose number is not higher than the last.
        self.shell(host, "mknod -m 600 /dev/kmsg p && systemd-run --quiet --unit=lab-kmsg sh -c 'exec sleep infinity <>/dev/kmsg' && "
                         "systemctl reset-failed systemd-journald; systemctl restart systemd-journald")
        numbers = itertools.count(int(time.time()))

        def write(message):
            record = f"3,{next(numbers)},{time.monotonic_ns() // 1000},-;{message}"
            self.shell(host, f"printf '%s\\n' {shlex.quote(record)} > /dev/kmsg")

        try:
            yield write
        finally:
            collector = "accelmon-textfile-collector"
            self.shell(host, f"systemctl stop lab-kmsg {collector}.timer {collector}; rm -f /dev/kmsg /var/log/journal/*/* "
                             "/var/lib/accelmon/textfile_collector/state.json; systemctl reset-failed systemd-journald; "
                             f"systemctl restart systemd-journald; systemctl start {collector}.timer")

    def get(self, url, *arguments, monitor=None):
        """A page of the stack, with its password, as a monitoring host sees it (default: the first)."""
        return self.shell(monitor or self.monitors[0], CURL + shlex.join([*arguments, url]))

    def fetch(self, url, monitor=None):
        """A page of the stack, decoded from JSON."""
        return json.loads(self.get(url, monitor=monitor))

    def storage(self, path, backend=None, monitor=None):
        """URL of a page of the storage on a monitoring host, as that host calls it; those that others reach speak TLS."""
        backend = backend or self.backend
        host = monitor or self.monitors[0]
        place = f"https://{host}" if self.paired and backend == self.backend or host in self.reached else "http://127.0.0.1"
        return f"{place}:{PORTS[backend][0]}{path}"

    def query(self, expression, monitor=None, backend=None, **options):
        """{labels as a frozenset of pairs: value} of an instant query to the storage."""
        backend = backend or self.backend
        arguments = {"query": expression, **options}
        if backend == "victoriametrics":
            arguments.setdefault("latency_offset", "1s")
        answer = self.fetch(self.storage("/api/v1/query?" + urllib.parse.urlencode(arguments), backend, monitor), monitor)["data"]["result"]
        Seen.text = "%s = %s" % (expression, [(series["metric"], series["value"][1]) for series in answer[:10]])
        return {frozenset(series["metric"].items()): float(series["value"][1]) for series in answer}

    def values(self, expression, label="node", **options):
        """{value of one label: value} of an instant query."""
        return {dict(labels).get(label): value for labels, value in self.query(expression, **options).items()}

    def firing(self, alert, monitor=None, **labels):
        """Whether the alert fires with these labels."""
        alerts = self.fetch(f"http://127.0.0.1:{PORTS[self.backend][1]}/api/v1/alerts", monitor)["data"]["alerts"]
        Seen.text = "alerts: " + (", ".join(sorted("%s %s %s" % (found["labels"].get("alertname", found.get("name")), found["labels"].get("node", ""),
                                                                 found["state"]) for found in alerts)) or "none")
        return any(alert in (found.get("name"), found["labels"].get("alertname")) and found["state"] == "firing"
                   and labels.items() <= found["labels"].items() for found in alerts)

    def verify(self, *arguments, **options):
        """Run playbooks/verify.yml."""
        run = self.play("playbooks/verify.yml", *arguments, **options)
        Seen.text = run.output
        return run

    def well(self, *arguments, **options):
        """Wait until playbooks/verify.yml finds nothing wrong."""
        run = self.verify("-e", "accelmon_verify_wait=300", *arguments, **options)
        assert run.code == 0, run.output


def eventually(condition, what=None, seconds=300):
    """Wait until a condition holds; its last value.

    what: for the message, if its docstring does not tell
    seconds: when to give up. A busy machine is slow: how long something takes is for the benchmarks
    """
    deadline = time.monotonic() + seconds
    while True:
        begin = time.monotonic()
        Seen.text, failure = "nothing", ""
        try:
            value = condition()
        except AssertionError as error:
            value, failure = None, str(error).partition("\n")[0] + "; "
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition.__doc__ or condition}; last seen: {failure}{Seen.text}"
        # Asking a container takes a fifth of a second of a core, and more while others need it: whoever waits leaves them at least half.
        time.sleep(max(1, time.monotonic() - begin))


def of_scenario(conftest):
    """The fleet of the scenario whose tests have this conftest."""
    return Fleet(pathlib.Path(conftest).parents[1], os.environ["ACCELMON_LAB_NAME"], os.environ["MOLECULE_INVENTORY_FILE"])
