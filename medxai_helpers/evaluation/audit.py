"""Audit a published table of scores: what its own numbers allow, and what they rule out.

A printed number stands for every value that rounds to it, so each check works with a range and speaks only when the
ranges do not meet. A count of images must be whole; that alone excludes many printed values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from medxai_helpers.evaluation.intervals import Estimate, wilson_interval

if TYPE_CHECKING:
    import pandas as pd

CONSISTENT, CONTRADICTED = "consistent", "contradicted"


@dataclass(frozen=True)
class Printed:
    """A number as printed: it stands for every value that rounds to it. Introduced in chapter 22.

    Parameters
    ----------
    text : str
        A decimal fraction with all its printed digits, for example ``"0.8406"`` (or ``"0.9200"`` for 92.00 %).

    Raises
    ------
    ValueError
        If the text is no decimal number.

    Examples
    --------
    >>> low, high = Printed("0.98").range
    >>> round(low, 4), round(high, 4)
    (0.975, 0.985)
    """

    text: str

    def __post_init__(self) -> None:
        try:
            finite = Decimal(self.text).is_finite()
        except InvalidOperation:
            finite = False
        if not finite:
            raise ValueError(
                f"Expected a decimal number with its printed digits, such as '0.84', but got {self.text!r}."
            )

    @property
    def value(self) -> float:
        """The number itself."""
        return float(self.text)

    @property
    def decimals(self) -> int:
        """How many digits stand behind the point."""
        exponent = Decimal(self.text).as_tuple().exponent
        return max(0, -int(exponent))

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value that rounds to it, either way of rounding a half."""
        half = 0.5 * 10.0**-self.decimals
        return self.value - half, self.value + half

    def admits(self, low: float, high: float) -> bool:
        """Tell whether some value between ``low`` and ``high`` may be printed like this."""
        slack = 1e-12
        return low <= self.range[1] + slack and high >= self.range[0] - slack

    def counts(self, n: int) -> list[int]:
        """Return every whole number of successes among ``n`` whose share is printed like this."""
        low, high = self.range
        return list(range(max(0, math.ceil(low * n - 1e-9)), min(n, math.floor(high * n + 1e-9)) + 1))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class PublishedTable:
    """One model's scores as a paper prints them. Introduced in chapter 22.

    Parameters
    ----------
    model : str
        Name of the model.
    classes : tuple of str
        Class names in the paper's order.
    precision, recall, f1 : tuple of Printed
        Per class.
    support : tuple of int
        Images of each class among those judged.
    macro, weighted : dict
        Printed means, by the names ``precision``, ``recall`` and ``f1``; may be empty.
    accuracy : Printed, optional
        The printed accuracy.

    Raises
    ------
    ValueError
        If the columns differ in length or a mean has an unknown name.
    """

    model: str
    classes: tuple[str, ...]
    precision: tuple[Printed, ...]
    recall: tuple[Printed, ...]
    f1: tuple[Printed, ...]
    support: tuple[int, ...]
    macro: dict[str, Printed]
    weighted: dict[str, Printed]
    accuracy: Printed | None = None

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (self.classes, self.precision, self.recall, self.f1, self.support)}
        if len(lengths) != 1:
            raise ValueError(f"Expected one precision, recall, F1 and support per class, but got {sorted(lengths)}.")
        unknown = {*self.macro, *self.weighted} - {"precision", "recall", "f1"}
        if unknown:
            raise ValueError(f"Expected means of 'precision', 'recall' and 'f1', but got {sorted(unknown)}.")

    @property
    def n(self) -> int:
        """Images judged."""
        return sum(self.support)

    def column(self, name: str) -> tuple[Printed, ...]:
        """Return the printed values of ``precision``, ``recall`` or ``f1``, class by class."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}[name]


@dataclass(frozen=True)
class Check:
    """One finding of an audit: what was printed, what the rest of the table allows, and whether they meet."""

    check: str
    subject: str
    printed: str
    allowed: str
    verdict: str


def audit_report(table: PublishedTable) -> pd.DataFrame:
    """Recompute what a published table says about itself. Introduced in chapter 22.

    Checked are: F1 from precision and recall; macro and weighted means from the classes; accuracy from recalls and
    supports; that recalls and accuracy are shares of whole counts; and that the images predicted for all classes, which
    precision and recall imply, add up to all images.

    Parameters
    ----------
    table : PublishedTable
        As printed.

    Returns
    -------
    DataFrame
        One row per check: ``check``, ``subject``, ``printed``, ``allowed`` (what the rest of the table leaves) and
         ``verdict`` (``"consistent"`` or ``"contradicted"``).

    Source: the check of whole counts follows Brown and Heathers 2017.
    """
    import pandas as pd

    checks = [*_f1_checks(table), *_mean_checks(table), *_accuracy_checks(table), *_whole_checks(table), _total(table)]
    return pd.DataFrame([vars(check) for check in checks])


def _check(check: str, subject: str, printed: Printed, low: float, high: float) -> Check:
    digits = printed.decimals + 2
    verdict = CONSISTENT if printed.admits(low, high) else CONTRADICTED
    return Check(check, subject, printed.text, f"{low:.{digits}f} to {high:.{digits}f}", verdict)


def _f1_checks(table: PublishedTable) -> list[Check]:
    rows = zip(table.classes, table.precision, table.recall, table.f1, strict=True)
    return [
        _check("F1 from precision and recall", name, f1, _f1(p.range[0], r.range[0]), _f1(p.range[1], r.range[1]))
        for name, p, r, f1 in rows
    ]


def _f1(precision: float, recall: float) -> float:
    total = precision + recall
    return 2 * precision * recall / total if total > 0 else 0.0


def _mean_checks(table: PublishedTable) -> list[Check]:
    equal = [1 / len(table.classes)] * len(table.classes)
    shares = [support / table.n for support in table.support]
    kinds = (
        ("macro mean of the classes", table.macro, equal),
        ("weighted mean of the classes", table.weighted, shares),
    )
    return [
        _check(kind, name, printed, *_mean_range(table.column(name), weights))
        for kind, means, weights in kinds
        for name, printed in means.items()
    ]


def _mean_range(values: tuple[Printed, ...], weights: list[float]) -> tuple[float, float]:
    low = sum(weight * value.range[0] for value, weight in zip(values, weights, strict=True))
    high = sum(weight * value.range[1] for value, weight in zip(values, weights, strict=True))
    return low, high


def _accuracy_checks(table: PublishedTable) -> list[Check]:
    if table.accuracy is None:
        return []
    shares = [support / table.n for support in table.support]
    low, high = _mean_range(table.recall, shares)
    return [_check("accuracy from recalls and supports", "all classes", table.accuracy, low, high)]


def _whole_checks(table: PublishedTable) -> list[Check]:
    wanted = [(name, recall, n) for name, recall, n in zip(table.classes, table.recall, table.support, strict=True)]
    if table.accuracy is not None:
        wanted.append(("all classes", table.accuracy, table.n))
    return [_whole(subject, printed, n) for subject, printed, n in wanted]


def _whole(subject: str, printed: Printed, n: int) -> Check:
    counts = printed.counts(n)
    if not counts:
        return Check("a share of whole images", subject, printed.text, f"no count of {n:,}", CONTRADICTED)
    few = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return Check("a share of whole images", subject, printed.text, f"{few} of {n:,}", CONSISTENT)


def _total(table: PublishedTable) -> Check:
    rows = zip(table.precision, table.recall, table.support, strict=True)
    ranges = [_predicted_range(precision, recall, support) for precision, recall, support in rows]
    low, high = sum(low for low, _ in ranges), sum(high for _, high in ranges)
    verdict = CONSISTENT if low <= table.n <= high else CONTRADICTED
    return Check("predictions add up to all images", "all classes", f"{table.n:,}", f"{low:,} to {high:,}", verdict)


def _predicted_range(precision: Printed, recall: Printed, support: int) -> tuple[int, int]:
    """Fewest and most images predicted for a class, given whole numbers of right ones."""
    right = recall.counts(support)
    low, high = max(precision.range[0], 1e-12), precision.range[1]
    if not right:
        return 0, support
    return math.ceil(right[0] / high - 1e-9), math.floor(right[-1] / low + 1e-9)


def sizes_that_fit(printed: list[Printed], largest: int = 2000) -> list[int]:
    """Return every test-set size for which all printed accuracies are shares of whole counts. Introduced in chapter 22.

    Parameters
    ----------
    printed : list of Printed
        Accuracies printed for the same images.
    largest : int
        Where to stop looking.

    Examples
    --------
    >>> sizes_that_fit([Printed("0.8833"), Printed("0.7700")])[0]
    300

    Source: the argument is that of Brown and Heathers 2017.
    """
    if not printed or largest < 1:
        raise ValueError(f"Expected at least one accuracy and a largest size >= 1, but got {len(printed)}, {largest}.")
    return [n for n in range(1, largest + 1) if all(accuracy.counts(n) for accuracy in printed)]


@dataclass(frozen=True)
class AccuracyDifference:
    """What two accuracies on the same images can say about each other, not knowing which images. See :func:`differ`."""

    first: Estimate
    second: Estimate
    p_lowest: float
    p_highest: float

    @property
    def verdict(self) -> str:
        """``"beyond chance"``, ``"within chance"`` or ``"depends on the overlap"``, at the level 0.05."""
        if self.p_highest < 0.05:
            return "beyond chance"
        return "depends on the overlap" if self.p_lowest < 0.05 else "within chance"


def differ(first: int, second: int, n: int) -> AccuracyDifference:
    """Ask whether two models with so many right of the same ``n`` images differ beyond chance.

    A paired test needs to know which images each model got right. A paper that prints two accuracies does not say, but
    the answer lies between two extremes: as much overlap as possible, and as little. Both are tested (exact McNemar).
    Introduced in chapter 22.

    Parameters
    ----------
    first, second : int
        Images that each model had right.
    n : int
        Images that both were tested on.

    Raises
    ------
    ValueError
        If the counts cannot be.

    Examples
    --------
    >>> differ(265, 231, 300).verdict
    'beyond chance'

    Source: McNemar 1947, exact form.
    """
    if not (0 <= first <= n and 0 <= second <= n and n > 0):
        raise ValueError(f"Expected counts from 0 to n and n > 0, but got {first}, {second} and {n}.")
    most, least = min(first, second), max(0, first + second - n)
    p_values = sorted(_exact_mcnemar(first - both, second - both) for both in (most, least))
    return AccuracyDifference(wilson_interval(first, n), wilson_interval(second, n), *p_values)


def _exact_mcnemar(only_first: int, only_second: int) -> float:
    from scipy import stats

    total = only_first + only_second
    return 1.0 if total == 0 else float(stats.binomtest(only_first, total, 0.5).pvalue)
