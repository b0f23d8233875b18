# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the tables of docs/detection.md between its markers: what detection finds on every described machine of the tests.

A test fails when they no longer agree.
"""

import collections
import os
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, ".collections"))

# pylint: disable=wrong-import-position
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators
from ansible_collections.accelmon.fleet.tests.unit.plugins.module_utils.detect import trees

PAGE = os.path.join(ROOT, "docs", "detection.md")
BEGIN = "<!-- Written by tools/docs_detection.py from the machines of the tests -->\n"
END = "<!-- End of what tools/docs_detection.py writes -->\n"
PCI_VENDORS = {one for vendor in accelerators.VENDORS for one in vendor.PCI_VENDORS}


def found(facts):
    """The devices of a machine in words, alike ones together."""
    alike = collections.Counter((one["vendor"], one.get("model", "model unknown"), one["kind"], one["state"]) for one in facts["devices"])
    words = []
    for (vendor, model, kind, state), count in sorted(alike.items()):
        words.append(f"{vendor}: {count} × {model}{' (virtual function)' if kind == 'virtual_function' else ''} `{state}`")
    for vendor, told in sorted(facts["summary"].items()):
        if told.get("driver_only"):
            words.append(f"{vendor}: driver only")
    return "<br>".join(words) or "nothing"


def passed_over(tree, facts):
    """How many PCI functions of a vendor that makes accelerators are no device of the result."""
    functions = [words for words in tree.get("pci", {}).values() if words.split(":")[0] in PCI_VENDORS]
    return max(0, len(functions) - sum(1 for one in facts["devices"] if "pci_id" in one))


def tables():
    """The text between the markers."""
    rows, origins, matrix = [], collections.Counter(), collections.Counter()
    for name in trees.names():
        tree = trees.load(name)
        with tempfile.TemporaryDirectory() as root:
            facts = trees.look(tree, root)
        origins[tree["origin"]] += 1
        wanted = collections.Counter(one["vendor"] for one in trees.expected(tree)["devices"])
        got = collections.Counter(one["vendor"] for one in facts["devices"])
        for vendor in wanted | got:
            both = min(wanted[vendor], got[vendor])
            matrix.update({(vendor, "right"): both, (vendor, "missed"): wanted[vendor] - both, (vendor, "wrong"): got[vendor] - both})
            matrix[(vendor, "machines")] += 1
        others = passed_over(tree, facts)
        matrix[("", "passed over")] += others
        rows.append(f"| `{name}` | {tree['origin']} | {found(facts)} | {others or ''} |\n")
    text = f"\n{len(rows)} machines: " + ", ".join(f"{origins[one]} {one}" for one in trees.ORIGINS) + ".\n"
    text += "\n| Vendor | Machines | Devices there and found | There and missed | Found and not there |\n|---|---|---|---|---|\n"
    for vendor in sorted(one.VENDOR for one in accelerators.VENDORS):
        text += f"| {vendor} | " + " | ".join(str(matrix[(vendor, key)]) for key in ("machines", "right", "missed", "wrong")) + " |\n"
    text += f"\nPassed over: {matrix[('', 'passed over')]} other PCI functions of the same PCI vendors (the last column below).\n"
    text += "\n| Machine | Its description is | Found | Passed over |\n|---|---|---|---|\n" + "".join(rows)
    return text + "\n"


def page(text):
    """The page with its tables made anew."""
    before, dummy, rest = text.partition(BEGIN)
    dummy, dummy, after = rest.partition(END)
    return before + BEGIN + tables() + END + after


def main():
    """Writes the page."""
    with open(PAGE, encoding="utf-8") as handle:
        text = page(handle.read())
    with open(PAGE, "w", encoding="utf-8") as handle:
        handle.write(text)


if __name__ == "__main__":
    main()
