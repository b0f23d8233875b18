"""Where an archive comes from. Nothing is stubbed; tests of bundles and releases themselves are in
test_bundle.py and test_releases.py."""

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.programs import release_artifact

PINNED = {"version": "1.9.1", "url": "https://mirror.example/v{version}/x-{architecture}.tar.gz", "sha256": {"amd64": "ab"}}


def test_the_address_of_a_release_is_filled_in():
    assert release_artifact(PINNED, "x", "release", "amd64") == {
        "version": "1.9.1", "url": "https://mirror.example/v1.9.1/x-amd64.tar.gz", "sha256": "ab"}


@pytest.mark.parametrize("change,source,architecture,words", [
    ({"version": ""}, "release", "amd64", "x_version"),
    ({}, "release", "arm64", "x_sha256.*arm64"),
    ({"sha256": None}, "release", "amd64", "x_sha256"),
    ({}, "bundle", "amd64", "accelmon_bundle"),
])
def test_what_is_missing_is_named(change, source, architecture, words):
    with pytest.raises(AnsibleFilterError, match=words):
        release_artifact({**PINNED, **change}, "x", source, architecture)
