"""What every test needs, and the kernels in which nbval runs the notebooks again."""

import os

from hypothesis import settings

from tools.notebooks import kernel_environment

# nbval's kernels inherit our environment: one thread, so that sums add up in the same order as
# when the outputs were stored, and this checkout's course_utils.
os.environ.update(kernel_environment())

# Time on a shared machine says nothing about a law; a failure found once must be found again.
settings.register_profile("descent", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("descent")
