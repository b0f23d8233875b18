# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every device that the PCI ID database has of the vendors with a table, judged by the name of its chip, which the table does not use."""
import os
import re
import subprocess
import sys

import pytest

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import ids

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../../../.."))
FIXTURE = os.path.join(ROOT, "tests/fixtures/pci_ids/chips.txt")

# Chips that are graphics inside a chipset, a processor or a game console, or that are cards which no driver for computing ever took.
NVIDIA_NONE = re.compile(r"(C\d\d|MCP\w*|nForce\d*|NV\w+|G7\d\w*|Crush\w*|CK\w+|Riva|Vanta|ION|High|-|BR\d\w*|Tegra\w*|TegraK1)$", re.I)
NVIDIA_CARD = re.compile(r"(G8\d|G9\d|GT2\d\d|G[FKMPVAHRB]\d|TU\d|AD\d)\w*$", re.I)
AMD_CARD = set("""Mars Opal Oland Saturn Bonaire Tobago Sun Jet Vega Tahiti Malta Hawaii Vesuvius Ellesmere Baffin Wimbledon Neptune Pitcairn
Curacao Venus Heathrow Chelsea Cape Topaz Meso Amethyst Tonga Polaris Polaris12 Lexa Fiji Navi TDC-150 Arcturus Aldebaran Aqua""".split())
AMD_INSIDE = set("""Kaveri Granite Cyan Ariel Oberon Sephiroth Mendocino Kryptos Garfield Arlene Pooky Anubis Phoenix1 Phoenix2 Picasso Raven
Barcelo Fenghuang Arden Renoir Cezanne VanGogh Lucienne Rembrandt Raphael Phoenix HawkPoint1 HawkPoint2 Krackan Krackan2 Sumo SuperSumo Wrestler
Kabini Temash Mullins Wani Amur Nolan Stoney Trinity Richland Bishop Liverpool Starshp Starsha2 Gladius Kingston Jupiter Carrizo""".split())
AMD_OLD = re.compile(r"(R\d|RV\d|RS\d|ES\d|Rage|Mach|M\d|Cayman|Antilles|Barts|Blackcomb|Whistler|Turks|Onega|Seymour|Caicos|Cypress|Hemlock|Broadway|"
                     r"Granville|Juniper|Madison|Pinewood|Redwood|Park|Robson|Cedar|Lexington|Thames|3D|FireMV|Theater)")
INTEL_CARD = re.compile(r"(DG1|SG1|DG2|ATS-M|Ponte|Battlemage|CRI)$")


def rows():
    with open(FIXTURE, encoding="utf-8") as stream:
        head = stream.readline()
        assert re.match(r"# derived from the PCI ID database of \d{4}-\d\d-\d\d ", head)
        return [line.split() for line in stream]


ROWS = rows()


@pytest.mark.parametrize("code", ["0300", "0302"])
def test_every_nvidia_chip(code):
    wrong = [(device, chip) for vendor, device, chip in ROWS if vendor == "10de" and NVIDIA_NONE.match(chip) and ids.is_accelerator(vendor, device, code)]
    missed = [(device, chip) for vendor, device, chip in ROWS if vendor == "10de" and NVIDIA_CARD.match(chip) and not NVIDIA_NONE.match(chip)
              and not ids.is_accelerator(vendor, device, code)]
    assert wrong == [] and missed == []


def test_every_amd_chip():
    both = [(device, chip, ids.is_accelerator("1002", device, "0300")) for vendor, device, chip in ROWS if vendor == "1002"]
    assert [one for one in both if one[1] in AMD_CARD and not one[2]] == []
    assert [one for one in both if (one[1] in AMD_INSIDE or AMD_OLD.match(one[1])) and one[2]] == []
    assert [one for one in both if one[1] == "Strix"] == [("150e", "Strix", False), ("1586", "Strix", True)]


def test_every_intel_chip():
    cards = {device for vendor, device, chip in ROWS if vendor == "8086" and INTEL_CARD.match(chip)}
    found = {device for vendor, device, chip in ROWS if vendor == "8086" and ids.is_accelerator(vendor, device, "0300")}
    assert found == cards and len(cards) > 60


@pytest.mark.parametrize("vendor, device, code, expected", [
    ("1002", "6fdf", "0300", True), ("1002", "686c", "0380", True), ("1002", "75c1", "1200", True), ("1002", "7388", "0380", True),
    ("1002", "0abc", "1200", True), ("1002", "0abc", "0300", False), ("1002", "7314", "0c03", False), ("1002", "ab28", "0403", False),
    ("8086", "0be0", "0300", False), ("8086", "0be5", "0380", False), ("8086", "0bd5", "0380", True), ("8086", "4680", "0300", False),
    ("8086", "b080", "0300", False), ("8086", "7d55", "0300", False),
    ("10de", "0240", "0300", False), ("10de", "03d0", "0300", False), ("10de", "0861", "0300", False), ("10de", "01a0", "0300", False),
    ("10de", "0001", "0300", False), ("10de", "102d", "0302", True), ("10de", "3fff", "0302", True), ("10de", "22a3", "0680", False),
    ("10de", "2e12", "ffff", True), ("10de", "2330", None, True), ("10de", "3fff", None, False), ("10de", "0fff", "0302", True),
])
def test_the_confusions(vendor, device, code, expected):
    assert ids.is_accelerator(vendor, device, code) is expected


def test_what_no_current_driver_serves():
    known = [(device, chip) for vendor, device, chip in ROWS if vendor == "10de" and ids.is_accelerator(vendor, device, "0302")]
    old = re.compile(r"(G8\d|G9\d|GT2\d\d|GF\d|GK\d)", re.I)
    assert [(device, chip) for device, chip in known if bool(old.match(chip)) is ids.served("10de", device)] == []
    assert all(ids.served("1002", device) for vendor, device, dummy in ROWS if vendor == "1002")
    assert not ids.served("1e52", "faca") and ids.served("1e52", "401e") and ids.served("1da3", "0001")


def test_no_name_is_an_id_where_the_database_has_one():
    for vendor, device, dummy in ROWS:
        if ids.is_accelerator(vendor, device, "0300") and not ids.name(vendor, device):
            raise AssertionError((vendor, device))


def test_names_are_names():
    for vendor in ids.PREFIXES:
        for row in ids.table(vendor).splitlines()[1:]:
            assert re.match(r"[0-9a-f]{4} [A-Za-z0-9][ -~]{1,70}$", row), row
            assert not ids.generic(ids.model(vendor, row[:4])) and "  " not in row and "[" not in row, row
    assert ids.model("10de", "1db2", "0302") == "NVIDIA V100 DGXS 16GB" and ids.model("10de", "3fff", "0302") == "NVIDIA 10de:3fff"
    assert ids.model("1002", "75c1", "1200") == "AMD Instinct 1002:75c1" and ids.model("1002", "74a1", "1200") == "AMD Instinct MI300X"


@pytest.mark.parametrize("text", ["AMD Radeon Graphics", "AMD Radeon(TM) Graphics", "N/A", "[N/A]", "", "Graphics Device", "NVIDIA Graphics Device",
                                  "0x0b0c", "Device 75a0", "AMD Instinct Accelerator", "Advanced Micro Devices, Inc. [AMD/ATI]", "Unknown",
                                  "NVIDIA Corporation", "none", "AMD", "Intel(R) Graphics", "Not Supported",
                                  # Level Zero's and the kernel's words for what they do not know, and kinds from lspci.
                                  "Intel(R) Graphics [0x0bd5]", "Intel(R) Data Center GPU", "Device 0x75a0", "Device [1002:75a0]",
                                  "AMD Radeon (TM) Graphics", "AMD Radeon Pro Graphics", "[AMD/ATI]", "VGA compatible controller", "3D controller",
                                  "Processing accelerators", "GPU 0", "gfx942",
                                  "gfx90a", "card0", "null", "ERR!", "???", "not available", "Unsupported", "NotSupported", "Not Applicable", "unspecified",
                                  "Invalid device", "--"])
def test_a_kind_is_no_model(text):
    assert ids.generic(text)


@pytest.mark.parametrize("text", ["AMD Instinct MI300X", "AMD Instinct MI300X OAM", "NVIDIA H100 80GB HBM3", "AMD Radeon RX 7900 XTX", "Tesla T4",
                                  "AMD Radeon 780M Graphics", "AMD INSTINCT MI200 (MCM) OAM LC MBA HPE C2", "Radeon RX Vega", "NVIDIA GB10", "GRID A100X-4C",
                                  "Radeon 5450", "Intel(R) Data Center GPU Max 1550", "Intel(R) Arc(TM) Graphics 140V", "AMD Custom GPU 0405",
                                  "Radeon Pro W7900", "Intel(R) Arc(TM) Pro B60 Graphics", "Instinct MI300X", "AMD Radeon Pro V710"])
def test_a_model_is_one(text):
    assert not ids.generic(text)


def test_the_table_is_small_and_quickly_read():
    """A node gets it with the module, and reads it every time."""
    path = os.path.join(ROOT, "plugins/module_utils/detect/ids.py")
    assert os.path.getsize(path) < 50000
    code = ("import sys, time; text = open(sys.argv[1]).read(); start = time.process_time()\n"
            "for n in range(10): exec(compile(text, 'ids', 'exec'), {})\n"
            "print((time.process_time() - start) / 10)")
    assert float(subprocess.check_output([sys.executable, "-IS", "-c", code, path])) < 0.02


def test_the_tool_makes_the_same_form(tmp_path, monkeypatch):
    """A small database of the same form; the real one is not here."""
    sys.path.insert(0, os.path.join(ROOT, "tools"))
    try:
        import device_ids
    finally:
        sys.path.pop(0)
    path = tmp_path / "pci.ids"
    path.write_text("#\tVersion: 2026.01.02\n#\tDate:    2026-01-02 03:15:02\n\n1002  AMD\n\t74a1  Aqua Vanjaram [Instinct MI300X]\n"
                    "\t1002  Medusa Halo [Radeon Graphics]\n\t164e  Raphael [Radeon 610M]\n\t7314  Navi 10 USB\n10de  NVIDIA\n"
                    "\t1db2  GV100GL [Tesla V100 DGXS 16GB]\n\t\t10de 1212  a board\n\t0240  C51PV [GeForce 6150]\n\t22a3  GH100 [H100 NVSwitch]\n"
                    "8086  Intel\n\te20b  Battlemage G21 [Arc B580]\n\t0be0  Atom Processor D2xxx/N2xxx Integrated Graphics Controller\n"
                    "C 00  Unclassified\n\t00  x\n")
    table = tmp_path / "ids.py"
    table.write_text("before\n" + device_ids.BEGIN + "old\n" + device_ids.END + "after\n")
    monkeypatch.setattr(device_ids, "TABLE", str(table))
    monkeypatch.setattr(device_ids, "CHIPS", str(tmp_path / "chips.txt"))
    monkeypatch.setattr(sys, "argv", ["device_ids", str(path)])
    device_ids.main()
    text = table.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and 'DATE = "2026-01-02"' in text
    assert 'NVIDIA = """\n1db2 V100 DGXS 16GB\n"""' in text and 'INTEL = """\ne20b Arc B580\n"""' in text
    assert 'AMD = """\n1002 Radeon Graphics (Medusa Halo)\n74a1 Instinct MI300X\n"""' in text
    assert "10de 0240 C51PV" in (tmp_path / "chips.txt").read_text() and "8086 0be0 Atom" in (tmp_path / "chips.txt").read_text()
