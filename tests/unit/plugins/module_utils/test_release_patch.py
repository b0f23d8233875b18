# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The newest patch release. Stubbed: upstream, by a function from a URL to a list."""

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.programs import patch
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.releases import wanted


class Upstream:
    """The versions that upstream has of node_exporter, each for some architectures."""

    def __init__(self, **versions):
        self.versions = {version[1:].replace("_", "."): architectures for version, architectures in versions.items()}
        self.asked = []

    def get(self, url):
        """A list of checksums."""
        self.asked.append(url)
        version = url.split("/v")[1].split("/")[0]
        if version not in self.versions:
            error = Failure(f"url = {url}: the server responds 404")
            error.status = 404
            raise error
        return "".join(f"{'a' * 64}  node_exporter-{version}.linux-{one}.tar.gz\n" for one in self.versions[version]).encode()


def node_exporter(version, architectures=("amd64",)):
    """What is locked."""
    return wanted({"node_exporter": version}, list(architectures), "http://mirror", ["node_exporter"])[0]


@pytest.mark.parametrize("upstream,newest", [
    ({"v1_9_1": ["amd64"]}, "1.9.1"),
    ({"v1_9_1": ["amd64"], "v1_9_2": ["amd64"], "v1_10_0": ["amd64"], "v2_0_0": ["amd64"]}, "1.9.2"),
    ({"v1_9_3": ["amd64"]}, "1.9.3"),  # two numbers left out
    ({"v1_9_4": ["amd64"]}, "1.9.0"),  # three are the end
    ({}, "1.9.0"),
])
def test_only_the_patch_changes(upstream, newest):
    assert patch.newest(node_exporter("1.9.0"), Upstream(**upstream).get) == newest


def test_a_version_that_lacks_an_architecture_does_not_count():
    upstream = Upstream(v1_9_1=["amd64", "arm64"], v1_9_2=["amd64"])
    assert patch.newest(node_exporter("1.9.0", ["amd64", "arm64"]), upstream.get) == "1.9.1"


def test_few_questions_are_asked():
    upstream = Upstream()
    patch.newest(node_exporter("1.9.0"), upstream.get)
    assert upstream.asked == [f"http://mirror/prometheus/node_exporter/releases/download/v1.9.{number}/sha256sums.txt" for number in (1, 2, 3)]


def test_trouble_is_not_absence():
    def get(url):
        raise Failure(f"url = {url}: the server is unreachable")
    with pytest.raises(Failure, match="is unreachable"):
        patch.newest(node_exporter("1.9.0"), get)


@pytest.mark.parametrize("version", ["1.9", "1.9.0-rc.1", "2026a"])
def test_without_a_patch_number_there_is_none_newer(version):
    with pytest.raises(Failure, match="no patch number"):
        patch.newest(node_exporter(version), Upstream().get)
