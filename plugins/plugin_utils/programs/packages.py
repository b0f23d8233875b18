# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which distributions install packages with apt or dnf, and what a bundle calls a distribution. All without apt use the tools for RPM packages."""

APT = ("debian", "ubuntu")
DNF = ("rhel", "rocky", "almalinux")


def platform(distribution, version):
    """What a bundle calls the system that a package is for: debian12, ubuntu24.04."""
    return f"{distribution}{version}"
