"""Numbers in words: three significant digits, in one place.

`shown` is what stands beside a picture (and what the browser writes, see explore.js), `printed`
what a cell prints.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["printed", "rounded", "shown"]


def rounded(value: Any) -> float:
    """`value` to three significant digits."""
    return float(f"{float(value):.3g}")


def shown(value: Any) -> str:
    """A value beside a picture: words as they are, numbers with a true minus sign.

    >>> shown(-12345.6), shown(3.14159e-7), shown(True), shown(float("nan"))
    ('−12300', '3.14e−7', 'on', '–')
    """
    if isinstance(value, (bool, np.bool_)):
        return "on" if value else "off"
    if isinstance(value, (str, np.str_)):
        return str(value)
    number = rounded(value)
    if not math.isfinite(number):
        return "–" if math.isnan(number) else ("∞" if number > 0 else "−∞")
    if number != 0 and not 1e-3 <= abs(number) < 1e5:
        mantissa, exponent = f"{number:.2e}".split("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
    else:
        text = f"{number:.0f}" if abs(number) >= 100 else f"{number:g}"
    return "0" if text == "-0" else text.replace("-", "−")


def printed(value: Any) -> str:
    """A value in a printed line: a word, a number, or an array of any shape in brackets.

    >>> printed(1234.5), printed(7), printed([0.5, 0.25]), printed(True)
    ('1,230', '7', '(0.5, 0.25)', 'yes')
    """
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.ndim:
        return "(" + ", ".join(printed(part) for part in array) + ")"
    if array.dtype.kind == "b":
        return "yes" if array else "no"
    if array.dtype.kind in "iu":
        return f"{int(array):,}"
    number = rounded(array)
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e6 else f"{number + 0.0:.3g}"
