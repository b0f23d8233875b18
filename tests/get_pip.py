"""Stands in for the script that ansible-test downloads once to put pip into its environments.

That script's host is not reachable everywhere, and Python brings a pip along. The packages themselves still come from the
package index that pip is configured for. Copied into ansible-test's cache by run.py.
"""

import ensurepip
import os
import subprocess
import sys

# ansible-test asks for the script's own options; what pip itself does not know must go.
UNKNOWN = ("--no-setuptools", "--no-wheel")


def main(arguments):
    """Install pip from Python's own copy, then what was asked for. Return pip's exit status."""
    ensurepip.bootstrap(default_pip=True)
    # ensurepip makes pip ignore its configuration, in this process and in those that it starts.
    os.environ.pop("PIP_CONFIG_FILE", None)
    return subprocess.call([sys.executable, "-m", "pip", "install"] + [text for text in arguments if text not in UNKNOWN])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
