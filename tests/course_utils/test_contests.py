"""The contest on the digits: a run equals the same network trained by PyTorch."""

import numpy as np
import pytest
import torch

from course_utils import data
from course_utils.contests import on_digits
from course_utils.optimizers import SGD, Adam


def pytorchs(optimizer, rate, seed, epochs):
    """Test loss and accuracy of the one run of a contest, with modules of torch.nn."""
    rng = np.random.default_rng(seed)
    (X, y), _, (X_test, y_test) = (
        [torch.tensor(array) for array in part] for part in data.split(rng, *data.digits())
    )
    spread = np.repeat([np.sqrt(2 / 64), 0, np.sqrt(1 / 32), 0], [2048, 32, 320, 10])
    W1, b1, W2, b2 = np.split(rng.normal(size=(1, 2410))[0] * spread, [2048, 2080, 2400])
    net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    net.double()
    values = [W1.reshape(64, 32).T, b1, W2.reshape(32, 10).T, b2]
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), values):
            parameter.copy_(torch.tensor(value))
    step, order = optimizer(net.parameters(), lr=rate), np.random.default_rng(seed)
    loss = torch.nn.CrossEntropyLoss()
    for _ in range(epochs):
        for batch in data.minibatches(order, len(X), 64):
            step.zero_grad()
            loss(net(X[batch]), y[batch].long()).backward()
            step.step()
    with torch.no_grad():
        scores = net(X_test)
        hits = (scores.argmax(-1) == y_test).double().mean()
        return loss(scores, y_test.long()).item(), hits.item()


@pytest.mark.parametrize(
    ("rule", "theirs", "rate"), [(SGD, torch.optim.SGD, 0.1), (Adam, torch.optim.Adam, 0.01)]
)
def test_a_run_is_pytorchs(rule, theirs, rate):
    result = on_digits({"it": rule}, [rate], seed=3, runs=1, epochs=1)["it"]
    loss, hits = pytorchs(theirs, rate, 3, 1)
    assert result.test[0] == pytest.approx(loss, rel=1e-9)
    assert result.accuracy[0] == pytest.approx(hits)


def test_the_rate_is_chosen_on_validation_data_and_a_run_that_overflowed_is_not():
    result = on_digits({"it": SGD}, [1e-3, 0.3, 1e6], runs=2, epochs=1)["it"]
    assert result.rate == 0.3 and result.validation.argmin() == 1
    assert result.validation.shape == (3,) and np.isfinite(result.validation).all()


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"rules": {"a": SGD(0.1)}, "rates": [0.1]}, TypeError, "called with a rate"),
        ({"rules": {"a": SGD}, "rates": []}, ValueError, "positive numbers"),
        ({"rules": {"a": SGD}, "rates": [-1.0]}, ValueError, "positive numbers"),
        ({"rules": {"a": SGD}, "rates": [0.1], "runs": 0}, ValueError, "runs"),
    ],
)
def test_a_contest_that_cannot_be_held_says_why(given, error, says):
    with pytest.raises(error, match=says):
        on_digits(**given)
