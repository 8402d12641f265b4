"""The best nudge: truncation against rounding, over 16 decades of h."""

from __future__ import annotations

import numpy as np

from course_utils.explore import Lookup, lookup
from course_utils.plots import BLUE, GREEN, GREY, ORANGE, figure

__all__ = ["SCHEMES", "precision", "precision_at"]

SCHEMES = ["forward", "backward", "central", "complex"]


def precision_at(scheme: str, dtype: str, h) -> tuple[np.ndarray, np.ndarray]:
    """The slope of sin at 1 by one scheme with nudges h, all in one dtype, and its error."""
    x, h = np.asarray(1.0, dtype), np.asarray(h, dtype)
    with np.errstate(all="ignore"):  # float32 has no 1e-50: h is 0 then, and 0 / 0 is NaN
        slope = {
            "forward": lambda: (np.sin(x + h) - np.sin(x)) / h,
            "backward": lambda: (np.sin(x) - np.sin(x - h)) / h,
            "central": lambda: (np.sin(x + h) - np.sin(x - h)) / (2 * h),
            "complex": lambda: np.sin(x + 1j * h).imag / h,
        }[scheme]()
    return slope, np.abs(slope.astype(float) - np.cos(1.0))


def precision() -> Lookup:
    """Drag h over 16 decades and see which of the two errors rules, for each scheme and dtype."""
    nudges = 10.0 ** np.linspace(0, -16, 49)
    dtypes = ["float64", "float32"]
    alt = (
        "Left: sin around 1 under a magnifier of width h, as the computer sees it, with the "
        "secant of the chosen scheme. Right: the error against h, falling with truncation and "
        "rising with rounding."
    )
    fig, [[lens, valley]] = figure(2, alt=alt, width=8.8, height=4.0)
    lens.set(
        xlim=(-1.6, 1.6),
        ylim=(-1.5, 1.5),
        xlabel="(place − 1) ÷ h",
        ylabel="(sin(place) − sin(1)) ÷ h",
        title="sin near 1, magnified by 1 ÷ h",
    )
    valley.set(
        xscale="log",
        yscale="log",
        xlim=(2, 5e-17),
        ylim=(1e-17, 10),
        xticks=[1, 1e-4, 1e-8, 1e-12, 1e-16],
        yticks=[1, 1e-4, 1e-8, 1e-12, 1e-16],
        xlabel="nudge h (shrinks →)",
        ylabel="error of the slope",
        title="error against h",
    )
    (computed,) = lens.plot([], [], color=BLUE, label="what the computer computes")
    (true,) = lens.plot([], [], color=GREEN, linestyle="-.", label="true slope")
    (secant_line,) = lens.plot(
        [], [], color=ORANGE, linewidth=2.2, linestyle="--", marker="o", label="secant"
    )
    (truncation,) = valley.plot([], [], color=GREEN, linestyle="-.", label="truncation")
    (rounding,) = valley.plot([], [], color=GREY, linestyle=":", label="rounding")
    (error_line,) = valley.plot([], [], color=BLUE, label="error")
    (dot,) = valley.plot(
        [], [], color=ORANGE, marker="o", markersize=9, linestyle="none", label="this h"
    )
    below = {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, -0.2),
        "ncols": 3,
        "columnspacing": 1,
        "frameon": False,
    }
    lens.legend(handles=[computed, true, secant_line], **{**below, "ncols": 2})
    valley.legend(handles=[error_line, truncation, rounding], **below)

    # Axes of the grid: scheme, dtype, h. The curve in the lens does not depend on the scheme.
    sides = np.linspace(-1.6, 1.6, 161)
    seen = []
    for dtype in dtypes:
        one, h = np.asarray(1.0, dtype), nudges.astype(dtype)[:, None]
        seen.append((np.sin(one + sides.astype(dtype) * h) - np.sin(one)).astype(float))
    seen = np.stack(seen)[None] / nudges[:, None]
    result = [[precision_at(scheme, dtype, nudges) for dtype in dtypes] for scheme in SCHEMES]
    slope, error = np.moveaxis(np.array(result, float), 2, 0)
    eps = np.array([np.finfo(dtype).eps for dtype in dtypes])[:, None]
    order = np.array([1, 1, 2, 2])[:, None, None]
    factor = np.array([np.sin(1) / 2, np.sin(1) / 2, np.cos(1) / 6, np.cos(1) / 6])
    cut = factor[:, None, None] * nudges**order + 0 * eps
    noise = np.where(np.arange(4)[:, None, None] < 3, eps * np.sin(1) / nudges / 2, eps / 2)
    noise = np.minimum(noise, 1.0) + 0 * cut  # at worst the slope is lost altogether
    ends = np.array([[0, 1], [-1, 0], [-1, 1], [np.nan, np.nan]])
    at_ends = (
        np.stack([seen[0][..., [80 + 50 * int(k) for k in np.nan_to_num(pair)]] for pair in ends])
        + 0 * ends[:, None, None]
    )
    what = np.select(
        [slope == 0, cut > 4 * noise, noise > 4 * cut],
        [
            "x + h is rounded to x, nothing is left",
            "truncation rules: a smaller h helps",
            "rounding rules: a smaller h does not help",
        ],
        "near the bottom: both errors are alike",
    )
    shown = np.maximum(error, 1e-17)
    return lookup(
        fig,
        {
            computed: (sides, seen),
            true: (np.array([[[[-1.6, 1.6]]]]), np.cos(1) * np.array([[[[-1.6, 1.6]]]])),
            secant_line: (ends[:, None, None], at_ends),
            truncation: (nudges, cut[..., None, :]),
            rounding: (nudges, noise[..., None, :]),
            error_line: (nudges, shown[..., None, :]),
            dot: (nudges[:, None], shown[..., None]),
        },
        values={"slope": slope, "error": error, "what": what},
        play="h",
        alt=alt,
        status="{scheme}, {dtype}, h = {h}: slope {slope}, error {error}; {what}",
        start={"scheme": "central", "h": 0.1},
        labels={"h": "nudge h", "dtype": "numbers"},
        scheme=SCHEMES,
        dtype=dtypes,
        h=nudges,
    )
