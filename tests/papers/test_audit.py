"""The audit never accuses an honest table, finds planted errors, and bounds the paired test it cannot make."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from medxai_helpers.evaluation.audit import Printed, PublishedTable, audit_report, differ, sizes_that_fit

SCORES = ("precision", "recall", "f1")


def honest_table(seed: int, decimals: int = 2) -> PublishedTable:
    """Rounded scores of a random confusion, as scikit-learn computes them."""
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 9))
    truth = np.repeat(np.arange(classes), rng.integers(20, 300, classes))
    guess = np.where(rng.random(len(truth)) < rng.uniform(0.3, 0.99), truth, rng.integers(0, classes, len(truth)))
    columns = metrics.precision_recall_fscore_support(truth, guess, labels=np.arange(classes), zero_division=0)

    def printed(value: float, digits: int) -> Printed:
        return Printed(f"{value:.{digits}f}")

    def mean(average: str) -> dict[str, Printed]:
        values = metrics.precision_recall_fscore_support(truth, guess, average=average, zero_division=0)[:3]
        return {name: printed(value, 4) for name, value in zip(SCORES, values, strict=True)}

    return PublishedTable(
        "random",
        tuple(f"class {index}" for index in range(classes)),
        *(tuple(printed(value, decimals) for value in column) for column in columns[:3]),
        support=tuple(int(count) for count in columns[3]),
        macro=mean("macro"),
        weighted=mean("weighted"),
        accuracy=printed(metrics.accuracy_score(truth, guess), 4),
    )


@pytest.mark.parametrize("decimals", [2, 3, 4])
def test_an_honest_table_is_never_contradicted(decimals: int) -> None:
    for seed in range(60):
        report = audit_report(honest_table(seed, decimals))
        assert (report["verdict"] == "consistent").all(), report[report["verdict"] != "consistent"].to_string()


def shifted(value: Printed, by: float) -> Printed:
    return Printed(f"{min(max(value.value + by, 0), 1):.{value.decimals}f}")


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("F1 from precision and recall", lambda t: replace(t, f1=(shifted(t.f1[0], -0.1), *t.f1[1:]))),
        ("macro mean of the classes", lambda t: replace(t, macro={"f1": shifted(t.macro["f1"], -0.02)})),
        (
            "weighted mean of the classes",
            lambda t: replace(t, weighted={"recall": shifted(t.weighted["recall"], 0.02)}),
        ),
        ("accuracy from recalls and supports", lambda t: replace(t, accuracy=shifted(t.accuracy, -0.02))),
        (
            "predictions add up to all images",
            lambda t: replace(t, precision=tuple(shifted(p, -0.2) for p in t.precision)),
        ),
    ],
)
def test_a_planted_error_is_found_by_its_check(check, change) -> None:
    report = audit_report(change(honest_table(3, decimals=3))).set_index("check")
    assert "contradicted" in list(report.loc[[check], "verdict"])


def test_a_share_of_whole_images() -> None:
    table = replace(honest_table(0), support=(7,) * len(honest_table(0).classes), accuracy=None)
    report = audit_report(replace(table, recall=(Printed("0.50"), *table.recall[1:])))
    row = report[(report["check"] == "a share of whole images") & (report["subject"] == "class 0")].iloc[0]
    assert (row["verdict"], row["allowed"]) == ("contradicted", "no count of 7")


@pytest.mark.parametrize(
    ("text", "n", "counts"), [("0.5", 10, [5]), ("0.33", 3, [1]), ("0.50", 3, []), ("1.00", 5, [5]), ("0.00", 4, [0])]
)
def test_counts_that_are_printed_like_this(text: str, n: int, counts: list[int]) -> None:
    assert Printed(text).counts(n) == counts


def test_counts_agree_with_rounding_every_share() -> None:
    for n in (3, 17, 48, 300):
        for text in ("0.77", "0.8833", "0.9"):
            digits = Printed(text).decimals
            close = [k for k in range(n + 1) if abs(k / n - float(text)) <= 0.5 * 10**-digits + 1e-12]
            assert Printed(text).counts(n) == close


def test_the_smallest_test_set_behind_three_accuracies() -> None:
    sizes = sizes_that_fit([Printed("0.8833"), Printed("0.8833"), Printed("0.7700")], 600)
    assert sizes == [300, 574, 600]


@pytest.mark.parametrize(("first", "second", "n"), [(265, 231, 300), (9, 7, 10), (50, 50, 60), (1345, 1420, 1600)])
def test_the_bounds_hold_for_every_overlap(first: int, second: int, n: int) -> None:
    result = differ(first, second, n)
    for both in range(max(0, first + second - n), min(first, second) + 1):
        b, c = first - both, second - both
        p = stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
        assert result.p_lowest - 1e-12 <= p <= result.p_highest + 1e-12


def test_three_verdicts() -> None:
    assert differ(265, 231, 300).verdict == "beyond chance"
    assert differ(265, 265, 300).verdict == "within chance"
    assert differ(90, 80, 100).verdict == "depends on the overlap"


@pytest.mark.parametrize("text", ["", "high", "nan", "1,5"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="decimal number"):
        Printed(text)


def test_bad_tables_and_counts_are_refused() -> None:
    table = honest_table(0)
    with pytest.raises(ValueError, match="per class"):
        replace(table, recall=table.recall[1:])
    with pytest.raises(ValueError, match="means of"):
        replace(table, macro={"auroc": Printed("0.9")})
    with pytest.raises(ValueError, match="counts from 0 to n"):
        differ(11, 3, 10)
    with pytest.raises(ValueError, match="at least one accuracy"):
        sizes_that_fit([])
