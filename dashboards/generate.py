# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes dashboards/*.json from boards.py and the catalogue. A unit test compares them."""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), ".collections"), HERE]

# pylint: disable=wrong-import-position
from boards import BOARDS


def texts():
    """{file name: text} of all dashboards."""
    return {f"{name}.json": json.dumps(make(), indent=1, ensure_ascii=False) + "\n" for name, make in BOARDS.items()}


if __name__ == "__main__":
    for path, text in texts().items():
        with open(os.path.join(HERE, path), "w", encoding="utf-8") as handle:
            handle.write(text)
