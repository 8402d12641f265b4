"""``python -m benchmarks``: print the tables. ``--quick``: tiny sizes, to see that it runs."""

import argparse
import os
import platform

import numpy as np
import scipy
import torch

from benchmarks import gradients, grids


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, figures without worth")
    quick = parser.parse_args(arguments).quick
    sizes = {"sizes": (6, 20), "rounds": 1} if quick else {}
    grid = {"side": (4, 2), "steps": 10, "sampled": 4, "rounds": 1} if quick else {}

    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}, "
        f"PyTorch {torch.__version__}; {os.cpu_count()} cores.\n"
        "How many times longer the others take, measured side by side in one process, "
        "alternating, median of several rounds.\n"
    )
    print("### Numerical gradient of n variables, against `gradient(f, x, batched=True)`\n")
    print(gradients.report(**sizes), "\n", sep="")
    print(
        "`approx_fprime` is SciPy's, with half the evaluations: forward differences. The last "
        "column is the most\nthat any batching could gain over the loop: the bare function takes "
        "the rest of the time.\n"
    )
    settings, steps = ("8", "10") if quick else ("800", "300")
    print(f"### {settings} settings × {steps} steps, against one call of `descend`\n")
    print(grids.report(**grid), "\n", sep="")
    share = "half" if quick else "every 40th"
    print(f"torch runs {share} of the settings, one after the other; its time is scaled up.")


if __name__ == "__main__":
    main()
