"""The best nudge: truncation against rounding, over 16 decades of h."""

from __future__ import annotations

import numpy as np

from course_utils.differentiation import SCHEMES as KNOWN
from course_utils.explore import Control, Explorer, On, explorer
from course_utils.pictures import in_own_style
from course_utils.plots import BLUE, GREEN, GREY, ORANGE, figure

__all__ = ["SCHEMES", "precision", "precision_at"]

SCHEMES = list(KNOWN)
DTYPES = ["float64", "float32"]


def precision_at(scheme: str, dtype: str, h) -> tuple[np.ndarray, np.ndarray]:
    """The slope of sin at 1 by one scheme with nudges h, all in one dtype, and its error.

    The formulas stand here once more, because `differentiation` computes in float64 and refuses
    nudges that are lost to rounding, which are the point here.
    """
    x, h = np.asarray(1.0, dtype), np.asarray(h, dtype)
    with np.errstate(all="ignore"):  # float32 has no 1e-50: h is 0 then, and 0 / 0 is NaN
        slope = {
            "forward": lambda: (np.sin(x + h) - np.sin(x)) / h,
            "backward": lambda: (np.sin(x) - np.sin(x - h)) / h,
            "central": lambda: (np.sin(x + h) - np.sin(x - h)) / (2 * h),
            "complex": lambda: np.imag(np.sin(x + 1j * h)) / h,
        }[scheme]()
    return slope, np.abs(slope.astype(float) - np.cos(1.0))


@in_own_style
def precision() -> Explorer:
    """Drag h over 16 decades and see which of the two errors rules, for each scheme and dtype."""
    nudges = 10.0 ** np.linspace(0, -16, 49)
    sides = np.linspace(-1.6, 1.6, 161)
    fig, (computed, true, secant_line, truncation, rounding, error_line, dot) = _stage()

    every = "scheme dtype h"
    slope, error = np.moveaxis(
        np.array([[precision_at(s, d, nudges) for d in DTYPES] for s in SCHEMES], float), 2, 0
    )
    cut, noise = _two_errors(nudges)
    seen = _lens(sides, nudges)
    ends, at_ends = _secants(seen)
    shown = np.maximum(error, 1e-17)
    return explorer(
        fig,
        {
            "scheme": Control(SCHEMES, start="central"),
            "dtype": Control(DTYPES, "numbers"),
            "h": Control(nudges, "nudge h", start=0.1, play=True),
        },
        {
            computed: (sides, On(seen, "dtype h")),
            true: ([-1.6, 1.6], np.cos(1) * np.array([-1.6, 1.6])),
            secant_line: (On(ends, "scheme"), On(at_ends, every)),
            truncation: (nudges, On(cut, "scheme dtype")),
            rounding: (nudges, On(noise, "scheme dtype")),
            error_line: (nudges, On(shown, "scheme dtype")),
            dot: (On(nudges, "h"), On(shown, every)),
        },
        says={
            "slope": On(slope, every),
            "error": On(error, every),
            "what": On(_verdict(slope, cut, noise), every),
        },
        status="{scheme}, {dtype}, h = {h}: slope {slope}, error {error}; {what}",
        alt=fig.alt,
    )


def _stage():
    alt = (
        "Left: sin around 1 under a magnifier of width h, as the computer sees it, with the "
        "secant of the chosen scheme. Right: the error against h, falling with truncation and "
        "rising with rounding."
    )
    fig, [[lens, valley]] = figure(2, alt=alt, width=8.8, height=4.0)
    lens.set(xlim=(-1.6, 1.6), ylim=(-1.5, 1.5), title="sin near 1, magnified by 1 ÷ h")
    lens.set(xlabel="(place − 1) ÷ h", ylabel="(sin(place) − sin(1)) ÷ h")
    ticks = [1, 1e-4, 1e-8, 1e-12, 1e-16]
    valley.set(xscale="log", yscale="log", xlim=(2, 5e-17), ylim=(1e-17, 10))
    valley.set(xticks=ticks, yticks=ticks, title="error against h")
    valley.set(xlabel="nudge h (shrinks →)", ylabel="error of the slope")
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
    return fig, (computed, true, secant_line, truncation, rounding, error_line, dot)


def _lens(sides, nudges):
    """sin around 1, magnified, as each dtype computes it: (dtype, h, sides)."""
    seen = []
    for dtype in DTYPES:
        one, h = np.asarray(1.0, dtype), nudges.astype(dtype)[:, None]
        seen.append((np.sin(one + sides.astype(dtype) * h) - np.sin(one)).astype(float))
    return np.stack(seen) / nudges[:, None]


def _secants(seen):
    """Between which places each scheme measures, (scheme, 2), and sin there, (*grid, 2)."""
    ends = np.array([[0, 1], [-1, 0], [-1, 1], [np.nan, np.nan]])
    at_ends = np.stack(
        [seen[..., [80 + 50 * int(k) for k in np.nan_to_num(pair)]] for pair in ends]
    )
    return ends, at_ends + 0 * ends[:, None, None]


def _two_errors(nudges):
    """What truncation and what rounding cost at each nudge, both (scheme, dtype, h)."""
    eps = np.array([np.finfo(dtype).eps for dtype in DTYPES])[:, None]
    order = np.array([1, 1, 2, 2])[:, None, None]
    factor = np.array([np.sin(1) / 2, np.sin(1) / 2, np.cos(1) / 6, np.cos(1) / 6])
    cut = factor[:, None, None] * nudges**order + 0 * eps
    noise = np.where(np.arange(4)[:, None, None] < 3, eps * np.sin(1) / nudges / 2, eps / 2)
    return cut, np.minimum(noise, 1.0) + 0 * cut  # at worst the slope is lost altogether


def _verdict(slope, cut, noise):
    """Which of the two errors rules, in words."""
    return np.select(
        [slope == 0, cut > 4 * noise, noise > 4 * cut],
        [
            "x + h is rounded to x, nothing is left",
            "truncation rules: a smaller h helps",
            "rounding rules: a smaller h does not help",
        ],
        "near the bottom: both errors are alike",
    )
