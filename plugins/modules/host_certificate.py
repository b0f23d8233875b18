#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: host_certificate
short_description: Manage the key and certificate of a host, in two phases
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - In the phase V(request), it checks the host's certificate. If a new one is needed, it creates a new key, which never leaves
    the host, and returns a request for M(accelmon.fleet.certificate_signing).
  - In the phase V(install), it installs the key, the certificate and the trusted CAs, each atomically.
  - A new certificate is needed if the current one is missing, damaged or expired, if less than a third of its lifetime is left, if
    its names or usages differ, if another CA signs now, or if it does not match its key.
  - With O(mode=files), it checks the site's own files and links to them, so that renewed files take effect at once.
  - Creates the system group O(group), whose members may read the key.
attributes:
  check_mode:
    support: full
    description: Checks the certificate and predicts the change; creates no key.
  diff_mode:
    support: none
    description: Keys are secret, and certificates are not human-readable.
options:
  phase:
    description: The phase to run.
    type: str
    choices: [request, install]
    required: true
  mode:
    description: Where the certificate comes from. With V(none), the phase V(install) removes managed certificates and links to others.
    type: str
    choices: [managed, files, none]
    required: true
  host:
    description: Name of the host in messages.
    type: str
    required: true
  address:
    description: Address by which the monitoring hosts reach the host.
    type: str
    required: true
  names:
    description: All names and addresses for a managed certificate.
    type: list
    elements: str
    default: []
  client:
    description: Whether the host may also act as a client, to scrape others.
    type: bool
    default: false
  authority:
    description: For the phase V(request), certificate of the signing CA.
    type: str
    default: ""
  renew:
    description: For the phase V(request), always request a new key and certificate.
    type: bool
    default: false
  certificate:
    description: For the phase V(install), the new certificate; empty to keep the current one.
    type: str
    default: ""
  bundle:
    description: For the phase V(install), certificates of all trusted CAs.
    type: str
    default: ""
  key_file:
    description: With O(mode=files), the private key on the host.
    type: str
    default: ""
  certificate_file:
    description: With O(mode=files), the certificate on the host, followed by any intermediate certificates.
    type: str
    default: ""
  ca_file:
    description: With O(mode=files), the trusted CAs on the host.
    type: str
    default: ""
  group:
    description: System group whose members may read the key.
    type: str
    default: accelmon
  directory:
    description: Directory of C(host.key), C(host.crt) and C(ca.crt).
    type: path
    default: /etc/accelmon/tls
  pending:
    description: Directory where a new key waits for its certificate.
    type: path
    default: /var/lib/accelmon/tls
"""

EXAMPLES = r"""
- name: Check the certificate
  accelmon.fleet.host_certificate:
    phase: request
    mode: managed
    host: gpu7
    address: 10.0.0.7
    names: [gpu7, 10.0.0.7]
    authority: "{{ secrets.signing }}"
  register: request

- name: Install the new one
  accelmon.fleet.host_certificate:
    phase: install
    mode: managed
    host: gpu7
    address: 10.0.0.7
    certificate: "{{ signed.certificates['gpu7'] | default('') }}"
    bundle: "{{ secrets.bundle }}"
"""

RETURN = r"""
csr:
  description: The request, in PEM; empty if none is needed, and in check mode.
  type: str
  returned: in the phase request
why:
  description: Why a new certificate is needed; empty if it is not.
  type: str
  returned: in the phase request
written:
  description: Files that were installed or removed, or would be.
  type: list
  elements: str
  returned: in the phase install
ends:
  description: Expiry of the C(host)'s certificate and of its CA, C(ca), in seconds since 1970.
  type: dict
  returned: in the phase install
"""

import grp

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, command, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.access.certificates import HostCertificate, check_files
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure, failing


def group_id(name):
    """Number of a group, None if there is none."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def make_group(module, name):
    """Make the system group if it is missing. Returns its number, None in check mode, and whether it is new."""
    found = group_id(name)
    if found is not None or module.check_mode:
        return found, found is None
    status, _output, errors = module.run_command(["groupadd", "--system", name])
    if status and group_id(name) is None:  # another task may have made it just now
        raise Failure("group = %s: cannot be created (%s); create it manually" % (name, errors.strip()))
    return group_id(name), True


def request(params, own, gid, check):
    """Result of the phase request."""
    if params["mode"] == "managed":
        why = "renewal was requested" if params["renew"] else own.unfit(params["names"], params["client"], params["authority"])
        return {"changed": bool(why), "why": why, "csr": own.request() if why and not check else ""}
    if params["mode"] == "files":
        check_files(params["host"], site_files(params), params["address"], params["client"], gid, params["group"])
    return {"changed": False, "why": "", "csr": ""}


def install(params, own, check):
    """Result of the phase install."""
    if params["mode"] == "none":
        written = own.remove(check)
    elif params["mode"] == "files":
        written = own.link(site_files(params), check)
    else:
        written = own.install(params["certificate"], params["bundle"], check)
    return {"changed": bool(written), "written": written, "ends": {} if params["mode"] == "none" else own.ends()}


def site_files(params):
    """The paths of key, certificate and authorities."""
    return params["key_file"], params["certificate_file"], params["ca_file"]


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "phase": {"type": "str", "choices": ["request", "install"], "required": True},
            "mode": {"type": "str", "choices": ["managed", "files", "none"], "required": True},
            "host": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "default": []},
            "client": {"type": "bool", "default": False},
            "authority": {"type": "str", "default": ""},
            "renew": {"type": "bool", "default": False},
            "certificate": {"type": "str", "default": ""},
            "bundle": {"type": "str", "default": ""},
            "key_file": {"type": "str", "default": "", "no_log": False},
            "certificate_file": {"type": "str", "default": ""},
            "ca_file": {"type": "str", "default": ""},
            "group": {"type": "str", "default": "accelmon"},
            "directory": {"type": "path", "default": paths.TLS},
            "pending": {"type": "path", "default": paths.STATE + "/tls"},
        },
        supports_check_mode=True,
    )
    module.run_command = command.of_module(module)
    params = module.params
    with failing(module, params["directory"]):
        gid, made = make_group(module, params["group"])
        own = HostCertificate(params["directory"], params["pending"], gid, atomic.relabeler(module))
        if params["phase"] == "request":
            result = request(params, own, gid, module.check_mode)
        else:
            result = install(params, own, module.check_mode)
    result["changed"] = result["changed"] or made and params["mode"] != "none"
    module.exit_json(**result)


if __name__ == "__main__":
    main()
