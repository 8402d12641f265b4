"""The schedules are those of torch.optim.lr_scheduler."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from course_utils.schedules import constant, cosine, exponential, step, warmup

STEPS = 60
RATE = 0.3


def torch_rates(make):
    """The rates which a torch scheduler sets before step 0, 1, 2, …"""
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    scheduler = make(opt)
    rates = []
    with warnings.catch_warnings():
        # SequentialLR of this PyTorch still calls the deprecated step(epoch).
        warnings.filterwarnings("ignore", message="The epoch parameter")
        for _ in range(STEPS):
            rates.append(opt.param_groups[0]["lr"])
            opt.step()
            scheduler.step()
    return np.array(rates)


def assert_matches(schedule, make):
    np.testing.assert_allclose(
        RATE * schedule(np.arange(STEPS)), torch_rates(make), rtol=1e-12, atol=1e-14
    )


def test_constant_matches_torch():
    assert_matches(constant(), lambda opt: lr_scheduler.LambdaLR(opt, lambda t: 1.0))


@given(step_size=st.integers(1, 80), gamma=st.floats(0.1, 1.5))
@settings(max_examples=30, deadline=None)
def test_step_matches_torch(step_size, gamma):
    assert_matches(step(step_size, gamma), lambda opt: lr_scheduler.StepLR(opt, step_size, gamma))


@given(gamma=st.floats(0.1, 1.1))
@settings(max_examples=30, deadline=None)
def test_exponential_matches_torch(gamma):
    assert_matches(exponential(gamma), lambda opt: lr_scheduler.ExponentialLR(opt, gamma))


@given(T_max=st.integers(1, 90), final=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_cosine_matches_torch_past_its_end_too(T_max, final):
    # torch steps from rate to rate and divides by what may be 0; its formula is the closed form.
    def factor(t):
        return final + (1 - final) * (1 + np.cos(np.pi * t / T_max)) / 2

    assert_matches(cosine(T_max, final), lambda opt: lr_scheduler.LambdaLR(opt, factor))
    if T_max >= STEPS:
        assert_matches(
            cosine(T_max, final),
            lambda opt: lr_scheduler.CosineAnnealingLR(opt, T_max, eta_min=RATE * final),
        )


@given(steps=st.integers(1, 50), T_max=st.integers(60, 90))
@settings(max_examples=30, deadline=None)
def test_warmup_then_cosine_matches_torch(steps, T_max):
    def make(opt):
        rise = lr_scheduler.LinearLR(opt, start_factor=1 / (steps + 1), total_iters=steps)
        fall = lr_scheduler.CosineAnnealingLR(opt, T_max)
        return lr_scheduler.SequentialLR(opt, [rise, fall], milestones=[steps])

    assert_matches(warmup(steps, cosine(T_max)), make)


@given(steps=st.integers(1, 70))
@settings(max_examples=30, deadline=None)
def test_warmup_alone_matches_torch(steps):
    assert_matches(
        warmup(steps),
        lambda opt: lr_scheduler.LinearLR(opt, start_factor=1 / (steps + 1), total_iters=steps),
    )


def test_no_warmup_steps_means_none():
    t = np.arange(10)
    np.testing.assert_array_equal(warmup(0, cosine(10))(t), cosine(10)(t))


@pytest.mark.parametrize(
    "schedule",
    [
        constant(),
        step(5, 0.5),
        exponential(0.9),
        cosine(20, 0.1),
        warmup(5, exponential(0.9)),
    ],
)
def test_an_array_of_steps_equals_the_steps_one_by_one(schedule):
    t = np.arange(24).reshape(4, 6)
    expected = [[schedule(int(i)) for i in row] for row in t]
    np.testing.assert_allclose(schedule(t), expected, rtol=1e-15)
    assert np.shape(schedule(3)) == ()


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (exponential, [0.5, 0.9]),
        (lambda gamma: step(3, gamma), [0.5, 0.9]),
        (lambda size: step(size, 0.5), [3, 7]),
        (cosine, [5, 20]),
        (lambda final: cosine(9, final), [0.0, 0.3]),
        (warmup, [0, 6]),
    ],
)
def test_arguments_may_be_arrays(make, values):
    t = np.arange(12)
    together = make(np.array(values)[:, None])(t)
    np.testing.assert_allclose(together, [make(v)(t) for v in values], rtol=1e-15)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: step(0), ValueError, "step_size must be at least 1"),
        (lambda: step(2.5), TypeError, "step_size counts steps"),
        (lambda: step(3, -0.1), ValueError, "gamma must be finite and at least 0"),
        (lambda: exponential(np.nan), ValueError, "gamma must be finite"),
        (lambda: exponential("0.9"), TypeError, "gamma must be a number"),
        (lambda: cosine(0), ValueError, "T_max must be at least 1"),
        (lambda: cosine(10, np.inf), ValueError, "final must be finite"),
        (lambda: warmup(-1), ValueError, "steps must be at least 0"),
        (lambda: warmup(5, 0.5), TypeError, "then must be a schedule"),
        (lambda: constant()(-1), ValueError, "t must be at least 0"),
        (lambda: cosine(10)(np.linspace(0, 1)), TypeError, "np.arange"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
