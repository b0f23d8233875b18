# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What PCI ids mean: which functions of NVIDIA, AMD and Intel are accelerators, what they are called, and whether a driver serves them; and
what tools say: which of their names is a model, and which of their lines the document.

The one table of detection and of the textfile collector, which has a copy of this file beside it: standard library only.
Its generated part holds facts of the PCI ID database (https://pci-ids.ucw.cz/, GPL-2.0-or-later or BSD-3-Clause, as of DATE), one long text
for each vendor: it is read in no time, and searched for the few ids that a host has.
"""
import json
import re

PREFIXES = {"10de": "NVIDIA ", "1002": "AMD ", "8086": "Intel "}
PROCESSING = "1200"
CLASSES = {"10de": ("0300", "0302", PROCESSING), "1002": ("0300", "0302", "0380", PROCESSING), "8086": ("0300", "0302", "0380", PROCESSING)}

# Our own names, where the database has a code, several products or more words than we want, or does not have the id.
OURS = {
    "10de": {
        "1df0": "V100 PG500-216", "1df2": "V100 PG503-216", "1e37": "T10", "1e38": "T40", "1e07": "GeForce RTX 2080 Ti",
        "20b3": "A100 SXM 64GB", "20b7": "A30", "20f3": "A800 SXM4 80GB", "20f5": "A800 PCIe 80GB", "20f6": "A800 PCIe 40GB",
        "2216": "GeForce RTX 3080", "2488": "GeForce RTX 3070", "2489": "GeForce RTX 3060 Ti", "2504": "GeForce RTX 3060",
        "2321": "H100 NVL 94GB", "2331": "H100 PCIe 80GB", "2348": "GH200 144GB",
        "26b1": "RTX 6000 Ada", "26b2": "RTX 5000 Ada", "26b3": "RTX 5880 Ada", "27b0": "RTX 4000 SFF Ada",
        "27b1": "RTX 4500 Ada", "27b2": "RTX 4000 Ada", "28b0": "RTX 2000 Ada",
        "2920": "B100", "2941": "GB200", "3182": "B300", "31c3": "GB300",
        "2bb1": "RTX PRO 6000 Blackwell Workstation", "2bb4": "RTX PRO 6000 Blackwell Max-Q", "2bb5": "RTX PRO 6000 Blackwell Server",
        "2bb3": "RTX PRO 5000 Blackwell", "2c3a": "RTX PRO 4500 Blackwell Server",
    },
    "1002": {
        "1586": "Strix Halo",
        "6860": "Instinct MI25", "686c": "Instinct MI25 VF", "66a0": "Instinct MI50/MI60", "66a1": "Instinct MI50/MI60",
        "740c": "Instinct MI250/MI250X", "7410": "Instinct MI210 VF", "75b0": "Instinct MI350X VF",
        "73ae": "Radeon PRO V620 VF", "7461": "Radeon PRO V710 VF", "73bf": "Radeon RX 6800/6900 series",
        "73df": "Radeon RX 6700 series", "73ff": "Radeon RX 6600 series", "744c": "Radeon RX 7900 series",
        "747e": "Radeon RX 7700/7800 series", "7480": "Radeon RX 7600 series", "7550": "Radeon RX 9070 series", "7590": "Radeon RX 9060 XT",
    },
    "8086": {"4905": "Iris Xe MAX"},
}

# An id that the table lacks is an accelerator when it lies in a block that its vendor gives to such, and in no chipset or processor. NVIDIA
# numbers upwards: from its first Maxwell on there are GPUs only. AMD: cards that amdgpu can drive; outside lie processors' graphics and the
# cards of the radeon era, among them the VGA chips of old server boards. Intel: the kernel's list of discrete parts.
FIRST_MAXWELL = 0x1340
BLOCKS = {
    "10de": ((FIRST_MAXWELL, 0xffff),),
    "1002": ((0x6600, 0x66ff), (0x6780, 0x67ff), (0x6800, 0x683f), (0x6860, 0x687f), (0x6900, 0x6aff), (0x7300, 0x77ff)),
    "8086": ((0x0b69, 0x0b6e), (0x0bd0, 0x0bdf), (0x4905, 0x4909), (0x5690, 0x56ff), (0x674c, 0x6750), (0xe200, 0xe22f)),
}
# GPUs that are part of a processor and the reason to buy it. Their memory is the host's, and their class is no matter.
UNIFIED = {"10de": ("2b00", "2e02", "2e03", "2e06", "2e12", "2e13", "2e2a"), "1002": ("1586",)}

# What tools and exporters call a device that their own tables lack: a kind, not a model. Whole texts, small and large letters alike; also
# for the engines, whose expressions know less than Python's.
GENERIC = (r"(AMD|ATI|AMD/ATI|NVIDIA|Intel(\(R\))?)?( Corporation)?\]?[ -]*((Radeon|Arc|Instinct)( ?\(TM\))?)?( Pro)?[ -]*"
           r"(Graphics( Device| Controller)?( [\[(]?0x[0-9a-f]{4}[\])]?)?|Device( [\[(]?(0x)?[0-9a-f]{4}(:[0-9a-f]{4})?[\])]?)?|"
           r"(Data Center )?GPU([ -]?[0-9]{1,2})?|(Display|VGA compatible|3D) Controller|(Processing )?Accelerators?)?|"
           r"Advanced Micro Devices.*|(NVIDIA|Intel) Corporation.*|0x[0-9a-f]+|[0-9]+|card[0-9]+|gfx[0-9]+[a-f]?|"
           r"n/?a|un(known.*|defined|supported|specified|available)|invalid.*|none|null|nil|nan|[?.-]+|err(or)?!?|"
           r"not[ _-]?(supported|available|applicable|found|specified)")


def table(vendor):
    """The generated rows of a vendor: one text, each row '\\n<id> <name>\\n'."""
    return {"10de": NVIDIA, "1002": AMD, "8086": INTEL}.get(vendor, "")


def name(vendor, device):
    """Our name of a device, without its vendor's; None where the table lacks the id."""
    ours = OURS.get(vendor, {}).get(device)
    if ours:
        return ours
    rows = table(vendor)
    at = rows.find("\n%s " % device)
    return rows[at + 6:rows.index("\n", at + 1)] if at >= 0 else None


def model(vendor, device, code=None):
    """Our name of a device with its vendor's. code: its class. What AMD makes as a processing accelerator is an Instinct, whatever its id."""
    found = name(vendor, device)
    if not found:
        kind = "Instinct " if vendor == "1002" and code == PROCESSING else ""
        found = "%s%s:%s" % (kind, vendor, device)
    return PREFIXES[vendor] + found


def is_accelerator(vendor, device, code=None):
    """Whether a function is an accelerator. code: the first four digits of its class; None where that cannot be read: then by the table alone."""
    listed = device in OURS[vendor] or name(vendor, device) is not None
    if code is None:
        return listed
    if device in UNIFIED.get(vendor, ()):
        return True
    if vendor == "1002" and code == PROCESSING:
        return True
    number = int(device, 16)
    return code in CLASSES[vendor] and (listed or any(first <= number <= last for first, last in BLOCKS[vendor]))


def served(vendor, device):
    """Whether a current driver of its vendor serves a device. NVIDIA's older cards and Tenstorrent's first chip have none any more."""
    return not (vendor == "10de" and int(device, 16) < FIRST_MAXWELL or (vendor, device) == ("1e52", "faca"))


def generic(text):
    """Whether what a tool calls a device names no model: 'AMD Radeon Graphics', 'Graphics Device', 'N/A', '0x0b0c', nothing."""
    return re.fullmatch(GENERIC, text.strip(" []"), re.IGNORECASE) is not None


def document(text):
    """The JSON document in a tool's output, before and behind which there may be other lines: the longest that is one. None without.

    It begins at the left, so that a part of one which was cut off is none.
    """
    found, end = [], 0
    for start in [match.start() for match in re.finditer(r"^[\[{]", text, re.MULTILINE)]:
        if start < end:
            continue
        try:
            value, end = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        found.append((end - start, value))
    return max(found, key=lambda one: one[0])[1] if found else None


# --- generated by tools/device_ids.py: begin
DATE = "2026-10-24"
NVIDIA = """
0190 GeForce 8800 GTS/8800 GTX
0191 GeForce 8800 GTX
0192 GeForce 8800 GTS
0193 GeForce 8800 GTS
0194 GeForce 8800 Ultra
0197 C870
019d Quadro FX 5600
019e Quadro FX 4600
0400 GeForce 8600 GTS
0401 GeForce 8600 GT
0402 GeForce 8600 GT
0403 GeForce 8600 GS
0404 GeForce 8400 GS
0405 GeForce 9500M GS
0406 GeForce 8300 GS
0407 GeForce 8600M GT
0408 GeForce 9650M GS
0409 GeForce 8700M GT
040a Quadro FX 370
040b Quadro NVS 320M
040c Quadro FX 570M
040d Quadro FX 1600M
040e Quadro FX 570
040f Quadro FX 1700
0410 GeForce GT 330
0414 GeForce 9800 GT
0418 GeForce GT 330 OEM
0420 GeForce 8400 SE
0421 GeForce 8500 GT
0422 GeForce 8400 GS
0423 GeForce 8300 GS
0424 GeForce 8400 GS
0425 GeForce 8600M GS
0426 GeForce 8400M GT
0427 GeForce 8400M GS
0428 GeForce 8400M G
0429 Quadro NVS 140M
042a Quadro NVS 130M
042b Quadro NVS 135M
042c GeForce 9400 GT
042d Quadro FX 360M
042e GeForce 9300M G
042f Quadro NVS 290
05e0 GeForce GTX 295
05e1 GeForce GTX 280
05e2 GeForce GTX 260
05e3 GeForce GTX 285
05e6 GeForce GTX 275
05e7 C1060/M1060
05ea GeForce GTX 260
05eb GeForce GTX 295
05ed Quadro Plex 2200 D2
05f1 GeForce GTX 280
05f2 GeForce GTX 260
05f8 Quadro Plex 2200 S4
05f9 Quadro CX
05fd Quadro FX 5800
05fe Quadro FX 4800
05ff Quadro FX 3800
0600 GeForce 8800 GTS 512
0601 GeForce 9800 GT
0602 GeForce 8800 GT
0603 GeForce GT 230 OEM
0604 GeForce 9800 GX2
0605 GeForce 9800 GT
0606 GeForce 8800 GS
0607 GeForce GTS 240
0608 GeForce 9800M GTX
0609 GeForce 8800M GTS
060a GeForce GTX 280M
060b GeForce 9800M GT
060c GeForce 8800M GTX
060d GeForce 8800 GS
060f GeForce GTX 285M
0610 GeForce 9600 GSO
0611 GeForce 8800 GT
0612 GeForce 9800 GTX/9800 GTX+
0613 GeForce 9800 GTX+
0614 GeForce 9800 GT
0615 GeForce GTS 250
0617 GeForce 9800M GTX
0618 GeForce GTX 260M
0619 Quadro FX 4700 X2
061a Quadro FX 3700
061b Quadro VX 200
061c Quadro FX 3600M
061d Quadro FX 2800M
061e Quadro FX 3700M
061f Quadro FX 3800M
0620 GeForce 9800 GT
0621 GeForce GT 230
0622 GeForce 9600 GT
0623 GeForce 9600 GS
0624 GeForce 9600 GT Green Edition
0625 GeForce 9600 GSO 512
0626 GeForce GT 130
0627 GeForce GT 140
0628 GeForce 9800M GTS
062a GeForce 9700M GTS
062b GeForce 9800M GS
062c GeForce 9800M GTS
062d GeForce 9600 GT
062e GeForce 9600 GT
062f GeForce 9800 S
0630 GeForce 9600 GT
0631 GeForce GTS 160M
0632 GeForce GTS 150M
0633 GeForce GT 220
0635 GeForce 9600 GSO
0637 GeForce 9600 GT
0638 Quadro FX 1800
063a Quadro FX 2700M
063f GeForce 9600 GE
0640 GeForce 9500 GT
0641 GeForce 9400 GT
0642 D9M-10
0643 GeForce 9500 GT
0644 GeForce 9500 GS
0645 GeForce 9500 GS
0646 GeForce GT 120
0647 GeForce 9600M GT
0648 GeForce 9600M GS
0649 GeForce 9600M GT
064a GeForce 9700M GT
064b GeForce 9500M G
064c GeForce 9650M GT
064e GeForce 9600 GSO/9800 GT
0651 GeForce G 110M
0652 GeForce GT 130M
0653 GeForce GT 120M
0654 GeForce GT 220M
0655 GeForce GT 120 Mac Edition
0656 GeForce GT 120 Mac Edition
0658 Quadro FX 380
0659 Quadro FX 580
065a Quadro FX 1700M
065b GeForce 9400 GT
065c Quadro FX 770M
065d GeForce 9500 GA/9600 GT/GTS 250
065f GeForce G210
06c0 GeForce GTX 480
06c4 GeForce GTX 465
06ca GeForce GTX 480M
06cb GeForce GTX 480
06cd GeForce GTX 470
06d0 GF100GL
06d1 C2050/C2070
06d2 M2070
06d8 Quadro 6000
06d9 Quadro 5000
06da Quadro 5000M
06dc Quadro 6000
06dd Quadro 4000
06de T20 Processor
06df M2070-Q
06e0 GeForce 9300 GE
06e1 GeForce 9300 GS
06e2 GeForce 8400
06e3 GeForce 8300 GS
06e4 GeForce 8400 GS Rev. 2
06e5 GeForce 9300M GS
06e6 GeForce G 100
06e7 GeForce 9300 SE
06e8 GeForce 9200M GS
06e9 GeForce 9300M GS
06ea Quadro NVS 150M
06eb Quadro NVS 160M
06ec GeForce G 105M
06ed GeForce 9600 GT/9800 GT
06ee GeForce 9600 GT/9800 GT/GT 240
06ef GeForce G 103M
06f1 GeForce G 105M
06f8 Quadro NVS 420
06f9 Quadro FX 370 LP
06fa Quadro NVS 450
06fb Quadro FX 370M
06fd Quadro NVS 295
06ff HICx16 + Graphics
0a20 GeForce GT 220
0a21 GeForce GT 330M
0a22 GeForce 315
0a23 GeForce 210
0a24 GeForce 405
0a26 GeForce 405
0a27 GeForce 405
0a28 GeForce GT 230M
0a29 GeForce GT 330M
0a2a GeForce GT 230M
0a2b GeForce GT 330M
0a2c NVS 5100M
0a2d GeForce GT 320M
0a30 GeForce 505
0a32 GeForce GT 415
0a34 GeForce GT 240M
0a35 GeForce GT 325M
0a38 Quadro 400
0a3c Quadro FX 880M
0a60 GeForce G210
0a62 GeForce 205
0a63 GeForce 310
0a64 ION
0a65 GeForce 210
0a66 GeForce 310
0a67 GeForce 315
0a68 GeForce G 105M
0a69 GeForce G 105M
0a6a NVS 2100M
0a6c NVS 3100M
0a6e GeForce 305M
0a6f ION
0a70 GeForce 310M
0a71 GeForce 305M
0a72 GeForce 310M
0a73 GeForce 305M
0a74 GeForce G210M
0a75 GeForce 310M
0a76 ION 2
0a78 Quadro FX 380 LP
0a7a GeForce 315M
0a7b GeForce 505
0a7c Quadro FX 380M
0ca0 GeForce GT 330
0ca2 GeForce GT 320
0ca3 GeForce GT 240
0ca4 GeForce GT 340
0ca5 GeForce GT 220
0ca7 GeForce GT 330
0ca8 GeForce GTS 260M
0ca9 GeForce GTS 250M
0cac GeForce GT 220/315
0caf GeForce GT 335M
0cb0 GeForce GTS 350M
0cb1 GeForce GTS 360M
0cbc Quadro FX 1800M
0dc0 GeForce GT 440
0dc4 GeForce GTS 450
0dc5 GeForce GTS 450 OEM
0dc6 GeForce GTS 450 OEM
0dcd GeForce GT 555M
0dce GeForce GT 555M
0dd1 GeForce GTX 460M
0dd2 GeForce GT 445M
0dd3 GeForce GT 435M
0dd6 GeForce GT 550M
0dd8 Quadro 2000
0dda Quadro 2000M
0de0 GeForce GT 440
0de1 GeForce GT 430
0de2 GeForce GT 420
0de3 GeForce GT 635M
0de4 GeForce GT 520
0de5 GeForce GT 530
0de7 GeForce GT 610
0de8 GeForce GT 620M
0de9 GeForce GT 620M/630M/635M/640M LE
0dea GeForce 610M
0deb GeForce GT 555M
0dec GeForce GT 525M
0ded GeForce GT 520M
0dee GeForce GT 415M
0def NVS 5400M
0df0 GeForce GT 425M
0df1 GeForce GT 420M
0df2 GeForce GT 435M
0df3 GeForce GT 420M
0df4 GeForce GT 540M
0df5 GeForce GT 525M
0df6 GeForce GT 550M
0df7 GeForce GT 520M
0df8 Quadro 600
0df9 Quadro 500M
0dfa Quadro 1000M
0dfc NVS 5200M
0e22 GeForce GTX 460
0e23 GeForce GTX 460 SE
0e24 GeForce GTX 460 OEM
0e30 GeForce GTX 470M
0e31 GeForce GTX 485M
0e3a Quadro 3000M
0e3b Quadro 4000M
0f00 GeForce GT 630
0f01 GeForce GT 620
0f02 GeForce GT 730
0f03 GeForce GT 610
0f06 GeForce GT 730
0fa0 GK11x_FPGA
0fa5 GK11x
0fa7 Tegra on x86 (PEATRANS)
0fc0 GeForce GT 640 OEM
0fc1 GeForce GT 640
0fc2 GeForce GT 630 OEM
0fc4 D14P1-15
0fc5 GeForce GT 1030
0fc6 GeForce GTX 650
0fc8 GeForce GT 740
0fc9 GeForce GT 730
0fcb EXK107
0fcc GeForce GT 720
0fcd GeForce GT 755M
0fce GeForce GT 640M LE
0fcf GEN3 ESI
0fd0 NB1G
0fd1 GeForce GT 650M
0fd2 GeForce GT 640M
0fd3 GeForce GT 640M LE
0fd4 GeForce GTX 660M
0fd5 GeForce GT 650M Mac Edition
0fd6 N13P-GS-W
0fd7 GK107-GTX
0fd8 GeForce GT 640M Mac Edition
0fd9 GeForce GT 645M
0fda GK107-ES-A1
0fdb GK107-ESP-A1
0fdc GK107-INT22-A1
0fdd GK107-INT11-A1
0fde GK107-ES-KA-E1
0fdf GeForce GT 740M
0fe0 GeForce GTX 660M Mac Edition
0fe1 GeForce GT 730M
0fe2 GeForce GT 745M
0fe3 GeForce GT 745M
0fe4 GeForce GT 750M
0fe5 GeForce K340 USM
0fe6 GRID K1 NVS USM
0fe7 GRID K100 vGPU
0fe8 N14P-GS
0fe9 GeForce GT 750M Mac Edition
0fea GeForce GT 755M Mac Edition
0fec GeForce 710A
0fed GeForce 820M
0fee GeForce 810M
0fef GRID K340
0ff0 NB1Q
0ff1 NVS 1000
0ff2 GRID K1
0ff3 Quadro K420
0ff5 GRID K1 Tesla USM
0ff6 Quadro K1100M
0ff7 GRID K140Q vGPU
0ff8 Quadro K500M
0ff9 Quadro K2000D
0ffa Quadro K600
0ffb Quadro K2000M
0ffc Quadro K1000M
0ffd NVS 510
0ffe Quadro K2000
0fff Quadro 410
1001 GeForce GTX TITAN Z
1003 GeForce GTX Titan LE
1004 GeForce GTX 780
1005 GeForce GTX TITAN
1007 GeForce GTX 780 Rev. 2
1008 GeForce GTX 780 Ti 6GB
100a GeForce GTX 780 Ti
100c GeForce GTX TITAN Black
101e K20X
101f K20
1020 K20X
1021 K20Xm
1022 K20c
1023 K40m
1024 K40c
1026 K20s
1027 K40st
1028 K20m
1029 K40s
102a K40t
102d K80
102e K40d
102f Stella Solo
103a Quadro K6000
103c Quadro K5200
103f Stella SXM
1040 GeForce GT 520
1042 GeForce 510
1045 GF119
1048 GeForce 605
1049 GeForce GT 620 OEM
104a GeForce GT 610
104b GeForce GT 625 OEM
104c GeForce GT 705
104d GeForce GT 710
1050 GeForce GT 520M
1051 GeForce GT 520MX
1052 GeForce GT 520M
1054 GeForce 410M
1055 GeForce 410M
1056 NVS 4200M
1057 Quadro NVS 4200M
1058 GeForce 610M
1059 GeForce 610M
105a GeForce 610M
105b GeForce 705M
107c NVS 315
107d NVS 310
1080 GeForce GTX 580
1081 GeForce GTX 570
1082 GeForce GTX 560 Ti OEM
1084 GeForce GTX 560 OEM
1086 GeForce GTX 570 Rev. 2
1087 GeForce GTX 560 Ti 448 Cores
1088 GeForce GTX 590
1089 GeForce GTX 580 Rev. 2
108b GeForce GTX 580
108e C2090
1091 M2090
1094 M2075
1096 C2050/C2075
109a Quadro 5010M
109b Quadro 7000
10c0 GeForce 9300 GS Rev. 2
10c3 GeForce 8400 GS Rev. 3
10c5 GeForce 405
10d8 NVS 300
1140 GeForce 610M/710M/810M/820M/GT 620M/625M/630M/720M
1180 GeForce GTX 680
1182 GeForce GTX 760 Ti
1183 GeForce GTX 660 Ti
1184 GeForce GTX 770
1185 GeForce GTX 660 OEM
1186 GeForce GTX 660 Ti
1187 GeForce GTX 760
1188 GeForce GTX 690
1189 GeForce GTX 670
118a GRID K520
118b GRID K2 GeForce USM
118c GRID K2 NVS USM
118d GRID K200 vGPU
118e GeForce GTX 760 OEM
118f K10
1191 GeForce GTX 760 Rev. 2
1193 GeForce GTX 760 Ti OEM
1194 K8
1195 GeForce GTX 660 Rev. 2
1198 GeForce GTX 880M
1199 GeForce GTX 870M
119a GeForce GTX 860M
119d GeForce GTX 775M Mac Edition
119e GeForce GTX 780M Mac Edition
119f GeForce GTX 780M
11a0 GeForce GTX 680M
11a1 GeForce GTX 670MX
11a2 GeForce GTX 675MX Mac Edition
11a3 GeForce GTX 680MX
11a4 GK104-ESA
11a5 GK104-ESA
11a7 GeForce GTX 675MX
11a8 Quadro K5100M
11a9 GeForce GTX 870M
11aa GK104-INT
11ac GK104-CS
11af GRID IceCube
11b0 GRID K240Q/K260Q vGPU
11b1 GRID K2 Tesla USM
11b4 Quadro K4200
11b6 Quadro K3100M
11b7 Quadro K4100M
11b8 Quadro K5100M
11b9 GK104GLM
11ba Quadro K5000
11bb Quadro 4100
11bc Quadro K5000M
11bd Quadro K4000M
11be Quadro K3000M
11bf GRID K2
11c0 GeForce GTX 660
11c1 D14P2-30
11c2 GeForce GTX 650 Ti Boost
11c3 GeForce GTX 650 Ti OEM
11c4 GeForce GTX 645 OEM
11c5 GeForce GT 740
11c6 GeForce GTX 650 Ti
11c7 GeForce GTX 750 Ti
11c8 GeForce GTX 650 OEM
11cb GeForce GT 740
11d0 GK106-INT353
11d1 GK106-INT343
11d2 GK106-INT232
11d3 GK106-ES
11e0 GeForce GTX 770M
11e1 GeForce GTX 765M
11e2 GeForce GTX 765M
11e3 GeForce GTX 760M
11e7 GK106M
11fa Quadro K4000
11fc Quadro K2100M
11ff NB1Q
1200 GeForce GTX 560 Ti
1201 GeForce GTX 560
1202 GeForce GTX 560 Ti OEM
1203 GeForce GTX 460 SE v2
1205 GeForce GTX 460 v2
1206 GeForce GTX 555
1207 GeForce GT 645 OEM
1208 GeForce GTX 560 SE
1210 GeForce GTX 570M
1211 GeForce GTX 580M
1212 GeForce GTX 675M
1213 GeForce GTX 670M
1241 GeForce GT 545 OEM
1243 GeForce GT 545
1244 GeForce GTX 550 Ti
1245 GeForce GTS 450 Rev. 2
1246 GeForce GT 550M
1247 GeForce GT 555M/635M
1248 GeForce GT 555M/635M
1249 GeForce GTS 450 Rev. 3
124b GeForce GT 640 OEM
124d GeForce GT 555M/635M
1251 GeForce GT 560M
1280 GeForce GT 635
1281 GeForce GT 710
1282 GeForce GT 640 Rev. 2
1283 D15M2-10
1284 GeForce GT 630 Rev. 2
1285 GK208-100
1286 GeForce GT 720
1287 GeForce GT 730
1288 GeForce GT 720
1289 GeForce GT 710
128a GK208B
128b GeForce GT 710
128c GK208B
1290 GeForce GT 730M
1291 GeForce GT 735M
1292 GeForce GT 740M
1293 GeForce GT 730M
1294 GeForce GT 740M
1295 GeForce 710M
1296 GeForce 825M
1298 GeForce GT 720M
1299 GeForce 920M
129a GeForce 910M
12a0 GK208
12ad GK208-ES
12ae GK208-CS1-C
12af GK208-INT
12b0 GK208-CS-Q
12b1 GK208 INT
12b9 Quadro K610M
12ba Quadro K510M
130b Q12U-1
1340 GeForce 830M
1341 GeForce 840M
1344 GeForce 845M
1346 GeForce 930M
1347 GeForce 940M
1348 GeForce 945M/945A
1349 GeForce 930M
134b GeForce 940MX
134d GeForce 940MX
134e GeForce 930MX
134f GeForce 920MX
137a Quadro K620M/Quadro M500M
137b Quadro M520 Mobile
137d GeForce 940A
1380 GeForce GTX 750 Ti
1381 GeForce GTX 750
1382 GeForce GTX 745
1389 GRID M30
1390 GeForce 845M
1391 GeForce GTX 850M
1392 GeForce GTX 860M
1393 GeForce 840M
1398 GeForce 845M
1399 GeForce 945M
139a GeForce GTX 950M
139b GeForce GTX 960M
139c GeForce 940M
139d GeForce GTX 750 Ti
13ad GM107 INT52
13ae GM107 CS1
13b0 Quadro M2000M
13b1 Quadro M1000M
13b2 Quadro M600M
13b3 Quadro K2200M
13b4 Quadro M620 Mobile
13b6 Quadro M1200 Mobile
13b9 NVS 810
13ba Quadro K2200
13bb Quadro K620
13bc Quadro K1200
13bd M10
13be GM107 CS1
13bf GM107 INT52
13c0 GeForce GTX 980
13c1 GM204
13c2 GeForce GTX 970
13c3 GM204
13c4 D17U-20
13d7 GeForce GTX 980M
13d8 GeForce GTX 960 OEM/970M
13d9 GeForce GTX 965M
13da GeForce GTX 980 Mobile
13e4 Graphics Device ES-A
13e7 GeForce GTX 980 Engineering Sample
13f0 Quadro M5000
13f1 Quadro M4000
13f2 M60
13f3 M6
13f8 Quadro M5000M/M5000 SE
13f9 Quadro M4000M
13fa Quadro M3000M
13fb Quadro M5500
1401 GeForce GTX 960
1402 GeForce GTX 950
1404 GeForce GTX 960 FAKE
1406 GeForce GTX 960 OEM
1407 GeForce GTX 750 v2
1427 GeForce GTX 965M
1430 Quadro M2000
1431 M4
1436 Quadro M2200 Mobile
15c2 CMP 100-100
15f0 Quadro GP100
15f1 GP100GL
15f7 P100 PCIe 12GB
15f8 P100 PCIe 16GB
15f9 P100 SXM2 16GB
15fa DGX Station/PH402 SKU 200
15fb GP100 SKU 200
15fc P100-DGXS-16GB
15ff GP100 SKU 15ff
1613 GRID M60 Service Provider
1617 GeForce GTX 980M
1618 GeForce GTX 970M
1619 GeForce GTX 965M
161a GeForce GTX 980 Mobile
1667 GeForce GTX 965M
1676 Quadro M2200 Mobile
1725 GP100
172e GP100
172f GP100
174d GeForce MX130
174e GeForce MX110
1789 GRID M3-3020
179c GeForce 940MX
17c2 GeForce GTX TITAN X
17c8 GeForce GTX 980 Ti
17f0 Quadro M6000
17f1 Quadro M6000 24GB
17fd M40
1b00 TITAN X Pascal
1b01 GeForce GTX 1080 Ti 10GB
1b02 TITAN Xp
1b04 GP102
1b06 GeForce GTX 1080 Ti
1b07 P102-100
1b30 Quadro P6000
1b38 P40
1b39 P10
1b70 GP102GL
1b78 GP102GL
1b80 GeForce GTX 1080
1b81 GeForce GTX 1070
1b82 GeForce GTX 1070 Ti
1b83 GeForce GTX 1060 6GB
1b84 GeForce GTX 1060 3GB
1b87 P104-100
1ba0 GeForce GTX 1080 Mobile
1ba1 GeForce GTX 1070 Mobile
1ba2 GeForce GTX 1070 Mobile
1ba9 GP104M
1baa GP104M
1bad GeForce GTX 1070 Engineering Sample
1bb0 Quadro P5000
1bb1 Quadro P4000
1bb3 P4
1bb4 P6
1bb5 Quadro P5200 Mobile
1bb6 Quadro P5000 Mobile
1bb7 Quadro P4000 Mobile
1bb8 Quadro P3000 Mobile
1bb9 Quadro P4200 Mobile
1bbb Quadro P3200 Mobile
1bc7 P104-101
1be0 GeForce GTX 1080 Mobile
1be1 GeForce GTX 1070 Mobile
1c00 GP106
1c01 GP106
1c02 GeForce GTX 1060 3GB
1c03 GeForce GTX 1060 6GB
1c04 GeForce GTX 1060 5GB
1c06 GeForce GTX 1060 6GB Rev. 2
1c07 P106-100
1c09 P106-090
1c20 GeForce GTX 1060 Mobile
1c21 GeForce GTX 1050 Ti Mobile
1c22 GeForce GTX 1050 Mobile
1c23 GeForce GTX 1060 Mobile Rev. 2
1c2d GP106M
1c30 Quadro P2000
1c31 Quadro P2200
1c35 Quadro P2000 Mobile/DRIVE PX 2 AutoChauffeur
1c36 P106M
1c60 GeForce GTX 1060 Mobile 6GB
1c61 GeForce GTX 1050 Ti Mobile
1c62 GeForce GTX 1050 Mobile
1c70 GP106GL
1c81 GeForce GTX 1050
1c82 GeForce GTX 1050 Ti
1c83 GeForce GTX 1050 3GB
1c8c GeForce GTX 1050 Ti Mobile
1c8d GeForce GTX 1050 Mobile
1c8e GP107M
1c8f GeForce GTX 1050 Ti Max-Q
1c90 GeForce MX150
1c91 GeForce GTX 1050 3 GB Max-Q
1c92 GeForce GTX 1050 Mobile
1c94 GeForce MX350
1c96 GeForce MX350
1ca7 GP107GL
1ca8 GP107GL
1caa GP107GL
1cb1 Quadro P1000
1cb2 Quadro P600
1cb3 Quadro P400
1cb6 Quadro P620
1cba Quadro P2000 Mobile
1cbb Quadro P1000 Mobile
1cbc Quadro P600 Mobile
1cbd Quadro P620
1ccc GeForce GTX 1050 Ti Mobile
1ccd GeForce GTX 1050 Mobile
1cfa Quadro P2000
1cfb Quadro P1000
1d01 GeForce GT 1030
1d02 GeForce GT 1010
1d10 GeForce MX150
1d11 GeForce MX230
1d12 GeForce MX150
1d13 GeForce MX250
1d16 GeForce MX330
1d33 Quadro P500 Mobile
1d34 Quadro P520
1d52 GeForce MX250
1d56 GeForce MX330
1d81 TITAN V
1d83 CMP 100-200
1d84 CMP 100-210
1db0 GV100 SXM2-16GB SKU 890
1db1 V100 SXM2 16GB
1db2 V100 DGXS 16GB
1db3 V100 FHHL 16GB
1db4 V100 PCIe 16GB
1db5 V100 SXM2 32GB
1db6 V100 PCIe 32GB
1db7 V100 DGXS 32GB
1db8 V100 SXM3 32GB
1dba Quadro GV100
1dbd GV100 DGX1-V
1dbe GV100 Engineering Sample
1dc1 CMP 100-200
1df0 PG500-216
1df2 PG503-216
1df4 CMP 100-210
1df5 V100 SXM2 16GB
1df6 V100S PCIe 32GB
1e02 TITAN RTX
1e03 GeForce RTX 2080 Ti 12GB
1e04 GeForce RTX 2080 Ti
1e07 GeForce RTX 2080 Ti Rev. A
1e09 CMP 50HX
1e2d GeForce RTX 2080 Ti Engineering Sample
1e2e GeForce RTX 2080 Ti 12GB Engineering Sample
1e30 Quadro RTX 6000/8000
1e35 T10
1e36 Quadro RTX 6000
1e37 T10 16GB/GRID RTX T10-2/T10-4/T10-8
1e38 T40 24GB
1e3c TU102GL
1e3d TU102GL
1e3e TU102GL
1e78 Quadro RTX 6000/8000
1e81 GeForce RTX 2080 SUPER
1e82 GeForce RTX 2080
1e84 GeForce RTX 2070 SUPER
1e87 GeForce RTX 2080 Rev. A
1e89 GeForce RTX 2060
1e90 GeForce RTX 2080 Mobile
1e91 GeForce RTX 2070 SUPER Mobile/Max-Q
1e93 GeForce RTX 2080 SUPER Mobile/Max-Q
1eab TU104M
1eae GeForce GTX 2080 Engineering Sample
1eb0 Quadro RTX 5000
1eb1 Quadro RTX 4000
1eb4 T4G
1eb5 Quadro RTX 5000 Mobile/Max-Q
1eb6 Quadro RTX 4000 Mobile/Max-Q
1eb8 T4
1eb9 TU104GL
1eba PG189 SKU600
1ebe TU104GL
1ec2 GeForce RTX 2070 SUPER
1ec7 GeForce RTX 2070 SUPER
1ed0 GeForce RTX 2080 Mobile
1ed1 GeForce RTX 2070 SUPER Mobile/Max-Q
1ed3 GeForce RTX 2080 SUPER Mobile/Max-Q
1ef5 Quadro RTX 5000 Mobile Refresh
1f02 GeForce RTX 2070
1f03 GeForce RTX 2060 12GB
1f04 TU106
1f06 GeForce RTX 2060 SUPER
1f07 GeForce RTX 2070 Rev. A
1f08 GeForce RTX 2060 Rev. A
1f09 GeForce GTX 1660 SUPER
1f0a GeForce GTX 1650
1f0b CMP 40HX
1f10 GeForce RTX 2070 Mobile
1f11 GeForce RTX 2060 Mobile
1f12 GeForce RTX 2060 Max-Q
1f14 GeForce RTX 2070 Mobile/Max-Q Refresh
1f15 GeForce RTX 2060 Mobile
1f2e TU106M
1f36 Quadro RTX 3000 Mobile/Max-Q
1f42 GeForce RTX 2060 SUPER
1f47 GeForce RTX 2060 SUPER
1f50 GeForce RTX 2070 Mobile/Max-Q
1f51 GeForce RTX 2060 Mobile
1f54 GeForce RTX 2070 Mobile
1f55 GeForce RTX 2060 Mobile
1f76 Quadro RTX 3000 Mobile Refresh
1f81 TU117
1f82 GeForce GTX 1650
1f83 GeForce GTX 1630
1f91 GeForce GTX 1650 Mobile/Max-Q
1f92 GeForce GTX 1650 Mobile
1f94 GeForce GTX 1650 Mobile
1f95 GeForce GTX 1650 Ti Mobile
1f96 GeForce GTX 1650 Mobile/Max-Q
1f97 GeForce MX450
1f98 GeForce MX450
1f99 GeForce GTX 1650 Mobile/Max-Q
1f9c GeForce MX450
1f9d GeForce GTX 1650 Mobile/Max-Q
1f9f GeForce MX550
1fa0 GeForce MX550
1fa1 TU117M
1fae TU117GL
1fb0 Quadro T1000 Mobile
1fb1 T600
1fb2 Quadro T400 Mobile
1fb6 T600 Laptop GPU
1fb7 T550 Laptop GPU
1fb8 Quadro T2000 Mobile/Max-Q
1fb9 Quadro T1000 Mobile
1fba T600 Mobile
1fbb Quadro T500 Mobile
1fbc T1200 Laptop GPU
1fbf TU117GL
1fd9 GeForce GTX 1650 Mobile Refresh
1fdd GeForce GTX 1650 Mobile Refresh
1ff0 T1000 8GB
1ff2 T400 4GB/T400E
1ff9 Quadro T1000 Mobile
2080 GA100
2081 GA100
2082 CMP 170HX
20b0 A100 SXM4 40GB
20b1 A100 PCIe 40GB
20b2 A100 SXM4 80GB
20b3 A100-SXM-64GB
20b4 GA100
20b5 A100 PCIe 80GB
20b6 PG506-232
20b7 A30 PCIe
20b8 A100X
20b9 A30X
20bb DRIVE A100 PROD
20bd A800 SXM4 40GB
20be GRID A100A
20bf GRID A100B
20c0 Initial DevID
20c2 CMP 170HX
20f0 A100-PG506-207
20f1 A100 PCIe 40GB
20f2 A100-PG506-217
20f3 A800-SXM4-80GB
20f5 A800 80GB PCIe
20f6 A800 40GB PCIe
20fd AX800 Converged Accelerator
20fe INT SKU
20ff GA100
2182 GeForce GTX 1660 Ti
2183 TU116
2184 GeForce GTX 1660
2186 PG160 SKU18
2187 GeForce GTX 1650 SUPER
2188 GeForce GTX 1650
2189 CMP 30HX
2191 GeForce GTX 1660 Ti Mobile
2192 GeForce GTX 1650 Ti Mobile
21ae TU116GL
21bf TU116GL
21c2 TU116
21c3 TU116
21c4 GeForce GTX 1660 SUPER
21d1 GeForce GTX 1660 Ti Mobile
2200 GA102
2203 GeForce RTX 3090 Ti
2204 GeForce RTX 3090
2205 GeForce RTX 3080 Ti 20GB
2206 GeForce RTX 3080
2207 GeForce RTX 3070 Ti
2208 GeForce RTX 3080 Ti
220a GeForce RTX 3080 12GB
220d CMP 90HX
2216 GeForce RTX 3080 Lite Hash Rate
222b GeForce RTX 3090 Engineering Sample
222f GeForce RTX 3080 11GB/12GB Engineering Sample
2230 RTX A6000
2231 RTX A5000
2232 RTX A4500
2233 RTX A5500
2235 A40
2236 A10
2237 A10G
2238 A10M
223f GA102GL
22ce GB10 GEN5 X4 PCIe host
22d0 GB10 GEN4 X1 PCIe host
2302 GH100
230c H20 NVL16
230e H20 NVL16
2313 H100 CNX
2321 H100L 94GB
2322 H800 PCIe
2324 H800
2328 H20B
2329 H20
232c H20 HBM3e
2330 H100 SXM5 80GB
2331 H100 PCIe
2335 H200 SXM 141GB
2336 H100
2337 H100 SXM5 64GB
2338 H100 SXM5 96GB
2339 H100 SXM5 94GB
233a H800L 94GB
233b H200 NVL
233d H100 96GB
2342 GH200 120GB/480GB
2343 GH100
2345 GH100-88K-A1
2348 GH200 144G HBM3e
237e H100 GH3
237f Skinny Joe
23b0 GH100
23f0 GH100
2414 GeForce RTX 3060 Ti
2420 GeForce RTX 3080 Ti Mobile
2438 RTX A5500 Laptop GPU
2460 GeForce RTX 3080 Ti Laptop GPU
2480 Reserved Dev ID A
2482 GeForce RTX 3070 Ti
2483 GA104
2484 GeForce RTX 3070
2486 GeForce RTX 3060 Ti
2487 GeForce RTX 3060
2488 GeForce RTX 3070 Lite Hash Rate
2489 GeForce RTX 3060 Ti Lite Hash Rate
248a CMP 70HX
248c GeForce RTX 3070 Ti
248d GeForce RTX 3070
248e GeForce RTX 3060 Ti
249c GeForce RTX 3080 Mobile/Max-Q 8GB/16GB
249d GeForce RTX 3070 Mobile/Max-Q
249f GA104M
24a0 Geforce RTX 3070 Ti Laptop GPU
24a4 GA104M
24ac GeForce RTX 30x0 Engineering Sample
24ad GeForce RTX 3060 Engineering Sample
24af GeForce RTX 3070 Engineering Sample
24b0 RTX A4000
24b1 RTX A4000H
24b6 RTX A5000 Mobile
24b7 RTX A4000 Mobile
24b8 RTX A3000 Mobile
24b9 RTX A3000 12GB Laptop GPU
24ba RTX A4500 Laptop GPU
24bb RTX A3000 Laptop GPU
24bf GeForce RTX 3070 Engineering Sample
24c0 Initial Dev ID B
24c7 GeForce RTX 3060 8GB
24c8 GeForce RTX 3070 GDDR6X
24c9 GeForce RTX 3060 Ti GDDR6X
24dc GeForce RTX 3080 Mobile/Max-Q 8GB/16GB
24dd GeForce RTX 3070 Mobile/Max-Q
24df GA104M
24e0 Geforce RTX 3070 Ti Laptop GPU
24fa RTX A4500 Embedded GPU
2501 GeForce RTX 3060
2503 GeForce RTX 3060
2504 GeForce RTX 3060 Lite Hash Rate
2505 GA106
2507 Geforce RTX 3050
2508 GeForce RTX 3050 OEM
2509 GeForce RTX 3060 12GB Rev. 2
2520 GeForce RTX 3060 Mobile/Max-Q
2521 GeForce RTX 3060 Laptop GPU
2523 GeForce RTX 3050 Ti Mobile/Max-Q
252f GeForce RTX 3060 Engineering Sample
2531 RTX A2000
2544 GeForce RTX 3060
2560 GeForce RTX 3060 Mobile/Max-Q
2561 GeForce RTX 3060 Laptop GPU
2563 GeForce RTX 3050 Ti Mobile/Max-Q
2571 RTX A2000 12GB
2582 GeForce RTX 3050 8GB
2583 GeForce RTX 3050 4GB
2584 GeForce RTX 3050 6GB
25a0 GeForce RTX 3050 Ti Mobile
25a2 GeForce RTX 3050 Mobile
25a3 GA107
25a4 GA107
25a5 GeForce RTX 3050 Mobile
25a6 GeForce MX570
25a7 GeForce MX570
25a9 GeForce RTX 2050
25aa GeForce MX570 A
25ab GeForce RTX 3050 4GB Laptop GPU
25ac GeForce RTX 3050 6GB Laptop GPU
25ad GeForce RTX 2050
25af GeForce RTX 3050 Engineering Sample
25b0 RTX A1000
25b2 RTX A400
25b5 RTX A4 Mobile
25b6 A2/A16
25b8 RTX A2000 Mobile
25b9 RTX A1000 Laptop GPU
25ba RTX A2000 8GB Laptop GPU
25bb RTX A500 Laptop GPU
25bc RTX A1000 6GB Laptop GPU
25bd RTX A500 Laptop GPU
25e0 GeForce RTX 3050 Ti Mobile
25e2 GeForce RTX 3050 Mobile
25e5 GeForce RTX 3050 Mobile
25ec GeForce RTX 3050 6GB Laptop GPU
25ed GeForce RTX 2050
25f9 RTX A1000 Embedded GPU
25fa RTX A2000 Embedded GPU
25fb RTX A500 Embedded GPU
2681 RTX TITAN Ada
2684 GeForce RTX 4090
2685 GeForce RTX 4090 D
2689 GeForce RTX 4070 Ti SUPER
26af PG137
26b1 RTX 6000 Ada Generation
26b2 RTX 5000 Ada Generation
26b3 RTX 5880 Ada Generation
26b5 L40
26b7 L20
26b8 L40G
26b9 L40S
26ba L20
26bb L30
26f5 L40 CNX
2702 GeForce RTX 4080 SUPER
2703 GeForce RTX 4080 SUPER
2704 GeForce RTX 4080
2705 GeForce RTX 4070 Ti SUPER
2709 GeForce RTX 4070
2717 GeForce RTX 4090 Laptop GPU
2730 RTX 5000 Ada Generation Laptop GPU
2757 GeForce RTX 4090 Laptop GPU
2770 RTX 5000 Ada Generation Embedded GPU
2782 GeForce RTX 4070 Ti
2783 GeForce RTX 4070 SUPER
2785 AC AD104 20GB
2786 GeForce RTX 4070
2788 GeForce RTX 4060 Ti
27a0 GeForce RTX 4080 Max-Q/Mobile
27b0 RTX 4000 SFF Ada Generation
27b1 RTX 4500 Ada Generation
27b2 RTX 4000 Ada Generation
27b6 L2
27b7 L16
27b8 L4
27ba RTX 4000 Ada Generation Laptop GPU
27bb RTX 3500 Ada Generation Laptop GPU
27e0 GeForce RTX 4080 Max-Q/Mobile
27fa RTX 4000 Ada Generation Embedded GPU
27fb RTX 3500 Ada Generation Embedded GPU
2803 GeForce RTX 4060 Ti
2805 GeForce RTX 4060 Ti 16GB
2808 GeForce RTX 4060
2820 GeForce RTX 4070 Max-Q/Mobile
2822 GeForce RTX 3050 A Laptop GPU
2838 RTX 3000 Ada Generation Laptop GPU
2860 GeForce RTX 4070 Max-Q/Mobile
2878 RTX 3000 Ada Generation Embedded GPU
2882 GeForce RTX 4060
28a0 GeForce RTX 4060 Max-Q/Mobile
28a1 GeForce RTX 4050 Max-Q/Mobile
28a3 GeForce RTX 3050 A Laptop GPU
28b0 RTX 2000/2000E Ada Generation
28b8 RTX 2000 Ada Generation Laptop GPU
28b9 RTX 1000 Ada Generation Laptop GPU
28ba RTX 500 Ada Generation Laptop GPU
28bb RTX 500 Ada Generation Laptop GPU
28e0 GeForce RTX 4060 Max-Q/Mobile
28e1 GeForce RTX 4050 Max-Q/Mobile
28e3 GeForce RTX 3050 A Laptop GPU
28f8 RTX 2000 Ada Generation Embedded GPU
2900 Reserved Dev ID A
2901 B200
2909 HGX B200 168GB
290a B200
2920 TS4/B100
2924 GB100
2925 GB100
293d GB100
2940 Reserved Dev ID B
2941 HGX GB200
297e GB100
2980 Reserved Dev ID A
29bb DRIVE P2021
29bc B100
29c0 Reserved Dev ID B
29f1 GB102
2b00 Jetson AGX Thor
2b85 GeForce RTX 5090
2b87 GeForce RTX 5090 D
2b8c GeForce RTX 5090 D V2
2bb1 RTX PRO 6000 Blackwell Workstation Edition
2bb2 RTX PRO 6000D Blackwell Workstation Edition
2bb3 RTX PRO 5000 Blackwell/RTX PRO 5000 72GB Blackwell
2bb4 RTX PRO 6000 Blackwell Max-Q Workstation Edition
2bb5 RTX PRO 6000 Blackwell Server Edition
2bb9 RTX 6000D
2bbc RTX PRO 6000D Blackwell Max-Q Workstation Edition
2c02 GeForce RTX 5080
2c05 GeForce RTX 5070 Ti
2c09 GeForce RTX 5070
2c18 GeForce RTX 5090 Max-Q/Mobile
2c19 GeForce RTX 5080 Max-Q/Mobile
2c2c GB6-256(N22W-ES-A1)
2c31 RTX PRO 4500 Blackwell
2c33 RTX PRO 4000 Blackwell SFF Edition
2c34 RTX PRO 4000 Blackwell
2c38 RTX PRO 5000 Blackwell Generation Laptop GPU
2c39 RTX PRO 4000 Blackwell Generation Laptop GPU
2c3a RTX PRO 4500 Blackwell Server Edition
2c58 GeForce RTX 5090 Max-Q/Mobile
2c59 GeForce RTX 5080 Max-Q/Mobile
2c77 RTX PRO 5000 Blackwell Embedded GPU
2c79 RTX PRO 4000 Blackwell Embedded GPU
2d04 GeForce RTX 5060 Ti
2d05 GeForce RTX 5060
2d18 GeForce RTX 5070 Max-Q/Mobile
2d19 GeForce RTX 5060 Max-Q/Mobile
2d2c GB6-128 (N22Y-ES-A1)
2d30 RTX PRO 2000 Blackwell
2d39 RTX PRO 2000 Blackwell Generation Laptop GPU
2d58 GeForce RTX 5070 Max-Q/Mobile
2d59 GeForce RTX 5060 Max-Q/Mobile
2d79 RTX PRO 2000 Blackwell Embedded GPU
2d83 GeForce RTX 5050
2d98 GeForce RTX 5050 Max-Q/Mobile
2db8 RTX PRO 1000 Blackwell Generation Laptop GPU
2db9 RTX PRO 500 Blackwell Generation Laptop GPU
2dd8 GeForce RTX 5050 Max-Q/Mobile
2df9 RTX PRO 500 Blackwell Embedded GPU
2e02 JMJWOA-Generic-GPU
2e03 RTX Spark N1X (6144-core Blackwell RTX GPU)
2e06 RTX Spark N1X (5120-core Blackwell RTX GPU)
2e12 GB10
2e13 RTX Spark N1X (6144-core Blackwell RTX GPU)
2e2a JMJWOA-Generic-GPU
2f04 GeForce RTX 5070
2f06 GeForce RTX 5060
2f18 GeForce RTX 5070 Ti Mobile
2f38 RTX PRO 3000 Blackwell Generation Laptop GPU
2f58 GeForce RTX 5070 Ti Mobile
3000 Reserved Dev ID A
3002 GR100
3021 PCIe Faber
3040 Reserved Dev ID B
3041 GR100
307e GR100
307f GR100
3080 Reserved Dev ID A
30c0 Reserved Dev ID B
30ff GR102
3180 Reserved Dev ID A
3182 B300 SXM6 AC
3183 GB110
3184 GB110
31a1 GB300 MaxQ
31c0 Reserved Dev ID B
31c2 GB300
31c3 GB300-252
31fe GB110
3200 GB112
3224 GB112
323e GB112
3340 GB120
"""
AMD = """
1586 Radeon Graphics/Radeon 8050S Graphics/Radeon 8060S Graphics
6600 Radeon HD 8670A/8670M/8750M/R7 M370
6601 Radeon HD 8730M
6604 Radeon R7 M265/M365X/M465
6605 Radeon R7 M260X
6606 Radeon HD 8790M
6607 Radeon HD 8530M/R5 M240
6608 FirePro W2100
6609 FirePro W2100/Barco MXRT 2600
6610 Radeon HD 8670/R5 340X OEM/R7 250/350/350X OEM
6611 Radeon HD 8570/R5 430 OEM/R7 240/340/430/Radeon 520 OEM
6613 Radeon R7 240/340/Radeon 520
6617 Radeon R7 240
6631 Oland
6640 FirePro M6100
6641 Radeon HD 8930M
6646 Radeon R9 M280X/FirePro W6150M
6647 Radeon R9 M270X/M280X
6649 FirePro W5100
664d FirePro W5100/Barco MXRT-5600
6650 Bonaire
6651 Bonaire
6658 Radeon R7 260X/360
665c Radeon HD 7790/8770/R7 360/R9 260/360 OEM
665d Radeon R7 200 Series
665f Radeon R7 360/R9 360 OEM
6660 Radeon HD 8670A/8670M/8690M/R5 M330/M430/Radeon 520 Mobile
6663 Radeon HD 8570A/8570M
6664 Radeon R5 M240
6665 Radeon R5 M230/R7 M260DX/Radeon 520/610 Mobile
6667 Radeon R5 M230
666f Radeon HD 8550M/R5 M230
66a0 Radeon PRO/Instinct
66a1 Radeon PRO VII/Instinct MI50
66a2 Vega 20
66a3 Radeon PRO Vega II/Radeon PRO Vega II Duo
66a7 Radeon PRO Vega 20
66af Radeon VII
6780 FirePro W9000
6784 FirePro Series Graphics Adapter
6788 FirePro Series Graphics Adapter
678a FirePro Series
6798 Radeon HD 7970/8970 OEM/R9 280X
679a Radeon HD 7950/8950 OEM/R9 280
679b Radeon HD 7990/8990 OEM
679e Radeon HD 7870 XT
679f Tahiti
67a0 FirePro W9100
67a1 FirePro W8100
67a2 Hawaii GL
67a8 Hawaii
67a9 Hawaii
67aa Hawaii
67b0 Radeon R9 290X/390X
67b1 Radeon R9 290/390
67b8 Radeon R9 290X Engineering Sample
67b9 Radeon R9 295X2
67be Hawaii LE
67c0 Radeon PRO WX 7100 Mobile
67c2 Radeon PRO V7300X/V7350x2
67c4 Radeon PRO WX 7100
67c7 Radeon PRO WX 5100
67ca Polaris10
67cc Polaris10
67cf Polaris10
67d0 Radeon PRO V7300X/V7350x2
67d4 Radeon PRO WX 7100/Barco MXRT-8700
67d7 Radeon PRO WX 5100/Barco MXRT-6700
67df Radeon RX 470/480/570/570X/580/580X/590
67e0 Radeon PRO WX 4170
67e1 Polaris11
67e3 Radeon PRO WX 4100
67e8 Radeon PRO WX 4130/4150
67e9 Polaris11
67eb Radeon PRO V5300X
67ef Radeon RX 460/560D/Pro 450/455/460/555/555X/560/560X
67ff Radeon RX 550 640SP/RX 560/560X
6800 Radeon HD 7970M
6801 Radeon HD 8970M
6802 Wimbledon
6806 Neptune
6808 FirePro W7000
6809 FirePro W5000
6810 Radeon R7 370/R9 270X/370X
6811 Radeon R7 370/R9 270/370 OEM
6816 Pitcairn
6817 Pitcairn
6818 Radeon HD 7870 GHz Edition
6819 Radeon HD 7850/R7 265/R9 270 1024SP
6820 Radeon HD 8890M/R9 M275X/M375X
6821 Radeon HD 8870M/R9 M270X/M370X
6822 Radeon E8860
6823 Radeon HD 8850M/R9 M265X
6825 Radeon HD 7870M
6826 Radeon HD 7700M Series
6827 Radeon HD 7850M/8850M
6828 FirePro W600
6829 Cape Verde
682a Venus PRO
682b Radeon HD 8830M/R7 250/R7 M465X
682c FirePro W4100
682d FirePro M4000
682f Radeon HD 7730M
6835 Radeon R9 255 OEM
6837 Radeon HD 7730/8730
683d Radeon HD 7770/8760/R7 250X
683f Radeon HD 7750/8740/R7 250E
6860 Instinct MI25/MI25x2/V340/V320
6861 Radeon PRO WX 9100
6862 Radeon PRO SSG
6863 Radeon Vega Frontier Edition
6864 Radeon PRO V340/Instinct MI25x2
6867 Radeon PRO Vega 56
6868 Radeon PRO WX 8100/8200
6869 Radeon PRO Vega 48
686a Vega 10 LEA
686b Radeon PRO Vega 64X
686c Instinct MI25 MxGPU/MI25x2 MxGPU/V340 MxGPU/V340L MxGPU
686d Vega 10 GLXTA
686e Vega 10 GLXLA
687f Radeon RX Vega 56/64
6900 Radeon R7 M260/M265/M340/M360/M440/M445/530/535/620/625 Mobile
6901 Radeon R5 M255
6907 Radeon R5 M315
6920 Radeon R9 M395/M395X Mac Edition
6921 Radeon R9 M295X/M390X
6929 FirePro S7150
692b FirePro W7100
692f FirePro S7150V
6930 Radeon R9 380 4GB
6938 Radeon R9 380X/R9 M295X
6939 Radeon R9 285/380
693b FirePro W7100/Barco MXRT-7600
694c Radeon RX Vega M GH
694e Radeon RX Vega M GL
694f Radeon PRO WX Vega M GL
6980 Polaris12
6981 Radeon PRO WX 3200
6985 Radeon PRO WX 3100
6986 Polaris12
6987 Radeon 540X/550X/630/RX 640/E9171 MCM
698f Radeon PRO WX 3100/Barco MXRT 4700
6995 Radeon PRO WX 2100
699f Radeon 540/540X/550/550X/RX 540X/550/550X
69a0 Vega 12
69a1 Vega 12
69a2 Vega 12
69a3 Vega 12
69af Radeon PRO Vega 20
6fdf Radeon RX 580 2048SP/RX 590 GME
7300 Radeon R9 FURY/NANO Series
7310 Radeon PRO W5700X
7312 Radeon PRO W5700
7319 Radeon PRO 5700 XT
731b Radeon PRO 5700
731e TDC-150
731f Radeon RX 5600 OEM/5600 XT/5700/5700 XT
7340 Radeon RX 5500/5500M/Pro 5300/5300M/5500M
7341 Radeon PRO W5500
7347 Radeon PRO W5500M
734f Radeon PRO W5300M
7360 Radeon PRO 5600M/V520/BC-160
7362 Radeon PRO V520/V540
7388 Arcturus GL-XL
738c Instinct MI100
738e Instinct MI100
73a1 Radeon PRO V620
73a2 Radeon PRO W6900X
73a3 Radeon PRO W6800
73a5 Radeon RX 6950 XT
73ab Radeon PRO W6800X/Radeon PRO W6800X Duo
73ae Radeon PRO V620 MxGPU
73af Radeon RX 6900 XT
73bf Radeon RX 6800/6800 XT/6900 XT
73c3 Navi 22
73ce Navi 22-XL SRIOV MxGPU
73df Radeon RX 6700/6700 XT/6750 XT/6800M/6850M XT
73e0 Navi 23
73e1 Radeon PRO W6600M
73e3 Radeon PRO W6600
73ef Radeon RX 6650 XT/6700S/6800S
73f0 Radeon RX 7600M XT
73ff Radeon RX 6600/6600 XT/6600M
7408 Instinct MI250X
740c Instinct MI250X/MI250
740f Instinct MI210
7421 Radeon PRO W6500M
7422 Radeon PRO W6400
7423 Radeon PRO W6300/W6300M
7424 Radeon RX 6300
743f Radeon RX 6400/6500 XT/6500M
7448 Radeon PRO W7900
7449 Radeon PRO W7800 48GB
744a Radeon PRO W7900 Dual Slot
744b Radeon PRO W7900D
744c Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M
745e Radeon PRO W7800
7460 Radeon PRO V710
7461 Radeon PRO V710
7470 Radeon PRO W7700
747e Radeon RX 7700 XT/7800 XT
7480 Radeon RX 7600/7600 XT/7600M XT/7600S/7700S/PRO W7600
7481 Steam Machine
7483 Radeon RX 7600M/7600M XT
7487 Radeon Graphics (Navi 33)
7489 Radeon PRO W7500
748b Radeon Graphics (Navi 33)
7499 Radeon RX 7400/7300/Pro W7400
749f Radeon RX 7500
74a0 Instinct MI300A
74a1 Instinct MI300X
74a2 Instinct MI308X
74a5 Instinct MI325X
74a9 Instinct MI300X HF
74b5 Instinct MI300X VF
74b9 Instinct MI325X VF
74bd Instinct MI300X HF
7550 Radeon RX 9070/9070 XT/9070 GRE
7551 Radeon AI PRO R9700
7590 Radeon RX 9050/9060 XT
75a0 Instinct MI350X
75a3 Instinct MI355X
75a8 Instinct MI350P
"""
INTEL = """
0b69 Max 1450
0b6e Max 1100C
0bd0 Ponte Vecchio XL (2 Tile)
0bd4 Max 1550VG
0bd5 Max 1550
0bd6 Max 1550
0bd7 Max 1350
0bd8 Max 1350
0bd9 Max 1100
0bda Max 1100
0bdb Max 1100
4905 Iris Xe MAX Graphics
4906 Iris Xe Pod
4907 Server GPU SG-18M
4908 Iris Xe Graphics
4909 Iris Xe MAX 100
4f80 Xe Graphics (DG2)
4f81 Xe Graphics (DG2)
4f82 Xe Graphics (DG2)
4f83 Xe Graphics (DG2)
4f84 Xe Graphics (DG2)
4f85 Xe Graphics (DG2)
4f86 Xe Graphics (DG2)
4f87 Xe Graphics (DG2)
4f88 Xe Graphics (DG2)
5690 Arc A770M
5691 Arc A730M
5692 Arc A550M
5693 Arc A370M
5694 Arc A350M
5695 Iris Xe MAX A200M
5696 Arc A570M
5697 Arc A530M
5698 Arc Xe Graphics (DG2)
56a0 Arc A770
56a1 Arc A750
56a2 Arc A580
56a3 Arc Xe Graphics (DG2)
56a4 Arc Xe Graphics (DG2)
56a5 Arc A380
56a6 Arc A310
56a7 Arc Xe Graphics (DG2)
56a8 Arc Xe Graphics (DG2)
56a9 Arc Xe Graphics (DG2)
56b0 Arc Pro A30M
56b1 Arc Pro A40/A50
56b2 Arc Pro A60M
56b3 Arc Pro A60
56ba Arc A380E
56bb Arc A310E
56bc Arc A370E
56bd Arc A350E
56be Arc A750E
56bf Arc A580E
56c0 Flex 170
56c1 Flex 140
56c2 Flex 170V
674c CRI
674d CRI
674e CRI
674f CRI
6750 CRI
e202 Graphics (Battlemage G21)
e20b Arc B580
e20c Arc B570
e20d Graphics (Battlemage G21)
e210 Graphics (Battlemage G21)
e211 Arc Pro B60
e212 Arc Pro B50
e215 Graphics (Battlemage G21)
e216 Graphics (Battlemage G21)
e220 Graphics (Battlemage G31)
e221 Graphics (Battlemage G31)
e222 Arc Pro B65
e223 Arc Pro B70
"""
# --- generated by tools/device_ids.py: end
