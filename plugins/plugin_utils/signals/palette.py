# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Colours that can be read: on light and on dark ground, and by those who do not tell red from green."""

LIGHT = {"ground": "#ffffff", "card": "#f3f5f7", "text": "#1b1f24", "muted": "#57606a", "rule": "#d0d7de", "line": "#0b5cad",
         "good": "#14602f", "warning": "#7a4d00", "critical": "#a3180f", "unknown": "#57606a"}
DARK = {"ground": "#12161b", "card": "#1c232b", "text": "#e8ecf0", "muted": "#a3afba", "rule": "#3a444f", "line": "#6cb6ff",
        "good": "#7fd99a", "warning": "#ffc46b", "critical": "#ff9a91", "unknown": "#a3afba"}
# One hue, from little to much, on either ground.
HEAT = ("#eff6fc", "#dbeaf7", "#c4dcf0", "#a6cbe7", "#84b6dc", "#62a0cf", "#4488c0", "#2b70ae", "#1a5796", "#0d3f78")
INKS = ("#000000", "#ffffff")


def luminance(colour):
    """The relative luminance of a colour, as WCAG defines it."""
    parts = [int(colour[place:place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """The contrast of two colours, from 1 to 21; text needs 4.5."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def ink(ground):
    """Black or white, whichever can be read better on this ground."""
    return max(INKS, key=lambda colour: contrast(colour, ground))
