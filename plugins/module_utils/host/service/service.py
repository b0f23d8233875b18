# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service from its claim to a healthy process, or the way back: what the module service_unit does."""
import os

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.host import config_set, interpreter, systemd
from ansible_collections.accelmon.fleet.plugins.module_utils.host.service.claim import Claim
from ansible_collections.accelmon.fleet.plugins.module_utils.host.service.run import Run


class Service(Claim, Run):
    """One service on this host, and what this run does to it.

    In the texts of its units and in its checkers, interpreter.PLACEHOLDER becomes the Python of this host.
    """

    def __init__(self, module):
        super(Service, self).__init__(module)
        self.params = interpreter.fill(self.params, ("unit", "timer", "parts", "validate"))
        self.files = {}

    def converge(self):
        """Do what the phase asks for. Returns what the module does; `package` says that the rest has to wait for an installation."""
        phase, absent = self.params["phase"], self.params["state"] == "absent"
        if phase == "reload":
            return self.reload_only()
        found = {"package": "", "refresh": False}
        if phase != "run":
            found.update(self.remove() if absent else self.claim())
            if phase == "claim" or found["package"]:
                return found
        self.write_files()
        if not absent:
            found.update(self.run_present())
            self.keep_leaves()
        return found

    def write_files(self):
        """Bring the service's files to their state, as the module config_set does."""
        try:
            self.files = config_set.of_module(self.module, self.name, self.params["state"], **dict(
                (name, self.params[name]) for name in config_set.ARGUMENTS))
        except Failure as error:
            self.fail(str(error), **error.more)
        self.actions += ["write " + path for path in self.files["written"]] + ["remove " + path for path in self.files["removed"]]

    def result(self):
        """What is returned in each phase."""
        return {"changed": bool(self.actions) or self.files.get("changed", False), "actions": self.actions,
                "diff": self.files.get("diff", []) + self.diff}

    def keep_leaves(self):
        """Remember what the service leaves, and remove what it left elsewhere before: a site's own exporter would go on exporting it."""
        before, now = self.owned().get("leaves", []), self.params["leaves"]
        self.remove_leaves([path for path in before if path not in now])
        if before != now:
            self.own(leaves=now)

    def remove_leaves(self, paths):
        """Remove what the service left beside its files; a directory only if nothing of others is in it."""
        gone = set()
        for path in paths:
            folder = os.path.isdir(path) and not os.path.islink(path)
            if not os.path.lexists(path) or folder and set(os.path.join(path, name) for name in os.listdir(path)) - gone:
                continue
            gone.add(path)
            self.actions.append("remove " + path)
            if not self.module.check_mode:
                (os.rmdir if folder else os.remove)(path)

    def remove(self):
        """Stop the service and remove its units: {"package": "absent" if its package has to go}."""
        self.drop_parts(systemd.PARTS)
        for unit in (self.timer, self.unit):
            if os.path.exists(self.path(unit)):
                self.take_away(unit)
        if self.diff and not self.params["image"]:
            self.do("daemon-reload", "systemctl", "daemon-reload")
        owned = self.owned()
        self.remove_leaves(self.params["leaves"] + [path for path in owned.get("leaves", []) if path not in self.params["leaves"]])
        package = "absent" if owned.get("package") and not self.shared_package(owned["package"]) else ""
        if owned.get("masked"):
            self.switch("unmask", owned["masked"])
        if owned:
            self.actions.append("forget " + self.owned_path)
            if not self.module.check_mode:
                os.remove(self.owned_path)
        return {"package": package}
