"""Training: ``fit`` against the plain loop that most tutorials show, and against a bare loop on tensors in memory.

Run with ``make bench``, alone on the machine. The plain loop is single-precision PyTorch: a DataLoader that decodes
image files, Adam, one ``item()`` a step. ``fit`` reads the pixel store and takes the precision that the hardware has.
Both train the same network on the same images; the runs alternate, and the best of each counts.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

import medxai_helpers as mx
from benchmarks._report import publish
from medxai_helpers import runtime, training
from medxai_helpers.pixels import PixelStore

CLASSES, REPEATS, WORKERS = 4, 2, 2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Case:
    """One comparison: network, size, images in an epoch, batch, and the ratio that was aimed at."""

    model: str
    size: int
    images: int
    batch: int
    goal: float | None = None


CASES = (
    Case("simple-cnn", 64, 256, 32, 2.2),
    Case("resnet18", 64, 256, 32, 1.15),
    Case("densenet121", 64, 96, 32, 1.3),
    Case("densenet121", 224, 16, 8, 2.0),
    Case("resnet50", 224, 16, 8, 1.7),
    Case("small-vit", 64, 192, 32),
)
BARE = (Case("compact-cnn", 64, 1024, 32), Case("resnet18", 64, 192, 32), Case("small-vit", 64, 192, 32))


class Files(Dataset[tuple[torch.Tensor, int]]):
    """Image files, decoded and standardised one by one, as tutorials do it."""

    def __init__(self, files: list[Path], targets: np.ndarray) -> None:
        from torchvision import transforms

        self.files, self.targets = files, targets
        self.prepare = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        return self.prepare(Image.open(self.files[index]).convert("RGB")), int(self.targets[index])

    def __len__(self) -> int:
        return len(self.files)


def make_images(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Smooth random pictures, which compress like photographs, and classes."""
    import cv2

    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (case.images, case.size // 8, case.size // 8, 3), dtype=np.uint8)
    pixels = [cv2.resize(each, (case.size, case.size), interpolation=cv2.INTER_CUBIC) for each in small]
    return np.stack(pixels), np.arange(case.images) % CLASSES


def write_files(pixels: np.ndarray, folder: Path) -> list[Path]:
    """Write pictures as JPEG files."""
    import cv2

    files = [folder / f"{number:05d}.jpg" for number in range(len(pixels))]
    for file, image in zip(files, pixels, strict=True):
        cv2.imwrite(str(file), image)
    return files


def network(case: Case) -> nn.Module:
    """The same fresh network for every loop."""
    return mx.build_model(case.model, classes=CLASSES, channels=3, size=case.size, seed=0)


def plain_epoch(model: nn.Module, loader: DataLoader[Any], optimizer: torch.optim.Optimizer) -> None:
    """One epoch of the plain loop."""
    total = 0.0
    model.train()
    for images, truth in loader:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images), truth)
        loss.backward()
        optimizer.step()
        total += loss.item()


def settings(case: Case, epochs: int, device: str = "cpu") -> mx.TrainingSettings:
    """What ``fit`` is told."""
    return mx.TrainingSettings(
        epochs=epochs, batch_size=case.batch, mean=MEAN, std=STD, precision="auto", device=device
    )


def fit_seconds(case: Case, store: PixelStore, targets: np.ndarray, repeats: int, device: str = "cpu") -> float:
    """The best epoch of ``fit`` after a first one; a single image is watched."""
    rows = np.arange(len(store))
    run = mx.fit(
        network(case),
        store,
        targets,
        train=rows[:-1],
        validation=rows[-1:],
        settings=settings(case, repeats + 1, device),
    )
    return float(run.history["seconds"].iloc[1:].min())


def against_files(case: Case) -> dict[str, Any]:
    """Images a second of ``fit`` and of the plain loop, taken in turn."""
    pixels, targets = make_images(case)
    store = PixelStore(Path(), pixels, {"key": "benchmark"})
    with tempfile.TemporaryDirectory() as folder:
        data = Files(write_files(pixels, Path(folder)), targets)
        loader = DataLoader(data, batch_size=case.batch, shuffle=True, num_workers=WORKERS, persistent_workers=True)
        model = network(case)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        plain_epoch(model, loader, optimizer)
        plain, ours = [], []
        for _ in range(REPEATS):
            plain.append(clocked(lambda: plain_epoch(model, loader, optimizer)))
            ours.append(fit_seconds(case, store, targets, 1))
    return row(case, "plain loop, files", min(plain), min(ours)) | {"goal": case.goal or ""}


def against_memory(case: Case) -> dict[str, Any]:
    """Images a second of ``fit`` and of a bare loop on float tensors, same precision and layout, taken in turn."""
    pixels, targets = make_images(case)
    store = PixelStore(Path(), pixels, {"key": "benchmark"})
    chosen = training.resolved(settings(case, 1))
    images, truth = training.to_input(store.batch(np.arange(len(store))), chosen), torch.from_numpy(targets)
    model = network(case).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def bare() -> None:
        for first in range(0, len(images) - 1, case.batch):
            with training.autocast(chosen):
                logits = model(images[first : first + case.batch])
            loss = functional.cross_entropy(logits.float(), truth[first : first + case.batch])
            if hasattr(model, "penalty"):
                loss = loss + model.penalty()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    bare()
    plain, ours = [], []
    for _ in range(REPEATS + 1):
        plain.append(clocked(bare))
        ours.append(fit_seconds(case, store, targets, 1))
    found = row(case, "bare loop, memory", min(plain), min(ours))
    return found | {"goal": 0.95}


def row(case: Case, what: str, plain: float, ours: float) -> dict[str, Any]:
    """One line of the table, which is also shown at once."""
    print(f"{case.model} {case.size} px against {what}: {plain / ours:.2f}", flush=True)
    return {
        "model": case.model,
        "pixels": case.size,
        "against": what,
        "its images/s": round(case.images / plain, 1),
        "fit images/s": round(case.images / ours, 1),
        "ratio": round(plain / ours, 3),
    }


def clocked(action: Callable[[], None]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def on_gpu(device: str = "cuda", scale: int = 1) -> list[dict[str, Any]]:
    """Images a second, share of the measured matrix peak, and seconds of an epoch of Kvasir's size; Medical MNIST.

    ``scale`` divides the numbers of images, to try the function out without a GPU.
    """
    peak, rows = matrix_peak(device), []
    for name, batch in (("resnet18", 128), ("densenet121", 64)):
        case = Case(name, 224, 6400 // scale, batch)
        pixels = np.random.default_rng(0).integers(0, 256, (case.images, 224, 224, 3), dtype=np.uint8)
        store = PixelStore(Path(), pixels, {"key": "gpu"})
        seconds = fit_seconds(case, store, np.arange(case.images) % CLASSES, 2, device)
        work = 6 * mx.model_cost(name, classes=CLASSES).multiplications * case.images  # forward and backward
        rows.append(
            {
                "model": name,
                "images/s": round(case.images / seconds),
                "seconds an epoch": round(seconds, 2),
                "share of peak": round(work / seconds / peak, 3),
            }
        )
    count = 58_954 // scale
    pixels = np.random.default_rng(0).integers(0, 256, (count, 64, 64), dtype=np.uint8)
    store, rows_of = PixelStore(Path(), pixels, {"key": "gpu"}), np.arange(count)
    chosen = mx.TrainingSettings(epochs=5, batch_size=256, precision="auto", device=device)
    started = time.perf_counter()
    parts = {"train": rows_of[: count * 4 // 5], "validation": rows_of[count * 4 // 5 :]}
    mx.fit(mx.build_model("compact-cnn", classes=6), store, rows_of % 6, **parts, settings=chosen)
    seconds = time.perf_counter() - started
    rows.append({"model": "compact-cnn, Medical MNIST's five epochs", "seconds an epoch": round(seconds / 5, 2)})
    return rows


def matrix_peak(device: str) -> float:
    """Operations a second of a large bfloat16 matrix product."""
    side = 8192 if device == "cuda" else 1024
    a = torch.randn(side, side, dtype=torch.bfloat16, device=device)
    times = []
    for _ in range(10):
        started = time.perf_counter()
        product = a @ a
        float(product[0, 0])  # waits for the device
        times.append(time.perf_counter() - started)
    return 2 * side**3 / min(times)


def main() -> None:
    """Measure and publish."""
    runtime.log.setLevel("WARNING")
    rows = [*map(against_files, CASES), *map(against_memory, BARE)]
    precision = training.best_precision("cpu")
    publish(
        "training",
        rows,
        title="Training: images a second of fit against other loops",
        precision=precision,
        units="the processor has bfloat16 units"
        if precision == "bfloat16"
        else "no bfloat16 units: float32 on both sides",
        threads=torch.get_num_threads(),
        workers_of_the_plain_loop=WORKERS,
        repeats=REPEATS,
    )
    if runtime.current().device == "cuda":
        publish(
            "training_gpu", on_gpu(), title="Training on a GPU", goal="Medical MNIST's five epochs under 5 s in all"
        )


if __name__ == "__main__":
    main()
