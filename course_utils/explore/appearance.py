"""How the browser is to draw an artist: lengths in CSS pixels, colours as CSS."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle

from course_utils.explore.spec import Box, Look, Marker
from course_utils.pictures import CSS_DPI

__all__ = ["Moving", "appearance", "axes_of", "box", "name_of", "set_points"]

Moving = Line2D | PolyCollection
SCALE = CSS_DPI / 72  # Matplotlib's points → CSS pixels


def name_of(artist: Any, number: int) -> str:
    """The artist's label, or a name made of its number.

    Raises TypeError for an artist of a kind that cannot move.
    """
    if not isinstance(artist, Moving):
        raise TypeError(f"only lines and polygon collections can move, not {artist!r}")
    label = str(artist.get_label())
    return f"artist{number}" if not label or label.startswith("_") else label


def axes_of(artist: Moving) -> Axes:
    """Raises ValueError for an artist that is in no figure."""
    if artist.axes is None:
        raise ValueError(f"the artist {artist!r} is not in any axes: add it to the figure first")
    return cast(Axes, artist.axes)


def box(axes: Axes) -> Box:
    """An axes' rectangle in CSS pixels, y downwards: [left, top, width, height]."""
    bbox, height = axes.bbox, cast(Any, axes.figure).bbox.height
    return [round(float(v), 2) for v in (bbox.x0, height - bbox.y1, bbox.width, bbox.height)]


def appearance(name: str, artist: Moving) -> Look:
    """Raises ValueError for marks that cannot move."""
    if isinstance(artist, PolyCollection):
        face, edge = np.asarray(artist.get_facecolor()), np.asarray(artist.get_edgecolor())
        return {
            "name": name,
            "box": box(axes_of(artist)),
            "fill": _css(face[0]) if len(face) else None,
            "color": _css(edge[0]) if len(edge) else None,
            "width": float(np.ravel(artist.get_linewidth())[0]) * SCALE,
            "dash": [],
        }
    dashes = cast(Any, artist)._unscaled_dash_pattern[1] or []  # as (0, (1, 1)) is kept
    width = artist.get_linewidth() * SCALE
    drawn = artist.get_linestyle() not in ("None", "", " ")
    look: Look = {
        "name": name,
        "box": box(axes_of(artist)),
        "fill": None,
        "color": _css(to_rgba(artist.get_color(), artist.get_alpha())) if drawn else None,
        "width": width,
        "dash": [d * width for d in dashes],
    }
    if artist.get_marker() not in ("None", "", " ", None):
        look["marker"] = _marker(name, artist)
    return look


def _marker(name: str, artist: Line2D) -> Marker:
    shape = MarkerStyle(cast(Any, artist.get_marker()))
    outline = shape.get_transform().transform_path(shape.get_path()).to_polygons()
    size, alpha = artist.get_markersize() * SCALE, artist.get_alpha()
    every = artist.get_markevery()
    if every not in (None, [-1]):
        raise ValueError(
            f"{name}: markevery={every!r} cannot move; None marks every point, [-1] the last one"
        )
    face = artist.get_markerfacecolor() if shape.is_filled() else None
    return {
        "polygons": [(np.asarray(p) * [size, -size]).round(3).tolist() for p in outline],
        "fill": _css(to_rgba(face, alpha)) if face else None,
        "edge": _css(to_rgba(artist.get_markeredgecolor(), alpha)),
        "width": artist.get_markeredgewidth() * SCALE,
        "last": every == [-1],
    }


def set_points(artist: Moving, xs: np.ndarray, ys: np.ndarray) -> None:
    """Put an artist where the browser draws it: data coordinates, NaN lifts the pen."""
    if isinstance(artist, PolyCollection):
        artist.set_verts(_split(np.column_stack([xs, ys])))
    else:
        artist.set_data(xs, ys)


def _split(vertices: np.ndarray) -> list[np.ndarray]:
    """Cut a list of vertices where it holds NaN; each piece is one polygon."""
    breaks = np.flatnonzero(np.isnan(vertices).any(axis=1))
    pieces = np.split(vertices, breaks)
    pieces = [piece[~np.isnan(piece).any(axis=1)] for piece in pieces]
    return [piece for piece in pieces if len(piece) > 2]


def _css(rgba: Any) -> str:
    return to_hex(rgba, keep_alpha=True)
