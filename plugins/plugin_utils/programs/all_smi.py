# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which build of all-smi a host gets, and what that build can and needs. Pure functions."""
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.packages import APT

# Below 0.21 its labels are others, and nothing that we record finds its rows. Some vendors came later, or were broken before.
FLOOR = "0.21.0"
FLOORS = {"amd": "0.23.1", "aws_neuron": "0.27.0"}
# Older ones leak file descriptors until they stop.
OLDEST = "0.17.2"
# Upstream builds against glibc 2.35. The other build is static: it runs anywhere, knows no AMD, and loads no library of a vendor's.
GLIBC = "2.35"
# From here on, AMD is in a library beside the program, and the program alone needs no libdrm.
COMPANION = "0.26.2"
APT_LIBRARIES = ["libdrm2", "libdrm-amdgpu1"]
OTHER_LIBRARIES = ["libdrm"]


def numbers(version):
    """A version as numbers that compare: '0.23.1' -> (0, 23, 1)."""
    return tuple(int(part) for part in re.findall(r"\d+", str(version))[:3])


def floor(vendors):
    """(the oldest version for a host with these vendors, the vendor that asks for it or None)."""
    named = [(FLOORS[vendor], vendor) for vendor in sorted(vendors) if vendor in FLOORS]
    return max(named, key=lambda one: numbers(one[0])) if named else (FLOOR, None)


def has_recent_libc(libc):
    """Whether the build against glibc runs on a host. libc: {"name", "version"} of it, {} if it is not known."""
    return not libc or (libc.get("name") == "glibc" and (not libc.get("version") or numbers(libc["version"]) >= numbers(GLIBC)))


def readable(libc, vendors):
    """The vendors that a build for the host reads. AMD's devices beside others are left to another source where that build does not run."""
    others = [vendor for vendor in vendors if vendor != "amd"]
    return others if others and not has_recent_libc(libc) else list(vendors)


def variant(libc, vendors):
    """'' for the build against glibc, 'musl' for the static one, which does not read AMD.

    vendors: those that it has to read
    """
    if has_recent_libc(libc):
        return ""
    if "amd" in vendors:
        known = f"{libc.get('name', '')} {libc.get('version', '')}".strip()
        raise Problem(f"AMD devices need the build for glibc {GLIBC}, but this host has {known}; "
                      "set accelmon_accelerator_source to amd_exporter or textfile for it", "all_smi_source", "release")
    return "musl"


def libraries(version, made, vendors, distribution):
    """Packages of libraries that a build of a version needs.

    made: as `variant` gives it
    """
    if made == "musl" or not version:
        return []
    if (0, 10) <= numbers(version) < numbers(COMPANION) or "amd" in vendors:
        return APT_LIBRARIES if distribution in APT else OTHER_LIBRARIES
    return []


def programs(version, made, vendors):
    """Files of the archive, installed name to name there."""
    found = {"all-smi": "all-smi"}
    if made == "" and "amd" in vendors and version and numbers(version) >= numbers(COMPANION):
        found["liball_smi_amd.so"] = "liball_smi_amd.so"
    return found


def is_open(version, accepted, closed):
    """Whether a version listens on every address by itself, without TLS or password. Raises Problem unless that is accepted.

    version: '' if only the host knows it; closed: whether exporters have to ask for something
    """
    if not version or numbers(version) >= numbers(FLOOR):
        return False
    if numbers(version) < numbers(OLDEST):
        raise Problem(f"it leaks file descriptors; install {OLDEST} or later, preferably {FLOOR} or later", "all_smi_version", version)
    if not accepted:
        raise Problem(f"below {FLOOR} it listens on all addresses of the host without authentication, and its labels differ from "
                      f"the recorded ones; install {FLOOR} or later, or set all_smi_accept_open to true", "all_smi_version", version)
    if closed:
        raise Problem(f"below {FLOOR} its access cannot be restricted, as accelmon_exporter_tls or accelmon_exporter_auth "
                      f"requires; install {FLOOR} or later", "all_smi_version", version)
    return True


def check(version, vendors, accepted=False):
    """Raises Problem for a version that cannot serve a host with these vendors."""
    needed, vendor = floor(vendors)
    if version and numbers(version) < numbers(needed) and not (accepted and vendor is None):
        of_vendor = f" with {vendor} devices" if vendor else ""
        raise Problem(f"a host{of_vendor} needs {needed} or later; set all_smi_version", "all_smi_version", version)
