# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the samples of a Prometheus come into VictoriaMetrics: a script that calls vmctl, for somebody to read and run."""
import shlex

from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.client import USER

SCRIPT = """#!/bin/sh
# Copies the samples of a snapshot of Prometheus into the storage. Run it as root on the monitoring host, where the snapshot has to be; a
# second time, it stores every sample twice. Samples older than the storage's retention are dropped. See docs/import.md.
set -eu
# In the environment, where other users cannot read them; arguments can be seen by everybody.
VM_USERNAME={user}
VM_PASSWORD=$(cat {password_file})
export VM_USERNAME VM_PASSWORD
exec vmctl prometheus --prom-snapshot={snapshot} --vm-addr=http://127.0.0.1:8428 --vm-extra-label={label} "$@"
"""


def script(snapshot, cluster):
    """The script. snapshot: directory of a snapshot on the monitoring host; cluster: label that all samples get"""
    return SCRIPT.format(user=USER, password_file=shlex.quote(paths.STACK_PASSWORD), snapshot=shlex.quote(snapshot),
                         label=shlex.quote(f"cluster={cluster}"))
