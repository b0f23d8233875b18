#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: service_unit
short_description: Claim and run one systemd service of ours
version_added: 0.1.0
author: accelmon.fleet contributors (@accelmon)
description:
  - Used by the role P(accelmon.fleet.service#role), once before and once after the service's files are in place.
  - O(phase=claim) makes sure that port and unit are free or ours, makes the system user,
    and keeps a distribution's own daemon from starting when its package is installed for us.
  - O(phase=run) writes the unit, enables it, starts it, and restarts it whenever its process was started from another
    program, unit or configuration than those in place. So a run that was killed half-way is completed by the next.
    If the service does not become healthy with a changed unit, the unit before it is put back.
  - A daemon that can read its configuration again is given O(reload_on) instead of a restart. O(phase=reload) does that alone,
    for files that are written after the daemon was run.
attributes:
  check_mode:
    support: full
    description: Predicts the change; changes nothing. Works on a host where nothing is installed yet.
  diff_mode:
    support: full
    description: Shows the unit files before and after.
options:
  name:
    description: Name of the service; the unit is C(accelmon-NAME.service).
    type: str
    required: true
  phase:
    description:
      - V(claim) before the files of the service are written, V(run) afterwards.
      - V(reload) only brings a running daemon to read O(reload_on) again, if they changed since it read them.
    type: str
    choices: [claim, run, reload]
    required: true
  image:
    description:
      - The host is an image that is being built; it needs no running systemd. The unit is written and enabled;
        nothing is started, reloaded or asked, and listening ports are not looked at.
    type: bool
    default: false
  state:
    description: Whether the service shall be there.
    type: str
    choices: [present, absent]
    default: present
  user:
    description: System user to create for the service.
    type: str
  listen:
    description: Where the service will listen.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: Address; empty means every address.
        type: str
        default: ""
      port:
        description: TCP port.
        type: int
        required: true
      variable:
        description: The variable that sets the port, for error messages.
        type: str
        required: true
  needs:
    description: Files of the role C(access) that must be there. Nothing is changed while one is missing; not in check mode, and not in an image.
    type: list
    elements: path
    default: []
  managed_variable:
    description: The variable that leaves an existing service alone, for error messages.
    type: str
  package:
    description: Distribution package that holds the program; empty if it does not come from a package.
    type: str
    default: ""
  package_unit:
    description: Unit that the package would start by itself.
    type: str
    default: ""
  package_version:
    description: Upstream's version that the package must have; empty means that any will do. Only where there is C(dpkg-query).
    type: str
    default: ""
  program:
    description: Path of the program.
    type: str
  container:
    description: Whether the program runs in a container, whose processes may belong to another unit than ours.
    type: bool
    default: false
  own_programs:
    description: Whether programs of the collection are a part of the service. Then the host must have a Python that services can run.
    type: bool
    default: false
  unit:
    description: Text of the service unit.
    type: str
  timer:
    description: Text of a timer unit that starts the service; without it the service runs all the time.
    type: str
  restart_on:
    description: Files that the process reads only once, beside its program.
    type: list
    elements: str
    default: []
  reload_on:
    description:
      - Files that the process reads again when it is reloaded, as paths or shell patterns.
        The service is reloaded if they changed since its process read them, also when a run before this one was killed in between.
      - The unit must have C(ExecReload).
    type: list
    elements: str
    default: []
  leaves:
    description: Files that the service writes while it runs, and that would mislead when it is gone. They go with O(state=absent).
    type: list
    elements: str
    default: []
  groups:
    description: Groups that the process has to be in; those that do not exist on the host are left out.
    type: list
    elements: str
    default: []
  parts:
    description:
      - Texts of units beside the service's own, by the end of their name, C(front.socket) (with it systemd listens at the first of
        O(listen)), C(front.service), C(watch.timer), C(watch.service) and C(agent.service).
      - C(agent.service) is what the service asks and cannot work without. The service's unit requires it, and it is C(PartOf) that, so that
        they start, restart and stop together. O(groups) are its as well.
      - Those that are there and not given are removed.
    type: dict
    default: {}
  part_files:
    description: Files that the processes of O(parts) read only once.
    type: list
    elements: str
    default: []
  health:
    description: How to know that the program itself is healthy, asked before O(probe).
    type: dict
    suboptions:
      to:
        description: Where to ask, the path of a Unix socket, or V(ADDRESS:PORT).
        type: str
        required: true
      page:
        description: The page that must have rows.
        type: str
        default: /metrics
      rows:
        description: How one of the rows must begin.
        type: str
        default: ""
      ready:
        description: A page that answers V(200) when the program is ready; one that it does not know (V(404)) is passed over.
        type: str
        default: ""
      timeout:
        description: Seconds to wait for it.
        type: int
        default: 30
  probe:
    description: How to know that the service is healthy.
    type: dict
    suboptions:
      path:
        description: Path of the page to ask for, at the first address of O(listen).
        type: str
        required: true
      status:
        description: HTTP status codes that mean healthy; V(401) where the page wants a password.
        type: list
        elements: int
        default: [200]
      scheme:
        description: Whether it speaks TLS.
        type: str
        choices: [http, https]
        default: http
      ca_file:
        description:
          - Certificates of the authorities that the server's certificate may come from, with V(https).
            Empty means those that the host trusts. Names in the certificate are not compared.
        type: path
        default: ""
      client_certificate:
        description:
          - With V(required) the server must refuse a client without a certificate, after it has shown its own.
        type: str
        choices: [none, required]
        default: none
      password_file:
        description:
          - File on the host with the password of the user V(accelmon). The page must answer V(401) without it and O(probe.status) with it.
        type: path
        default: ""
      timeout:
        description: Seconds to wait for it.
        type: int
        default: 30
"""

EXAMPLES = r"""
- name: Claim port, unit and user
  accelmon.fleet.service_unit:
    name: node_exporter
    phase: claim
    user: accelmon-node-exporter
    listen:
      - port: 9100
        variable: node_exporter_port
    managed_variable: node_exporter_managed

- name: Run it
  accelmon.fleet.service_unit:
    name: node_exporter
    phase: run
    program: /opt/accelmon/node_exporter/current/bin/node_exporter
    unit: "{{ node_exporter_unit }}"
    listen:
      - port: 9100
        variable: node_exporter_port
    probe:
      path: /metrics

- name: Let it read rules that were written after it
  accelmon.fleet.service_unit:
    name: prometheus
    phase: reload
    reload_on: [/etc/accelmon/rules/*.yml]
"""

RETURN = r"""
package:
  description: What has to be done with the package, V(present), V(absent), or empty for nothing. With O(phase=claim).
  type: str
  returned: O(phase=claim)
python:
  description: The Python that programs of ours on this host run with; empty if there is none.
  type: str
  returned: O(phase=claim)
refresh:
  description: Whether apt has to fetch its lists before, as it knows of no such package.
  type: bool
  returned: O(phase=claim)
generation:
  description: Hash of program, unit and configuration that the process runs with.
  type: str
  returned: O(phase=run) and O(state=present)
actions:
  description: What was done, or would be.
  type: list
  elements: str
  returned: always
"""

import glob
import grp
import json
import os
import pwd
import shutil
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, command, disk, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.host import interpreter, loaded, ports, probe, systemd
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import obtainable

UNITS = "/etc/systemd/system"
OWNED = paths.STATE + "/services"


class Service(object):
    """One service of ours on this host."""

    def __init__(self, module):
        self.module = module
        self.params = module.params
        self.name = module.params["name"]
        self.unit = systemd.unit_name(self.name)
        self.timer = systemd.unit_name(self.name, "timer")
        self.actions = []
        self.diff = []
        self.owned_path = os.path.join(OWNED, self.name + ".json")

    def fail(self, message, **more):
        self.module.fail_json(msg=message, actions=self.actions, **more)

    def do(self, action, *argv):
        """Note an action; outside check mode, run it."""
        self.actions.append(action)
        if argv and not self.module.check_mode:
            self.run(*argv)

    def run(self, *argv):
        code, out, err = self.module.run_command(list(argv))
        if code:
            self.fail("%s: %s" % (" ".join(argv), (err or out).strip()))
        return out

    def systemctl(self, verb, *units):
        self.do("%s %s" % (verb, " ".join(units)), "systemctl", verb, *units)

    def switch(self, verb, unit, *options):
        """Enable, disable, mask or unmask a unit; in an image by its links alone."""
        if self.params["image"]:
            self.do("%s %s" % (verb, unit), "systemctl", "--root=/", verb, unit)
        else:
            self.do("%s %s" % (verb, unit), "systemctl", verb, *(options + (unit,)))

    def show(self, *units):
        """What systemd says of each unit; of an image, what its files say."""
        if self.params["image"]:
            return [systemd.offline(self.module.run_command(["systemctl", "--root=/", "is-enabled", unit])[1]) for unit in units]
        properties = "LoadState,ActiveState,UnitFileState,MainPID,NeedDaemonReload,Result"
        code, out, err = self.module.run_command(["systemctl", "show", "--property=" + properties] + list(units))
        if code:
            self.fail("systemd does not answer on this host (%s); accelmon.fleet needs systemd as its first process, "
                      "or accelmon_phase = image where an image is built" % err.strip())
        return systemd.parse_show(out)

    # What we own beside the unit: {"package": name, "masked": unit}.

    def owned(self, path=None):
        try:
            with open(path or self.owned_path) as stream:
                return json.load(stream)
        except (OSError, ValueError):
            return {}

    def own(self, **what):
        known = self.owned()
        if known == dict(known, **what) or self.module.check_mode:
            return
        atomic.make_folders(OWNED)
        self.write(self.owned_path, json.dumps(dict(known, **what), sort_keys=True) + "\n")

    def write(self, path, text):
        atomic.write(path, text.encode("utf-8"), relabel=atomic.relabeler(self.module))

    # Claim

    def claim(self):
        ours, theirs = self.show(self.unit, self.params["package_unit"] or self.unit)
        self.refuse_without_access()
        self.refuse_foreign_unit(theirs)
        self.refuse_taken_port(ours)
        python, problem = interpreter.find()
        if problem and self.params["own_programs"]:
            self.fail(problem)
        self.make_user()
        package = ""
        if self.params["package"] and (not os.path.exists(self.params["program"]) or self.is_other_version()):
            package = "present"
            if self.params["package_unit"] and theirs["LoadState"] == "not-found":
                # Masked before it exists, so that no moment is left in which the package could start it.
                self.switch("mask", self.params["package_unit"])
                self.own(masked=self.params["package_unit"])
        if self.params["package"] and (package or self.shared_package()):
            self.own(package=self.params["package"])
        return {"package": package, "python": python, "refresh": bool(package) and self.is_unknown(self.params["package"])}

    def is_unknown(self, package):
        """Whether apt knows of no such package, as on a host whose lists were never fetched. Asked only when the package is to come."""
        text = obtainable.run(["apt-cache", "policy", package])
        return text is not None and not obtainable.parse_policy(text).get(package, ("", []))[1]

    def is_other_version(self):
        """Whether the package that is there has another version than the wanted one."""
        wanted = self.params["package_version"]
        if not wanted or not shutil.which("dpkg-query"):
            return False
        code, found, _err = self.module.run_command(["dpkg-query", "--show", "--showformat=${Version}", self.params["package"]])
        return not code and systemd.upstream_version(found) != wanted

    def shared_package(self):
        """Whether another service of ours brought the package, so that it must stay until the last of them goes."""
        return any(self.owned(path).get("package") == self.params["package"]
                   for path in glob.glob(os.path.join(OWNED, "*.json")) if path != self.owned_path)

    def mend(self):
        """What the user can do about a service that is already there."""
        if not self.params["managed_variable"]:
            return "stop it"
        return "set %s: external to leave it and scrape it" % self.params["managed_variable"]

    def refuse_without_access(self):
        """A service that is started without the files of the role access ends at once. An image gets them later; check mode has not written them."""
        missing = [path for path in self.params["needs"] if not os.path.exists(path)]
        if missing and not self.params["image"] and not self.module.check_mode:
            self.fail("%s needs %s, which the role accelmon.fleet.access writes; run that role before this one" % (self.name, " and ".join(missing)))

    def refuse_foreign_unit(self, theirs):
        unit = self.params["package_unit"]
        if unit and (theirs["ActiveState"] in ("active", "activating", "reloading") or theirs["UnitFileState"] == "enabled"):
            self.fail("%s = install: %s is already in use on this host; %s, or disable that unit yourself"
                      % (self.params["managed_variable"], unit, self.mend()))

    def refuse_taken_port(self, ours):
        if self.params["image"]:
            return
        sockets = ports.listeners() if self.params["listen"] else []
        for wanted in self.params["listen"]:
            inodes = ports.conflicts(sockets, wanted["address"], wanted["port"])
            if not inodes or ports.holds(ours["MainPID"], inodes) or (self.params["container"] and ours["ActiveState"] == "active"):
                continue
            found = self.named(ports.owner(inodes), wanted)
            if found and found.get("unit") in (self.unit, systemd.part_name(self.name, "front.service"), systemd.part_name(self.name, "front.socket")):
                continue
            self.fail("%s = %d: the port is taken by %s; %s, or choose another %s"
                      % (wanted["variable"], wanted["port"], ports.describe(found), self.mend(), wanted["variable"]))

    def named(self, found, wanted):
        """An owner of a port, with its socket unit if systemd itself holds the port."""
        if not found or found["pid"] != 1:
            return found
        unit = systemd.socket_unit(self.module.run_command(["systemctl", "list-sockets", "--no-legend", "--no-pager", "--full"])[1], wanted["port"])
        return dict(found, unit=unit) if unit else found

    def make_user(self):
        user = self.params["user"]
        if not user:
            return
        try:
            pwd.getpwnam(user)
        except KeyError:
            disk.refuse_unwritable("/etc")
            shell = next((path for path in ("/usr/sbin/nologin", "/sbin/nologin") if os.path.exists(path)), "/bin/false")
            self.do("add user " + user, "useradd", "--system", "--user-group", "--no-create-home",
                    "--home-dir", "/nonexistent", "--shell", shell, user)

    # Run

    def run_present(self):
        wants_timer = bool(self.params["timer"])
        names = [systemd.part_name(self.name, part) for part in systemd.PARTS]
        known = self.show(self.unit, self.timer, *(names if self.uses_parts() else []))
        unit, timer = known[:2]
        self.drop_parts(systemd.PARTS, self.params["parts"])
        text = systemd.with_groups(self.params["unit"], self.groups())
        value = systemd.generation(text + self.agent_text(), [self.params["program"]] + self.params["restart_on"])
        self.put(self.unit, systemd.with_generation(text, value))
        if wants_timer:
            self.put(self.timer, self.params["timer"])
        parts = dict((part, known[2 + number]) for number, part in enumerate(systemd.PARTS) if self.params["parts"].get(part))
        for part in parts:
            self.put(systemd.part_name(self.name, part), self.part_text(part))
        if not self.params["image"] and (self.diff or any(told["NeedDaemonReload"] == "yes" for told in known)):
            self.do("daemon-reload", "systemctl", "daemon-reload")
        main, told = (self.timer, timer) if wants_timer else (self.unit, unit)
        for name, told in [(main, told)] + [(systemd.part_name(self.name, part), parts[part]) for part in parts if not part.endswith(".service")]:
            if told["UnitFileState"] != "enabled":
                self.switch("enable", name)
        if self.params["image"]:
            return {"generation": value}
        healthy = self.run_timer(timer, unit) if wants_timer else self.run_service(unit, value, parts)
        if not healthy and not self.module.check_mode:
            self.give_up()
        return {"generation": value}

    def groups(self):
        """Those of the wanted groups that there are."""
        found = []
        for name in self.params["groups"]:
            try:
                grp.getgrnam(name)
                found.append(name)
            except KeyError:
                continue
        return found

    def run_service(self, unit, value, parts):
        running = unit["ActiveState"] in ("active", "activating", "reloading")
        if running and systemd.running_generation(unit["MainPID"]) == value:
            self.reload(unit)
            self.run_parts(parts)
            return self.module.check_mode or self.healthy()
        digests = self.digests()  # before it starts: what changes while it reads is read once more by the next run
        self.systemctl("restart" if running else "start", self.unit)
        # Afterwards: the program may have listened by itself until now, where a front does from here on.
        self.run_parts(parts)
        if self.module.check_mode:
            return True
        healthy = self.healthy()
        if healthy:
            self.remember(digests)
        return healthy

    # Parts

    def uses_parts(self):
        return bool(self.params["parts"]) or any(os.path.exists(self.path(systemd.part_name(self.name, part))) for part in systemd.PARTS)

    def part_text(self, part):
        """The text of a part, with the generation of its process if it is one that goes on running."""
        if part == "agent.service":
            return self.agent_text()
        text = self.params["parts"][part]
        return systemd.with_generation(text, self.part_generation(part)) if part == "front.service" else text

    def agent_text(self):
        """The text of the agent, or nothing. It is a part of the service's generation, and needs none of its own."""
        return systemd.with_groups(self.params["parts"].get("agent.service") or "", self.groups())

    def part_generation(self, part):
        return systemd.generation(self.params["parts"][part], self.params["part_files"])

    def drop_parts(self, parts, kept=()):
        """Stop and remove units beside the service's own, without those that are kept."""
        for part in parts:
            name = systemd.part_name(self.name, part)
            if os.path.exists(self.path(name)) and not (kept and kept.get(part)):
                self.take_away(name)

    def run_parts(self, parts):
        """Bring the units beside the service's own to run as they are written now."""
        front, opening = systemd.part_name(self.name, "front.service"), systemd.part_name(self.name, "front.socket")
        if "front.socket" in parts:
            answering = parts["front.service"]["ActiveState"] in ("active", "activating")
            stale = answering and systemd.running_generation(parts["front.service"]["MainPID"]) != self.part_generation("front.service")
            is_open = parts["front.socket"]["ActiveState"] == "active"
            moved = is_open and self.written(opening)
            # systemd opens no socket whose service runs. Where the socket stays open, connections wait in it.
            if moved or stale or (answering and not is_open):
                self.systemctl("stop", *([front, opening] if moved else [front]))
            if moved or not is_open:
                self.systemctl("start", opening)
        if "watch.timer" in parts:
            timer = systemd.part_name(self.name, "watch.timer")
            running = parts["watch.timer"]["ActiveState"] == "active"
            if not running or self.written(timer):
                self.systemctl("restart" if running else "start", timer)

    def written(self, unit):
        """Whether this run wrote the file of a unit."""
        return any(one["after_header"] == self.path(unit) for one in self.diff)

    def run_timer(self, timer, unit):
        if timer["ActiveState"] != "active":
            self.systemctl("start", self.timer)
        if self.diff or timer["ActiveState"] != "active":
            # A first run at once: a service that cannot work shows now, not in the middle of the night.
            self.actions.append("start " + self.unit)
            if not self.module.check_mode:
                return self.module.run_command(["systemctl", "start", self.unit])[0] == 0
        return unit["Result"] in ("success", "")

    # Reload

    def digests(self):
        """{pattern: digest} of what this run names and of what the process is known to read."""
        if not self.params["reload_on"]:
            return {}
        patterns = set(loaded.read(self.name)["patterns"]) | set(self.params["reload_on"])
        return dict((pattern, loaded.digest(pattern)) for pattern in patterns)

    def remember(self, digests):
        """Note that the process that runs now has read the files with these digests."""
        if not digests or self.module.check_mode:
            return
        identity = loaded.process(self.show(self.unit)[0]["MainPID"])[0]
        state = {"process": identity, "patterns": digests}
        if identity and state != loaded.read(self.name):
            atomic.make_folders(loaded.FOLDER)
            self.write(os.path.join(loaded.FOLDER, self.name), loaded.text(state))

    def reload(self, unit):
        """Bring the running process to read its files again, if it has not read them as they are."""
        digests = self.digests()
        if not digests:
            return
        identity, started = loaded.process(unit["MainPID"])
        if not loaded.is_current(loaded.read(self.name), identity, started, digests):
            self.actions.append("reload " + self.unit)
            if self.module.check_mode:
                return
            code, out, err = self.module.run_command(["systemctl", "reload", self.unit])
            if code:
                self.seen = (err or out).strip()
                self.give_up("does not read its files again", restore=False)
        self.remember(digests)

    def reload_only(self):
        """A service that does not run reads its files when it starts."""
        unit = None if self.params["image"] else self.show(self.unit)[0]
        if unit and unit["ActiveState"] == "active":
            self.reload(unit)
            if self.actions and not self.module.check_mode and not self.healthy():
                self.give_up("is not healthy after it was reloaded", restore=False)
        return {}

    # Health

    def healthy(self):
        """Whether the service is running and answers as it should, within the time that it has."""
        wanted, inner = self.params["probe"] or {"timeout": 5}, self.params["health"]
        deadline = time.time() + max(wanted["timeout"], inner["timeout"] if inner else 0)
        while True:
            self.seen = "%s is %s" % (self.unit, self.show(self.unit)[0]["ActiveState"])
            well = self.seen.endswith(" active")
            if well and inner:
                well, self.seen = probe.well(inner)
            if well:
                if "path" not in wanted:
                    return True
                listen = self.params["listen"][0]
                place = (probe.local(listen["address"]), listen["port"], wanted["path"], wanted["scheme"], wanted["ca_file"])
                answer = probe.ask_closed(*(place + (wanted["password_file"],))) if wanted["password_file"] \
                    else probe.ask(*place, refusal=wanted["client_certificate"] == "required")
                healthy, self.seen = probe.judge(wanted, answer)
                if healthy:
                    return True
            if time.time() > deadline:
                return False
            time.sleep(0.2)

    def path(self, unit):
        return os.path.join(UNITS, unit)

    def put(self, unit, text):
        """Write a unit file if it differs, and keep in mind what was there before."""
        path = self.path(unit)
        try:
            with open(path) as stream:
                before = stream.read()
        except OSError:
            before = ""
        if before == text:
            return
        self.actions.append("write " + path)
        self.diff.append({"before_header": path, "after_header": path, "before": before, "after": text})
        if not self.module.check_mode:
            self.write(path, text)

    def give_up(self, what="does not become healthy", restore=True):
        """Fail with the journal; put the units back that were there before, if this run changed the service's own."""
        log = self.module.run_command(["journalctl", "--unit=" + self.unit, "--lines=20", "--no-pager", "--output=cat"])[1]
        message = "%s %s (%s)" % (self.unit, what, getattr(self, "seen", "its run failed"))
        before = [(one["after_header"], one["before"]) for one in self.diff if one["before"]] if restore else []
        if self.path(self.unit) in dict(before):
            # What this run put beside it may hold what the unit before needs, its port above all.
            for path in [one["after_header"] for one in self.diff if not one["before"]]:
                self.module.run_command(["systemctl", "disable", "--now", os.path.basename(path)])
                os.remove(path)
            for path, text in before:
                self.write(path, text)
            self.run("systemctl", "daemon-reload")
            self.module.run_command(["systemctl", "restart", self.unit])
            for unit in [os.path.basename(path) for path, _text in before if path.endswith((".socket", ".timer"))]:
                self.module.run_command(["systemctl", "stop", systemd.part_name(self.name, "front.service")])
                self.module.run_command(["systemctl", "enable", unit])
                self.module.run_command(["systemctl", "restart", unit])
            message += "; the unit before it was put back"
        self.fail(message + "; its journal ends with:\n" + log.strip(), journal=log.splitlines())

    # Absent

    def take_away(self, unit):
        """Stop, disable and remove a unit."""
        path = self.path(unit)
        self.switch("disable", unit, "--now")
        self.actions.append("remove " + path)
        with open(path) as stream:
            self.diff.append({"before_header": path, "after_header": path, "before": stream.read(), "after": ""})
        if not self.module.check_mode:
            os.remove(path)

    def remove(self):
        self.drop_parts(systemd.PARTS)
        for unit in (self.timer, self.unit):
            if os.path.exists(self.path(unit)):
                self.take_away(unit)
        if self.diff and not self.params["image"]:
            self.do("daemon-reload", "systemctl", "daemon-reload")
        for path in self.params["leaves"]:
            if os.path.lexists(path):
                self.actions.append("remove " + path)
                if not self.module.check_mode:
                    os.remove(path)
        owned = self.owned()
        package = "absent" if owned.get("package") and not self.shared_package() else ""
        if owned.get("masked"):
            self.switch("unmask", owned["masked"])
        if owned:
            self.actions.append("forget " + self.owned_path)
            if not self.module.check_mode:
                os.remove(self.owned_path)
        return {"package": package}


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "phase": {"type": "str", "choices": ["claim", "run", "reload"], "required": True},
            "image": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "user": {"type": "str"},
            "listen": {"type": "list", "elements": "dict", "default": [], "options": {
                "address": {"type": "str", "default": ""},
                "port": {"type": "int", "required": True},
                "variable": {"type": "str", "required": True},
            }},
            "managed_variable": {"type": "str"},
            "needs": {"type": "list", "elements": "path", "default": []},
            "package": {"type": "str", "default": ""},
            "package_unit": {"type": "str", "default": ""},
            "package_version": {"type": "str", "default": ""},
            "program": {"type": "str"},
            "container": {"type": "bool", "default": False},
            "own_programs": {"type": "bool", "default": False},
            "unit": {"type": "str"},
            "timer": {"type": "str"},
            "restart_on": {"type": "list", "elements": "str", "default": []},
            "reload_on": {"type": "list", "elements": "str", "default": []},
            "leaves": {"type": "list", "elements": "str", "default": []},
            "groups": {"type": "list", "elements": "str", "default": []},
            "parts": {"type": "dict", "default": {}},
            "part_files": {"type": "list", "elements": "str", "default": []},
            "health": {"type": "dict", "options": {
                "to": {"type": "str", "required": True},
                "page": {"type": "str", "default": "/metrics"},
                "rows": {"type": "str", "default": ""},
                "ready": {"type": "str", "default": ""},
                "timeout": {"type": "int", "default": 30},
            }},
            "probe": {"type": "dict", "options": {
                "path": {"type": "str", "required": True},
                "status": {"type": "list", "elements": "int", "default": [200]},
                "timeout": {"type": "int", "default": 30},
                "scheme": {"type": "str", "choices": ["http", "https"], "default": "http"},
                "ca_file": {"type": "path", "default": ""},
                "client_certificate": {"type": "str", "choices": ["none", "required"], "default": "none"},
                "password_file": {"type": "path", "no_log": False, "default": ""},
            }},
        },
        supports_check_mode=True,
    )
    module.run_command = command.of_module(module)
    service = Service(module)
    unknown = sorted(set(module.params["parts"]) - set(systemd.PARTS))
    if unknown:
        service.fail("parts = %s: there is no such part; there are %s" % (", ".join(unknown), ", ".join(systemd.PARTS)))
    if not shutil.which("systemctl"):
        service.fail("this host has no systemctl; accelmon.fleet needs systemd as its first process")
    todo = {"claim": service.claim, "reload": service.reload_only, "run": service.run_present}[module.params["phase"]]
    try:
        result = service.remove() if module.params["state"] == "absent" else todo()
    except OSError as error:
        service.fail("%s: %s" % (service.name, disk.explain(error)))
    module.exit_json(changed=bool(service.actions), actions=service.actions, diff=service.diff, **result)


if __name__ == "__main__":
    main()
