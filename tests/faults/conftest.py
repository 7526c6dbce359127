"""The fixtures of the fault tests; what they are made of is in faultkit.py, which tests import too."""

from disks import make_disk  # noqa: F401
from faultkit import faults, faulty, load, memory_faults, plain_build, shim  # noqa: F401
