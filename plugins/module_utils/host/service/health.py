# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a service works, what its process has read, and the way back to the unit before."""
import os
import time

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.host import loaded, probe, systemd
from ansible_collections.accelmon.fleet.plugins.module_utils.host.service.acting import Acting


class Health(Acting):
    """What is asked of a service that runs, or has to; `seen` is the last answer."""

    seen = "its run failed"

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

    def give_up(self, what="does not become healthy", restore=True):
        """Fail with the journal; put the units back that were there before, if this run changed the service's own."""
        log = self.module.run_command(["journalctl", "--unit=" + self.unit, "--lines=20", "--no-pager", "--output=cat"])[1]
        message = "%s %s (%s)" % (self.unit, what, self.seen)
        before = dict((os.path.basename(one["after_header"]), one) for one in self.diff if one["before"]) if restore else {}
        if self.unit in before:
            # What this run put beside it may hold what the unit before needs, its port above all.
            for path in [one["after_header"] for one in self.diff if not one["before"]]:
                self.module.run_command(["systemctl", "disable", "--now", os.path.basename(path)])
                os.remove(path)
            for unit, one in before.items():
                self.replace(unit, one["after"], one["before"])
            self.run("systemctl", "daemon-reload")
            self.module.run_command(["systemctl", "restart", self.unit])
            for unit in [unit for unit in before if unit.endswith((".socket", ".timer"))]:
                self.module.run_command(["systemctl", "stop", systemd.part_name(self.name, "front.service")])
                self.module.run_command(["systemctl", "enable", unit])
                self.module.run_command(["systemctl", "restart", unit])
            message += "; the unit before it was put back"
        self.fail(message + "; its journal ends with:\n" + log.strip(), journal=log.splitlines())
