# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter service_parts."""

import os

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import service_parts as service
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.units import UnitError

PLUGINS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Where each program comes from. What modules use is used by these too.
PROGRAMS = {
    "accelmon_front.py": os.path.join(PLUGINS, "..", "roles", "service", "files", "accelmon_front.py"),
    "accelmon_pass.py": os.path.join(PLUGINS, "..", "roles", "service", "files", "accelmon_pass.py"),
    "accelmon_watch.py": os.path.join(PLUGINS, "..", "roles", "service", "files", "accelmon_watch.py"),
    "accelmon_bcrypt.py": os.path.join(PLUGINS, "module_utils", "access", "bcrypt.py"),
    "accelmon_command.py": os.path.join(PLUGINS, "module_utils", "command.py"),
    "accelmon_inner.py": os.path.join(PLUGINS, "module_utils", "host", "inner.py"),
}


def service_parts(name, listen, front=None, health=None, watch=False, tls="none", auth="none", directory="/var/lib/accelmon/textfile",
                  python="/usr/bin/python3"):
    """See service_parts.yml."""
    listen = [{"address": str(one.get("address") or ""), "port": int(one["port"])} for one in listen]
    try:
        made = service.parts(str(name), listen, dict(front or {}), dict(health or {}), boolean(watch), str(tls), str(auth), str(directory), str(python))
    except (service.PartsError, UnitError) as error:
        raise AnsibleFilterError(f"{name}: {error}") from error
    files = []
    for program in made["programs"]:
        with open(PROGRAMS[program], encoding="utf-8") as stream:
            files.append({"path": f"{service.folder(name)}/{program}", "content": stream.read()})
    return {"units": made["units"], "files": files, "leaves": made["leaves"]}


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"service_parts": service_parts}
