# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""bcrypt: libcrypt and perl of this machine, and hashes known from elsewhere. Nothing is stubbed but where a test says so."""

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.access import bcrypt

# A test vector that other implementations of bcrypt have too.
KNOWN = ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i")


@pytest.mark.parametrize("way", [bcrypt.by_library, bcrypt.by_perl])
def test_a_known_hash(way):
    assert way(*KNOWN) == KNOWN[1]


@pytest.mark.parametrize("way", [bcrypt.by_library, bcrypt.by_perl])
def test_each_way_makes_what_the_other_accepts(way, monkeypatch):
    """Stubbed: the list of ways."""
    made = bcrypt.hashed("pass word é")
    monkeypatch.setattr(bcrypt, "WAYS", (way,))
    assert bcrypt.fits("pass word é", made)
    assert not bcrypt.fits("pass word e", made)


def test_salts_are_new_and_the_hash_of_a_salt_is_not():
    first, second = bcrypt.hashed("x"), bcrypt.hashed("x")
    assert first != second and bcrypt.hashed("x", first) == first
    assert bcrypt.HASH.match(first).group(1) == "10"


def test_a_salt_uses_all_its_bits():
    assert bcrypt.salt(lambda count: b"\xff" * count) == "$2b$10$" + "9" * 21 + "u"
    assert bcrypt.salt(lambda count: b"\0" * count) == "$2b$10$" + "." * 22


def test_what_is_no_hash_fits_nothing():
    assert not any(bcrypt.fits("x", text) for text in (None, "", "(to be made)", "$6$abc$def"))


def test_a_host_that_can_make_none_says_so(monkeypatch):
    """Stubbed: libraries and perl that do not exist."""
    monkeypatch.setattr(bcrypt, "WAYS", (lambda password, setting: bcrypt.by_library(password, setting, ("libnone.so",)),
                                         lambda password, setting: bcrypt.by_perl(password, setting, "/no/perl")))
    with pytest.raises(bcrypt.BcryptError, match="install libxcrypt"):
        bcrypt.hashed("x")
