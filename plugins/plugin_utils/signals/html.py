# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pieces of a page. What is no piece itself is text, and becomes one: names and models come from nodes, which are strangers."""

from markupsafe import Markup, escape

LONGEST = 1000
NOTHING = Markup("")


def plain(value, most=LONGEST):
    """A value as text of at most so many characters. What no font shows, such as what turns the direction of writing, is replaced."""
    text = str(value)
    text = text if len(text) <= most else text[:most - 1] + "…"
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def piece(value):
    """A value as a piece."""
    return value if isinstance(value, Markup) else escape(plain(value))


def joined(pieces):
    """Several pieces as one."""
    return Markup("".join(map(piece, pieces)))


def tag(name, *content, **attributes):
    """An element with its content. attributes: `class_` stands for class, and `_` for a hyphen; those without a value are left out."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{piece(value)}"' for key, value in attributes.items() if value not in (None, ""))
    return Markup(f"<{name}{given}>{joined(content)}</{name}>")


def table(heads, rows, **attributes):
    """A table that scrolls by itself. heads, and rows, which are lists: cells, or what becomes the content of one."""
    def cells(values, name, **given):
        return (value if isinstance(value, Markup) and value.startswith(("<td", "<th")) else tag(name, value, **given) for value in values)

    head = tag("tr", *cells(heads, "th", scope="col"))
    body = joined(tag("tr", *cells(row, "td")) for row in rows)
    return tag("div", tag("table", tag("thead", head), tag("tbody", body), **attributes), class_="scroll")


WIDTH, HEIGHT = 150, 34  # of a small plot


def spark(values, label, least=None, most=None):
    """A small plot of values, with gaps where one is None; "" if all are.

    least, most: ends of the axis; None for the smallest and largest value
    """
    known = [value for value in values if value is not None]
    if not known:
        return NOTHING
    low = min(known) if least is None else least
    high = max([low + 1e-9, *known]) if most is None else most
    pieces, run = [], []
    for place, value in [*enumerate(values), (None, None)]:
        if value is not None:
            x = 1 + (WIDTH - 2) * place / max(1, len(values) - 1)
            run.append(f"{x:.1f},{HEIGHT - 2 - (HEIGHT - 4) * min(1, max(0, (value - low) / (high - low))):.1f}")
        elif run:
            # A line of one point would not be seen.
            pieces.append(Markup(f'<polyline points="{" ".join(run * 2 if len(run) == 1 else run)}"/>'))
            run = []
    return tag("svg", *pieces, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)
