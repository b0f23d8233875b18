# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways to write an address at which whoever calls it reaches itself. Nothing is stubbed."""
import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils import addresses
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem

# As names, as literals, and within IPv6 as NAT64, SIIT, 6to4, Teredo and ISATAP carry an IPv4 address.
ITSELF = """
localhost localhost. LOCALHOST ip6-localhost ip6-localhost. ip6-loopback a.localhost a.localhost. a.localhost.localdomain _outbound _localdnsstub
127.0.0.1 127.255.255.254 [127.0.0.1] ::1 [::1] 0:0:0:0:0:0:0:1 ::1%lo [::1%lo] 0.0.0.0 :: [::]
::ffff:127.0.0.1 0:0:0:0:0:ffff:7f00:1 ::ffff:0.0.0.0 ::127.0.0.1 ::ffff:0:127.0.0.1 ::ffff:0:7f00:1 ::ffff:0:0:0
64:ff9b::7f00:1 64:ff9b::127.3.2.1 64:ff9b:: 64:ff9b:1::7f00:1 64:ff9b:1:2:3:4:127.0.0.1 2002:7f00:1:: 2002:7f00:1::1 2002::
2001:0:1::80ff:fffe 2001:db8::5efe:7f00:1 2001:db8::200:5efe:127.0.0.1
""".split()
# What resolvers read as numbers each in their own way, and what scrapers do not take.
REFUSED = """
0 00 0x0 0.0 1 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 127.0.0.01 127.0.0.1. 127.0.0.1%lo 127.0.0.1:9100
[::1]. ::1. [::1]:9100 [::1 ::1] fe80::1%eth0 fe80::1 [fe80::1%25eth0] ::1%lo [127.0.0.1 １２７.0.0.1 127。0。0。1 ::ffff:127.0.0.256
255.255.255.255 ff02::1
""".split()
OTHERS = """
gpu1 gpu1. localhost1 localhost.example.org notlocalhost 10.0.0.7 [10.0.0.7] 128.0.0.1 2001:db8::7 ::ffff:10.0.0.7 64:ff9b::a00:7 2002:a00:7::
2001:0:1::f5ff:fff8 2001:db8::5efe:a00:7 2001:db8::1 fd00::127 ::2:7f00:1
""".split()


@pytest.mark.parametrize("text", ITSELF)
def test_an_address_that_means_the_caller(text):
    assert addresses.means_itself(text)


@pytest.mark.parametrize("text", OTHERS)
def test_an_address_of_another_machine(text):
    assert not addresses.means_itself(text)
    assert not addresses.means_itself(addresses.address(text))


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_address_of_a_host(text):
    with pytest.raises(Problem):
        addresses.address(text)


@pytest.mark.parametrize("text", ITSELF)
def test_no_way_of_writing_it_hides_the_caller(text):
    """An address is checked, written as it is stored, and compared: after each it is refused or still means the caller."""
    try:
        found = addresses.address(text)
    except Problem:
        return
    assert addresses.means_itself(found)


def test_a_service_at_what_only_carries_a_loopback_address_uses_tls():
    assert not any(map(addresses.is_loopback, ("2002:7f00:1::", "64:ff9b::7f00:1", "0.0.0.0", "::", "2001:db8::5efe:7f00:1")))
    assert all(map(addresses.is_loopback, ("127.0.0.1", "::1", "localhost", "::ffff:127.0.0.1")))
