# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a service's parts of the host are looked at and changed: systemd, units, and a list of what was done. In check mode only the list grows."""
import os

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import node
from ansible_collections.accelmon.fleet.plugins.module_utils.host import systemd

UNITS = "/etc/systemd/system"


class Acting(object):
    """One service on this host, and what this run does to it."""

    def __init__(self, module):
        self.module = module
        self.params = module.params
        self.name = module.params["name"]
        self.unit = systemd.unit_name(self.name)
        self.timer = systemd.unit_name(self.name, "timer")
        self.actions = []
        # Of unit files, before and after: what this run wrote, which is also what it can put back.
        self.diff = []

    def fail(self, message, **more):
        """End the module."""
        self.module.fail_json(msg=message, actions=self.actions, **more)

    def do(self, action, *argv):
        """Note an action; outside check mode, run it."""
        self.actions.append(action)
        if argv and not self.module.check_mode:
            self.run(*argv)

    def run(self, *argv):
        """Run a command that has to succeed; what it printed."""
        code, out, err = self.module.run_command(list(argv))
        if code:
            self.fail("%s: %s" % (" ".join(argv), (err or out).strip()))
        return out

    def systemctl(self, verb, *units):
        """Have systemd do something, outside check mode."""
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

    @staticmethod
    def path(unit):
        """The file of a unit."""
        return os.path.join(UNITS, unit)

    def write(self, path, text):
        """Write a file that is root's."""
        atomic.write(path, text.encode("utf-8"), relabel=atomic.relabeler(self.module))

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
            self.replace(unit, before, text)

    def replace(self, unit, before, after):
        """Write a unit file in the place of another. A container ends before: only the unit that made it takes it away."""
        if node.contained(before.encode("utf-8")) and not node.contained(after.encode("utf-8")):
            self.module.run_command(["systemctl", "stop", unit])
        self.write(self.path(unit), after)

    def written(self, unit):
        """Whether this run wrote the file of a unit."""
        return any(one["after_header"] == self.path(unit) for one in self.diff)

    def take_away(self, unit):
        """Stop, disable and remove a unit."""
        path = self.path(unit)
        self.switch("disable", unit, "--now")
        self.actions.append("remove " + path)
        with open(path) as stream:
            self.diff.append({"before_header": path, "after_header": path, "before": stream.read(), "after": ""})
        if not self.module.check_mode:
            os.remove(path)
