"""Importing the package is quick, because it brings along nothing that is not needed."""

import subprocess
import sys

import pytest

import course_utils

FLOOR_1 = ["differentiation", "losses", "surfaces", "optimizers", "schedules", "descent", "data"]
FLOOR_1 += ["_given", "_text", "uncertainty"]
FLOOR_2 = ["networks", "sharpness", "patients"]


def third_parties_after(code):
    """Names of the installed (not standard library) packages that `code` loads, ours left out."""
    report = (
        "import sys; before = set(sys.modules)\n"
        f"{code}\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - set(sys.stdlib_module_names) - {'course_utils'}))"
    )
    run = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_package_loads_no_other():
    assert third_parties_after("import course_utils") <= {"numpy"}


@pytest.mark.parametrize("module", FLOOR_1)
def test_the_first_floor_stands_on_numpy_alone(module):
    loaded = third_parties_after(f"import course_utils.{module}")
    # NumPy is compiled with Cython, which leaves its run time among the modules.
    assert {name for name in loaded if not name.startswith(("_cython", "cython"))} == {"numpy"}


@pytest.mark.slow
@pytest.mark.parametrize("module", FLOOR_2)
def test_the_second_floor_brings_pytorch_and_nothing_to_draw_with(module):
    loaded = third_parties_after(f"import course_utils.{module}")
    assert "torch" in loaded
    assert not loaded & {"matplotlib", "anywidget", "ipywidgets", "IPython", "scipy"}


@pytest.mark.parametrize("module", ["pictures", "plots"])
def test_a_picture_needs_no_widget(module):
    loaded = third_parties_after(f"import course_utils.{module}")
    assert "matplotlib" in loaded
    assert not loaded & {"anywidget", "ipywidgets", "traitlets", "IPython", "torch"}


@pytest.mark.slow
def test_the_explorers_wait_with_pytorch_until_one_needs_it():
    assert "torch" not in third_parties_after("import course_utils.explorers")


def test_the_probe_sees_a_heavy_import():
    assert "scipy" in third_parties_after("import scipy.optimize")


def test_the_version_is_a_version():
    assert course_utils.__version__.count(".") == 2
