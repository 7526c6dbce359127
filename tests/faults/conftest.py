"""The fixtures of the fault tests; what they are made of is in faultkit.py, which tests import too."""

from disks import make_disk  # noqa: F401
from faultkit import faults, faulty, load, memory_faults, plain_build, shim  # noqa: F401


def pytest_terminal_summary(terminalreporter):
    """The figures of tests that have some."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(f"{report.nodeid.split('::')[-1]}: {value}")
