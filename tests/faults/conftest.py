"""The fixtures of the fault tests; what they are made of is in faultkit.py, which tests import too."""

from faultkit import faults, faulty, load, shim  # noqa: F401
