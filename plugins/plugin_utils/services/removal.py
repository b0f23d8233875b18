# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which order everything of the collection goes from a host, and what stays unless it is asked for."""

# What says that something is wrong goes before what it watches; node_exporter, which publishes what others write, after these.
ALERTING = ("alertmanager", "vmalert", "prometheus")
ORDER = ALERTING + ("rules", "grafana", "backup", "vmagent", "victoriametrics", "slurm_drain", "slurm_hooks", "slurm_collector", "dcgm_exporter",
                    "amd_exporter", "all_smi", "textfile_collector", "node_exporter", "access")

# Names in the state directory: what was measured, decided by people, or is secret. `kept` are files that somebody edited, `handover` a site's own.
DATA = ("alertmanager", "choices", "grafana", "handover", "kept", "prometheus", "registry", "secrets", "slurm_drain", "victoriametrics",
        "vmagent")


def installed(names, alone=()):
    """Roles to run with `state: absent`, in this order.

    names: of services and sets of files that are on the host; a service's parts are called NAME_PART; alone: the roles to choose from, all if empty
    """
    return [role for role in ORDER if (role in alone or not alone) and any(name == role or name.startswith(role + "_") for name in names)]
