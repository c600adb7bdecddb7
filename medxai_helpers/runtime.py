"""Where and how the code runs: profile, device, data root, cache and seed.

This is the only module that reads environment variables, and the only one that announces anything to the reader.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO, TypeVar

if TYPE_CHECKING:
    import torch

Profile = Literal["quick", "full"]
PROFILES: tuple[Profile, ...] = ("quick", "full")
DEVICES = ("cuda", "mps", "cpu")
VARIABLES = ("MEDXAI_PROFILE", "MEDXAI_DEVICE", "MEDXAI_DATA", "MEDXAI_CACHE", "MEDXAI_SEED")
T = TypeVar("T")


class _CurrentStdout(logging.StreamHandler[TextIO]):
    """Write to whatever ``sys.stdout`` is now, so that notebooks and test captures both see the line."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter("%(message)s"))

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stdout


def _make_logger() -> logging.Logger:
    logger = logging.getLogger("medxai")
    if not logger.handlers:
        logger.addHandler(_CurrentStdout())
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger


log = _make_logger()
"""The package's logger (name ``medxai``): ``logging.getLogger("medxai").setLevel("WARNING")`` silences it."""


@dataclass(frozen=True)
class Runtime:
    """The settings of one session, resolved from the environment by :func:`current`.

    Parameters
    ----------
    profile : {"quick", "full"}
        ``quick`` runs on a laptop CPU within a minute a chapter; ``full`` trains the real thing.
    device : {"cuda", "mps", "cpu"}
        Where tensors live.
    data_root : Path or None
        Folder with real data sets (``MEDXAI_DATA``); ``None`` means that the embedded default serves.
    cache : Path
        Folder for unpacked archives, pixel stores and cached runs (``MEDXAI_CACHE``).
    seed : int
        The base seed; every random stream is derived from it and passed on explicitly.

    Introduced in chapter 05.
    """

    profile: Profile
    device: str
    data_root: Path | None
    cache: Path
    seed: int

    def pick(self, *, quick: T, full: T) -> T:
        """Return the value for this profile: ``runtime.pick(quick=2, full=5)``. Introduced in chapter 05."""
        return quick if self.profile == "quick" else full

    def __str__(self) -> str:
        data = "embedded default" if self.data_root is None else "real data where present"
        return f"profile {self.profile} · device {self.device} · seed {self.seed} · {data}"


def current(environment: Mapping[str, str] | None = None) -> Runtime:
    """Read the environment once and return the :class:`Runtime`. Introduced in chapter 05.

    Parameters
    ----------
    environment : mapping, optional
        Variables to read instead of ``os.environ``.

    Raises
    ------
    ValueError
        If a variable holds something other than what it may hold; the message names the variable, what was expected
        and what to do.

    Examples
    --------
    >>> current({"MEDXAI_PROFILE": "quick", "MEDXAI_DEVICE": "cpu"}).profile
    'quick'
    """
    env = os.environ if environment is None else environment
    device = _device(env.get("MEDXAI_DEVICE", ""))
    return Runtime(
        profile=_profile(env.get("MEDXAI_PROFILE", ""), device),
        device=device,
        data_root=_data_root(env.get("MEDXAI_DATA", "")),
        cache=_cache(env.get("MEDXAI_CACHE", "")),
        seed=_seed(env.get("MEDXAI_SEED", "")),
    )


def book_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment in which the book executes its chapters, whatever the reader's own says.

    The quick profile, the CPU, the embedded default, the project's own cache and seed 0 are forced, so that the
    committed outputs are reproducible; two threads on two cores keep timings honest. See "How to use this book".
    """
    env = dict(os.environ if environment is None else environment)
    for name in VARIABLES:
        env.pop(name, None)
    env |= {"MEDXAI_PROFILE": "quick", "MEDXAI_DEVICE": "cpu", "MEDXAI_SEED": "0"}
    env |= {"CUDA_VISIBLE_DEVICES": "", "OMP_WAIT_POLICY": "PASSIVE", "NO_ALBUMENTATIONS_UPDATE": "1"}
    return env


@contextmanager
def seeded(seed: int) -> Iterator[torch.Generator]:
    """Run a block under a torch seed and give the caller's random state back afterwards.

    Yields a CPU generator with the same seed, for draws that should not touch the global state. Introduced in chapter
    05.

    Examples
    --------
    >>> import torch
    >>> with seeded(0):
    ...     a = torch.rand(1)
    >>> with seeded(0):
    ...     b = torch.rand(1)
    >>> bool(a == b)
    True
    """
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


def launched_processes() -> int:
    """Return how many processes ``torchrun`` started for this job, 1 without it. Introduced in chapter 06."""
    text = os.environ.get("WORLD_SIZE", "1")
    return int(text) if text.isdecimal() else 1


def is_first_process() -> bool:
    """Return whether this process should speak: the only one, or the first of several. Introduced in chapter 06."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


def project_root() -> Path | None:
    """Return the checkout this package runs from, or ``None`` when it was installed on its own."""
    folder = Path(__file__).resolve().parent.parent
    return folder if (folder / "_toc.yml").is_file() else None


def hardware() -> dict[str, str | int]:
    """Describe the machine for a run record: processor, cores, accelerator and versions."""
    import platform

    import numpy
    import torch

    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "accelerator": accelerator,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
    }


def _processor() -> str:
    import platform

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _device(text: str) -> str:
    if text and text not in DEVICES:
        raise ValueError(
            f"Expected MEDXAI_DEVICE to be one of {DEVICES}, but got {text!r}. Unset it to choose by itself."
        )
    return text or _best_device()


def _best_device() -> str:
    try:
        import torch
    except ImportError:
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _profile(text: str, device: str) -> Profile:
    if not text:
        return "quick" if device == "cpu" else "full"
    if text not in PROFILES:
        raise ValueError(
            f"Expected MEDXAI_PROFILE to be one of {PROFILES}, but got {text!r}. "
            "Unset it for 'full' on a GPU and 'quick' otherwise."
        )
    return text


def _data_root(text: str) -> Path | None:
    if not text:
        return None
    root = Path(text).expanduser().resolve()
    if not root.is_dir():
        raise ValueError(
            f"Expected MEDXAI_DATA to name a folder, but {root} is not one. "
            "Create it and put the data sets there, or unset MEDXAI_DATA to use the embedded default."
        )
    if not os.access(root, os.R_OK | os.X_OK):
        raise ValueError(f"Cannot read MEDXAI_DATA={root}: give yourself read permission, or unset MEDXAI_DATA.")
    return root


def _cache(text: str) -> Path:
    if text:
        return Path(text).expanduser().resolve()
    root = project_root()
    if root is not None:
        return root / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "medxai"


def _seed(text: str) -> int:
    if text and not text.isdecimal():
        raise ValueError(f"Expected MEDXAI_SEED to be a whole number >= 0, but got {text!r}. Unset it for 0.")
    return int(text or 0)
