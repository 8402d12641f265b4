"""Positions for the browser: pixels of the figure in 16 bits, all arrays in one deflated block."""

from __future__ import annotations

import zlib

import numpy as np
from matplotlib.axes import Axes

from course_utils.explore.spec import Entry

__all__ = ["LIMIT_BYTES", "REACH", "Block", "Paper"]

REACH = 4  # how many figure sizes beyond its edges a coordinate may lie
GAP = 65535  # the 16-bit code of NaN: the pen is lifted
LIMIT_BYTES = 32 * 2**20  # packed data beyond this would make a notebook too heavy


class Paper:
    """The figure's paper, on which points lie.

    Attributes
    ----------
    size
        width and height in CSS pixels.
    """

    def __init__(self, size: np.ndarray) -> None:
        self.size = size

    def pack(self, name: str, axes: Axes, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
        """Data coordinates ``(*grid, points)`` → 16-bit pixel positions ``(2, *grid, points)``.

        Raises ValueError, with the artist's name, where they would be too many.
        """
        xs, ys = np.broadcast_arrays(xs, ys)
        if 4 * xs.size > LIMIT_BYTES:
            raise ValueError(
                f"{name}: {xs.shape} positions need {4 * xs.size / 2**20:.0f} MiB; "
                "give the controls fewer values"
            )
        with np.errstate(all="ignore"):  # NaN and log of 0 become gaps below
            flat = axes.transData.transform(np.stack([xs, ys], -1).reshape(-1, 2))
        flat[~np.isfinite(flat).all(axis=1)] = np.nan
        pixels = np.moveaxis(self.flip(flat.T).reshape(2, *xs.shape), 0, -1)
        unit = (_inside(pixels / self.size) + REACH) / (2 * REACH + 1)
        codes = np.where(np.isnan(unit), GAP, np.round(unit * (GAP - 1)))
        return np.moveaxis(codes, -1, 0).astype("<u2")

    def unpack(self, axes: Axes, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """16-bit codes (2, points) → data coordinates (xs, ys), NaN where the pen is lifted."""
        unit = np.where(codes == GAP, np.nan, codes / (GAP - 1))
        pixels = (unit * (2 * REACH + 1) - REACH) * self.size[:, None]
        with np.errstate(invalid="ignore"):
            xs, ys = axes.transData.inverted().transform(self.flip(pixels).T).T
        return xs, ys

    def flip(self, pixels: np.ndarray) -> np.ndarray:
        """Matplotlib counts y upwards, the browser downwards; (2, points) either way."""
        return np.stack([pixels[0], self.size[1] - pixels[1]])


class Block:
    """Arrays one behind the other, and the table that finds them again."""

    def __init__(self) -> None:
        self.table: dict[str, Entry] = {}
        self._parts: list[bytes] = []

    def add(self, key: str, array: np.ndarray) -> None:
        raw = np.ascontiguousarray(array).tobytes()
        raw += b"\0" * (-len(raw) % 8)
        offset = sum(map(len, self._parts))
        self.table[key] = {"offset": offset, "shape": list(array.shape), "type": array.dtype.str}
        self._parts.append(raw)

    def deflated(self) -> bytes:
        return zlib.compress(b"".join(self._parts), 9)


def _inside(unit: np.ndarray) -> np.ndarray:
    """Bring points (..., points, 2), in figure sizes, within reach of the figure.

    A point too far out is drawn back along the segment to a neighbour that is within reach, so
    that the visible part of the segment keeps its direction; with no such neighbour it is drawn
    back towards the middle of the figure.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        low, high = -REACH, REACH + 1
        out = ((unit < low) | (unit > high)).any(axis=-1, keepdims=True)
        result = unit.copy()
        anchor = np.full_like(unit, 0.5)
        for shift in (-1, 1):  # the next point first, so that the one before wins
            neighbour = np.roll(unit, shift, axis=-2)
            edge = -1 if shift == -1 else 0
            neighbour[..., edge, :] = np.nan
            near = ((neighbour >= low) & (neighbour <= high)).all(axis=-1, keepdims=True)
            anchor = np.where(near, neighbour, anchor)
        move = unit - anchor
        room = np.where(move > 0, (high - anchor) / move, (low - anchor) / move)
        share = np.nanmin(np.where(move == 0, np.inf, room), axis=-1, keepdims=True, initial=1.0)
        return np.where(out, np.clip(anchor + share * move, low, high), result)
