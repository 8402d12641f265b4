"""Homework 08: instruments for the clinic: leaks, first losses, rates, confusion, calibration."""

import numpy as np

from course_utils.exercises import Exercise

# ------------------------------------------------------------------------------------- leaked


def _apart(train, validation):
    """How far each validation row is from each training row, entry by entry."""
    return np.abs(validation[:, None] - train[None])


def _leaked(train, validation, tolerance):
    return np.mean(np.any(np.all(_apart(train, validation) <= tolerance, axis=2), axis=1))


def _near(near):
    """A wrong share: ``near(distances, tolerance)`` says which pairs of rows are copies."""
    return lambda train, validation, tolerance: np.mean(
        np.any(near(_apart(train, validation), tolerance), axis=1)
    )


def _pairs(train, validation, tolerance):
    return np.sum(np.all(_apart(train, validation) <= tolerance, axis=2))


def _same_place(train, validation, tolerance):
    n = min(len(train), len(validation))
    return np.sum(np.all(np.abs(train[:n] - validation[:n]) <= tolerance, axis=1)) / len(validation)


def _leak_inputs(rng):
    """Copies, blurred copies (within the tolerance or not), and medleys of several rows.

    Numbers are multiples of 0.1 and the tolerance is not, so no distance is the tolerance itself.
    """
    n, d, tolerance = rng.integers(4, 6), rng.integers(2, 4), (0.15, 0.25)[rng.integers(2)]
    train = rng.uniform(0, 2, (n, d)).round(1)
    train[-1] = train[0]  # a row that occurs twice
    rows = [train[0]]
    for _ in range(rng.integers(n, n + 3)):
        row = train[rng.integers(n)]
        blur = rng.choice([0.0, tolerance - 0.05, tolerance - 0.05, tolerance + 0.05])
        row = row + blur * rng.choice([-1, 0, 1, 1], d)
        medley = train[rng.integers(n, size=d), np.arange(d)]  # entries of different rows
        rows.append((row if rng.random() < 0.7 else medley).round(1))
    return train, rng.permutation(np.array(rows)), tolerance


leaked = Exercise(
    "leaked",
    reference=_leaked,
    inputs=_leak_inputs,
    mistakes={
        "sides swapped": (
            lambda t, v, c: _leaked(v, t, c),
            "this is the share of the training rows. What is asked is how much of "
            "the validation data has been seen.",
        ),
        "exact": (
            lambda t, v, c: _leaked(t, v, 1e-9),
            "you find exact copies alone. A copy with a little noise has been seen, too.",
        ),
        "same place": (
            _same_place,
            "you compare row i with row i. A copy may stand anywhere in the training data.",
        ),
        "any entry": (
            _near(lambda far, c: np.any(far <= c, axis=2)),
            "one entry that fits is enough for you. All entries of a row have to fit.",
        ),
        "mean distance": (
            _near(lambda far, c: np.mean(far, axis=2) <= c),
            "you take the mean over the entries: one that is far off hides behind the others.",
        ),
        "length": (
            _near(lambda far, c: np.sqrt(np.sum(far**2, axis=2)) <= c),
            "you measure the straight distance of two rows. Each entry on its own has to be near.",
        ),
        "sum": (
            _near(lambda far, c: np.sum(far, axis=2) <= c),
            "you add the differences up. Each entry on its own has to be near.",
        ),
        "no size": (
            lambda t, v, c: np.mean(np.any(np.all(v[:, None] - t[None] <= c, axis=2), axis=1)),
            "you do not take the size of the difference: far below counts as near.",
        ),
        "any training row near": (
            lambda t, v, c: np.mean(np.all(np.any(_apart(t, v) <= c, axis=1), axis=1)),
            "each entry finds its own training row. All entries have to fit the same one.",
        ),
        "count": (
            lambda t, v, c: len(v) * _leaked(t, v, c),
            "you give back how many. Give back the share.",
        ),
        "pairs": (
            lambda t, v, c: _pairs(t, v, c) / len(v),
            "you count pairs. A validation row that occurs twice in training is one row.",
        ),
        "share of pairs": (
            lambda t, v, c: _pairs(t, v, c) / (len(v) * len(t)),
            "this is a share of all pairs. What is asked is a share of the validation rows.",
        ),
        "clean": (
            lambda t, v, c: 1 - _leaked(t, v, c),
            "this is the share that is new. The share that was seen is asked for.",
        ),
        "by training": (
            lambda t, v, c: _leaked(t, v, c) * len(v) / len(t),
            "you divide by the number of training rows.",
        ),
        "marks": (
            lambda t, v, c: np.any(np.all(_apart(t, v) <= c, axis=2), axis=1),
            "you mark the rows. Give back their share, one number.",
        ),
        "per cent": (
            lambda t, v, c: 100 * _leaked(t, v, c),
            "this is in per cent. Give back a share between 0 and 1.",
        ),
    },
)


# --------------------------------------------------------------------------------- head_start


def _head_start(counts):
    shares = counts / np.sum(counts)
    logs = np.log(shares)
    return logs - np.mean(logs), -np.sum(shares * logs)


def _start_then(change):
    """A wrong answer: ``change(biases, loss, shares)``."""
    return lambda counts: change(*_head_start(counts), counts / np.sum(counts))


def _count_inputs(rng):
    """Classes of different size, and not the same in all."""
    k = rng.integers(3, 6)
    return (rng.choice(np.arange(2, 60), k, replace=False),)


head_start = Exercise(
    "head_start",
    reference=_head_start,
    inputs=_count_inputs,
    mistakes={
        "not centred": (
            _start_then(lambda b, loss, p: (np.log(p), loss)),
            "softmax turns your biases into the right shares, but they do not add up "
            "to 0. What may you add to all of them?",
        ),
        "log counts": (
            lambda n: (np.log(n), _head_start(n)[1]),
            "these are the logs of the counts. Softmax makes the right shares of them, "
            "but they do not add up to 0.",
        ),
        "largest at 0": (
            _start_then(lambda b, loss, p: (b - np.max(b), loss)),
            "you took the largest away. The biases have to add up to 0.",
        ),
        "shares": (
            _start_then(lambda b, loss, p: (p, loss)),
            "these are the shares themselves. Softmax takes e to the power of each: what "
            "has to go in?",
        ),
        "shares centred": (
            _start_then(lambda b, loss, p: (p - np.mean(p), loss)),
            "these are the shares, shifted. Softmax takes e to the power of each: "
            "what has to go in?",
        ),
        "sign": (
            _start_then(lambda b, loss, p: (-b, loss)),
            "the biases have the wrong sign: the rarest class gets the highest score.",
        ),
        "odds": (
            _start_then(lambda b, loss, p: (np.log(p / (1 - p)), loss)),
            "log p / (1 − p) undoes a sigmoid. Here is a softmax.",
        ),
        "zero": (
            _start_then(lambda b, loss, p: (0 * b, np.log(len(p)))),
            "this is the start with equal shares. Let the network know how frequent each class is.",
        ),
        "uniform loss": (
            _start_then(lambda b, loss, p: (b, np.log(len(p)))),
            "log k is the loss of equal shares. With these biases a frequent class "
            "costs less, and occurs more often.",
        ),
        "unweighted": (
            _start_then(lambda b, loss, p: (b, -np.mean(np.log(p)))),
            "every class counts the same in your mean. In the loss each sample does: "
            "frequent classes come up more often.",
        ),
        "no weights": (
            _start_then(lambda b, loss, p: (b, -np.sum(np.log(p)))),
            "you add up one loss for each class. Weigh each with how often it comes up.",
        ),
        "of all samples": (
            lambda n: (_head_start(n)[0], _head_start(n)[1] * np.sum(n)),
            "you add the samples up. The loss is their mean.",
        ),
        "loss of the biases": (
            _start_then(lambda b, loss, p: (b, -np.sum(p * b))),
            "you take the biases for the logarithms of the shares. They were shifted.",
        ),
        "negative": (
            _start_then(lambda b, loss, p: (b, -loss)),
            "the sign of the loss is wrong: a cross-entropy is not below 0.",
        ),
        "base two": (
            _start_then(lambda b, loss, p: (b, loss / np.log(2))),
            "the loss is in bits. Use the natural logarithm.",
        ),
        "biases base two": (
            _start_then(lambda b, loss, p: (b / np.log(2), loss)),
            "the biases are logs to base 2. Softmax uses e.",
        ),
        "frequent class": (
            _start_then(lambda b, loss, p: (b, -np.log(np.max(p)))),
            "this is the loss of a sample of the most frequent class. Take the "
            "mean over all samples.",
        ),
        "swapped": (
            _start_then(lambda b, loss, p: (loss, b)),
            "the two are swapped: first the biases, then the loss.",
        ),
        "biases alone": (_start_then(lambda b, loss, p: b), "the loss is missing."),
    },
)


# ---------------------------------------------------------------------------------- find_rate


def _diverged(losses, limit):
    """The first place where a loss is above `limit` times the lowest before it."""
    lowest = np.minimum.accumulate(losses)[:-1]
    above = np.flatnonzero(losses[1:] > limit * lowest)
    return above[0] + 1 if len(above) else len(losses)


def _steepness(rates, losses):
    return np.diff(losses) / np.diff(np.log10(rates))


def _find(
    rates,
    losses,
    limit,
    *,
    cut=_diverged,
    slope=_steepness,
    pick=np.argmin,
    middle=lambda low, high: np.sqrt(low * high),
):
    end = max(cut(losses, limit), 2)
    i = pick(slope(rates[:end], losses[:end]))
    return middle(rates[i], rates[i + 1])


def _find_with(**changes):
    return lambda rates, losses, limit: _find(rates, losses, limit, **changes)


def _first(wrong):
    """The first place after the start where ``wrong(losses)`` holds."""

    def cut(losses, limit):
        places = np.flatnonzero(wrong(losses, limit))
        places = places[places > 0]
        return places[0] if len(places) else len(losses)

    return cut


_SHORTCUTS = {
    "no cut": (
        _find_with(cut=lambda losses, limit: len(losses)),
        "you look at the whole curve. After the run has diverged its losses mean nothing, "
        "and they fall, too.",
    ),
    "cut by the first": (
        _find_with(cut=_first(lambda losses, limit: losses > limit * losses[0])),
        "you compare with the first loss. Compare with the lowest so far: from there a run "
        "diverges, too.",
    ),
    "cut at any rise": (
        _find_with(cut=_first(lambda losses, limit: np.append(0, np.diff(losses)) > 0)),
        "you stop at the first rise. A small one is noise: stop above `limit` times the lowest.",
    ),
    "cut by the one before": (
        _find_with(
            cut=_first(lambda losses, limit: losses > limit * np.append(np.inf, losses[:-1]))
        ),
        "you compare with the loss before. A rise in two steps slips through: compare with the "
        "lowest so far.",
    ),
    "cut at the lowest": (
        _find_with(cut=lambda losses, limit: np.argmin(losses) + 1),
        "you stop at the lowest loss of all. Stop where the run diverges.",
    ),
    "per rate": (
        _find_with(slope=lambda rates, losses: np.diff(losses) / np.diff(rates)),
        "you divide by the step of the rate itself: small rates look steep. Divide by the decades.",
    ),
    "largest fall": (
        _find_with(slope=lambda rates, losses: np.diff(losses)),
        "you take the largest fall, but the steps are not equally wide. Divide by the decades.",
    ),
    "relative fall": (
        _find_with(slope=lambda rates, losses: np.diff(np.log(losses)) / np.diff(np.log10(rates))),
        "you look for the largest fall in per cent. The fall of the loss itself is asked for.",
    ),
    "steepest of all": (
        _find_with(pick=lambda slopes: np.argmax(np.abs(slopes))),
        "a steep rise counts for you as well. Look for the steepest fall.",
    ),
}


def _course(rng, limit, trap):
    """What each loss of a search is multiplied with to give the next."""
    if trap == "cut by the first":  # a relapse within bounds, a fall, and only then out of bounds
        down = [1.0, 0.7, 0.6, 1.2 * limit, 0.3]
        return np.array([*down, 1.3 * limit / np.prod(down), 0.3])
    if trap == "cut by the one before":  # out of bounds in small steps
        step = np.cbrt(1.2 * limit / 0.72)
        return np.array([1.0, 0.9, 0.8, step, step, step, 0.3, 5.0, 0.3])
    return rng.choice([0.5, 0.7, 0.9, 1.1, 1.4, 2.2], rng.integers(6, 9))


def _rate_inputs(rng):
    """A recorded search in which one of `_SHORTCUTS` leads astray, and not where another does.

    No loss lies at the limit and no two falls are alike: neither must hang on rounding.
    """
    # Hardly seen unless drawn:
    rare = ("cut by the first", "cut by the one before", "relative fall")
    trap = rng.choice(list(_SHORTCUTS) if rng.random() < 0.5 else rare)
    while True:
        limit = (1.5, 2.0, 3.0)[rng.integers(3)]
        factors = _course(rng, limit, trap)
        n = len(factors)
        powers = -5 + np.append(0, np.cumsum(rng.choice([0.3, 0.5, 1.0], n - 1)))
        rates = np.array([float(f"{10**power:.1e}") for power in powers])
        losses = (2.3 * np.cumprod(factors * rng.uniform(0.9, 1.1, n))).round(2)
        end, slopes = _diverged(losses, limit), np.sort(_steepness(rates, losses))
        lowest = np.minimum.accumulate(losses)
        if (
            end < 3
            or np.diff(losses[:end]).min() > -0.1
            or losses.min() < 0.1
            or np.diff(slopes).min() < 0.01
            or np.abs(losses - limit * lowest).min() < 1e-3
        ):
            continue
        others = [_find(rates, losses, limit)]
        if trap != "no cut":
            others.append(_SHORTCUTS["no cut"][0](rates, losses, limit))
        if _SHORTCUTS[trap][0](rates, losses, limit) not in others:
            return rates, losses, limit


find_rate = Exercise(
    "find_rate",
    reference=_find,
    inputs=_rate_inputs,
    mistakes={
        **_SHORTCUTS,
        "ordinary middle": (
            _find_with(middle=lambda low, high: (low + high) / 2),
            "this is the ordinary mean of the two rates. On a logarithmic axis "
            "the middle is elsewhere.",
        ),
        "left end": (
            _find_with(middle=lambda low, high: low),
            "this is the rate before the fall. Give back the middle of the interval.",
        ),
        "right end": (
            _find_with(middle=lambda low, high: high),
            "this is the rate after the fall. Give back the middle of the interval.",
        ),
        "log of the rate": (
            _find_with(middle=lambda low, high: np.log10(low * high) / 2),
            "this is the power of ten. Give back the rate itself.",
        ),
        "product": (
            _find_with(middle=lambda low, high: low * high),
            "you multiply the two rates. A root is missing.",
        ),
        "steepest rise": (
            _find_with(pick=np.argmax),
            "this is where the loss rises fastest. Where does it fall?",
        ),
        "lowest loss": (
            lambda rates, losses, limit: rates[np.argmin(losses[: _diverged(losses, limit)])],
            "this is the rate at the lowest loss, near the edge. The steepest fall is asked for.",
        ),
        "last before": (
            lambda rates, losses, limit: rates[_diverged(losses, limit) - 1],
            "this is the last rate before the run diverges: too near to the edge.",
        ),
    },
)


# ---------------------------------------------------------------------------------- confusion


def _confusion(labels, predictions, classes):
    table = np.zeros((classes, classes), dtype=int)
    np.add.at(table, (labels, predictions), 1)
    return table, np.diag(table) / np.sum(table, axis=1)


def _confusion_then(change):
    """A wrong answer: ``change(table, recalls)``."""
    return lambda labels, predictions, classes: change(*_confusion(labels, predictions, classes))


def _label_inputs(rng):
    """Each class occurs, and is predicted; classes are not alike in number."""
    k = int(rng.integers(2, 5))
    sizes = np.arange(k, 0, -1)
    while True:
        labels = rng.choice(k, n := rng.integers(10, 15), p=sizes / np.sum(sizes))
        predictions = np.where(rng.random(n) < 0.6, labels, rng.integers(0, k, n))
        table = np.zeros((k, k))
        np.add.at(table, (labels, predictions), 1)
        if min(table.sum(0).min(), table.sum(1).min()) > 0 and (table != table.T).any():
            return labels, predictions, k


confusion = Exercise(
    "confusion",
    reference=_confusion,
    inputs=_label_inputs,
    mistakes={
        "transposed": (
            _confusion_then(lambda table, r: (table.T, r)),
            "rows and columns of the table are swapped: a row is a label, a column "
            "what was predicted.",
        ),
        "all swapped": (
            lambda y, p, k: _confusion(p, y, k),
            "labels and predictions are swapped: in the table, and so in the shares.",
        ),
        "precision": (
            _confusion_then(lambda table, r: (table, np.diag(table) / np.sum(table, axis=0))),
            "you divide by how often a class was predicted. Divide by how often it occurs.",
        ),
        "of all": (
            _confusion_then(lambda table, r: (table, np.diag(table) / np.sum(table))),
            "you divide by all samples. Divide by those of the class.",
        ),
        "counted once": (
            _confusion_then(lambda table, r: (np.minimum(table, 1), r)),
            "no count is above 1: `table[labels, predictions] += 1` adds once where a "
            "pair comes up several times.",
        ),
        "counted once, shares": (
            _confusion_then(
                lambda table, r: (
                    np.minimum(table, 1),
                    np.diag(np.minimum(table, 1)) / np.sum(np.minimum(table, 1), axis=1),
                )
            ),
            "no count is above 1: `table[labels, predictions] += 1` adds once where a pair comes "
            "up several times. The shares suffer.",
        ),
        "accuracy": (
            _confusion_then(lambda table, r: (table, np.trace(table) / np.sum(table))),
            "this is the accuracy. One share for each class is asked for: it hides nothing.",
        ),
        "balanced": (
            _confusion_then(lambda table, r: (table, np.mean(r))),
            "you average the shares. Give back one for each class.",
        ),
        "missed": (
            _confusion_then(lambda table, r: (table, 1 - r)),
            "this is the share that was missed. The share that was found is asked for.",
        ),
        "right ones": (
            _confusion_then(lambda table, r: (table, np.diag(table))),
            "these are counts. Divide each by how often its class occurs.",
        ),
        "shares in the table": (
            _confusion_then(lambda table, r: (table / np.sum(table, axis=1, keepdims=True), r)),
            "the table holds shares. It should hold counts.",
        ),
        "shares of all in the table": (
            _confusion_then(lambda table, r: (table / np.sum(table), r)),
            "the table holds shares of all samples. It should hold counts.",
        ),
        "diagonal": (
            _confusion_then(lambda table, r: (np.diag(np.diag(table)), r)),
            "your table counts right predictions alone. Mistakes are what it is for.",
        ),
        "mistakes alone": (
            _confusion_then(lambda table, r: (table - np.diag(np.diag(table)), r)),
            "your table counts mistakes alone. The right ones belong on the diagonal.",
        ),
        "swapped": (
            _confusion_then(lambda table, r: (r, table)),
            "the two are swapped: first the table, then the shares.",
        ),
        "table alone": (_confusion_then(lambda table, r: table), "the shares are missing."),
    },
)


# -------------------------------------------------------------------------- calibration_error


def _gaps(confidences, right, bins, which=None):
    """Mean confidence minus share right of each bin with samples in it, and its samples."""
    which = np.minimum((confidences * bins).astype(int), bins - 1) if which is None else which
    full = [which == b for b in np.unique(which)]
    return (
        np.array([np.mean(confidences[b]) - np.mean(right[b]) for b in full]),
        np.array([np.sum(b) for b in full]),
    )


def _calibration(confidences, right, bins, which=None):
    gaps, sizes = _gaps(confidences, right, bins, which)
    return np.sum(sizes * np.abs(gaps)) / len(right)


def _from_gaps(change):
    """A wrong answer: ``change(gaps, sizes, bins)``."""
    return lambda c, r, bins: change(*_gaps(c, r, bins), bins)


def _bin_middles(c, r, bins):
    which = (c * bins).astype(int)
    return np.sum([np.abs(np.sum(r[which == b] - (b + 0.5) / bins)) for b in range(bins)]) / len(r)


def _by_rank(c, r, bins):
    which = np.empty(len(c), int)
    which[np.argsort(c)] = np.arange(len(c)) * bins // len(c)
    return _calibration(c, r, bins, which)


def _confidence_inputs(rng):
    """Confidences that are no edge of a bin; one bin is too sure, another not sure enough."""
    while True:
        n, bins = rng.integers(7, 12), (4, 5)[rng.integers(2)]
        confidences = (rng.integers(25, 100, n) / 100 - 0.005).round(3)
        right = (rng.random(n) < 0.6).astype(int)
        gaps, sizes = _gaps(confidences, right, bins)
        if (
            len(set(confidences)) == n
            and gaps.min() < -0.05
            and gaps.max() > 0.05
            and len(set(sizes)) > 1
        ):
            return confidences, right, bins


calibration_error = Exercise(
    "calibration_error",
    reference=_calibration,
    inputs=_confidence_inputs,
    mistakes={
        "unweighted": (
            _from_gaps(lambda gaps, sizes, bins: np.mean(np.abs(gaps))),
            "every bin counts the same. Weigh each with the share of samples in it.",
        ),
        "divided by bins": (
            _from_gaps(lambda gaps, sizes, bins: np.sum(np.abs(gaps)) / bins),
            "every bin counts the same, even an empty one. Weigh each with the "
            "share of samples in it.",
        ),
        "added": (
            _from_gaps(lambda gaps, sizes, bins: np.sum(np.abs(gaps))),
            "you add the gaps up. Weigh each with the share of samples in it.",
        ),
        "signed": (
            _from_gaps(lambda gaps, sizes, bins: np.sum(sizes * gaps) / np.sum(sizes)),
            "a bin that is too sure and one that is not sure enough cancel. Take the size "
            "of each gap.",
        ),
        "one bin": (
            lambda c, r, bins: np.abs(np.mean(c) - np.mean(r)),
            "you compare the means of all samples: too sure here and not sure enough "
            "there cancel. Compare within each bin.",
        ),
        "largest": (
            _from_gaps(lambda gaps, sizes, bins: np.max(np.abs(gaps))),
            "this is the largest gap. The weighted mean of all is asked for.",
        ),
        "squared": (
            _from_gaps(lambda gaps, sizes, bins: np.sum(sizes * gaps**2) / np.sum(sizes)),
            "the gaps are squared. Take their size.",
        ),
        "root": (
            _from_gaps(lambda gaps, sizes, bins: np.sqrt(np.sum(sizes * gaps**2) / np.sum(sizes))),
            "you take the root of the mean square. Take the mean of the sizes.",
        ),
        "not divided": (
            _from_gaps(lambda gaps, sizes, bins: np.sum(sizes * np.abs(gaps))),
            "you weigh with the number of samples. Weigh with their share.",
        ),
        "each sample": (
            lambda c, r, bins: np.mean(np.abs(c - r)),
            "you compare each sample with itself. Right or wrong is 1 or 0; a share "
            "needs many samples: those of a bin.",
        ),
        "brier": (
            lambda c, r, bins: np.mean((c - r) ** 2),
            "this is the mean squared error of the confidences, Brier's score. It measures "
            "more than calibration.",
        ),
        "wrong ones": (
            lambda c, r, bins: _calibration(c, 1 - r, bins),
            "you compare with the share that is wrong. Compare with the share that is right.",
        ),
        "rounded bins": (
            lambda c, r, bins: _calibration(c, r, bins, np.round(c * bins).astype(int)),
            "you round to the nearest edge, and shift the bins by half. Bin b "
            "reaches from b / bins to (b + 1) / bins.",
        ),
        "middles": (
            _bin_middles,
            "you take the middle of each bin. Take the mean confidence of the samples in it.",
        ),
        "one bin more": (
            lambda c, r, bins: _calibration(c, r, bins + 1),
            "you have one bin too many.",
        ),
        "one bin less": (
            lambda c, r, bins: _calibration(c, r, bins - 1),
            "you have one bin too few: for n bins `np.linspace` needs n + 1 edges.",
        ),
        "ten bins": (
            lambda c, r, bins: _calibration(c, r, 10),
            "you always take ten bins. Take `bins`.",
        ),
        "equal numbers": (
            _by_rank,
            "your bins hold about equally many samples. They should be equally wide.",
        ),
    },
)
