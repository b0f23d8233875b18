# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of this scenario have in common: a host with the real Slurm, which is controller and node."""

from lab_fleet import Seen, eventually

USER = "user1"
TEXTFILES = "/var/lib/accelmon/textfile"
# What each unit writes there.
PAGES = {"slurm-collector": "accelmon_slurm.prom", "slurm-drain": "accelmon_slurm_drain.prom"}
ALL = ["slurm12", "slurm13"]


class Host:
    """A host with slurmctld and slurmd, which are started if they do not run."""

    def __init__(self, fleet, name):
        self.fleet, self.name = fleet, name
        self.shell("systemctl start munge slurmctld slurmd")

    def shell(self, command, check=True):
        return self.fleet.shell(self.name, command, check)

    def says(self, unit, *lines, without=()):
        """Wait until a run of a unit writes a file of metrics with these lines, NODE being the node's name, and none of the others."""
        def found():
            self.shell(f"systemctl start accelmon-{unit}")
            Seen.text = self.shell(f"grep -v '^#' {TEXTFILES}/{PAGES[unit]}")
            return all(line.replace("NODE", self.name) in Seen.text for line in lines) and not any(line in Seen.text for line in without)
        eventually(found, f"{self.name}: {unit} says {lines}, without {without}")

    def submit(self, *options):
        """Submit a job that sleeps; its id."""
        return self.shell(f"cd /tmp && su {USER} -c \"sbatch --parsable {' '.join(options)} --wrap 'sleep 3000'\"").split()[-1]

    def node(self):
        """What Slurm says of the node, in one line."""
        Seen.text = self.shell(f"scontrol --oneliner show node {self.name}", check=False)
        return Seen.text

    def idle(self):
        """Wait until the node takes jobs."""
        def found():
            Seen.text = self.shell("sinfo -h -o %T", check=False)
            return Seen.text.strip() == "idle"
        eventually(found, f"{self.name}: Slurm's node is idle")

    def resume(self):
        """Take no work any more, give work again, and wait until the node is idle."""
        self.shell("systemctl start munge slurmctld slurmd")
        eventually(lambda: "NodeName=" in self.node(), f"{self.name}: slurmctld answers")
        self.shell(f"scancel -u {USER}")
        if "+DRAIN" in self.node():
            self.shell(f"scontrol update nodename={self.name} state=resume")
        self.idle()
