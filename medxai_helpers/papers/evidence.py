"""The computations behind the verdicts: each looks at what a paper prints, or at run records, and says what follows.

A verdict is computed, never typed: the tests compare it with the one entered in the paper's file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medxai_helpers.evaluation.audit import Printed, audit_report, differ, sizes_that_fit
from medxai_helpers.evaluation.intervals import wilson_interval
from medxai_helpers.papers.published import CONTRADICTED, NOT_SUPPORTED, SUPPORTED, Claim, Paper, load_paper

if TYPE_CHECKING:
    from medxai_helpers.records import RunRecord


@dataclass(frozen=True)
class Finding:
    """What a computation found about a claim. Introduced in chapter 22.

    Parameters
    ----------
    verdict : str
        What follows for the claim.
    text : str
        The finding in words, with its numbers.
    """

    verdict: str
    text: str


def finding_of(claim: Claim) -> Finding:
    """Compute what is known about a claim. Introduced in chapter 22.

    A claim that cannot be tested here gives its reason, and the command that would answer it where there is one.

    Raises
    ------
    ValueError
        If the claim names a computation that does not exist.
    """
    if claim.evidence is None:
        answer = (
            f"What would answer it: `{claim.command}`." if claim.command else "A plan for it is still to be written."
        )
        return Finding(claim.verdict, f"{claim.why} {answer}")
    if claim.evidence not in EVIDENCE:
        raise ValueError(
            f"Expected evidence among {sorted(EVIDENCE)}, but claim {claim.id!r} names {claim.evidence!r}."
        )
    return EVIDENCE[claim.evidence](load_paper(claim.id.split("-")[0]))


def _difference(paper: Paper) -> Finding:
    first, second = paper.accuracies
    n = int(first.n or 0)
    right = [accuracy.printed.counts(n)[0] for accuracy in (first, second)]
    result = differ(right[0], right[1], n)
    return Finding(
        SUPPORTED if result.verdict == "beyond chance" else NOT_SUPPORTED,
        f"The paper shows no test, but its numbers allow one: {right[0]:,} and {right[1]:,} of {n:,} images right. "
        "However "
        f"the two sets overlap, McNemar's exact test gives p of at most {result.p_highest:.1g}. That is about images, "
        "for "
        "one trained network each; it says nothing about other runs.",
    )


def _all_metrics(paper: Paper) -> Finding:
    first, second = paper.tables["ResNet18"], paper.tables["DenseNet121"]
    falls = [
        f"{score} of {name} falls from {before} to {after}"
        for score in ("precision", "recall", "f1")
        for name, before, after in zip(first.classes, first.column(score), second.column(score), strict=True)
        if after.range[1] < before.range[0]
    ]
    text = f"{len(falls)} of {3 * len(first.classes)} per-class scores fall: {'; '.join(falls)}."
    return Finding(CONTRADICTED if falls else SUPPORTED, text.replace("f1 of", "F1 of"))


def _f1_of(paper: Paper, name: str) -> dict[str, float]:
    return {model: table.f1[table.classes.index(name)].value for model, table in paper.tables.items()}


def _polyps(paper: Paper) -> Finding:
    values = [value for name in ("polyps", "dyed-lifted-polyps") for value in _f1_of(paper, name).values()]
    above = sum(value > 0.90 for value in values)
    text = f"The four values run from {min(values):.2f} to {max(values):.2f}; {above} of {len(values)} lie above 0.90."
    return Finding(SUPPORTED if above == len(values) else CONTRADICTED, text)


def _colitis(paper: Paper) -> Finding:
    values = _f1_of(paper, "ulcerative-colitis")
    inside = all(0.845 <= value < 0.885 for value in values.values())
    printed = ", ".join(f"{value:.2f} ({model})" for model, value in values.items())
    return Finding(SUPPORTED if inside else CONTRADICTED, f"The table prints {printed}: better than the text says.")


def _normals(paper: Paper) -> Finding:
    ranks, printed = [], []
    for model, table in paper.tables.items():
        values = {name: f1.value for name, f1 in zip(table.classes, table.f1, strict=True)}
        ranks.append(sorted(values, key=lambda name: values[name]).index("normal-z-line") + 1)
        printed.append(f"{values['normal-z-line']:.2f} ({model})")
    place = f"second lowest of eight in {ranks.count(2)} of {len(ranks)} tables"
    text = f"F1 of the z-line is {' and '.join(printed)}, {place}."
    return Finding(CONTRADICTED if max(ranks) <= 2 else SUPPORTED, text)


def _class_numbers(paper: Paper) -> Finding:
    classes = next(iter(paper.tables.values())).classes
    right = classes[5] == "dyed-resection-margins" and classes[6] == "ulcerative-colitis"
    text = f"By the paper's own order, counted from 0, class 5 is {classes[5]} and class 6 is {classes[6]}."
    return Finding(SUPPORTED if right else CONTRADICTED, text)


def _imbalance(paper: Paper) -> Finding:
    equal = all(table.macro == table.weighted for table in paper.tables.values())
    text = (
        "Macro and weighted means are printed identical for both models, to four digits and for three scores, which "
        "is what "
        "balanced classes give; Kvasir v2 has 1,000 images in every class."
    )
    return Finding(CONTRADICTED if equal else SUPPORTED, text if equal else "Macro and weighted means differ.")


def _averages(paper: Paper) -> Finding:
    printed = {name: Printed(text) for name, text in paper.averages[0].items() if name != "model"}
    low, high = (2 * p * r / (p + r) for p, r in zip(printed["precision"].range, printed["recall"].range, strict=True))
    text = f"Precision and recall as printed leave F1 between {low:.4f} and {high:.4f}; {printed['f1']} is printed."
    return Finding(SUPPORTED if printed["f1"].admits(low, high) else CONTRADICTED, text)


def _no_size(paper: Paper) -> Finding:
    accuracy = paper.accuracies[0]
    sizes = sizes_that_fit([accuracy.printed], 1000)
    spans = [wilson_interval(accuracy.printed.counts(n)[0], n) for n in (sizes[0], 1000)]
    text = (
        "No data set, test size, baseline or interval is given. "
        f"{accuracy.printed} is a share of whole images for any of {len(sizes)} test sizes up to 1,000. Wilson's 95 % "
        "interval "
        f"would be {spans[0].low:.2f} to {spans[0].high:.2f} at {spans[0].n} images and {spans[1].low:.2f} to "
        f"{spans[1].high:.2f} at {spans[1].n:,}; and how much of it a dummy reaches depends on the unstated class "
        "balance."
    )
    return Finding(NOT_SUPPORTED, text)


def _one_figure(paper: Paper) -> Finding:  # noqa: ARG001
    return Finding(
        NOT_SUPPORTED,
        "The evidence is one figure. No map was compared with a finding, no reader was asked, and no outcome was "
        "measured.",
    )


def _simplecnn_parameters(paper: Paper) -> Finding:  # noqa: ARG001
    from medxai_helpers.models import build_model

    def count(name: str) -> int:
        return sum(parameter.numel() for parameter in build_model(name, classes=4, channels=3).parameters())

    simple, residual, dense = map(count, ("simple-cnn", "resnet50", "densenet121"))
    text = (
        f"With four classes at 224 x 224 pixels SimpleCNN has {simple:,} parameters, ResNet50 {residual:,} and "
        "DenseNet121 "
        f"{dense:,}. It is simple in its layers; nearly all of its size sits in one dense layer."
    )
    return Finding(NOT_SUPPORTED if simple > max(residual, dense) else SUPPORTED, text)


def _test_counts(paper: Paper) -> tuple[int, dict[str, int]]:
    tested = [accuracy for accuracy in paper.accuracies if accuracy.part == "test"]
    n = sizes_that_fit([accuracy.printed for accuracy in tested])[0]
    return n, {accuracy.model: accuracy.printed.counts(n)[0] for accuracy in tested}


def _test_gap(paper: Paper) -> Finding:
    n, right = _test_counts(paper)
    result = differ(right["ResNet50"], right["SimpleCNN"], n)
    text = (
        f"The printed accuracies fit {n} test images and no fewer: {right['ResNet50']} and {right['SimpleCNN']} "
        "right. If so, "
        f"McNemar's exact test gives p of at most {result.p_highest:.1g}, however the two overlap."
    )
    return Finding(SUPPORTED if result.verdict == "beyond chance" else NOT_SUPPORTED, text)


def _test_tie(paper: Paper) -> Finding:
    n, right = _test_counts(paper)
    result = differ(right["ResNet50"], right["DenseNet121"], n)
    width = result.first.high - result.first.low
    text = (
        f"{right['ResNet50']} and {right['DenseNet121']} of {n} right is a tie on these images. Each 95 % interval is "
        f"{100 * width:.1f} points wide ({result.first.low:.3f} to {result.first.high:.3f}), so a difference of "
        "several "
        "points between the two could not have been seen. No evidence of a difference is not evidence of none."
    )
    return Finding(NOT_SUPPORTED, text)


def _validation_against_test(paper: Paper) -> Finding:
    validation = next(each for each in paper.accuracies if each.part == "validation")
    n, right = _test_counts(paper)
    interval = differ(right["ResNet50"], right["ResNet50"], n).first
    outside = validation.printed.range[0] > interval.high
    text = (
        f"On the test images it is {interval.value:.4f} (95 % interval {interval.low:.3f} to {interval.high:.3f}, n = "
        f"{n}), "
        f"and {validation.printed} lies {'above' if outside else 'inside'} that interval. Which epoch was kept, and "
        "by what, "
        "is not stated; a validation score that chose it is too high by construction."
    )
    return Finding(NOT_SUPPORTED if outside else SUPPORTED, text)


def _densenet_origin(paper: Paper) -> Finding:  # noqa: ARG001
    return Finding(
        NOT_SUPPORTED,
        "DenseNet was proposed for, and tested on, photographs of everyday things: CIFAR-10, CIFAR-100, SVHN and "
        "ImageNet "
        "{cite}`huang2017`. Later work used it for chest radiographs; that is a use, not an intention.",
    )


def _no_cost(paper: Paper) -> Finding:  # noqa: ARG001
    import torch

    from medxai_helpers.explanation import grad_cam
    from medxai_helpers.models import MODELS, build_model

    model = build_model("compact-cnn", classes=4).eval()
    images = torch.linspace(0, 1, 64 * 64).reshape(1, 1, 64, 64)
    with torch.no_grad():
        before = model(images)
        grad_cam(model, images, MODELS["compact-cnn"].cam_layer)
        same = torch.equal(before, model(images))
    text = (
        "True by construction: Grad-CAM reads activations and gradients of a trained network and changes no weight. "
        "Logits "
        f"before and after one explanation are {'equal to the last bit' if same else 'different'} here."
    )
    return Finding(SUPPORTED if same else NOT_SUPPORTED, text)


def _no_finding_accuracy(paper: Paper) -> Finding:
    from medxai_helpers.datasets.catalogue import CATALOGUE
    from medxai_helpers.datasets.packaged import chestxray14_labels

    labels, findings = chestxray14_labels()["label"], CATALOGUE["chestxray14"].classes
    present = labels.str.get_dummies("|").reindex(columns=list(findings), fill_value=0)
    accuracy = 1 - float(present.to_numpy().mean())
    printed = paper.accuracies[0].printed
    text = (
        f'Answering "no" to all {len(findings)} findings of all {len(labels):,} images, without looking at one, is '
        "right in "
        f"{accuracy:.3f} of the answers by the official label table; the paper prints {printed}. Accuracy says "
        "nothing here; "
        "the field reports AUROC per finding."
    )
    return Finding(NOT_SUPPORTED if accuracy >= printed.range[0] else SUPPORTED, text)


def _no_pathology(paper: Paper) -> Finding:  # noqa: ARG001
    return Finding(
        NOT_SUPPORTED,
        "The four sets are chest radiographs, brain MRI, dermatoscopic photographs and lung CT. None shows tissue "
        "under a "
        "microscope.",
    )


def _compact_cnn_accuracy(paper: Paper) -> Finding:
    study = _study(paper.key)
    scores = [record.scores["accuracy"] for record in study]
    printed = paper.accuracies[0].printed
    above = sum(score["high"] >= printed.range[0] for score in scores)
    text = (
        f"{len(scores)} runs on the real images reach {min(s['value'] for s in scores):.4f} to "
        f"{max(s['value'] for s in scores):.4f} (n = {scores[0]['n']:,} each, 95 % intervals from "
        f"{min(s['low'] for s in scores):.4f} to {max(s['high'] for s in scores):.4f}). The set names no patients, in "
        "their "
        "split or ours."
    )
    return Finding(SUPPORTED if above == len(scores) else NOT_SUPPORTED, text)


def _medical_mnist_images(paper: Paper) -> Finding:
    images = {record.data["images"] for record in _study(paper.key)}
    text = f"The archive holds {', '.join(f'{count:,}' for count in sorted(images))} images; 59,000 is a rounded count."
    return Finding(SUPPORTED if images == {59_000} else NOT_SUPPORTED, text)


def _compact_cnn_confusions(paper: Paper) -> Finding:
    study = _study(paper.key)
    classes = study[0].details["classes"]
    total = np.sum([record.details["confusion"] for record in study], axis=0)
    pair = [classes.index(name) for name in ("ChestCT", "CXR")]
    mistakes = int(total.sum() - np.trace(total))
    named = int(total[pair[0], pair[1]] + total[pair[1], pair[0]])
    text = f"Over {len(study)} runs, {named} of {mistakes} mistakes lie between ChestCT and CXR."
    return Finding(SUPPORTED if 2 * named > mistakes else NOT_SUPPORTED, text)


def _study(name: str) -> list[RunRecord]:
    from medxai_helpers.records import load_records, results_folder

    return [record for record in load_records(results_folder(), name) if record.arm == "compact-cnn"]


def _consistent_tables(paper: Paper) -> Finding:
    reports = {model: audit_report(table) for model, table in paper.tables.items()}
    bad = sum(int((report["verdict"] != "consistent").sum()) for report in reports.values())
    text = f"{sum(map(len, reports.values()))} checks of the printed tables, {bad} contradictions."
    return Finding(CONTRADICTED if bad else SUPPORTED, text)


EVIDENCE: dict[str, Callable[[Paper], Finding]] = {
    "difference": _difference,
    "all_metrics": _all_metrics,
    "polyps": _polyps,
    "colitis": _colitis,
    "normals": _normals,
    "class_numbers": _class_numbers,
    "imbalance": _imbalance,
    "consistent_tables": _consistent_tables,
    "averages": _averages,
    "no_size": _no_size,
    "one_figure": _one_figure,
    "simplecnn_parameters": _simplecnn_parameters,
    "test_gap": _test_gap,
    "test_tie": _test_tie,
    "validation_against_test": _validation_against_test,
    "densenet_origin": _densenet_origin,
    "no_cost": _no_cost,
    "no_finding_accuracy": _no_finding_accuracy,
    "no_pathology": _no_pathology,
    "compact_cnn_accuracy": _compact_cnn_accuracy,
    "medical_mnist_images": _medical_mnist_images,
    "compact_cnn_confusions": _compact_cnn_confusions,
}
"""What can be computed about a claim, by name."""
