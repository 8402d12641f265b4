import numpy as np
import pytest
import torch

from course_utils.explore.appearance import set_points
from course_utils.explorers import RULES, good_rate, race, race_at
from course_utils.surfaces import BEALE, RAVINE, ROSENBROCK, SADDLE

SURFACES = {surface.name: surface for surface in (RAVINE, ROSENBROCK, BEALE, SADDLE)}
TORCH = {
    "SGD": lambda x, rate, momentum: torch.optim.SGD(x, rate),
    "Momentum": lambda x, rate, momentum: torch.optim.SGD(x, rate, momentum=momentum),
    "Nesterov": lambda x, rate, momentum: torch.optim.SGD(
        x, rate, momentum=momentum, nesterov=momentum > 0
    ),
    "AdaGrad": lambda x, rate, momentum: torch.optim.Adagrad(x, rate),
    "Adadelta": lambda x, rate, momentum: torch.optim.Adadelta(x, rate),
    "RMSprop": lambda x, rate, momentum: torch.optim.RMSprop(x, rate),
    "Adam": lambda x, rate, momentum: torch.optim.Adam(x, rate, betas=(momentum, 0.999)),
}


@pytest.fixture(scope="module")
def shown():
    return race()


def at_random(shown, rng):
    return {name: values[rng.integers(len(values))] for name, values in shown.controls.items()}


def number(words):
    return float(words.replace("−", "-"))


def eta_of(shown, **settings):
    return number(shown.status(**settings).split()[2].rstrip(".;"))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("optimizer", RULES)
def test_race_at_is_pytorchs_optimizer(optimizer, momentum):
    path = race_at(ROSENBROCK, optimizer, 1e-3, momentum, steps=25)
    x = torch.tensor(ROSENBROCK.start, requires_grad=True)
    rule = TORCH[optimizer]([x], 1e-3, momentum)
    expected = [x.detach().numpy().copy()]
    for _ in range(25):
        rule.zero_grad()
        ((1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2).backward()
        rule.step()
        expected.append(x.detach().numpy().copy())
    np.testing.assert_allclose(path, expected, rtol=1e-11, atol=1e-11)


def test_race_at_names_the_optimizers_it_knows():
    with pytest.raises(ValueError, match="one of SGD, Momentum.*not 'Adm'"):
        race_at(RAVINE, "Adm", 0.1, 0.9, 5)


def test_the_good_rate_of_plain_descent_in_the_ravine_is_that_of_the_theory():
    # 2 / (λ_max + λ_min) = 0.952: one digit below it is 0.9, above it 1.0 bounces for ever
    assert good_rate(RAVINE, "SGD", 0.0, steps=100) == 0.9


@pytest.mark.parametrize("optimizer", ["Nesterov", "AdaGrad", "Adam"])
def test_no_other_rate_of_one_digit_goes_lower_on_the_map(optimizer):
    for momentum, best in zip([0.5, 0.95], good_rate(BEALE, optimizer, [0.5, 0.95], 80)):
        ends = {}
        for power in range(-5, 3):
            for digit in range(1, 10):
                path = race_at(BEALE, optimizer, digit * 10.0**power, momentum, 80)
                if (np.abs(path) <= 4.5).all():  # NaN is not
                    ends[digit * 10.0**power] = max(BEALE(path[60:]))
        assert min(ends, key=ends.get) == pytest.approx(best)


def test_at_its_good_rate_no_walk_diverges(shown):
    for surface in SURFACES:
        for optimizer in RULES:
            for momentum in shown.controls["momentum"]:
                said = shown.status(surface=surface, optimizer=optimizer, momentum=momentum)
                assert "diverges" not in said


def test_the_race_shows_the_walks_up_to_the_chosen_step(shown):
    rng = np.random.default_rng(0)
    for _ in range(40):
        at = at_random(shown, rng)
        surface, k = SURFACES[at["surface"]], at["step"]
        frame = shown.frame(**at)
        rates = {"": at["optimizer"], "plain descent": "SGD"}
        for name, optimizer in rates.items():
            rate = good_rate(surface, optimizer, at["momentum"], 150) * at["share"]
            path = race_at(surface, optimizer, rate, at["momentum"], k)
            xs, ys = frame[name or "this optimizer"]
            assert len(xs) == k + 1
            unit = (path - surface.bounds[:, 0]) / np.ptp(surface.bounds, axis=1)
            here = (np.abs(unit) < 2).all(axis=1)
            np.testing.assert_allclose(np.column_stack([xs, ys])[here], unit[here], atol=1e-3)
            _, heights = frame[f"height of {name or 'this optimizer'}"]
            expected = surface(path) + (4 if surface is SADDLE else 0)
            here = (expected > 1e-10) & (expected < 1e3)
            np.testing.assert_allclose(np.log10(heights[here]), np.log10(expected[here]), atol=0.02)


def test_the_status_says_rate_height_and_both_optimizers(shown):
    path = race_at(
        ROSENBROCK,
        "Adam",
        eta_of(shown, surface="Rosenbrock", optimizer="Adam", momentum=0.9, share=0.5),
        0.9,
        40,
    )
    said = shown.status(surface="Rosenbrock", optimizer="Adam", momentum=0.9, share=0.5, step=40)
    height = number(said.split("height ")[1].split(",")[0])
    assert height == pytest.approx(ROSENBROCK(path[-1]), rel=0.006)


def test_the_status_says_what_becomes_of_a_walk(shown):
    for optimizer in RULES:
        said = shown.status(optimizer=optimizer)
        moves = optimizer in ("Momentum", "Nesterov", "Adam")
        assert ("no momentum in this rule" in said) is not moves
    assert shown.status(share=0.01).endswith("does not arrive")
    assert shown.status(surface="saddle", optimizer="SGD", share=0.01).endswith(
        "SGD does not leave the map"
    )
    settings = {"surface": "ravine", "optimizer": "SGD", "share": 3.0}
    path = race_at(RAVINE, "SGD", eta_of(shown, **settings), 0.0, 150)
    k = int(np.isnan(path[:, 0]).argmax())
    assert shown.status(**settings).endswith(f"SGD diverges at step {k}")
    path = race_at(SADDLE, "Adam", 0.1, 0.5, 150)
    k = int((SADDLE(path) < -4).argmax())
    said = shown.status(surface="saddle", optimizer="Adam")
    assert said.endswith(f"Adam leaves the map at step {k}")
    heights = RAVINE(race_at(RAVINE, "SGD", 0.9, 0.0, 150))
    k = int(np.flatnonzero(heights >= 1e-4)[-1]) + 1
    assert shown.status(optimizer="SGD").endswith(f"is below 0.0001 from step {k} on")


def test_the_map_changes_with_the_surface_and_shows_its_start_and_minimum(shown):
    lines = set()
    for name, surface in SURFACES.items():
        frame = shown.frame(surface=name)
        lines.add(repr(frame["height lines"]))
        low, high = surface.bounds.T
        np.testing.assert_allclose(
            np.ravel(frame["start"]), (surface.start - low) / (high - low), atol=1e-3
        )
        if surface is SADDLE:
            assert np.isnan(frame["minimum"]).all()
        else:
            np.testing.assert_allclose(
                np.ravel(frame["minimum"]), (surface.minima[0] - low) / (high - low), atol=1e-3
            )
    assert len(lines) == 4


@pytest.mark.parametrize("name", SURFACES)
def test_height_lines_are_level_and_low_ground_is_below_them(shown, name):
    surface, frame = SURFACES[name], shown.frame(surface=name)

    def height(points):
        return surface(points * np.ptp(surface.bounds, axis=1) + surface.bounds[:, 0])

    span = np.ptp(height(np.stack(np.meshgrid(*[np.linspace(0, 1, 41)] * 2), -1)))
    points = np.column_stack(frame["height lines"])
    cuts = np.flatnonzero(np.isnan(points[:, 0]))
    for line in np.split(points, cuts):
        line = line[~np.isnan(line[:, 0])]
        if len(line):
            heights = height(line)
            assert np.ptp(heights) < 0.01 * span
    # The number of areas a point lies in is the number of levels above it.
    ground = shown.artists["low ground"]
    set_points(ground, *frame["low ground"])
    rng = np.random.default_rng(1)
    points = rng.uniform(0.02, 0.98, size=(60, 2))
    inside = np.sum([path.contains_points(points) for path in ground.get_paths()], axis=0)
    order = np.argsort(height(points))
    assert (np.diff(inside[order]) <= 1).all()
    assert np.corrcoef(inside, np.argsort(order))[0, 1] < -0.95


def test_both_ends_of_every_control_draw_and_say_something_else(shown):
    for control, values in shown.controls.items():
        said = {shown.status(**{control: value}) for value in (values[0], values[-1])}
        drawn = {repr(shown.frame(**{control: value})) for value in (values[0], values[-1])}
        assert len(said) == len(drawn) == 2


def test_the_race_is_light(shown):
    assert len(shown.data) + len(shown.stage) < 1.5e6
