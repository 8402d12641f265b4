"""The losses are torch.nn.functional's, values and gradients, and refuse what would mislead."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

from course_utils import differentiation, losses
from course_utils.losses import (
    bce,
    bce_with_logits,
    cross_entropy,
    huber,
    l1,
    log_softmax,
    logsumexp,
    mse,
    sigmoid,
    softmax,
)

REDUCTIONS = ["mean", "sum", "none"]
THEIRS = {
    mse: F.mse_loss,
    l1: F.l1_loss,
    huber: F.huber_loss,
    bce: F.binary_cross_entropy,
    bce_with_logits: F.binary_cross_entropy_with_logits,
}
REGRESSION, BINARY = [mse, l1, huber], [bce, bce_with_logits]

reductions = st.sampled_from(REDUCTIONS)
shapes = hnp.array_shapes(min_dims=0, max_dims=3, max_side=5)
# Ordinary numbers, extreme ones, and ties at the kinks.
numbers = st.one_of(st.floats(-5, 5), st.floats(-1e4, 1e4), st.sampled_from([-1e4, 0.0, 1.0, 1e4]))
shares = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0]))


def arrays(shape, elements, dtype=np.float64):
    return hnp.arrays(dtype, shape, elements=elements)


@st.composite
def pairs(draw, loss):
    """A prediction and a target that the elementwise `loss` accepts."""
    shape = draw(shapes)
    prediction = draw(arrays(shape, shares if loss is bce else numbers))
    return prediction, draw(arrays(shape, numbers if loss in REGRESSION else shares))


@st.composite
def classified(draw):
    """Logits, and as their target either labels or probabilities."""
    shape, classes = (
        draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=5)),
        draw(st.integers(2, 6)),
    )
    logits = draw(arrays((*shape, classes), numbers))
    if draw(st.booleans()):
        return logits, draw(arrays(shape, st.integers(0, classes - 1), np.int64))
    weights = draw(arrays(logits.shape, st.floats(1e-3, 1) | st.just(0.0))) + 1e-9
    return logits, weights / weights.sum(axis=-1, keepdims=True)


def torch_answer(function, prediction, target, **options):
    x = torch.tensor(prediction, requires_grad=True)
    value = function(x, torch.tensor(target), **options)
    value.sum().backward()
    return value.detach().numpy(), x.grad.numpy()


def torch_cross_entropy(logits, target, reduction):
    """PyTorch wants one axis of samples and the classes behind it; labels as int64."""
    classes = logits.shape[-1]
    rows = target.reshape(-1) if target.ndim < logits.ndim else target.reshape(-1, classes)
    value, grad = torch_answer(
        F.cross_entropy, logits.reshape(-1, classes), rows, reduction=reduction
    )
    shape = logits.shape[:-1] if reduction == "none" else ()
    return value.reshape(shape), grad.reshape(logits.shape)


def assert_same(ours, theirs, tolerance=1e-12):
    """Value and gradient are equal up to `tolerance` of the largest entry (at least 1)."""
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape and mine.dtype == other.dtype
        assert np.all(np.isfinite(mine))
        assert np.abs(mine - other).max() <= tolerance * max(1, np.abs(other).max())


# -- the oracle --------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", THEIRS, ids=lambda loss: loss.__name__)
@given(data=st.data(), reduction=reductions)
@settings(max_examples=150)
def test_value_and_gradient_are_torchs(loss, data, reduction):
    prediction, target = data.draw(pairs(loss))
    ours = loss(prediction, target, reduction=reduction)
    assert_same(ours, torch_answer(THEIRS[loss], prediction, target, reduction=reduction))


@given(data=st.data(), delta=st.floats(1e-3, 1e3), reduction=reductions)
def test_huber_is_torchs_for_every_delta(data, delta, reduction):
    prediction, target = data.draw(pairs(huber))
    ours = huber(prediction, target, delta=delta, reduction=reduction)
    theirs = torch_answer(F.huber_loss, prediction, target, delta=delta, reduction=reduction)
    assert_same(ours, theirs)


@given(case=classified(), reduction=reductions)
@settings(max_examples=300)
def test_cross_entropy_and_its_gradient_are_torchs(case, reduction):
    logits, target = case
    ours = cross_entropy(logits, target, reduction=reduction)
    assert_same(ours, torch_cross_entropy(logits, target, reduction))


@pytest.mark.parametrize("p", [0.0, 1e-300, 1e-50, 1e-13, 1 - 1e-13, np.nextafter(1, 0), 1.0])
@pytest.mark.parametrize("y", [0.0, 0.3, 1.0])
def test_bce_clamps_where_torch_does(p, y):
    p, y = np.array([p]), np.array([y])
    assert_same(bce(p, y), torch_answer(F.binary_cross_entropy, p, y))


@pytest.mark.parametrize("loss", [*THEIRS, cross_entropy], ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_float32_in_gives_torchs_float32_out(loss, reduction):
    rng = np.random.default_rng(0)
    prediction, target = rng.uniform(size=(2, 6, 4)).astype(np.float32)
    if loss is cross_entropy:
        target = rng.integers(4, size=6)
        theirs = torch_cross_entropy(prediction, target, reduction)
    else:
        theirs = torch_answer(THEIRS[loss], prediction, target, reduction=reduction)
    for target_ in target, target.astype(np.float64 if target.dtype.kind == "f" else np.uint8):
        assert_same(loss(prediction, target_, reduction=reduction), theirs, tolerance=2e-6)


# -- what a gradient and a reduction are, without an oracle ------------------------------------


@pytest.mark.parametrize("loss", [*THEIRS, cross_entropy], ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_gradient_is_the_slope_of_the_value(loss, reduction):
    rng = np.random.default_rng(1)
    prediction, target = rng.uniform(0.1, 0.9, size=(2, 5, 3))
    if loss is cross_entropy:
        target = rng.integers(3, size=5)
    grad = loss(prediction, target, reduction=reduction)[1]
    slopes = np.empty_like(prediction)
    for i in np.ndindex(prediction.shape):

        def value(x, i=i):
            nudged = prediction.copy()
            nudged[i] = x
            return loss(nudged, target, reduction=reduction)[0]

        slopes[i] = differentiation.derivative(np.vectorize(value), prediction[i])
    np.testing.assert_allclose(grad, slopes, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("loss", [*THEIRS, cross_entropy], ids=lambda loss: loss.__name__)
def test_mean_and_sum_are_those_of_none(loss):
    rng = np.random.default_rng(2)
    prediction, target = rng.uniform(size=(2, 4, 5, 3))
    if loss is cross_entropy:
        target = rng.integers(3, size=(4, 5))
    each, grads = loss(prediction, target, reduction="none")
    total, total_grad = loss(prediction, target, reduction="sum")
    mean, mean_grad = loss(prediction, target)
    assert each.shape == target.shape and grads.shape == prediction.shape
    assert total == each.sum() and mean == each.mean()
    np.testing.assert_array_equal(total_grad, grads)
    np.testing.assert_array_equal(mean_grad, grads / each.size)


def test_the_numbers_of_the_lesson():
    assert mse(4.0, 1.0) == (9.0, 6.0)
    assert l1(4.0, 1.0) == (3.0, 1.0)
    assert huber(4.0, 1.0) == (2.5, 1.0)
    assert l1(1.0, 1.0) == (0.0, 0.0)
    loss, grad = cross_entropy([0.0, 0.0], 1)
    assert loss == np.log(2) and grad.tolist() == [0.5, -0.5]


@given(pairs(huber))
def test_a_wide_huber_is_half_the_squared_error_and_a_narrow_one_absolute(case):
    wide, slope = huber(*case, delta=1e5, reduction="none")
    square, twice = mse(*case, reduction="none")
    # Squares below the smallest normal number lose their last digits, whichever way they go.
    np.testing.assert_allclose((wide, slope), (square / 2, twice / 2), rtol=1e-15, atol=1e-300)
    np.testing.assert_allclose(huber(*case, delta=1e-9)[0] / 1e-9, l1(*case)[0], atol=1e-9)


@given(case=classified())
def test_labels_are_probabilities_that_are_one_at_the_label(case):
    logits, target = case
    labels = target if target.ndim < logits.ndim else target.argmax(axis=-1)
    one_hot = np.eye(logits.shape[-1])[labels]
    for form in one_hot, one_hot.astype(int), one_hot.astype(bool):
        for ours, theirs in zip(
            cross_entropy(logits, labels), cross_entropy(logits, form), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


@given(st.lists(st.tuples(numbers, st.booleans()), min_size=1))
def test_two_classes_with_logits_0_and_z_are_yes_or_no_with_logit_z(case):
    z, yes = (np.array(part) for part in zip(*case, strict=True))
    two, grad = cross_entropy(np.stack([np.zeros_like(z), z], axis=-1), yes.astype(int))
    one, slope = bce_with_logits(z, yes)
    np.testing.assert_allclose((two, *grad[:, 1]), (one, *slope), rtol=1e-12, atol=1e-15)


def test_bce_with_logits_is_bce_of_the_sigmoid_by_the_chain_rule():
    rng = np.random.default_rng(3)
    z, y = rng.normal(scale=3, size=50), rng.integers(2, size=50)
    p = sigmoid(z)
    (direct, slope), (behind, outer) = bce_with_logits(z, y), bce(p, y)
    np.testing.assert_allclose(direct, behind, rtol=1e-12)
    np.testing.assert_allclose(slope, outer * p * (1 - p), rtol=1e-11)


def test_nothing_given_is_changed_and_nothing_returned_is_shared():
    rng = np.random.default_rng(4)
    prediction, target = rng.uniform(size=(2, 5, 3))
    rows = target / target.sum(axis=-1, keepdims=True)
    for loss in [*THEIRS, cross_entropy]:
        given_ = prediction.copy(), rows.copy()
        for array in given_:
            array.flags.writeable = False
        for reduction in REDUCTIONS:
            value, grad = loss(*given_, reduction=reduction)
            grad += 1  # a learner may
            for mine in given_:
                assert not np.shares_memory(mine, grad) and not np.shares_memory(mine, value)


# -- extreme numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_extreme_logits_cost_what_they_should_without_a_warning(dtype, size):
    z = np.array([size, -size], dtype)
    loss, grad = bce_with_logits(z, [0, 0], reduction="none")
    assert loss.tolist() == [z[0], 0] and grad.tolist() == [1, 0] and loss.dtype == dtype
    loss, grad = cross_entropy(z, 1)
    assert loss == 2 * z[0] and grad.tolist() == [1, -1] and grad.dtype == dtype
    loss, grad = cross_entropy(z, 0)
    assert loss == 0 and not np.signbit(loss) and grad.tolist() == [0, 0]


def test_a_certain_and_right_prediction_costs_zero_not_minus_zero():
    loss, _ = bce([1.0, 0.0], [1, 0], reduction="none")
    assert not np.signbit(loss).any() and loss.tolist() == [0, 0]
    loss, _ = bce_with_logits([1e4, -1e4], [1, 0], reduction="none")
    assert not np.signbit(loss).any() and loss.tolist() == [0, 0]


def test_a_square_too_large_for_the_dtype_is_infinite_without_a_warning():
    loss, grad = mse(np.float32([1e30]), [0])
    assert loss == np.inf and grad == np.float32(2e30)


@given(arrays(hnp.array_shapes(max_dims=3, max_side=5), numbers | st.floats(-1e300, 1e300)))
def test_the_smooth_functions_are_scipys(z):
    np.testing.assert_allclose(sigmoid(z), special.expit(z), rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(logsumexp(z), special.logsumexp(z, axis=-1), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(softmax(z), special.softmax(z, axis=-1), rtol=1e-13, atol=1e-300)
    ours, theirs = log_softmax(z), special.log_softmax(z, axis=-1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)


@given(arrays(st.tuples(st.integers(1, 4), st.integers(1, 5)), numbers))
def test_softmax_makes_shares_and_ignores_a_common_shift(z):
    shares_ = softmax(z)
    assert np.all(shares_ >= 0)
    np.testing.assert_allclose(shares_.sum(axis=-1), 1, rtol=1e-14)
    np.testing.assert_allclose(softmax(z + 64.0), shares_, atol=1e-10)
    np.testing.assert_allclose(np.exp(log_softmax(z)), shares_, rtol=1e-12, atol=1e-300)


def test_the_smooth_functions_keep_float32_and_take_whole_numbers():
    z = np.array([[-1e4, 0, 1e4]])
    for function in sigmoid, logsumexp, softmax, log_softmax:
        assert function(z.astype(np.float32)).dtype == np.float32
        np.testing.assert_array_equal(function(z.astype(int)), function(z))
    assert sigmoid(0) == 0.5 and isinstance(sigmoid(np.float32(0)), np.float32)
    assert logsumexp([0, 0]) == np.log(2)


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", THEIRS, ids=lambda loss: loss.__name__)
def test_a_column_against_a_row_is_refused_with_the_trap_named(loss):
    words = r"shape \(4, 1\) but target \(4,\); .*\.reshape\(.*broadcast them to \(4, 4\)"
    with pytest.raises(ValueError, match=words):
        loss(np.full((4, 1), 0.5), np.ones(4))
    with pytest.raises(ValueError, match=r"\(4,\) but target \(4, 1\)"):
        loss(np.full(4, 0.5), np.ones((4, 1)))
    with pytest.raises(ValueError, match=r"\(4,\) but target \(3,\)$"):
        loss(np.full(4, 0.5), np.ones(3))
    with pytest.raises(ValueError, match=r"\(4,\) but target \(\)"):
        loss(np.full(4, 0.5), 1.0)


@pytest.mark.parametrize("loss", [*THEIRS, cross_entropy], ids=lambda loss: loss.__name__)
def test_whole_number_predictions_are_refused_with_the_fix(loss):
    with pytest.raises(TypeError, match="dtype=float"):
        loss(np.array([[0, 1]]), np.array([[0.0, 1.0]]))


@pytest.mark.parametrize("loss", [*THEIRS, cross_entropy], ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(loss, bad):
    masks = loss is cross_entropy and bad == -np.inf  # but not a whole row of them
    with pytest.raises(ValueError, match="has NaN or infinity.*learning rate"):
        loss(np.array([[bad if masks else 0.5, bad]]), np.array([[0.0, 1.0]]))
    with pytest.raises(ValueError, match="target has NaN or infinity"):
        loss(np.array([[0.5, 0.5]]), np.array([[bad, 1.0]]))


@pytest.mark.parametrize("loss", [*THEIRS, cross_entropy], ids=lambda loss: loss.__name__)
def test_emptiness_an_unknown_reduction_and_strange_dtypes_are_refused(loss):
    row, answer = np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]])
    with pytest.raises(ValueError, match=r"empty, of shape \(0, 2\)"):
        loss(row[:0], answer[:0])
    with pytest.raises(ValueError, match='must be one of "mean", "sum", "none"; not \'average\''):
        loss(row, answer, reduction="average")
    for dtype in np.float16, complex, object, str:
        with pytest.raises(TypeError, match="must be float32 or float64"):
            loss(row.astype(dtype), answer)
    with pytest.raises(TypeError, match="target must be an array of numbers"):
        loss(row, answer.astype(str))


@pytest.mark.parametrize("bad", [1.5, -0.5])
def test_probabilities_outside_0_and_1_are_refused(bad):
    with pytest.raises(ValueError, match=f"one is {bad}; for logits use bce_with_logits"):
        bce([0.5, bad], [0, 1])
    for loss in BINARY:
        with pytest.raises(ValueError, match=f"target must be probabilities .* one is {bad}"):
            loss([0.5, 0.5], [bad, 1])
    with pytest.raises(ValueError, match=f"target must be probabilities .* one is {bad}"):
        cross_entropy([0.5, 0.5], [bad, 1 - bad])


@pytest.mark.parametrize("bad", [0, -1.0, np.nan, np.inf, "1", None, np.ones(2)])
def test_hubers_delta_must_be_positive(bad):
    wrong = TypeError, ValueError  # of its kind, of its value
    with pytest.raises(wrong, match="delta must be (finite and above 0|one number), not"):
        huber([0.5], [1.0], delta=bad)


@pytest.mark.parametrize("bad", [3, -1, -100])
def test_labels_outside_the_classes_are_refused(bad):
    with pytest.raises(ValueError, match=rf"label {bad}, but logits for 3 classes allow 0 … 2"):
        cross_entropy(np.zeros((2, 3)), [0, bad])
    with pytest.raises(ValueError, match=f"label {bad}"):
        cross_entropy(np.zeros(3), bad)


@pytest.mark.parametrize("labels", [[0.0, 1.0], [True, False], ["0", "1"]])
def test_labels_that_are_no_integers_are_refused(labels):
    with pytest.raises(TypeError, match=r"labels must be integers.*astype\(int\)"):
        cross_entropy(np.zeros((2, 3)), labels)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros((4, 1), int), r"\(4,\) \(labels\) or \(4, 3\).*not \(4, 1\).*reshape\(\(4,\)\)"),
        (np.zeros(3, int), r"not \(3,\)$"),
        (np.zeros((3, 4)), r"not \(3, 4\)$"),
        (0, r"not \(\)$"),
    ],
)
def test_a_target_of_the_wrong_shape_is_refused(labels, words):
    with pytest.raises(ValueError, match=words):
        cross_entropy(np.zeros((4, 3)), labels)


def test_rows_that_do_not_sum_to_1_are_refused():
    with pytest.raises(ValueError, match="one sums to 0.9;.*keepdims"):
        cross_entropy(np.zeros((2, 2)), [[0.5, 0.5], [0.5, 0.4]])
    cross_entropy(np.zeros((1, 3), np.float32), np.full((1, 3), 1 / 3, np.float32))


@pytest.mark.parametrize("shape", [(), (4, 1)])
def test_one_logit_is_no_choice(shape):
    with pytest.raises(ValueError, match="C ≥ 2 classes.*bce_with_logits"):
        cross_entropy(np.zeros(shape), np.ones(shape))


@pytest.mark.parametrize("function", [logsumexp, softmax, log_softmax])
def test_one_number_has_no_axis_of_classes(function):
    with pytest.raises(ValueError, match=r"\(\.\.\., C\)"):
        function(1.0)
    with pytest.raises(ValueError, match="z has NaN or infinity"):
        function([0.0, np.inf])


def test_all_names_exist():
    assert all(callable(getattr(losses, name)) for name in losses.__all__)
