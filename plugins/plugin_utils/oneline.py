# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts that have to stay on one line of a file: what would end the line, or be no text for a file at all."""
import unicodedata

# Control characters, lone surrogates (no encoding has them), and the breaks of lines and paragraphs that YAML knows too.
# A carriage return and a NUL end a line for systemd as a line feed does.
REFUSED = {"Cc": "a control character", "Cs": "a surrogate", "Zl": "a line break", "Zp": "a line break"}
BREAKS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85"


def fault(text):
    """Why a text cannot stand on one line, as `wrong; fix`; "" if it can."""
    for place, char in enumerate(text):
        kind = "a line break" if char in BREAKS else REFUSED.get(unicodedata.category(char))
        if kind:
            return f"it has {kind} (U+{ord(char):04X}) at character {place + 1}; remove it and keep the text on one line"
    return ""


def unevaluated(text):
    """Why a text is a template that nothing evaluated, as `wrong; fix`; "" if it is none."""
    if "{{" in text or "{%" in text:
        return "it contains an unevaluated template; define the variables it uses, or remove the braces"
    return ""


def fault_in(value, of_text=fault):
    """What of_text says of everything within a value, keys of mappings included; it says where: `entry 2: key: wrong; fix`."""
    if isinstance(value, str):
        return of_text(value)
    if isinstance(value, dict):
        parts = [(f"the key {shown(key)}", key) for key in value] + [(shown(key), item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        parts = [(f"entry {number}", item) for number, item in enumerate(value, 1)]
    else:
        return ""
    for place, item in parts:
        found = fault_in(item, of_text)
        if found:
            return f"{place}: {found}"
    return ""


def shown(value):
    """A value in a message of one line."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(char if not fault(char) else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text)
    return text if len(text) <= 120 else text[:117] + "..."
