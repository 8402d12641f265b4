"""The benchmark runs, has all its rows, and compares ways that arrive at the same numbers."""

import re

import numpy as np
import pytest
import torch

from benchmarks import __main__, gradients, grids, timing


def cells(table):
    """The rows of a Markdown table without its head."""
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]


def is_ratio(cell):
    return re.fullmatch(r"[\d,]+(\.\d+)?(e-\d+)? ×", cell) is not None


@pytest.mark.parametrize("title", gradients.FUNCTIONS)
@pytest.mark.parametrize("n", [6, 20, 100])
def test_every_way_to_a_gradient_agrees_with_autograd(title, n):
    rng = np.random.default_rng(1)
    f = gradients.FUNCTIONS[title](n, rng)
    x = rng.normal(size=n)
    exact = 2 * x if title == "sum of squares" else network_gradient(n)
    for name, way in gradients.contenders(f, x).items():
        tolerance = 1e-5 if name == "approx_fprime" else 1e-7
        np.testing.assert_allclose(way(), exact, rtol=0, atol=tolerance * np.abs(exact).max())


def network_gradient(n):
    """The network once more in PyTorch, from the same random numbers in the same order."""
    inputs, width = {6: (2, 2), 20: (4, 4), 100: (9, 10)}[n]
    rng = np.random.default_rng(1)
    data = torch.tensor(rng.normal(size=(gradients.SAMPLES, inputs)) / np.sqrt(inputs))
    target = torch.tensor(rng.normal(size=gradients.SAMPLES))
    w = torch.tensor(rng.normal(size=n), requires_grad=True)
    hidden = torch.tanh(data @ w[: inputs * width].reshape(inputs, width))
    torch.nn.functional.mse_loss(hidden @ w[inputs * width :], target).backward()
    return w.grad.numpy()


def test_the_element_loop_restores_its_point():
    x = np.array([1.0, 2.0, 3.0])
    gradients.element_loop(lambda p: (p * p).sum(), x)
    np.testing.assert_array_equal(x, [1, 2, 3])


@pytest.mark.parametrize("name", grids.RULES)
@pytest.mark.parametrize("autograd", [False, True])
def test_one_pass_and_torchs_loop_walk_the_same_paths(name, autograd):
    lr, decay = np.array([0.001, 0.05, 0.3]), np.array([0.0, 0.1, 0.02])
    ours = grids.one_pass(name, lr, decay, 12)
    theirs = grids.torch_loop(name, lr, decay, 12, autograd)
    assert ours.shape == theirs.shape == (13, 3, 2)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-11)


def test_a_contender_that_is_wrong_is_not_timed(monkeypatch):
    monkeypatch.setattr(gradients, "element_loop", lambda f, x: np.zeros_like(x))
    with pytest.raises(AssertionError, match="element loop differs"):
        gradients.report(sizes=(4,), rounds=1)
    monkeypatch.setattr(grids, "one_pass", lambda *_: np.ones((11, 8, 2)))
    with pytest.raises(AssertionError, match="the paths differ"):
        grids.report(side=(4, 2), steps=10, sampled=4, rounds=1)


def test_the_command_prints_both_tables_with_all_their_rows(capsys):
    __main__.main(["--quick"])
    printed = capsys.readouterr().out
    assert re.match(r"Python .*NumPy .*SciPy .*PyTorch .* cores", printed)
    tables = re.findall(r"(?:^\|.*\n)+", printed, flags=re.MULTILINE)
    first, second = map(cells, tables)
    expected = [[title, n] for title in gradients.FUNCTIONS for n in ("6", "20")]
    assert [row[:2] for row in first] == expected
    assert [row[0] for row in second] == list(grids.RULES)
    assert all(map(is_ratio, sum([row[2:] for row in first] + [row[1:] for row in second], [])))


def test_a_ratio_is_the_others_time_over_ours(monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(timing, "perf_counter", lambda: next(clock))

    def takes(ticks):
        return lambda: [next(clock) for _ in range(ticks)]

    # The clock is read twice from before a call to after it: 8 ticks count as 10.
    slower = timing.slowdowns(takes(8), {"ten": takes(98), "hundred": takes(998)}, rounds=3)
    assert slower == {"ten": 10, "hundred": 100}


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (1523.4, "1,500 ×"),
        (48.7, "49 ×"),
        (5.04, "5 ×"),
        (0.494, "0.49 ×"),
    ],
)
def test_a_figure_has_two_digits(ratio, words):
    assert timing.figure(ratio) == words
