"""The references of the homework against oracles that know nothing of them."""

import functools
import itertools
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import optimize, spatial, stats

from course_utils.exercises import functions
from grading.course import assignments

REFERENCES = {a.id: a.exercises for a in assignments()}


def cases(homework, name, n=12):
    exercise = REFERENCES[homework][name]
    rng = np.random.default_rng(11)
    return exercise.reference, [exercise.inputs(rng) for _ in range(n)]


def close(got, want, rtol=1e-9, atol=1e-11):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


def slope_along(f, x, direction):
    """How fast f grows on a walk from x, by the complex step: exact to the last digits."""
    return f(x + 1e-30j * direction).imag / 1e-30


def slopes_of(f, x):
    return np.array([slope_along(f, x, e) for e in np.eye(len(x))])


def tensor(value):
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


# --------------------------------------------------------------------------------- 01 gradients


def test_a_directional_derivative_is_the_slope_along_the_line():
    reference, given = cases("hw01", "directional_derivative")
    for gradient, x, v in given:
        f = getattr(functions, gradient.__name__.removesuffix("_gradient"))
        close(reference(gradient, x, v), slope_along(f, x, v / np.sqrt(np.sum(v**2))))


def test_a_tangent_plane_touches_with_the_functions_slopes():
    reference, given = cases("hw01", "tangent_plane")
    for f, gradient, x, d in given:
        close(reference(f, gradient, x, 0 * d), f(x))
        plane = functools.partial(reference, f, gradient, x)
        close(slopes_of(plane, d), slopes_of(f, x))


def test_the_step_to_a_level_lands_on_it_on_the_plane():
    reference, given = cases("hw01", "step_to_level")
    plane = REFERENCES["hw01"]["tangent_plane"].reference
    for f, gradient, x, level in given:
        there = reference(f, gradient, x, level)
        close(plane(f, gradient, x, there - x), level)
        close(np.cross(np.append(there - x, 0)[:3], np.append(gradient(x), 0)[:3]), 0)


def test_no_direction_within_the_plane_is_steeper():
    reference, given = cases("hw01", "steepest_within_plane")
    for gradient, x, n in given:
        best = reference(gradient, x, n)
        close([best @ n, best @ best], [0, 1])
        one = np.cross(n, [0.3, -1.2, 0.7])
        one /= np.linalg.norm(one)
        other = np.cross(n, one) / np.linalg.norm(n)
        angles = np.linspace(0, 2 * np.pi, 721)[:, None]
        every = np.cos(angles) * one + np.sin(angles) * other
        assert gradient(x) @ best <= np.min(every @ gradient(x)) + 1e-12


def test_the_chain_equals_autograd():
    reference, given = cases("hw01", "chain_backward")
    for w, v, x, y in given:
        tw, tv = tensor(w), tensor(v)
        ((tv * torch.tanh(tw * x) - y) ** 2).backward()
        close(reference(w, v, x, y), [tw.grad.item(), tv.grad.item()])


# --------------------------------------------------------------------------------- 02 numerical


def test_a_hessian_vector_product_tends_to_the_true_one():
    reference, given = cases("hw02", "hessian_vector")
    for gradient, x, v, _ in given:
        close(reference(gradient, x, v, 1e-5), slope_along(gradient, x, v), rtol=1e-6, atol=1e-6)


def test_richardson_is_exact_for_polynomials_of_fourth_degree():
    reference, _ = cases("hw02", "richardson")
    p = np.polynomial.Polynomial([1, -2, 0.5, 3, -1.5])
    close(reference(p, 0.7, 0.5), p.deriv()(0.7))
    q = p + np.polynomial.Polynomial.basis(5)
    assert abs(reference(q, 0.7, 0.5) - q.deriv()(0.7)) > 1e-3


def test_the_complex_jacobian_agrees_with_scipys_differences():
    reference, given = cases("hw02", "complex_jacobian")
    for field, x, h in given:
        close(reference(field, x, h), optimize.approx_fprime(x, field), rtol=1e-5, atol=1e-5)


def test_mixed_derivatives_tend_to_the_hessian():
    reference, given = cases("hw02", "mixed_derivative")
    for f, x, i, j, _ in given:
        nudge = 1e-5 * np.eye(len(x))[j]
        ahead, behind = slopes_of(f, x + nudge)[i], slopes_of(f, x - nudge)[i]
        close(reference(f, x, i, j, 1e-4), (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-5)


def test_wrong_slopes_are_those_that_the_complex_step_disagrees_with():
    reference, given = cases("hw02", "find_wrong_slopes")
    found = []
    for f, claimed, x, h in given:
        wrong = ~np.isclose(claimed, slopes_of(f, x), rtol=5e-3, atol=1e-9)
        np.testing.assert_array_equal(reference(f, claimed, x, h), wrong)
        found += wrong.tolist()
    assert 3 < sum(found) < len(found) - 3


# ------------------------------------------------------------------------------------ 03 losses


def test_log_sigmoid_equals_pytorch():
    reference, given = cases("hw03", "log_sigmoid")
    for (z,) in given:
        close(reference(z), F.logsigmoid(tensor(z)).detach(), rtol=1e-13, atol=0)


def test_pinball_has_autograds_slopes_and_its_best_constant_is_the_quantile():
    reference, given = cases("hw03", "pinball")
    for prediction, target, q in given:
        p, y = tensor(prediction), torch.tensor(target)
        loss = torch.mean(torch.maximum(q * (y - p), (q - 1) * (y - p)))
        loss.backward()
        got, slopes = reference(prediction, target, q)
        close(got, loss.item())
        close(slopes, p.grad)
    data = np.random.default_rng(0).normal(size=999)
    best = optimize.minimize_scalar(
        lambda c: reference(np.full(999, c), data, 0.9)[0], bounds=(-3, 3), method="bounded"
    ).x
    assert abs(best - np.quantile(data, 0.9)) < 0.02


def test_focal_loss_without_focus_is_binary_cross_entropy_and_else_its_formula():
    reference, given = cases("hw03", "focal_loss")
    for z, y, gamma in given:
        plain = F.binary_cross_entropy_with_logits(tensor(z), torch.tensor(y, dtype=torch.float64))
        close(reference(z, y, 0.0), plain.item())
        p = stats.logistic.cdf(np.where(y == 1, z, -z))
        close(reference(z, y, gamma), np.mean(-((1 - p) ** gamma) * np.log(p)))


def test_smoothed_cross_entropy_equals_pytorch():
    reference, given = cases("hw03", "smoothed_cross_entropy")
    for z, labels, eps in given:
        close(
            reference(z, labels, eps),
            F.cross_entropy(tensor(z), torch.tensor(labels), label_smoothing=eps).item(),
        )


def test_the_slope_for_the_temperature_equals_autograd():
    reference, given = cases("hw03", "temperature_slope")
    for z, labels, temperature in given:
        t = tensor(temperature)
        F.cross_entropy(torch.tensor(z) / t, torch.tensor(labels)).backward()
        close(reference(z, labels, temperature), t.grad.item())


# ----------------------------------------------------------------------------------- 04 descent


def test_the_rate_found_is_the_first_that_falls_enough():
    reference, given = cases("hw04", "line_search", 30)
    tried = []
    for f, gradient, x, rate, shrink, share in given:
        g, found = gradient(x), reference(f, gradient, x, rate, shrink, share)
        falls = {k: f(x) - f(x - rate * shrink**k * g) for k in range(80)}
        k = round(np.log(found / rate) / np.log(shrink))
        close(found, rate * shrink**k)
        assert falls[k] >= share * found * np.sum(g**2)
        assert all(falls[j] < share * rate * shrink**j * np.sum(g**2) for j in range(k))
        tried.append(k)
    assert len(set(tried)) > 3


def test_the_weighted_gradient_equals_autograd_and_weights_are_copies():
    reference, given = cases("hw04", "weighted_gradient")
    for w, X, y, weights in given:
        t = tensor(w)
        error = torch.tensor(X) @ t - torch.tensor(y)
        (torch.tensor(weights) * error**2).sum().div(weights.sum()).backward()
        close(reference(w, X, y, weights), t.grad)
        copies = np.arange(len(y)) % 3 + 1
        again = [np.repeat(part, copies, axis=0) for part in (X, y)]
        close(reference(w, X, y, copies), reference(w, *again, np.ones(sum(copies))))


def test_averages_equal_the_recursive_mean():
    reference, given = cases("hw04", "averaged")
    for path, start in given:
        got, mean = reference(path, start), path[start]
        np.testing.assert_array_equal(got[: start + 1], path[: start + 1])
        for count, t in enumerate(range(start + 1, len(path)), 2):
            mean = mean + (path[t] - mean) / count
            close(got[t], mean)


def test_the_noise_of_a_batch_is_that_of_all_batches_one_could_draw():
    reference, given = cases("hw04", "batch_noise")
    for slopes, size in given:
        means = [np.mean(batch) for batch in itertools.combinations(slopes, size)]
        close(reference(slopes, size), np.std(means))


def test_no_rate_is_better_than_the_best():
    reference, given = cases("hw04", "best_rate")
    for curvatures in (c for (c,) in given):

        def slowest(rate, curvatures=curvatures):
            return np.max(np.abs(1 - rate * curvatures))

        best, factor = reference(curvatures)
        close(slowest(best), factor)
        assert factor <= min(slowest(rate) for rate in np.linspace(0, 2 / max(curvatures), 999))


# -------------------------------------------------------------------------------- 05 optimizers


def torch_steps(make, x, gradients):
    """The places of a PyTorch optimizer that meets these gradients, and the optimizer's state."""
    place, places = torch.nn.Parameter(tensor(x).detach().clone()), []
    optimizer = make([place])
    for g in gradients:
        place.grad = torch.tensor(g)
        optimizer.step()
        places.append(place.detach().numpy().copy())
    return np.array(places), optimizer.state[place]


def nesterov(rate, mu):
    return functools.partial(torch.optim.SGD, lr=rate, momentum=mu, nesterov=True)


def test_the_gap_is_to_pytorchs_nesterov_and_the_mended_step_has_none():
    reference, given = cases("hw05", "largest_gap")
    mended = REFERENCES["hw05"]["mended_nesterov"].reference
    for step, gradient, x, rate, mu, steps in given:
        place = tensor(x)
        optimizer, y, v, gaps = nesterov(rate, mu)([place]), x, 0 * x, []
        for _ in range(steps):
            place.grad = torch.tensor(gradient(place.detach().numpy()))
            optimizer.step()
            y, v = step(y, v, gradient(y), rate, mu)
            gaps.append(np.sqrt(np.sum((y - place.detach().numpy()) ** 2)))
        close(reference(step, gradient, x, rate, mu, steps), max(gaps))
        assert max(gaps) > 1e-3
        assert reference(mended, gradient, x, rate, mu, steps) < 1e-13


def test_the_mended_step_is_pytorchs_nesterov():
    reference, given = cases("hw05", "mended_nesterov")
    for x, _, g, rate, mu in given:
        gradients = [g, -0.3 * g, 2 * g]
        want, state = torch_steps(nesterov(rate, mu), x, gradients)
        v = 0 * x
        for gradient, place in zip(gradients, want):
            x, v = reference(x, v, gradient, rate, mu)
            close(x, place)
        close(v, -rate * state["momentum_buffer"].numpy())


def test_at_rates_between_two_borders_nesterov_arrives_and_the_books_step_runs_away():
    mended = REFERENCES["hw05"]["mended_nesterov"].reference
    mu, curvature = 0.9, 4.0

    def end(step, rate):
        x, v = np.array([1.0]), np.array([0.0])
        for _ in range(2000):
            x, v = step(x, v, curvature * x, rate, mu)
        return abs(x[0])

    book = 2 * (1 + mu) / ((1 + 2 * mu + 2 * mu**2) * curvature)
    true = 2 * (1 + mu) / ((1 + 2 * mu) * curvature)
    assert end(functions.book_step, 0.99 * book) < 1e-3 and end(mended, 0.99 * true) < 1e-3
    assert end(functions.book_step, 1.01 * book) > 1e3 and end(mended, 1.01 * true) > 1e3


def test_amsgrad_equals_pytorch_over_gradients_that_shrink():
    reference, given = cases("hw05", "amsgrad_step", 4)
    for x, _, _, _, g, _, rate in given:
        gradients = [g * size for size in (1.0, 30.0, 0.1, -0.2, 0.1)]
        make = functools.partial(torch.optim.Adam, lr=rate, amsgrad=True)
        want, state = torch_steps(make, x, gradients)
        m, v, top = 0 * x, 0 * x, 0 * x
        for t, gradient in enumerate(gradients, 1):
            x, m, v, top = reference(x, m, v, top, gradient, t, rate)
            close(x, want[t - 1])
        close(top, state["max_exp_avg_sq"].numpy(), atol=0)
        assert np.all(top > v)


def test_lion_moves_each_weight_by_the_rate_after_a_decay_by_a_factor():
    reference, given = cases("hw05", "lion_step")
    for x, m, g, rate, decay in given:
        got, new = reference(x, m, g, rate, decay)
        uphill = 9 * m + g > 0
        close(got, np.where(uphill, -rate, rate) + (1 - rate * decay) * x)
        close(new, torch.lerp(torch.tensor(m), torch.tensor(g), 0.01))


def test_the_convergence_factor_is_the_spectral_radius_of_pytorchs_step():
    reference, given = cases("hw05", "convergence_factor")
    found = []
    for curvatures, rate, mu in given:
        radii = []
        for curvature in curvatures:
            columns = []
            for x, v in np.eye(2):  # one step is linear in place and velocity
                place = tensor([x])
                optimizer = nesterov(rate, mu)([place])
                optimizer.state[place]["momentum_buffer"] = torch.tensor([v], dtype=torch.float64)
                place.grad = curvature * place.detach()
                optimizer.step()
                columns.append([place.item(), optimizer.state[place]["momentum_buffer"].item()])
            radii.append(np.max(np.abs(np.linalg.eigvals(np.array(columns).T))))
        close(reference(curvatures, rate, mu), max(radii), rtol=1e-6)
        found.append(max(radii))
    assert min(found) < 1 < max(found)


# -------------------------------------------------------------------------------- 06 vanishing


def test_orthogonal_is_the_factor_that_cholesky_leaves():
    reference, given = cases("hw06", "orthogonal", 20)
    for A, gain in given:
        got = reference(A, gain)
        tall = A.T if A.shape[0] < A.shape[1] else A
        # AᵀA = LLᵀ, so A L⁻ᵀ has orthonormal columns, made one after another from A's
        want = np.linalg.solve(np.linalg.cholesky(tall.T @ tall), tall.T).T
        close(got, gain * (want if tall is A else want.T), rtol=1e-8, atol=1e-9)
        close(np.linalg.svd(got, compute_uv=False), gain)
    assert len({A.shape[0] < A.shape[1] for A, _ in given}) == 2


def test_orthogonal_is_pytorchs_for_the_same_random_numbers():
    reference = REFERENCES["hw06"]["orthogonal"].reference
    for shape in ((5, 3), (4, 4), (3, 6)):
        weight = torch.empty(shape, dtype=torch.float64)
        torch.nn.init.orthogonal_(weight, 1.4, generator=torch.Generator().manual_seed(0))
        drawn = torch.empty(shape, dtype=torch.float64)
        drawn.normal_(0, 1, generator=torch.Generator().manual_seed(0))
        close(reference(drawn.numpy(), 1.4), weight)


def test_the_mean_square_is_the_integral_over_bell_shaped_scores_layer_by_layer():
    reference, given = cases("hw06", "mean_square_after", 6)
    for start, depth, n, std, slope in given:
        q = start
        for _ in range(depth):
            scores = stats.norm(scale=np.sqrt(n * q) * std)
            q = scores.expect(lambda z: z**2, lb=0) + scores.expect(
                lambda z, k=slope: (k * z) ** 2, ub=0
            )
        close(reference(start, depth, n, std, slope), q, rtol=1e-7)


def test_the_slopes_of_a_residual_block_equal_autograd():
    reference, given = cases("hw06", "residual_backward")
    for delta, *rest in given:
        a, W, V = map(tensor, rest)
        (a + torch.relu(a @ W) @ V).backward(torch.tensor(delta))
        for got, want in zip(reference(delta, *rest), (a, W, V)):
            close(got, want.grad)


def test_the_slopes_of_batch_normalisation_equal_autograd():
    reference, given = cases("hw06", "batch_norm_backward")
    for delta, z, gamma, eps in given:
        tz, tg, tb = tensor(z), tensor(gamma), tensor(0 * gamma)
        F.batch_norm(tz, None, None, tg, tb, training=True, eps=eps).backward(torch.tensor(delta))
        for got, want in zip(reference(delta, z, gamma, eps), (tz, tg, tb)):
            close(got, want.grad)


def test_scaled_by_the_factors_every_layers_scores_have_unit_variance():
    reference, given = cases("hw06", "unit_variance_factors")
    for X, weights in given:
        factors, a = reference(X, weights), torch.tensor(X)
        assert factors.shape == (len(weights),) and np.all(factors > 0)
        for factor, W in zip(factors, weights):
            z = a @ torch.tensor(factor * W)
            close(torch.var(z, correction=0), 1)
            a = torch.tanh(z)


# -------------------------------------------------------------------------------- 07 overfitting


def test_each_fold_is_judged_by_the_least_squares_fit_to_the_others():
    reference, given = cases("hw07", "fold_errors")
    for x, y, folds, degree in given:
        for fold, got in enumerate(reference(x, y, folds, degree)):
            learned, held = folds != fold, folds == fold
            fit = np.polynomial.Legendre.fit(x[learned], y[learned], degree)
            close(got, np.mean((fit(x[held]) - y[held]) ** 2))


def test_the_degree_chosen_is_the_lowest_within_a_standard_error_of_the_best():
    reference, given = cases("hw07", "one_standard_error", 30)
    chosen = []
    for (errors,) in given:
        rows = [(row.mean(), stats.sem(row)) for row in errors]
        limit = sum(min(rows))
        degree, got = reference(errors)
        close(got, limit)
        assert rows[degree][0] <= limit < min([mean for mean, _ in rows[:degree]], default=np.inf)
        chosen.append(degree)
    assert len(set(chosen)) > 2


def test_ridge_is_the_minimum_of_its_loss():
    reference, given = cases("hw07", "ridge")
    for X, y, strength in given:
        w, b = map(tensor, reference(X, y, strength))
        miss = torch.tensor(X) @ w + b - torch.tensor(y)
        (torch.mean(miss**2) + strength * torch.sum(w**2)).backward()
        close(torch.cat([w.grad, b.grad[None]]), 0, atol=1e-12)
        close(reference(X, y + 100, strength)[0], reference(X, y, strength)[0])


def test_dropout_has_autograds_slopes_and_the_right_mean():
    reference, given = cases("hw07", "dropout")
    for a, draws, p, slopes in given:
        t, kept = tensor(a), torch.tensor(draws >= p)
        output = torch.where(kept, t / (1 - p), torch.zeros_like(t))
        output.backward(torch.tensor(slopes))
        close(reference(a, draws, p, slopes), [output.detach().numpy(), t.grad.numpy()])
    draws = (np.arange(1000) + 0.5) / 1000
    close(np.mean(reference(np.full(1000, 3.0), draws, 0.3, draws)[0]), 3)


def test_the_bootstrap_interval_is_scipys():
    reference, given = cases("hw07", "bootstrap_interval")
    for first, second, rows in given:
        draws = np.array([[second[i] - first[i] for i in row] for row in rows])
        close(reference(first, second, rows), stats.scoreatpercentile(draws.mean(1), [2.5, 97.5]))
    first, second = given[0][:2]
    rows = np.random.default_rng(5).integers(0, len(first), (20000, len(first)))
    wanted = stats.bootstrap(
        (second - first,),
        np.mean,
        n_resamples=20000,
        method="percentile",
        rng=np.random.default_rng(6),
    ).confidence_interval
    close(reference(first, second, rows), wanted, rtol=0, atol=2e-3)


# ------------------------------------------------------------------------------------ 08 clinic


def test_rows_that_were_seen_have_a_training_row_within_the_tolerance():
    reference, given = cases("hw08", "leaked")
    for train, validation, tolerance in given:
        tree = spatial.cKDTree(train)
        nearest, _ = tree.query(validation, p=np.inf)
        close(reference(train, validation, tolerance), np.mean(nearest <= tolerance))


def test_a_head_start_gives_the_shares_and_no_biases_cost_less():
    reference, given = cases("hw08", "head_start")
    for (counts,) in given:
        biases, loss = reference(counts)
        labels = torch.tensor(np.repeat(np.arange(len(counts)), counts))
        t = tensor(biases)
        cost = F.cross_entropy(t.expand(len(labels), -1), labels)
        cost.backward()
        close([cost.item(), biases.sum()], [loss, 0])
        close(t.grad, 0, atol=1e-15)
        close(loss, stats.entropy(counts))


def test_the_rate_found_lies_in_the_steepest_fall_before_the_divergence():
    reference, given = cases("hw08", "find_rate", 40)
    cut = 0
    for rates, losses, limit in given:
        falls = {}
        for i in range(1, len(losses)):
            if losses[i] > limit * min(losses[:i]):
                cut += 1
                break
            middle = 10 ** np.mean(np.log10(rates[i - 1 : i + 1]))
            falls[middle] = (losses[i - 1] - losses[i]) / np.log10(rates[i] / rates[i - 1])
        close(reference(rates, losses, limit), max(falls, key=falls.get))
    assert 3 < cut < 38


def test_a_confusion_matrix_is_a_count_of_pairs():
    reference, given = cases("hw08", "confusion")
    for labels, predictions, classes in given:
        table, recalls = reference(labels, predictions, classes)
        edges = np.arange(classes + 1)
        np.testing.assert_array_equal(table, np.histogram2d(labels, predictions, [edges, edges])[0])
        close(recalls, [np.mean(predictions[labels == c] == c) for c in range(classes)])


def test_the_calibration_error_is_that_of_scipys_bins():
    reference, given = cases("hw08", "calibration_error")
    for confidences, right, bins in given:
        gap = stats.binned_statistic(confidences, confidences - right, "sum", bins, (0, 1))
        close(reference(confidences, right, bins), np.abs(gap.statistic).sum() / len(right))


def test_every_exercise_has_an_oracle():
    text = Path(__file__).read_text(encoding="utf-8")
    missing = [
        name
        for homework, exercises in REFERENCES.items()
        for name in exercises
        if f'cases("{homework}", "{name}"' not in text
    ]
    assert missing == []
