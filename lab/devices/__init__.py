# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated hardware of lab hosts: the files a kernel and its drivers would show, and nothing above them.

Everything here is simulated. Shapes are derived from documentation of Linux, NVIDIA and AMD, not recorded from hardware.
"""
