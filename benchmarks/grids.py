"""A grid of optimizer settings: one pass of `descend` against a loop over torch.optim."""

import numpy as np
import torch

from benchmarks.timing import figure, slowdowns, table
from course_utils import optimizers
from course_utils.descent import descend
from course_utils.surfaces import RAVINE

__all__ = ["RULES", "one_pass", "torch_loop", "report"]

# What each rule is tried with: `lr` and `weight_decay` make the grid, the rest is fixed.
RULES = {
    "SGD": {"momentum": 0.9},
    "Adagrad": {},
    "Adadelta": {},
    "RMSprop": {},
    "Adam": {},
    "AdamW": {},
}


def one_pass(name: str, lr: np.ndarray, decay: np.ndarray, steps: int) -> np.ndarray:
    """The paths (steps + 1, k, 2) of k settings, all at once."""
    rule = getattr(optimizers, name)
    optimizer = rule(lr=lr[:, None], weight_decay=decay[:, None], **RULES[name])
    return descend(RAVINE, optimizer, RAVINE.start, steps)


def torch_loop(name: str, lr, decay, steps: int, autograd: bool) -> np.ndarray:
    """The same with torch.optim, one setting after the other."""
    paths = np.empty((steps + 1, len(lr), 2))
    slope = torch.tensor([0.1, 2.0], dtype=torch.float64)
    for k, (rate, share) in enumerate(zip(lr.tolist(), decay.tolist(), strict=True)):
        x = torch.tensor(RAVINE.start.copy(), requires_grad=True)
        optimizer = getattr(torch.optim, name)([x], lr=rate, weight_decay=share, **RULES[name])
        values = x.detach()
        paths[0, k] = values.numpy()
        for t in range(steps):
            if autograd:
                optimizer.zero_grad()
                (x[0] ** 2 / 20 + x[1] ** 2).backward()
            else:
                x.grad = slope * values
            optimizer.step()
            paths[t + 1, k] = values.numpy()
    return paths


def report(side=(40, 20), steps=300, sampled=20, rounds=3) -> str:
    """Measure and return the Markdown table.

    torch runs every `len(grid) // sampled`-th setting, and its time is scaled up to the grid:
    the settings run one after the other, and each takes equally many steps.
    Raises AssertionError if the two arrive at different paths.
    """
    lr, decay = np.meshgrid(np.geomspace(1e-3, 0.5, side[0]), np.linspace(0, 0.1, side[1]))
    lr, decay = lr.ravel(), decay.ravel()
    some = slice(None, None, len(lr) // sampled)
    scale = len(lr) / len(lr[some])
    rows = []
    for name in RULES:
        path = one_pass(name, lr, decay, steps)
        ways = {
            False: lambda name=name: torch_loop(name, lr[some], decay[some], steps, False),
            True: lambda name=name: torch_loop(name, lr[some], decay[some], steps, True),
        }
        for way in ways.values():
            off = np.abs(way() - path[:, some]).max() / np.abs(path).max()
            assert off < 1e-9, f"{name}: the paths differ by {off:.0e}"
        slower = slowdowns(lambda name=name: one_pass(name, lr, decay, steps), ways, rounds)
        rows.append([name, *(figure(scale * ratio) for ratio in slower.values())])
    head = ["optimizer", "`torch.optim`, gradient by hand", "`torch.optim`, gradient by autograd"]
    return table(head, rows)
