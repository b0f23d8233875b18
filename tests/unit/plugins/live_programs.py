# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests with running programs share: a port for one, and patience with it."""

import socket
import time

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure

# A busy machine takes its time.
PATIENCE_SECONDS = 120


def free_port():
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(question):
    """Return the question's answer as soon as it is true. A program that does not answer yet is asked again; what came last is in the error."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            answer = question()
            if answer:
                return answer
        except (OSError, Failure) as error:
            answer = error
        assert time.monotonic() < end, f"not within {PATIENCE_SECONDS} seconds: {answer!r}"
        time.sleep(0.1)
