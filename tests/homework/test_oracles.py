"""The references of the homework against oracles that know nothing of them."""

import functools
import itertools
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import optimize, stats

from course_utils.exercises import functions
from course_utils.grading.course import assignments

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
        lambda c: reference(np.full(999, c), data, 0.9)[0], bounds=(-3, 3), method="bounded").x
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
        close(reference(z, labels, eps),
              F.cross_entropy(tensor(z), torch.tensor(labels), label_smoothing=eps).item())


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


def test_every_exercise_has_an_oracle():
    text = Path(__file__).read_text(encoding="utf-8")
    missing = [name for homework, exercises in REFERENCES.items() for name in exercises
               if f'cases("{homework}", "{name}"' not in text]
    assert missing == []


