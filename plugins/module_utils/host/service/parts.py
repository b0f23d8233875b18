# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The units beside a service's own: its front, its watch and its agent."""
import grp
import os

from ansible_collections.accelmon.fleet.plugins.module_utils.host import systemd
from ansible_collections.accelmon.fleet.plugins.module_utils.host.service.acting import Acting


class Parts(Acting):
    """Their texts, and how they come to run."""

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

    def uses_parts(self):
        """Whether there are any, wanted or left."""
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
        """What the process of a part has to be started with."""
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
