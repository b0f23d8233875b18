# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a lab: containers that run systemd, on one network, reached by ssh on the machine's loopback address.

A lab may have an IPv6 network too. A host that is on that one alone has no IPv4 address, and is reached at its own address.
"""

import concurrent.futures
import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import random
import re
import shutil
import socket
import subprocess
import time

import engine
import hardware
import images
from engine import podman, say
from hardware import Error

HERE = os.path.dirname(os.path.abspath(__file__))
LABEL = "accelmon.lab"
SPEC_LABEL = "accelmon.lab.spec"
# Below the range that the kernel takes for outgoing connections, so that a port is still free after a restart.
PORTS = (20000, 32000)
BOOT_SECONDS = 60
# What a host's "network" may be, and the networks that it is then on.
NETWORKS = {"ipv4": (4,), "ipv6": (6,), "dual": (4, 6)}

# SYS_ADMIN and an unmasked /proc: without them systemd silently leaves out ProtectSystem, PrivateTmp and IPAddressDeny.
# MKNOD is for the simulated device nodes. The machine's /sys/fs/cgroup is never mounted: a container's systemd would
# remount it for the whole machine.
# SYS_PTRACE: on a real host root sees every process's files and environment.
# NET_ADMIN: without it systemd silently leaves out PrivateNetwork; it acts on the container's own network alone.
RUN = ["--systemd=always", "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--cap-add", "SYS_PTRACE", "--cap-add", "MKNOD", "--security-opt", "unmask=ALL"]

# Waits until the boot is over. "degraded" is an error only in a host that nothing has been installed in.
BOOTED = """
for try in $(seq %d); do
  state=$(systemctl is-system-running 2>/dev/null || true)
  case $state in
    running) exit 0 ;;
    degraded) test "$1" = any && exit 0; systemctl --failed --no-legend >&2; exit 1 ;;
  esac
  sleep 0.1
done
echo "still $state" >&2
exit 1
""" % (BOOT_SECONDS * 10)

ADMIT = """
umask 077
cat > ~ansible/.ssh/authorized_keys
chown ansible: ~ansible/.ssh/authorized_keys
"""


class Lab:
    """One named lab: its folder in the cache, its network, its containers."""

    def __init__(self, name):
        if not re.match(r"^[a-z][a-z0-9-]{0,30}$", name):
            raise Error("--name %r: use lower-case letters, digits and dashes, at most 31" % name)
        self.name = name
        self.folder = os.path.join(engine.cache(), "lab", name)
        self.network = "accelmon-" + name
        # A dot, which no lab's name has, so that it is no other lab's network.
        self.network6 = self.network + ".ipv6"
        self.key = os.path.join(engine.cache(), "lab-ssh-key")
        self.state = {}

    @contextlib.contextmanager
    def locked(self):
        """Hold the lab for one command; read its state before, write it after."""
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(os.path.dirname(self.folder), self.name + ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.load()
            try:
                yield
            finally:
                if os.path.isdir(self.folder):
                    path = os.path.join(self.folder, "state.json")
                    with open(path + ".new", "w") as stream:
                        json.dump(self.state, stream, indent=1, sort_keys=True)
                    os.rename(path + ".new", path)

    def load(self):
        """Read what an earlier `up` wrote."""
        try:
            with open(os.path.join(self.folder, "state.json")) as stream:
                self.state = json.load(stream)
        except FileNotFoundError:
            self.state = {"hosts": {}}

    def container(self, host):
        """Return the name of a host's container."""
        return "accelmon-%s-%s" % (self.name, host)

    def host_folder(self, host):
        """Return the folder that holds a host's simulated hardware."""
        return os.path.join(self.folder, host)

    def known(self, host):
        """Return the state of one host of the lab."""
        if host not in self.state["hosts"]:
            raise Error("lab %s: no host %s; it has %s" % (self.name, host, ", ".join(sorted(self.state["hosts"])) or "none"))
        return self.state["hosts"][host]


def normalise(specs):
    """Check the list of hosts and fill in what was left out. Return {name: spec}."""
    result = {}
    if not isinstance(specs, list) or not specs:
        raise Error("the hosts must be a JSON list of {name, image, devices, groups, publish, network}")
    for spec in specs:
        unknown = set(spec) - {"name", "image", "devices", "groups", "publish", "network"}
        if "name" not in spec or unknown:
            raise Error("host %s: needs a name and takes no %s" % (spec.get("name", spec), ", ".join(sorted(unknown)) or "other keys"))
        name = spec["name"]
        if not re.match(r"^[a-z][a-z0-9-]*$", name) or name in result:
            raise Error("host %r: names are unique and of lower-case letters, digits and dashes" % name)
        result[name] = {
            "image": spec.get("image", "bookworm"),
            "devices": list(spec.get("devices", [])),
            "groups": list(spec.get("groups", [])),
            "publish": {str(port): int(local) for port, local in (spec.get("publish") or {}).items()},
            "network": spec.get("network", "ipv4"),
        }
        if result[name]["network"] not in NETWORKS:
            raise Error("host %s: network %r: use one of %s" % (name, result[name]["network"], ", ".join(NETWORKS)))
        if result[name]["publish"] and result[name]["network"] == "ipv6":
            raise Error("host %s: publish: only a host with IPv4 has ports on 127.0.0.1; use network dual, or its own address" % name)
        hardware.hardware(name, result[name]["devices"])
    return result


def free_port(taken):
    """Return a port of the loopback address that nothing uses."""
    while True:
        port = random.randint(*PORTS)
        with socket.socket() as probe:
            if port not in taken and probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def mac(address):
    """Return a hardware address for an IPv4 address. With one that changed at every boot, neighbours would look in vain for a minute."""
    return "02:ac:%s" % ":".join("%02x" % int(part) for part in address.split("."))


def mac6(address):
    """Return a hardware address for an address of the lab's IPv6 network."""
    return "02:ad:00:00:00:%02x" % (int(ipaddress.ip_address(address)) & 0xff)


def endpoint(known):
    """Return (address, port) at which this machine reaches a host's ssh."""
    return ("127.0.0.1", known["port"]) if "port" in known else (known["address6"], 22)


def ssh_key(lab):
    """Make the key that all labs admit, once. Return the public half."""
    with engine.alone():
        if not os.path.exists(lab.key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "accelmon lab", "-f", lab.key], check=True)
    with open(lab.key + ".pub") as stream:
        return stream.read()


def network(lab):
    """Make the lab's network unless it is there. Return its addresses."""
    return make_network(lab, lab.network)


def network6(lab):
    """Make the lab's IPv6 network unless it is there: unique local addresses, told from the lab's name. Return its addresses."""
    digest = hashlib.sha256(lab.name.encode()).hexdigest()
    return make_network(lab, lab.network6, "--subnet", "fd%s:%s:%s::/64" % (digest[:2], digest[2:6], digest[6:10]))


def make_network(lab, name, *arguments):
    """Make a network unless it is there. Return its addresses."""
    if podman("network", "exists", name, check=False).returncode != 0:
        podman("network", "create", "--label", "%s=%s" % (LABEL, lab.name), *arguments, name)
    found = json.loads(podman("network", "inspect", name).stdout)[0]
    return ipaddress.ip_network(found["subnets"][0]["subnet"])


def gateways(lab, known):
    """Return {"-4" or "-6": address of the way out} of the networks that a host is on."""
    names = {"-4": lab.network if "address" in known else None, "-6": lab.network6 if "address6" in known else None}
    return {family: json.loads(podman("network", "inspect", name).stdout)[0]["subnets"][0]["gateway"] for family, name in names.items() if name}


def place(hosts, known, key, addresses):
    """Give a host an address that no other host of the lab has, unless it has one."""
    if key not in known:
        used = [entry.get(key) for entry in hosts.values()]
        known[key] = next(str(addresses[number]) for number in range(10, 250) if str(addresses[number]) not in used)


def settle(lab, specs):
    """Note where each host will be reached. One that has an address or a port keeps it."""
    addresses = network(lab)
    addresses6 = network6(lab) if any(6 in NETWORKS[spec["network"]] for spec in specs.values()) else None
    hosts = lab.state["hosts"]
    for name, spec in specs.items():
        known = hosts.setdefault(name, {})
        known["groups"] = spec["groups"]
        families = NETWORKS[spec["network"]]
        for key in (("port", "address") if 4 not in families else ()) + (("address6",) if 6 not in families else ()):
            known.pop(key, None)
        if 4 in families:
            if "port" not in known:
                known["port"] = free_port([entry.get("port") for entry in hosts.values()])
            place(hosts, known, "address", addresses)
        if 6 in families:
            place(hosts, known, "address6", addresses6)


def up(lab, specs):
    """Make the lab have exactly these hosts, running. Return the number of hosts that had to be made or started."""
    specs = normalise(specs)
    tags = images.build_all([spec["image"] for spec in specs.values()])
    public_key = ssh_key(lab)
    with lab.locked():
        for gone in sorted(set(lab.state["hosts"]) - set(specs)):
            discard(lab, gone)
        settle(lab, specs)
        there = engine.inspect(lab.container(name) for name in specs)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(ensure, lab, name, spec, tags[spec["image"]], public_key, there.get(lab.container(name)))
                    for name, spec in specs.items()]
            failures = []
            for job in jobs:
                try:
                    job.result()
                except Error as error:
                    failures.append(str(error))
        if failures:
            raise Error("\n".join(failures))
        return sum(1 for job in jobs if job.result())


def ensure(lab, name, spec, image, public_key, found):
    """Make one host run as specified. Return whether anything had to be done."""
    known = lab.state["hosts"][name]
    reached = [known[key] for key in ("port", "address", "address6") if key in known]
    wanted = json.dumps([spec["image"], spec["devices"], spec["publish"], image] + reached + [RUN, hardware.fingerprint()])
    wanted = hashlib.sha256(wanted.encode()).hexdigest()[:16]
    if found and found["Config"]["Labels"].get(SPEC_LABEL) == wanted and known.get("ready") == wanted:
        if found["State"]["Running"]:
            return False
        start(lab, name)
        return True
    if found:
        podman("rm", "--force", "--volumes", "--time", "0", lab.container(name))
    known.update(devices=spec["devices"], image=spec["image"], publish=spec["publish"], ready="")
    folder = lab.host_folder(name)
    hardware.build(folder, name, spec["devices"])
    volumes = ["pci:/sys/bus/pci/devices:ro", "module:/sys/module:ro", "lab:/lab"]
    volumes += ["lab/%s:/usr/bin/%s:ro" % (tool, tool) for tool in hardware.tools(spec["devices"])]
    podman("run", "--detach", "--name", lab.container(name), "--hostname", name,
           "--label", "%s=%s" % (LABEL, lab.name), "--label", "%s=%s" % (SPEC_LABEL, wanted), *network_options(lab, name, known, spec["publish"]), *RUN,
           *[part for volume in volumes for part in ("--volume", "%s/%s" % (folder, volume))], image)
    booted(lab, name, "strict")
    podman("exec", "--interactive", lab.container(name), "sh", "-ec", ADMIT, stdin=public_key)
    canary(lab, name)
    known["ready"] = wanted
    say("%s is up: %s, %s" % (name, spec["image"], ", ".join(spec["devices"]) or "no accelerators"))
    return True


def network_options(lab, name, known, publish):
    """The options of podman by which a host is reached. publish: {port of the host: port on this machine}, beside ssh"""
    options = []
    if "address" in known:
        options += ["--network", "%s:ip=%s,mac=%s,alias=%s" % (lab.network, known["address"], mac(known["address"]), name)]
    if "address6" in known:
        options += ["--network", "%s:ip6=%s,mac=%s,alias=%s" % (lab.network6, known["address6"], mac6(known["address6"]), name)]
    if "port" in known:
        options += ["--publish", "127.0.0.1:%d:22" % known["port"]]
    for port, local in publish.items():
        options += ["--publish", "127.0.0.1:%d:%s" % (local, port)]
    return options


def booted(lab, name, strictness):
    """Wait until a host has booted and its ssh answers. ``strictness`` "any" accepts failed units."""
    done = podman("exec", lab.container(name), "sh", "-c", BOOTED, "sh", strictness, check=False)
    if done.returncode != 0:
        raise Error("host %s: did not boot: %s" % (name, done.stderr.strip()))
    reached = endpoint(lab.state["hosts"][name])
    end = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            with socket.create_connection(reached, 2) as connection:
                connection.settimeout(5)
                if connection.recv(4) == b"SSH-":
                    return
        time.sleep(0.1)
    raise Error("host %s: ssh does not answer on %s port %d" % (name, *reached))


def canary(lab, name):
    """Fail unless systemd's sandboxing acts in a host."""
    with open(os.path.join(HERE, "canary.sh")) as stream:
        script = stream.read()
    done = podman("exec", lab.container(name), "bash", "-c", script, check=False)
    if done.returncode != 0:
        raise Error("host %s: sandboxing is not enforced, so no test of a sandboxed service would mean anything: %s"
                    % (name, done.stderr.strip() or done.stdout.strip()))


def start(lab, name):
    """Boot a stopped host."""
    lab.known(name)
    podman("start", lab.container(name))
    booted(lab, name, "any")
    say("%s has started" % name)


def stop(lab, name):
    """Shut a host down. Its name then resolves no longer for the others, as with a host that left the network."""
    lab.known(name)
    podman("stop", "--time", "20", lab.container(name))
    say("%s has stopped" % name)


def reboot(lab, name):
    """Shut a host down and boot it. Ports, address, files and simulated hardware stay."""
    lab.known(name)
    podman("restart", "--time", "20", lab.container(name))
    booted(lab, name, "any")
    say("%s has rebooted" % name)


def route(lab, name, online):
    """Take a host's way out of the lab's network, or give it back. Its neighbours stay reachable."""
    for family, gateway in gateways(lab, lab.known(name)).items():
        command = ["replace", "default", "via", gateway] if online else ["delete", "default"]
        podman("exec", "--privileged", lab.container(name), "ip", family, "route", *command)


def device(lab, name, wanted, present):
    """Put a simulated device back (``present``) or take it out, in the running host. Return whether that changed anything."""
    known, folder = lab.known(name), lab.host_folder(name)
    found = hardware.find(folder, name, known["devices"], wanted)
    changed = hardware.restore(folder, found) if present else hardware.remove(folder, found)
    running = engine.inspect([lab.container(name)]).get(lab.container(name), {}).get("State", {}).get("Running")
    if changed and running:
        podman("exec", lab.container(name), "sh", "/lab/nodes")
    say("%s: %s %s %s" % (name, found.model, found.address, "is there" if present else "is gone"))
    return changed


def discard(lab, name):
    """Remove one host and its folder."""
    podman("rm", "--force", "--volumes", "--time", "0", lab.container(name), check=False)
    shutil.rmtree(lab.host_folder(name), ignore_errors=True)
    lab.state["hosts"].pop(name, None)


def down(lab):
    """Remove everything that `up` made for this lab. Return the number of hosts removed."""
    with lab.locked():
        wanted = "label=%s=%s" % (LABEL, lab.name)
        containers = podman("ps", "--all", "--quiet", "--filter", wanted).stdout.split()
        if containers:
            podman("rm", "--force", "--volumes", "--time", "0", *containers)
        for name in podman("network", "ls", "--quiet", "--filter", wanted).stdout.split():
            podman("network", "rm", name)
        shutil.rmtree(lab.folder, ignore_errors=True)
        return len(containers)


def inventory(lab):
    """Return the lab as an Ansible inventory: a dict for a .json file."""
    lab.load()
    if not lab.state["hosts"]:
        raise Error("lab %s: is not up" % lab.name)
    hosts, groups = {}, {}
    for name, known in sorted(lab.state["hosts"].items()):
        hosts[name] = {
            "ansible_host": endpoint(known)[0],
            "ansible_port": endpoint(known)[1],
            "ansible_user": "ansible",
            "ansible_ssh_private_key_file": lab.key,
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        for group in known["groups"]:
            groups.setdefault(group, {"hosts": {}})["hosts"][name] = {}
    return {"all": {"hosts": hosts, "children": groups}}
