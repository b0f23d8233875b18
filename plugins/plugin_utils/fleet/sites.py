# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several sites, each a fleet of its own, whose monitoring hosts send roll-ups to a global place: another fleet's, or any storage."""
from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts as fleet
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack

NAMES = ("accelmon_global_url", "accelmon_global_user", "accelmon_global_ca_file")


def place(host_variables):
    """[the global place as `stack.vm_client` takes it] of a monitoring host, [] if its site sends nothing. host_variables: its entry in `hostvars`"""
    url, user, ca_file = fleet.settings(host_variables, NAMES).values()
    return [stack.abroad(url, user, paths.GLOBAL_CA if ca_file else "")] if url else []


def problems(values, no_password):
    """Errors about variables of a host that do not go together; no_password: whether the host lacks accelmon_global_password."""
    url, receives, passwords = values.get("accelmon_global_url"), values.get("accelmon_sites") or [], values.get("accelmon_site_passwords") or {}
    errors = []
    if url and no_password:
        errors.append("accelmon_global_password: required with accelmon_global_url; set it to the password that the global place has for this site")
    lacking = [name for name in receives if name not in passwords]
    if lacking and no_password:
        errors.append(f"accelmon_site_passwords: there is none for {', '.join(lacking)} of accelmon_sites; give each site its own")
    errors += [f"accelmon_site_passwords: {name} is not in accelmon_sites; add it there, or remove its password" for name in passwords if name not in receives]
    if any(values.get("accelmon_global_password") in several for several in passwords.values()):
        errors.append("accelmon_global_password: a site of accelmon_site_passwords has the same, so it could write as any; give the site another one")
    if url and values.get("accelmon_cluster", "default") == "default":
        errors.append("accelmon_cluster = default: required with accelmon_global_url; set it to a name that no other site has")
    if url and values.get("vmagent_remote_write_url"):
        errors.append("vmagent_remote_write_url: not possible with accelmon_global_url, whose roll-ups come from the storage of the host; remove one of them")
    if receives and values.get("accelmon_backend", "victoriametrics") != "victoriametrics":
        errors.append(f"accelmon_backend = {values['accelmon_backend']}: not possible with accelmon_sites, as it would let a site that writes read and "
                      "delete as well; set it to victoriametrics")
    return errors
