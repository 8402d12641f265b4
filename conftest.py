"""What every test needs, and the kernels in which nbval runs the notebooks again."""

import os

from hypothesis import settings
from nbval.plugin import IPyNbCell

from tools.notebooks import is_picture_again, kernel_environment

# nbval's kernels inherit our environment: one thread, so that sums add up in the same order as
# when the outputs were stored, and this checkout's course_utils.
os.environ.update(kernel_environment())

# Nothing in released homework runs, for its solutions are out; tests/homework proves it instead.
collect_ignore_glob = ["notebooks/homework/*"]

_compare = IPyNbCell.compare_outputs


def compare_without_repeated_pictures(self, test, ref, skip_compare=None):
    """nbval's comparison, without the HTML that a stored notebook leaves out."""
    for output in test:
        if is_picture_again(output.get("data", {})):
            del output["data"]["text/html"]
    return _compare(self, test, ref, skip_compare)


IPyNbCell.compare_outputs = compare_without_repeated_pictures


# Fixtures that take long; so whoever asks for one is slow, whichever test comes first: patients
# with ten seeds, a grid of learning curves, a notebook built by a kernel.
LONG = {"charts", "made", "built"}


def pytest_collection_modifyitems(items):
    for item in items:
        if LONG & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


def pytest_terminal_summary(terminalreporter):
    """Show what tests measured, from whichever process they ran in."""
    reports = terminalreporter.getreports("passed")
    lines = [
        text
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, text in report.user_properties
        if name == "measured"
    ]
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)


# Time on a shared machine says nothing about a law; a failure found once must be found again.
settings.register_profile("descent", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.register_profile("quick", settings.get_profile("descent"), max_examples=20)
settings.load_profile("descent")
