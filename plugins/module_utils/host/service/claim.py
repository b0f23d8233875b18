# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The claim: port and unit are free or ours, the user is there, and a package that is to come does not start its own daemon."""
import glob
import json
import os
import pwd
import shutil

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, disk, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import obtainable
from ansible_collections.accelmon.fleet.plugins.module_utils.host import interpreter, ports, systemd
from ansible_collections.accelmon.fleet.plugins.module_utils.host.service.acting import Acting

OWNED = paths.SERVICES


class Claim(Acting):
    """What is looked at before anything is installed or written.

    What the service owns beside its unit is remembered in a file below OWNED: {"package": name, "masked": unit, "leaves": [paths]}.
    """

    @property
    def owned_path(self):
        """Where that is."""
        return os.path.join(OWNED, self.name + ".json")

    def owned(self, path=None):
        """What is remembered of a service; of this one unless a path is given."""
        try:
            with open(path or self.owned_path) as stream:
                return json.load(stream)
        except (OSError, ValueError):
            return {}

    def own(self, **what):
        """Remember more."""
        known = self.owned()
        if known == dict(known, **what) or self.module.check_mode:
            return
        atomic.make_folders(OWNED)
        self.write(self.owned_path, json.dumps(dict(known, **what), sort_keys=True) + "\n")

    def claim(self):
        """Make sure that the service can be here: {"package": "present" if its package has to come, "refresh": whether apt needs its lists}."""
        ours, theirs = self.show(self.unit, self.params["package_unit"] or self.unit)
        self.refuse_without_access()
        self.refuse_foreign_unit(theirs)
        self.refuse_taken_port(ours)
        problem = interpreter.find()[1] if self.params["own_programs"] else ""
        if problem:
            self.fail(problem)
        self.make_user()
        package = ""
        if self.params["package"] and (not os.path.exists(self.params["program"]) or self.is_other_version()):
            package = "present"
            if self.params["package_unit"] and theirs["LoadState"] == "not-found":
                # Masked before it exists, so that no moment is left in which the package could start it.
                self.switch("mask", self.params["package_unit"])
                self.own(masked=self.params["package_unit"])
        if self.params["package"] and (package or self.shared_package(self.params["package"])):
            self.own(package=self.params["package"])
        return {"package": package, "refresh": bool(package) and self.is_unknown(self.params["package"])}

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

    def shared_package(self, package):
        """Whether another service of ours brought the package, so that it must stay until the last of them goes."""
        return any(self.owned(path).get("package") == package
                   for path in glob.glob(os.path.join(OWNED, "*.json")) if path != self.owned_path)

    def refuse_without_access(self):
        """A service that is started without the files of the role access ends at once. An image gets them later; check mode has not written them."""
        missing = [path for path in self.params["needs"] if not os.path.exists(path)]
        if missing and not self.params["image"] and not self.module.check_mode:
            self.fail("%s needs %s, which the role accelmon.fleet.access writes; run that role before this one" % (self.name, " and ".join(missing)))

    def refuse_foreign_unit(self, theirs):
        """The package's own unit runs, or will at the next boot."""
        unit = self.params["package_unit"]
        if unit and (theirs["ActiveState"] in ("active", "activating", "reloading") or theirs["UnitFileState"] == "enabled"):
            managed = self.params["managed_variable"]
            self.fail("%s = install: %s is already in use on this host; set %s to adopt or external to keep and scrape it, "
                      "or stop and disable it to replace it" % (managed, unit, managed) if managed else
                      "%s_source = package: %s is already in use on this host; stop and disable it, or set %s_source to release, bundle or container"
                      % (self.name, unit, self.name))

    def refuse_taken_port(self, ours):
        """Something else listens where the service will."""
        if self.params["image"]:
            return
        sockets = ports.listeners() if self.params["listen"] else []
        for wanted in self.params["listen"]:
            inodes = ports.conflicts(sockets, wanted["address"], wanted["port"])
            if not inodes or ports.holds(ours["MainPID"], inodes) or (self.params["container"] and ours["ActiveState"] == "active"):
                continue
            found = self.named(ports.owner(inodes, wanted["port"]), wanted)
            if found and found.get("unit") in (self.unit, systemd.part_name(self.name, "front.service"), systemd.part_name(self.name, "front.socket")):
                continue
            told = ports.describe(found)
            self.fail("%s = %d: the port is taken by %s; %s" % (wanted["variable"], wanted["port"], told, ports.remedy(
                wanted["variable"], told, found, self.name if self.params["managed_variable"] else "")))

    def named(self, found, wanted):
        """An owner of a port, with its socket unit if systemd itself holds the port."""
        if not found or found["pid"] != 1:
            return found
        unit = systemd.socket_unit(self.module.run_command(["systemctl", "list-sockets", "--no-legend", "--no-pager", "--full"])[1], wanted["port"])
        return dict(found, unit=unit) if unit else found

    def make_user(self):
        """The system user of the service."""
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
