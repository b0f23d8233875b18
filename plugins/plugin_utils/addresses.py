# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses of hosts and of pages: what each may look like, and whom it means."""
import ipaddress
import re
import urllib.parse

from ansible_collections.accelmon.fleet.plugins.module_utils.access.pki import HOST_NAME
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import port

# Names of the machine itself, as distributions write them into /etc/hosts, and those that systemd-resolved makes up.
OWN_NAMES = ("localhost", "localhost.localdomain", "localhost4", "localhost4.localdomain4", "localhost6", "localhost6.localdomain6",
             "ip6-localhost", "ip6-loopback", "loopback", "_outbound", "_localdnsstub", "_localdnsproxy")
OWN_ENDS = (".localhost", ".localhost.localdomain")
# Resolvers take these for addresses, each in its own way: 127.1, 0x7f.1, 2130706433.
LIKE_A_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)(\.(0[xX][0-9a-fA-F]*|[0-9]*))*\Z")
# With an IPv4 address at their end: of NAT64, with the local prefix of NAT64, of SIIT, and from before there was any of these.
TRANSLATED = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96")))
# The last half of an address but its end, of a host that ISATAP tunnels to, with the bit for a global address or without.
ISATAP = (0x00005EFE, 0x02005EFE)
# "This network" and what was never given to anybody.
NOBODY = (ipaddress.IPv4Network("0.0.0.0/8"), ipaddress.IPv4Network("240.0.0.0/4"))
NO_ADDRESS = "neither a host name nor an IP address; correct it"


def unbracketed(text):
    """An address without the brackets around it."""
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def literal(text):
    """The IP address in a text, with or without brackets, or None if it is a name. An IPv4 address within IPv6 is that IPv4 address."""
    try:
        number = ipaddress.ip_address(unbracketed(text))
    except ValueError:
        return None
    return getattr(number, "ipv4_mapped", None) or number


def address_key(text):
    """One text for every way to write the same address."""
    if ":" in text:
        return str(literal(text) or text)
    return text.lower().rstrip(".")


def carried(number):
    """The IPv4 address that translators and tunnels read from an IPv6 address, or the address itself."""
    if number.version == 6:
        if number.sixtofour:
            return number.sixtofour
        if number.teredo:
            return number.teredo[1]
        if int(number) > 1 and (any(number in network for network in TRANSLATED) or int(number) >> 32 & 0xFFFFFFFF in ISATAP):
            return ipaddress.IPv4Address(int(number) & 0xFFFFFFFF)
    return number


def is_loopback(text):
    """Whether an address or name only means the machine itself."""
    # Asked once for each host of the fleet: most are neither, and parsing costs most.
    if not text.lstrip("[").startswith("127.") and ":" not in text:
        name = text.lower().rstrip(".")
        return name in OWN_NAMES or name.endswith(OWN_ENDS)
    number = literal(text)
    return number is not None and number.is_loopback


def means_itself(text):
    """Whether whoever calls this address reaches the machine that it calls from."""
    if is_loopback(text):
        return True
    number = literal(text) if ":" in text or text.startswith(("0", "[")) else None
    return number is not None and (carried(number).is_loopback or carried(number).is_unspecified)


def is_own(text, own):
    """Whether an address is an IP literal among `own`, in whatever form either is written."""
    number = literal(text)
    return number is not None and (text in own or any(literal(other) == number for other in own))


def listen(value):
    """An address to listen on: an IP address without brackets or a host name; "" stays."""
    if value == "":
        return value
    bare = unbracketed(value)
    if ":" in bare:
        if bare.count(":") == 1:
            raise Problem("it contains a port or a scheme; give only the address and set ports with the exporters' variables")
        if "%" in bare:
            raise Problem("it has a zone, which scrapers do not support; use an address that is valid on every interface")
    elif not LIKE_A_NUMBER.match(bare):
        if not HOST_NAME.match(bare[:-1] if bare.endswith(".") else bare) or len(bare) > 253:
            raise Problem(NO_ADDRESS)
        return bare
    number = literal(bare)
    if number is None:
        raise Problem(NO_ADDRESS)
    refuse_unlistenable(number)
    return str(number)


def refuse_unlistenable(number):
    """Raises Problem for an IP address that no host can have, or not alone."""
    if number.is_multicast or number == ipaddress.IPv4Address("255.255.255.255"):
        raise Problem("a multicast or broadcast address; give the address of one host")
    if number.version == 4 and not number.is_unspecified and any(number in network for network in NOBODY):
        raise Problem("not assignable to a host; correct it")
    if number.version == 6 and number.is_link_local:
        raise Problem("link-local without a zone; use an address that is valid on every interface")


def address(value):
    """An address at which others reach a host; as `listen`, but of one host."""
    found = listen(value)
    if found in ("0.0.0.0", "::"):
        raise Problem("the unspecified address; give the one at which the host is reached")
    return found


def tls_name(value):
    """A host name or an IP address as a certificate holds it."""
    if value == "" or value.startswith("["):
        raise Problem(NO_ADDRESS)
    return address(value)


def url(value):
    """The address of a page or service; "" stays. What is wrong is said without the address, which may hold a token."""
    if value == "":
        return value
    if re.search(r"[\s\x00-\x20\x7f]", value):
        raise Problem("it contains a space or a line break; write it as one word, in quotes")
    if not value.startswith(("https://", "http://")):
        raise Problem("not a URL; start it with https:// or http://")
    if re.search(r"%(?![0-9A-Fa-f]{2})", value):
        raise Problem("it has a % without two hexadecimal digits after it; write a literal % as %25")
    # Alertmanager reads two braces as a template of its own.
    if "{{" in value or re.search(r"[<>\\^`|\"]", value):
        raise Problem("it contains double braces, or a character that is invalid in a URL; percent-encode it (braces are %7B and %7D)")
    if "\\" in value:
        raise Problem("it contains a backslash; use / as separator")
    try:
        parts = urllib.parse.urlsplit(value)
    except ValueError:
        raise Problem("its host is not an IP address; write an IPv6 address in brackets, as in http://[2001:db8::7]:8080/") from None
    user, _at, place = parts.netloc.rpartition("@")
    # What Go takes there, and with it Alertmanager; its complaint has the whole address.
    if re.search(r"[^\w.~!$&'()*+,;=%@:-]", user, re.ASCII):
        raise Problem("its user or password has a character that is invalid there; percent-encode it (braces are %7B and %7D)")
    found = re.match(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::(.*))?\Z", place)
    if not found or not found.group(1):
        raise Problem("its host is missing or invalid; write https://HOST/ or https://HOST:PORT/")
    try:
        address(found.group(1))
    except Problem:
        raise Problem("its host is neither a name nor an IP address; write https://HOST/ or https://HOST:PORT/") from None
    if found.group(2) is not None:
        try:
            port(found.group(2))
        except Problem:
            raise Problem("its port is invalid; use 1 to 65535, or leave it out") from None
    return value


def urls(value):
    """A list of `url`, each once; what stands around an address, such as the end of a block of text, is no part of it."""
    found = []
    for number, entry in enumerate(value, 1):
        if not isinstance(entry, str) or not entry.strip():
            raise Problem(f"entry {number}: not a URL; start it with https:// or http://")
        try:
            address = url(entry.strip())
        except Problem as problem:
            raise Problem(f"entry {number}: {problem}") from None
        if address in found:
            raise Problem(f"entry {number}: the same address as entry {found.index(address) + 1}, which would get everything twice; remove one")
        found.append(address)
    return found
