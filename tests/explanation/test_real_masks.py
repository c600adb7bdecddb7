"""The grading on real masks: a small network told polyp patches from background patches of Kvasir-SEG."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import medxai_helpers as mx
from medxai_helpers.preprocessing import resize

pytestmark = pytest.mark.real
SIZE, IMAGES, LAYER = 64, 360, "11"


def patches_of(cohort, row):
    """A square with the polyp anywhere in it and one without, as central as possible; None where there is none."""
    image, mask = cohort.image(row), cohort.mask(row)
    height, width = mask.shape
    side = min(height, width) // 2
    places = [(y, x) for y in range(0, height - side + 1, side // 4) for x in range(0, width - side + 1, side // 4)]
    share = np.array([mask[y : y + side, x : x + side].sum() for y, x in places])
    whole = np.flatnonzero(share >= 0.95 * share.max())
    free = np.flatnonzero(share < 0.01 * side**2)
    if not len(free):
        return None
    far = [abs(places[at][0] - (height - side) / 2) + abs(places[at][1] - (width - side) / 2) for at in free]
    chosen = places[np.random.default_rng(row).choice(whole)], places[free[int(np.argmin(far))]]
    return [(image[y : y + side, x : x + side], mask[y : y + side, x : x + side]) for y, x in chosen]


@pytest.fixture(scope="module")
def patches():
    """Images (n, 3, 64, 64), masks, classes and the image each patch was cut from."""
    cohort = mx.load_dataset("kvasir-seg", source="real")
    found = [(row, pair) for row in range(IMAGES) if (pair := patches_of(cohort, row)) is not None]
    pixels = np.stack([resize(np.ascontiguousarray(image), SIZE) for _, pair in found for image, _ in pair])
    masks = [resize(255 * mask.astype(np.uint8), SIZE) > 127 for _, pair in found for _, mask in pair]
    classes = np.tile([1, 0], len(found))
    return pixels, np.stack(masks), classes, np.repeat([row for row, _ in found], 2)


def taught(pixels, classes):
    widths = [3, 16, 32, 64]
    blocks = [
        layer
        for pair in itertools.pairwise(widths)
        for layer in (nn.Conv2d(*pair, 3, padding=1), nn.BatchNorm2d(pair[1]), nn.ReLU(), nn.MaxPool2d(2))
    ]
    with mx.seeded(0):
        model = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2))
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        labels = torch.from_numpy(classes)
        for epoch in range(10):
            optimizer.param_groups[0]["lr"] = 3e-3 * (1 - epoch / 10)
            for batch in torch.randperm(len(labels)).split(32):
                optimizer.zero_grad()
                functional.cross_entropy(model.train()(pixels[batch]), labels[batch]).backward()
                optimizer.step()
    return model.eval()


def test_explanations_are_graded_on_real_polyps(patches):
    pixels, masks, classes, source = patches
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).sub(0.5).div(0.25)
    held_out = source >= IMAGES * 3 // 4
    model = taught(images[~held_out], classes[~held_out])
    with torch.no_grad():
        right = model(images[held_out]).argmax(dim=1).numpy() == classes[held_out]
    score = mx.wilson_interval(int(right.sum()), len(right))
    assert score.low > 0.6, score

    polyps = np.flatnonzero(held_out & (classes == 1))
    inputs, found = images[polyps], {}
    for name in ("grad-cam", "layer-cam", "integrated-gradients"):
        layer = {"layer": LAYER} if mx.METHODS[name].reads == "layer" else {}
        found[name] = mx.explain(model, inputs, name, 1, **layer)
    correct = right[classes[held_out] == 1]
    graded = mx.grade(found, masks[polyps], pixels[polyps], correct=correct, groups=source[polyps], tolerance=3)
    print(score, graded.summary().round(3).to_string(), sep="\n")
    print(graded.difference("grad-cam", "random map", "energy in mask"))

    summary = graded.summary()
    assert (summary["n"] + summary["undecided"] == len(polyps)).all()
    decided = summary[summary["n"] > 1]
    assert (decided["low"] <= decided["value"]).all()
    assert (decided["value"] <= decided["high"]).all()
    blind = summary.loc[("random map", "energy in mask"), "value"]
    assert blind == pytest.approx(masks[polyps].mean(), abs=0.03)
    assert set(graded.summary("lesion").index.get_level_values("lesion")) == {"small", "medium", "large"}
    cascade = mx.cascade(model, lambda network: mx.explain(network, inputs, "grad-cam", 1, layer=LAYER), draws=2)
    assert cascade.table["share"].iloc[-1] > 0.999
