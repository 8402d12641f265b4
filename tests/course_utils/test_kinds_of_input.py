"""Kinds of input, and of settings, that change a number without a word elsewhere: not here.

A table of functions meets a table of kinds. Each gives what it gives for a plain input, or refuses
in a sentence that names the argument. The oracles are NumPy, PyTorch and the plain input itself.
"""

import contextlib
import warnings

import numpy as np
import pytest
import torch

from course_utils import (
    data,
    differentiation,
    lesson,
    losses,
    networks,
    optimizers,
    schedules,
    sharpness,
)
from course_utils.descent import descend
from course_utils.explore.words import Line

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(4, 3))
LABELS = np.array([0, 2, 1, 2])
SHARES = losses.softmax(RNG.normal(size=(4, 3)))
RULES = [getattr(optimizers, name) for name in optimizers.__all__]


def stepped(rule):
    def run(x):
        opt = rule(lr=0.1)
        state = opt.init(x)
        for _ in range(3):
            x, state = opt.step(x, 2 * np.asarray(x), state)
        return x

    return run


def trained(X):
    model = networks.mlp(1, 4, seed=[0, 1], inputs=3, outputs=3, dropout=0.2, norm="batch")
    rng = np.random.default_rng(1)
    history = networks.train(model, X, LABELS, rng=rng, epochs=3, lr=0.5, batch_size=2)
    seen = networks.xray(model, X, LABELS)
    return np.concatenate([history.loss.ravel(), seen.delta.ravel(), seen.loss.ravel()])


def peak(X):
    model = networks.mlp(1, 4, seed=0, inputs=3, outputs=3)
    return sharpness.top_eigenvalue(model, X, LABELS, iterations=5).eigenvalue


# name → a function of points (4, 3): what each public function makes of them
FUNCTIONS = {
    **{
        f.__name__: f
        for f in (losses.sigmoid, losses.softmax, losses.logsumexp, losses.log_softmax)
    },
    "mse": lambda x: losses.mse(x, SHARES)[1],
    "l1": lambda x: losses.l1(x, SHARES)[1],
    "huber": lambda x: losses.huber(x, SHARES)[1],
    "bce_with_logits": lambda x: losses.bce_with_logits(x, SHARES)[1],
    "bce of shares": lambda x: losses.bce(SHARES, losses.softmax(x))[1],
    "cross_entropy": lambda x: losses.cross_entropy(x, LABELS)[1],
    "cross_entropy of shares": lambda x: losses.cross_entropy(x, SHARES)[1],
    **{rule.__name__: stepped(rule) for rule in RULES},
    "descend": lambda x: descend(lambda p: 2 * p, optimizers.SGD(lr=0.1), x, 5),
    "derivative": lambda x: differentiation.derivative(np.sin, x),
    "gradient": lambda x: differentiation.gradient(
        lambda p: np.sum(np.sin(p), axis=-1), x, batched=True
    ),
    "hessian": lambda x: differentiation.hessian(lambda p: np.sum(p**3, axis=-1), x, batched=True),
    "directional": lambda x: differentiation.directional_derivative(
        lambda p: np.sum(p**2), x, np.ones((4, 3))
    ),
    "train and xray": trained,
    "top_eigenvalue": peak,
    "split": lambda x: data.split(np.random.default_rng(0), x, LABELS, 0.25, 0.25)[0][0],
}
every_function = pytest.mark.parametrize("name", list(FUNCTIONS))

SAME = {  # the same numbers in another coat
    "a list": lambda x: x.tolist(),
    "in Fortran's order": np.asfortranarray,
    "a view with strides": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards twice": lambda x: x[::-1].copy()[::-1],
    "read-only": lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
    "big-endian": lambda x: x.astype(">f8"),
    "masked nowhere": lambda x: np.ma.array(x, mask=np.zeros(x.shape, bool)),
    "a tensor": torch.tensor,
    "of a class of its own": lambda x: x.view(type("Own", (np.ndarray,), {})),
}


@every_function
@pytest.mark.parametrize("kind", list(SAME))
def test_the_same_numbers_in_another_coat_give_the_same(name, kind):
    plain = np.asarray(FUNCTIONS[name](POINTS.copy()), float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = np.asarray(FUNCTIONS[name](SAME[kind](POINTS.copy())), float)
    np.testing.assert_allclose(found, plain, rtol=1e-12, atol=1e-14)


REFUSED = {  # kinds that would be wrong without a word
    "masked": lambda x: np.ma.array(x, mask=[[1, 0, 0]] + 3 * [[0, 0, 0]]),
    "missing": lambda x: np.where(x == x[0, 0], np.nan, x),
    "infinite": lambda x: np.where(x == x[0, 0], np.inf, x),
    "complex": lambda x: x + 1j,
    "text": lambda x: x.astype(str),
    "objects": lambda x: x.astype(object),
    "float16": lambda x: x.astype(np.float16),
}
NETS = ("train and xray", "top_eigenvalue")
TAKEN = {  # what these functions are for, or what stays what it is
    *((rule.__name__, kind) for rule in RULES for kind in ("missing", "infinite")),
    *(("split", kind) for kind in REFUSED if kind != "masked"),
    *((name, "float16") for name in NETS),
    *(
        (name, kind)
        for name in ("train and xray", "top_eigenvalue")
        for kind in ("missing", "infinite")
    ),
}


PAIRS = [(name, kind) for name in FUNCTIONS for kind in REFUSED if (name, kind) not in TAKEN]


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_what_would_be_wrong_without_a_word_is_refused(name, kind):
    with pytest.raises((TypeError, ValueError)) as caught:
        FUNCTIONS[name](REFUSED[kind](POINTS.copy()))
    assert len(str(caught.value)) > 20


@contextlib.contextmanager
def numpy_raises():
    with np.errstate(all="raise"):
        yield


@contextlib.contextmanager
def torch_in_float64():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def another_seed():
    torch.manual_seed(5)
    np.random.seed(5)
    yield


@contextlib.contextmanager
def printed_short():
    with np.printoptions(precision=1, suppress=True):
        torch.set_printoptions(precision=1)
        try:
            yield
        finally:
            torch.set_printoptions(profile="default")


SETTINGS = [numpy_raises, torch_in_float64, another_seed, printed_short]
SETTINGS += [torch.no_grad, torch.inference_mode]


@every_function
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.__name__)
def test_no_setting_of_a_readers_changes_a_number(name, setting):
    plain = np.asarray(FUNCTIONS[name](POINTS.copy()))
    with setting():
        found = np.asarray(FUNCTIONS[name](POINTS.copy()))
    np.testing.assert_array_equal(found, plain)


EXTREMES = {
    "sigmoid": lambda: losses.sigmoid(np.array([-800.0, 800.0])),
    "softmax": lambda: losses.softmax(np.array([0.0, -800.0])),
    "log_softmax": lambda: losses.log_softmax(np.array([0.0, -800.0])),
    "cross_entropy": lambda: losses.cross_entropy(np.array([[0.0, -800.0]]), [0])[1],
    "bce_with_logits": lambda: losses.bce_with_logits(np.array([-800.0]), [0.0])[1],
    "mse": lambda: losses.mse(np.array([1e-200]), [0.0])[0],
    **{
        n: lambda n=n: losses.__dict__[n](np.array([1.7e308]), [-1.7e308])[1] for n in ("mse", "l1")
    },
    "huber": lambda: losses.huber(np.array([1.7e308]), [-1.7e308])[1],
    **{r.__name__: lambda r=r: tiny_step(r) for r in RULES},
    "exponential": lambda: schedules.exponential(0.5)(2000),
    "step": lambda: schedules.step(1, 0.5)(2000),
}


def tiny_step(rule):
    opt, x = rule(lr=0.1), np.array([1.0])
    return opt.step(x, np.array([1e-200]), opt.init(x))[0]


@pytest.mark.parametrize("name", list(EXTREMES))
def test_what_vanishes_or_is_too_large_is_no_error(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = EXTREMES[name]()
        with np.errstate(all="raise"):
            np.testing.assert_array_equal(EXTREMES[name](), plain)
    assert not np.any(np.isnan(plain))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_have_torchs_loss_and_gradient(dtype):
    big = np.finfo(dtype).max * 0.9
    for row in ([big, -big], [-big, big], [big, big], [-np.inf, 0.5], [-np.inf, -big]):
        for label in (0, 1):
            logits = np.array([row, row[::-1]], dtype)
            theirs = torch.tensor(logits, requires_grad=True)
            expected = torch.nn.functional.cross_entropy(theirs, torch.tensor([label, label]))
            expected.backward()
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                loss, grad = losses.cross_entropy(logits, [label, label])
            np.testing.assert_allclose(loss, expected.detach().numpy(), rtol=1e-6)
            np.testing.assert_allclose(grad, theirs.grad.numpy(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint64])
def test_small_integers_count_as_large_ones_do(dtype):
    top = int(min(np.iinfo(dtype).max, 10_000))
    for make in (schedules.warmup, schedules.cosine, schedules.step):
        for t in (0, 1, top - 1, top):
            assert make(dtype(top))(dtype(t)) == pytest.approx(make(top)(t), rel=1e-12)
    assert schedules.exponential(0.9)(dtype(top)) == pytest.approx(0.9**top)
    assert schedules.warmup(300)(np.arange(0, 100).astype(dtype)).max() < 1


@pytest.mark.parametrize("bad", [-100, -1, 3, 10**6])
def test_a_label_that_is_no_class_is_refused_wherever_it_goes(bad):
    labels = LABELS.copy()
    labels[1] = bad
    model = networks.mlp(1, 4, inputs=3, outputs=3)
    rng = np.random.default_rng(0)
    for learn in (
        lambda: networks.train(model, POINTS, labels, rng=rng, epochs=1, lr=0.1),
        lambda: networks.train(
            model, POINTS, LABELS, rng=rng, epochs=1, lr=0.1, validation=(POINTS, labels)
        ),
        lambda: networks.xray(model, POINTS, labels),
        lambda: sharpness.top_eigenvalue(model, POINTS, labels),
        lambda: losses.cross_entropy(POINTS, labels),
    ):
        with pytest.raises(ValueError, match=f"label {bad}.*allow 0"):
            learn()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_memory_of_another_optimizer_or_of_other_parameters_is_refused(rule):
    opt, x = rule(), np.ones(3)
    others = [other().init(x) for other in RULES if other().memory != opt.memory]
    for state in (*others, {}, {"t": 0}):
        with pytest.raises(ValueError, match=r"another optimizer's; start with state = opt.init"):
            opt.step(x, x, state)
    with pytest.raises(TypeError, match="start with state"):
        opt.step(x, x, None)
    for shape in ((), (1,), (4,), (3, 1), (1, 4)):
        wrong = {"t": 0} | {name: np.zeros(shape) for name in opt.memory}
        with pytest.raises(ValueError, match="other parameters"):
            opt.step(x, x, wrong)
    grid = rule(lr=np.array([[0.1], [0.2]]))
    y, state = grid.step(x, x, grid.init(x))
    grid.step(y, y, state)


def test_a_verdict_takes_one_truth_value_in_whatever_coat(capsys):
    for yes in (True, np.True_, np.array(True), torch.tensor(True), np.float64(1) < 2):
        lesson.verdict("it holds", yes)
    assert capsys.readouterr().out == 5 * "✓ it holds\n"
    for no in (np.array(False), torch.tensor(False)):
        with pytest.raises(lesson.VerdictFailed):
            lesson.verdict("it holds", no)
    for other in (torch.tensor([True, True]), np.array([True]), torch.tensor(1.0), 1, None):
        with pytest.raises(TypeError, match=r"compared.*\.all\(\) or \.any\(\)"):
            lesson.verdict("it holds", other)


class Own:
    """An optimizer of a reader's own: not a dataclass, and not ours."""

    lr = 0.1

    def init(self, x):
        return {}

    def step(self, x, grad, state):
        return x - self.lr * grad, state


class InPlace(Own):
    def step(self, x, grad, state):
        x -= self.lr * grad
        return x, state


class Half(Own):
    def step(self, x, grad, state):
        return x - self.lr * grad


def test_an_optimizer_of_ones_own_walks_with_and_without_a_schedule():
    def walk(optimizer, **more):
        return descend(lambda p: 2 * p, optimizer, np.array([1.0, 2.0]), 5, **more)

    np.testing.assert_array_equal(walk(Own()), walk(optimizers.SGD(lr=0.1)))
    slower = {"schedule": schedules.exponential(0.5)}
    np.testing.assert_array_equal(walk(Own(), **slower), walk(optimizers.SGD(lr=0.1), **slower))
    assert Own.lr == 0.1
    with pytest.raises(ValueError, match="return a new x"):
        walk(InPlace())
    with pytest.raises(TypeError, match="schedule must be a schedule such as cosine"):
        walk(Own(), schedule=0.5)
    with pytest.raises((TypeError, ValueError)):
        walk(Half())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: networks.mlp(1, residual="no"), "residual must be True or False"),
        (lambda: data.line(np.random.default_rng(0), 10**30), "do not fit into memory"),
        (
            lambda: sharpness.rescaled(networks.mlp(2, 4), 1e39),
            "weights that torch.float32 cannot hold",
        ),
        (
            lambda: differentiation.check_gradient(
                np.sum, np.ones(2), np.ones(2), directions=2, rng=0
            ),
            "random generator",
        ),
        (
            lambda: networks.train(
                networks.mlp(1, 4, inputs=3, outputs=3),
                POINTS,
                LABELS,
                rng=np.random.default_rng(0),
                epochs=1,
                lr=0.1,
                validation=POINTS,
            ),
            r"a pair \(X_val, y_val\)",
        ),
        (lambda: Line("{k", {}, {"k": [1.0]}), "brace without its partner"),
        (lambda: Line("k}", {}, {"k": [1.0]}), "brace without its partner"),
    ],
)
def test_an_odd_argument_is_named_with_what_is_expected(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call()


def test_whole_numbers_of_numpys_are_whole_numbers():
    found = differentiation.check_gradient(
        lambda x: np.sum(x**2), 2 * POINTS, POINTS, directions=np.int64(2)
    )
    assert found.ok
