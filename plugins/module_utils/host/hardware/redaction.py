# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes out of texts what tells one machine or one device from others of its kind, so that they may be published."""
import re
import socket

HEXADECIMAL = r"[0-9A-Fa-f]"
UUID = r"{0}{{8}}-{0}{{4}}-{0}{{4}}-{0}{{4}}-{0}{{12}}".format(HEXADECIMAL)
# Numbers of a version may begin with 0, and there may be more than four of them; those of an address not.
BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4 = r"(?<![\w.])(?:{0}\.){{3}}{0}(?![\w.])".format(BYTE)
MAC = r"(?<![\w:])(?:{0}{{2}}:){{5}}{0}{{2}}(?![\w:])".format(HEXADECIMAL)
COLONS = r"(?<![\w:.])(?:{0}{{0,4}}:){{2,7}}{0}{{0,4}}(?![\w:.])".format(HEXADECIMAL)
DOMAIN = r"(?:\.[a-z][0-9a-z-]*)*"  # of a host, which names its site
PATTERNS = re.compile("(?P<uuid>%s)|(?P<ipv4>%s)|(?P<mac>%s)|(?P<ipv6>%s)" % (UUID, IPV4, MAC, COLONS))
# What is under such a key of a JSON document or such a column belongs to one device or host.
KEYS = re.compile(r"uuid|serial|unique_?id|host_?name|\bsid\b|board_id|device_sn|asic_id|fru_id|\bsn\b", re.I)
SHORTEST = 5  # what is shorter names no device
# Host names that name nobody, and are words of what is recorded.
ORDINARY = ("localhost", "gpu", "node", "host", "nvidia", "amd", "intel", "server", "compute")


def is_ipv6(text):
    """Whether a text with colons is an address."""
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return True


class Redactor(object):
    """Replaces each secret by one name, the same everywhere, of the same form. Equal secrets stay equal, and others stay different."""

    def __init__(self, hosts=()):
        """hosts: names of this host"""
        self.names = {}
        for name in hosts:
            if name and name.lower() not in ORDINARY:
                self.names[name.lower()] = "host"

    def learn(self, value):
        """A serial number or an id of one device."""
        value = str(value).strip()
        plain = value[2:] if value.lower().startswith("0x") else value
        # Zeros alone are no number of anything; a UUID is found by its form, and the device's prefix of it stays.
        if len(plain) < SHORTEST or not plain.strip("0-") or re.search(UUID, plain) or plain.lower() in ("unknown", "not supported"):
            return
        number = len(self.names) + 1
        self.names.setdefault(plain.lower(), "%0*d" % (len(plain), number))

    def learn_document(self, value):
        """What is under tell-tale keys anywhere in a JSON document."""
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            if isinstance(key, str) and KEYS.search(key) and isinstance(inner, (str, int)) and not isinstance(inner, bool):
                self.learn(inner)
            self.learn_document(inner)

    def _by_form(self, found):
        kind, text = found.lastgroup, found.group()
        if kind == "ipv6" and not is_ipv6(text) or text in ("127.0.0.1", "0.0.0.0", "::1", "::"):
            return text
        if text.lower() not in self.names:
            number = len(self.names) + 1
            self.names[text.lower()] = {
                "uuid": "00000000-0000-4000-8000-%012d" % number, "ipv4": "192.0.2.%d" % (number % 256), "ipv6": "2001:db8::%d" % number,
                "mac": "02:00:00:00:00:%02x" % (number % 256)}[kind]
        return self.names[text.lower()]

    def text(self, text):
        """The text without secrets. Numbers and ids have to be learnt before."""
        words = [re.escape(name) + (DOMAIN if new == "host" else "") for name, new in self.names.items() if not PATTERNS.match(name)]
        if not words:
            return PATTERNS.sub(self._by_form, text)
        learnt = re.compile(r"(?<![0-9A-Za-z])(0x)?(%s)(?![0-9A-Za-z])" % "|".join(sorted(words, key=len, reverse=True)), re.I)
        # What comes between learnt words is looked at for forms, so that nothing is replaced twice.
        parts, end = [], 0
        for found in learnt.finditer(text):
            parts += [PATTERNS.sub(self._by_form, text[end:found.start()]), (found.group(1) or "") + self.names.get(found.group(2).lower(), "host")]
            end = found.end()
        return "".join(parts + [PATTERNS.sub(self._by_form, text[end:])])

    def document(self, value):
        """A JSON document without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return dict((self.text(key), self.document(inner)) for key, inner in value.items())
        return [self.document(inner) for inner in value] if isinstance(value, list) else value
