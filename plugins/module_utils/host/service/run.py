# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run: units are written and enabled, and the service is started, restarted or reloaded when its process is not what is in place."""
from ansible_collections.accelmon.fleet.plugins.module_utils.host import systemd
from ansible_collections.accelmon.fleet.plugins.module_utils.host.service.health import Health
from ansible_collections.accelmon.fleet.plugins.module_utils.host.service.parts import Parts


class Run(Parts, Health):
    """From the unit's text to a service that answers."""

    def run_present(self):
        """Bring the service to run as it is declared: {"generation": hash}. Its files and its program are in place."""
        wants_timer = bool(self.params["timer"])
        names = [systemd.part_name(self.name, part) for part in systemd.PARTS]
        known = self.show(self.unit, self.timer, *(names if self.uses_parts() else []))
        unit, timer = known[:2]
        parts = dict((part, told) for part, told in zip(systemd.PARTS, known[2:]) if self.params["parts"].get(part))
        self.drop_parts(systemd.PARTS, self.params["parts"])
        value = self.write_units(parts)
        if not self.params["image"] and (self.diff or any(told["NeedDaemonReload"] == "yes" for told in known)):
            self.do("daemon-reload", "systemctl", "daemon-reload")
        # Of the parts, what starts the others.
        starters = [(systemd.part_name(self.name, part), told) for part, told in parts.items() if not part.endswith(".service")]
        self.enable([(self.timer, timer) if wants_timer else (self.unit, unit)] + starters)
        self.quiet_package()
        if self.params["image"]:
            return {"generation": value}
        healthy = self.run_timer(timer, unit) if wants_timer else self.run_service(unit, value, parts)
        if not healthy and not self.module.check_mode:
            self.give_up()
        return {"generation": value}

    def write_units(self, parts):
        """Write the service's units and those of its parts; the generation of its process."""
        text = systemd.with_groups(self.params["unit"], self.groups())
        value = systemd.generation(text + self.agent_text(), [self.params["program"]] + self.params["restart_on"])
        self.put(self.unit, systemd.with_generation(text, value))
        if self.params["timer"]:
            self.put(self.timer, self.params["timer"])
        for part in parts:
            self.put(systemd.part_name(self.name, part), self.part_text(part))
        return value

    def enable(self, units):
        """Have these start with the host. units: [(name, what systemd says of it)]"""
        for name, told in units:
            if told["UnitFileState"] != "enabled":
                self.switch("enable", name)

    def quiet_package(self):
        """Disable the package's unit if the package, which has just come, enabled it.

        A unit of the site's own with this name keeps it from being masked: the package enables that one, to start with the host. The claim
        would have refused one that was enabled before.
        """
        unit = self.params["package_unit"]
        if unit and self.params["phase"] == "run" and self.show(unit)[0]["UnitFileState"] == "enabled":
            self.switch("disable", unit)

    def run_service(self, unit, value, parts):
        """Start, restart or reload a service that runs all the time; whether it is healthy then."""
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

    def run_timer(self, timer, unit):
        """Start the timer of a service that runs now and then; whether the service can work.

        It runs at once where anything changed, so that a service that cannot work shows now and not in the middle of the night, and where its last
        run failed: the reason may be gone.
        """
        ticking = timer["ActiveState"] == "active"
        if not ticking:
            self.systemctl("start", self.timer)
        if not self.diff and ticking and unit["Result"] in ("success", ""):
            return True
        self.actions.append("start " + self.unit)
        return self.module.check_mode or self.module.run_command(["systemctl", "start", self.unit])[0] == 0
