"""The ball in the ravine: its walk is PyTorch's, and its words are the theory's."""

import numpy as np
import pytest
import torch

from course_utils.explorers import ball, ball_at, ball_factor
from course_utils.explorers.lesson05_ball import _motion
from course_utils.surfaces import valley


@pytest.mark.parametrize(("rate", "momentum"), [(0.3, 0.0), (0.3, 0.9), (1.65, 0.67)])
def test_the_walk_is_pytorchs(rate, momentum):
    surface = valley(100)
    x = torch.tensor(surface.start, requires_grad=True)
    theirs = torch.optim.SGD([x], lr=rate, momentum=momentum)
    walk = [surface.start]
    for _ in range(30):
        x.grad = torch.tensor(surface.gradient(x.detach().numpy()))
        theirs.step()
        walk.append(x.detach().numpy().copy())
    np.testing.assert_allclose(ball_at(surface, rate, momentum, 30), walk, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.9, 1.4])
def test_the_factor_is_the_largest_eigenvalue_of_a_step(rate, momentum):
    for curvature in (0.02, 2.0):
        step = [[1 - rate * curvature, -rate * momentum], [curvature, momentum]]  # of (x, v)
        expected = abs(np.linalg.eigvals(np.array(step))).max()
        assert ball_factor(curvature, rate, momentum) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("product", "momentum", "words"),
    [
        (0.01, 0.5, "creeps"),
        (0.25, 0.25, "is critical"),
        (1.0, 0.5, "swings"),
        (2.25, 0.25, "is critical"),
        (2.4, 0.25, "jumps from side to side"),
        (2.6, 0.25, "runs away"),
        (0.6, 0.0, "creeps"),
        (1.9, 0.0, "jumps from side to side"),
    ],
)
def test_a_motion_is_named_as_the_theory_has_it(product, momentum, words):
    assert _motion(np.array(product), np.array(momentum)) == words


def test_the_explorer_shows_plain_descent_first():
    text = ball(steps=20)._repr_mimebundle_()
    text = (text[0] if isinstance(text, tuple) else text)["text/plain"]
    assert "Along the valley it creeps: × 0.994" in text and "μ = 0" in text
