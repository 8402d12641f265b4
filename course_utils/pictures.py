"""A figure as a page shows it: the course's look, alt text, and the same bytes on every run.

Colours are Okabe and Ito's, which stay distinct for colour-blind eyes, and each comes with a line
style of its own. A figure carries its alt text: what it shows, in a sentence. It is a Matplotlib
`Figure`, so a curious reader can go on with it.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from PIL import Image

__all__ = [
    "BLUE",
    "CSS_DPI",
    "GREEN",
    "GREY",
    "ORANGE",
    "PINK",
    "STYLES",
    "Picture",
    "figure",
    "in_own_style",
    "own_style",
    "png",
    "use_style",
]

CSS_DPI = 100  # one inch of a figure is 100 CSS pixels wide on the page
PADDING: dict[str, Any] = {"w_pad": 0.08, "h_pad": 0.08}  # inches: no label touches the edge
PIXELS_PER_CSS = 2  # a picture is drawn for screens with two pixels per CSS pixel
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#A63F00", "#007A5A", "#CC79A7", "#57606A"
STYLES = [(BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PINK, ":"), ("#000000", (0, (1, 1)))]

_STYLE: dict[Any, Any] = {
    "figure.dpi": CSS_DPI,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "legend.fontsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "grid.color": "#E6E8EB",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(
        color=[c for c, _ in STYLES[:4]], linestyle=[s for _, s in STYLES[:4]]
    ),
    "lines.linewidth": 2.0,
    "legend.frameon": False,
    "axes.unicode_minus": True,
}


# Behind Matplotlib's own font, for letters that it has not: Korean, as the systems have it.
_FONTS = ("Malgun Gothic", "Apple SD Gothic Neo", "Noto Sans CJK KR", "Noto Sans KR")
_FONTS += ("NanumGothic", "NanumBarunGothic", "Noto Sans CJK JP", "Baekmuk Gulim", "UnDotum")


@cache
def _families() -> list[str]:
    """The course's font, and those of the list that this machine has; others would be warned of."""
    return ["DejaVu Sans", *(name for name in _FONTS if name in set(fontManager.get_font_names()))]


def _style() -> dict[Any, Any]:
    return {**_STYLE, "font.family": _families()}


def use_style() -> None:
    """Give every figure of this notebook, the learner's own too, the course's look."""
    mpl.rcParams.update(_style())


@contextmanager
def own_style() -> Iterator[None]:
    """The course's look and Matplotlib's own defaults, whatever a reader has set."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_style())
        yield


def in_own_style(function: Callable) -> Callable:
    """A function that draws, in the course's look."""

    @wraps(function)
    def drawn(*given: Any, **more: Any) -> Any:
        with own_style():
            return function(*given, **more)

    return drawn


class Picture(Figure):
    """A Matplotlib figure with alt text, shown once by the cell that returns it."""

    alt = ""

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, str], dict[str, Any]]:
        width, height = (int(side * CSS_DPI) for side in self.get_size_inches())
        picture = base64.b64encode(png(self)).decode("ascii")
        data = {
            "text/plain": repr(self),
            "image/png": picture,
            # JupyterLab leaves the alt text of a PNG unread; this is how screen readers get it.
            # `run.py build` leaves it out, so that a notebook stores each picture once.
            "text/html": f'<img class="descent-picture" alt="{html.escape(self.alt)}" '
            f'width="{width}" style="max-width: 100%; height: auto" '
            f'src="data:image/png;base64,{picture}">',
        }
        return data, {"image/png": {"alt": self.alt, "width": width, "height": height}}


def figure(
    columns: int = 1, rows: int = 1, *, alt: str, width: float = 7.0, height: float = 3.4, **axes
) -> tuple[Picture, np.ndarray]:
    """A figure and its axes, an array of shape (rows, columns); width and height in inches.

    ``**axes`` goes to Matplotlib's `Figure.subplots`. Raises ValueError without alt text.
    """
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"figure: say in alt='…' what the figure shows, in words; not {alt!r}")
    with own_style():
        fig = Picture(figsize=(width, height))
        FigureCanvasAgg(fig)
        fig.alt = alt
        fig.set_layout_engine("constrained", **PADDING)
        return fig, fig.subplots(rows, columns, squeeze=False, **axes)


def png(fig: Figure) -> bytes:
    """The figure as PNG bytes, the same bytes for the same figure on every run.

    256 colours are enough for a figure, and make its file about a third as large.
    """
    raw = io.BytesIO()
    # Left as large as it is: it is opened again at once, and knows its size in whole pixels.
    with own_style():
        fig.savefig(
            raw, format="png", dpi=CSS_DPI * PIXELS_PER_CSS, pil_kwargs={"compress_level": 0}
        )
    pixels = Image.open(raw).convert("RGB")
    buffer = io.BytesIO()
    pixels.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        buffer, format="PNG", optimize=True
    )
    return buffer.getvalue()
