# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check on real accelerators whether the collection reads them right, and record fixtures: `make hardware`.

Needs a checkout, Python 3.6 or newer and the vendor's tool; no network and nothing of Ansible. The playbook hardware.yml does the same on
hosts of an inventory. Exit status: 0 if something was checked and nothing failed.
"""
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, ".collections"))

# pylint: disable=wrong-import-position
from ansible_collections.accelmon.fleet.plugins.module_utils.host.hardware import acceptance  # noqa: E402

PROGRAM = os.path.join(ROOT, "roles", "textfile_collector", "files", "accelmon_textfile_collector.py")


def main(folder):
    """Write report.json and fixtures below a folder, and print the table."""
    result = acceptance.accept(PROGRAM)
    verdict = acceptance.verdict(result)
    if not result["devices"]:
        sys.exit(verdict)
    written = dict(result["fixtures"], **{"report.json": json.dumps(dict(result, fixtures=sorted(result["fixtures"])), indent=1, sort_keys=True) + "\n"})
    for name, text in sorted(written.items()):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
    print("\n".join(acceptance.lines(result)))
    print("written to %s: %s" % (folder, " ".join(sorted(written))))
    sys.exit(verdict)


if __name__ == "__main__":
    main(*sys.argv[1:] or [os.path.join(ROOT, "tests", "output", "hardware")])
