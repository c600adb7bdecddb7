"""Drawing only: every function takes results, draws on a given Axes and returns it. Nothing is computed here.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; figures keep a white ground, so that they
read the same in the book's light and dark mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from medxai_helpers.cohorts import Cohort
    from medxai_helpers.evaluation import Estimate
    from medxai_helpers.explanation import Cascade, Curves, Heatmaps
    from medxai_helpers.predictions import Predictions

BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#595959"
HEAT = "inferno"
LINES = ("-", "--", ":")
"""Told apart by these once the five colours are used up."""
LONGEST_TITLE = 48
"""Characters above a pair of images; a longer title takes two lines."""
STYLE: dict[str, Any] = {
    "figure.facecolor": "white",
    "figure.dpi": 100,
    "axes.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=[BLUE, VERMILION, GREEN, ORANGE, GREY]),
    "font.size": 10,
    "axes.titlesize": 10,
    "savefig.bbox": "tight",
}


def use_style() -> None:
    """Set the book's look for every figure that follows. Introduced in chapter 05."""
    mpl.rcParams.update(cast(Any, STYLE))


def draw_image(axes: Axes, image: NDArray[np.uint8], title: str = "") -> Axes:
    """Draw one image, grey or RGB, without axes. Introduced in chapter 05."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title, fontsize=8)
    axes.axis("off")
    return axes


def draw_samples(figure: Figure, cohort: Cohort, *, per_class: int = 6) -> Figure:
    """Draw the first images of every class, a row a class, titled by origin. Introduced in chapter 05."""
    grid = figure.subplots(len(cohort.classes), per_class, squeeze=False)
    for row, name in zip(grid, cohort.classes, strict=True):
        members = np.flatnonzero(cohort.targets == cohort.classes.index(name))[:per_class]
        for axes, member in zip(row, members, strict=False):
            draw_image(axes, cohort.image(int(member)))
        for axes in row:
            axes.axis("off")
        row[0].set_title(name, loc="left", fontsize=9)
    figure.suptitle(f"{cohort.card.title}: {cohort.origin}; {per_class} images per class, of n = {len(cohort):,}")
    return figure


def draw_class_counts(axes: Axes, counts: dict[str, int], title: str) -> Axes:
    """Draw images per class as bars with their numbers. Introduced in chapter 05."""
    bars = axes.barh(list(counts), list(counts.values()), color=BLUE)
    axes.bar_label(bars, padding=3)
    axes.invert_yaxis()
    axes.set(xlabel="images", title=f"{title} (n = {sum(counts.values()):,})")
    axes.margins(x=0.12)
    return axes


def draw_history(axes: Sequence[Axes], history: pd.DataFrame) -> Sequence[Axes]:
    """Draw loss and accuracy by epoch, training and validation, on two Axes. Introduced in chapter 05."""
    for panel, measure, label in zip(axes, ("loss", "accuracy"), ("cross-entropy (nats)", "accuracy"), strict=True):
        panel.plot(history.index, history[f"train_{measure}"], "o--", color=VERMILION, label="training (dropout on)")
        panel.plot(history.index, history[f"validation_{measure}"], "s-", color=BLUE, label="validation")
        panel.set(xlabel="epoch", ylabel=label)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[1].set_ylim(top=1.03)  # room for the markers of a perfect epoch
    axes[0].legend(frameon=False)
    return axes


class LiveHistory:
    """Draw the curves anew after every epoch: ``fit(..., on_epoch=LiveHistory(figure))``. Introduced in chapter 06.

    In a notebook the figure under the cell is replaced; elsewhere the figure is drawn and shown by whoever made it.

    Parameters
    ----------
    figure : Figure
        Empty.
    """

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.rows: list[dict[str, float]] = []
        self.handle: Any = None

    def __call__(self, row: dict[str, float]) -> None:
        """Take one finished row of the history."""
        import pandas as pd

        self.rows.append(row)
        self.figure.clear()
        panels = self.figure.subplots(1, 2)
        draw_history(panels, pd.DataFrame(self.rows).set_index("epoch"))
        self._show()

    def _show(self) -> None:
        try:
            from IPython import get_ipython
            from IPython.display import display
        except ImportError:
            return
        if get_ipython() is None:
            return
        if self.handle is None:
            self.handle = display(self.figure, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self.handle.update(self.figure)


def draw_search(axes: Axes, table: pd.DataFrame, measure: str) -> Axes:
    """Draw the value of every trial of a search, and the best so far. Introduced in chapter 10.

    Parameters
    ----------
    axes : Axes
        Where.
    table : DataFrame
        From ``Search.table()``.
    measure : str
        What the values are, with its unit if it has one.
    """
    finished = table[table["state"] == "complete"]
    pruned = table[table["state"] == "pruned"]
    axes.scatter(finished.index, finished["value"], color=BLUE, label=f"finished ({len(finished)})")
    axes.scatter(pruned.index, pruned["value"], facecolors="none", edgecolors=GREY, label=f"given up ({len(pruned)})")
    axes.step(table.index, table["best so far"], where="post", color=VERMILION, label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel=measure, title=f"Search over {len(table)} trials")
    axes.legend()
    return axes


def draw_confusion(axes: Axes, confusion: pd.DataFrame) -> Axes:
    """Draw counts by true (rows) and predicted class, shaded by share of the row. Introduced in chapter 05."""
    counts = confusion.to_numpy()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
    ticks = np.arange(len(confusion))
    axes.set_xticks(ticks, list(confusion.columns), rotation=35, ha="right")
    axes.set_yticks(ticks, list(confusion.index))
    axes.set(xlabel="predicted class", ylabel="true class", title=f"Counts of images (n = {counts.sum():,})")
    axes.spines[:].set_visible(False)
    return axes


def draw_explanation(figure: Figure, image: NDArray[np.uint8], heatmaps: Heatmaps, title: str) -> Figure:
    """Draw one image beside its heat map overlay. Introduced in chapter 06.

    Parameters
    ----------
    figure : Figure
        Empty.
    image : array
        uint8, (H, W) or (H, W, 3).
    heatmaps : Heatmaps
        Of this image alone.
    title : str
        What the map explains.
    """
    from medxai_helpers.explanation import METHODS

    plain, overlay = figure.subplots(1, 2)
    draw_image(plain, image, "image")
    draw_image(overlay, image, f"raw maximum {heatmaps.strength[0]:.2g}")
    shown = overlay.imshow(heatmaps.scaled(image.shape[0])[0], cmap=HEAT, alpha=0.5, vmin=0, vmax=1)
    figure.colorbar(shown, ax=overlay, shrink=0.8, label=f"{METHODS[heatmaps.method].title}, share of its maximum")
    figure.suptitle(title)
    return figure


def draw_overlays(
    figure: Figure,
    images: NDArray[np.uint8],
    heatmaps: Heatmaps,
    predictions: Predictions,
    note: str,
    words: tuple[str, str] = ("True", "Predicted"),
) -> Figure:
    """Draw each image beside its heat map overlay, titled "True: ... | Predicted: ...". Introduced in chapter 05.

    Parameters
    ----------
    figure : Figure
        Empty.
    images : array
        uint8, (b, H, W) or (b, H, W, 3).
    heatmaps, predictions
        Of the same images in the same order.
    note : str
        Where the images come from; stands in the title.
    words : tuple of str
        What stands before the true and the predicted class: a paper's own, for example ``("Real", "Predicho")``.

    Of many labels, all that are true and all that are predicted are listed, and the one that a map explains stands
    below it.
    """
    from medxai_helpers.explanation import METHODS

    scaled, answers = heatmaps.scaled(images.shape[1]), predictions.table()
    columns = min(2, len(images))
    grid = figure.subplots(-(-len(images) // columns), 2 * columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for position, (plain, overlay) in enumerate(grid.reshape(-1, 2)[: len(images)]):
        truth, guess = (answers[name][position].replace("|", ", ") or "none" for name in ("true", "predicted"))
        draw_image(plain, images[position])
        line = f"{words[0]}: {truth} | {words[1]}: {guess}"
        line = line if len(line) <= LONGEST_TITLE else line.replace(" | ", " |\n")
        title = plain.set_title(line, fontsize=8, loc="left")
        title.set_in_layout(False)  # it runs on over the overlay, whose blank title keeps the room
        draw_image(overlay, images[position], " ")
        shown = overlay.imshow(scaled[position], cmap=HEAT, alpha=0.5, vmin=0, vmax=1)
        by_label = predictions.many_label and heatmaps.targets.ndim == 1
        asked = f"{predictions.classes[heatmaps.targets[position]]}, " if by_label else ""
        note_below = f"{asked}raw maximum {heatmaps.strength[position]:.2g}"
        overlay.text(0.5, -0.04, note_below, transform=overlay.transAxes, ha="center", va="top", fontsize=8)
    title = METHODS[heatmaps.method].title
    figure.colorbar(shown, ax=list(grid.flat), shrink=0.6, label=f"{title}, share of the map's own maximum")
    figure.suptitle(f"{note} (n = {len(images)})")
    return figure


def draw_overlay(
    axes: Axes,
    image: NDArray[np.uint8],
    heat: NDArray[np.float32],
    *,
    title: str = "",
    note: str = "",
    outline: NDArray[np.bool_] | None = None,
) -> AxesImage:
    """Lay a map, scaled to [0, 1], over its image, and return what a colour bar needs. Introduced in chapter 18.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    image : array
        uint8, (H, W) or (H, W, 3).
    heat : array
        (H, W), for example a row of ``Heatmaps.scaled(H)``.
    title, note : str
        Above and below the image.
    outline : array, optional
        bool, (H, W): a mask whose border is drawn.
    """
    draw_image(axes, image, title)
    shown = axes.imshow(heat, cmap=HEAT, alpha=0.5, vmin=0, vmax=1)
    if outline is not None and outline.any():
        axes.contour(outline, levels=[0.5], colors="white", linewidths=1.2)
    axes.text(0.5, -0.04, note, transform=axes.transAxes, ha="center", va="top", fontsize=8)
    return shown


def draw_grades(axes: Axes, summary: pd.DataFrame, measure: str, *, chance: float | None = None) -> Axes:
    """Draw one measure of ``Grades.summary()``: a point with its interval per method, controls in grey below.

    Introduced in chapter 20.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    summary : DataFrame
        Of ``Grades.summary()``, not split.
    measure : str
        One of its measures.
    chance : float, optional
        A dotted line, for example the mean share of the image that the masks cover.
    """
    from medxai_helpers.explanation import CONTROLS

    rows = summary.xs(measure, level="measure")
    for place, (name, row) in enumerate(rows.iterrows()):
        colour = GREY if name in CONTROLS else BLUE
        axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2)
        axes.plot(row["value"], place, "o", color=colour)
    if chance is not None:
        axes.axvline(chance, color=VERMILION, linestyle=":", linewidth=1)
    axes.set_yticks(range(len(rows)), [str(name) for name in rows.index])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set(xlabel=f"{measure} (mean, 95 % interval)", title=f"{measure} (n up to {int(rows['n'].max())})")
    return axes


def draw_cascade(axes: Axes, cascades: Mapping[str, Cascade]) -> Axes:
    """Draw the similarity to the trained network's maps while it is randomised. Introduced in chapter 20.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    cascades : mapping
        Name of a method to its cascade over the same stages; the control of the first is drawn as a band.
    """
    for marker, (name, found) in zip("osD^vP", cascades.items(), strict=False):
        stages, table = range(len(found.table)), found.table
        axes.plot(stages, table["value"], marker=marker, label=name)
        axes.fill_between(stages, table["low"], table["high"], alpha=0.15)
    first = next(iter(cascades.values()))
    axes.axhspan(first.control.low, first.control.high, color=GREY, alpha=0.2, label="other images' maps")
    axes.set_xticks(range(len(first.table)), list(first.table["stage"]), rotation=35, ha="right")
    axes.set(xlabel="randomised down to", ylabel="rank correlation", ylim=(-1.05, 1.05))
    axes.legend(frameon=False, fontsize=8)
    return axes


def draw_curves(axes: Sequence[Axes], curves: Mapping[str, Curves]) -> Sequence[Axes]:
    """Draw mean deletion and insertion curves on two Axes, one line per map. Introduced in chapter 20."""
    for panel, part in zip(axes, ("deletion", "insertion"), strict=True):
        for style, (name, found) in zip(("-", "--", "-.", ":"), curves.items(), strict=False):
            panel.plot(found.share, getattr(found, part).mean(axis=0), style, label=name)
        panel.set(xlabel=f"share of pixels, {part}", ylabel="probability of the class", ylim=(0, 1))
    axes[0].legend(frameon=False, fontsize=8)
    return axes


def draw_roc(axes: Axes, curves: pd.DataFrame, title: str) -> Axes:
    """Draw one ROC curve per class, from ``roc_curves``, beside the diagonal of guessing. Introduced in chapter 15."""
    for number, (name, curve) in enumerate(curves.groupby("class", sort=False)):
        rates = curve["false_positive_rate"], curve["true_positive_rate"]
        axes.plot(*rates, ls=LINES[number // 5 % 3], label=str(name))
    axes.plot([0, 1], [0, 1], color=GREY, ls=":", lw=1)
    axes.set(xlabel="false positive rate (1 - specificity)", ylabel="true positive rate (sensitivity)", title=title)
    axes.legend(frameon=False, fontsize=8)
    return axes


def draw_precision_recall(axes: Axes, curves: pd.DataFrame, prevalence: dict[str, float], title: str) -> Axes:
    """Draw one curve per class, from ``precision_recall_curves``, beside its prevalence. Introduced in chapter 15."""
    for number, (name, curve) in enumerate(curves.groupby("class", sort=False)):
        (line,) = axes.plot(curve["recall"], curve["precision"], drawstyle="steps-pre", ls=LINES[number // 5 % 3])
        line.set_label(str(name))
        axes.axhline(prevalence[str(name)], color=line.get_color(), ls=":", lw=1)
    axes.set(xlabel="recall (sensitivity)", ylabel="precision (PPV)", ylim=(0, 1.03), title=title)
    axes.legend(frameon=False, fontsize=8)
    return axes


def draw_estimates(axes: Axes, table: pd.DataFrame, label: str, title: str, *, reference: float | None = None) -> Axes:
    """Draw values with their intervals, one row each, named by the column ``label``. Introduced in chapter 16.

    Parameters
    ----------
    axes : Axes
        Where.
    table : DataFrame
        Columns ``value``, ``low``, ``high``, and the one that names the rows.
    label, title : str
        That column, and the title with n in it.
    reference : float, optional
        A dashed line: no difference, a baseline, a published number.
    """
    rows = np.arange(len(table))
    axes.hlines(rows, table["low"], table["high"], color=BLUE, lw=2)
    axes.plot(table["value"], rows, "o", color=VERMILION)
    if reference is not None:
        axes.axvline(reference, color=GREY, ls="--", lw=1)
    axes.set_yticks(rows, list(table[label].astype(str)))
    axes.invert_yaxis()
    axes.set(title=title, ylim=(len(table) - 0.5, -0.5))
    return axes


def draw_reliability(axes: Axes, table: pd.DataFrame, title: str) -> Axes:
    """Draw promised against observed shares, with counts, from ``reliability``. Introduced in chapter 17."""
    middle, width = (table["from"] + table["to"]) / 2, table["to"] - table["from"]
    counts = axes.twinx()
    counts.bar(middle, table["n"], width=0.9 * width, color=GREY, alpha=0.25)
    counts.set(ylabel="images (bars)", ylim=(0, 3 * table["n"].max()))
    counts.spines["right"].set_visible(True)
    axes.plot([0, 1], [0, 1], color=GREY, ls=":", lw=1)
    away = [table["observed"] - table["low"], table["high"] - table["observed"]]
    axes.errorbar(table["confidence"], table["observed"], yerr=away, fmt="o", color=BLUE, capsize=2)
    axes.set(xlabel="promised (mean probability)", ylabel="observed share", xlim=(0, 1), ylim=(0, 1.03), title=title)
    return axes


def draw_risk_coverage(axes: Axes, curves: dict[str, pd.DataFrame], title: str) -> Axes:
    """Draw the share of mistakes among the answers given, one curve per model. Introduced in chapter 17."""
    for name, curve in curves.items():
        axes.plot(curve["coverage"], curve["risk"], drawstyle="steps-post", label=name)
    axes.set(xlabel="coverage (share of images answered)", ylabel="risk (share of mistakes)", title=title)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    return axes


def draw_corruption(axes: Axes, curves: pd.DataFrame, label: str, title: str) -> Axes:
    """Draw a score by severity with its intervals, one line per kind of corruption. Introduced in chapter 15."""
    for marker, (name, curve) in zip("os^Dvx", curves.groupby("kind", sort=False), strict=False):
        axes.plot(curve["severity"], curve["value"], marker=marker, label=str(name))
        axes.fill_between(curve["severity"], curve["low"], curve["high"], alpha=0.12)
    axes.set(xlabel="severity (0: as it is)", ylabel=label, title=title)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return axes


def draw_effects(axes: Axes, effects: Mapping[str, Estimate], measure: str, title: str) -> Axes:
    """Draw estimates with their intervals, a line each, around a dashed line at no effect. Introduced in chapter 03.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    effects : mapping of str to Estimate
        Differences by name, from top to bottom.
    measure : str
        What differs, with its unit; the level of the intervals is added.
    title : str
        Source of the images and n.
    """
    for height, effect in enumerate(effects.values()):
        axes.plot([effect.low, effect.high], [height, height], color=BLUE, linewidth=2)
        axes.plot(effect.value, height, "o", color=BLUE)
    axes.axvline(0, color=GREY, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(effects)), list(effects))
    axes.set_ylim(len(effects) - 0.5, -0.5)
    levels = sorted({f"{100 * effect.level:g} %" for effect in effects.values()})
    axes.set(xlabel=f"{measure}, {' and '.join(levels)} interval", title=title)
    return axes
