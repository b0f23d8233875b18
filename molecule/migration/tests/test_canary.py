"""What the other tests rest on."""

from conftest import CHECKOUT


def test_sandboxing_acts(fleet):
    """Without this every test of a sandboxed service would pass for the wrong reason."""
    script = (CHECKOUT / "lab" / "canary.sh").read_text(encoding="utf-8")
    for host in fleet.hosts:
        fleet.shell(host, f"cat > /tmp/canary <<'END'\n{script}\nEND\nbash /tmp/canary; code=$?; rm /tmp/canary; exit $code")
