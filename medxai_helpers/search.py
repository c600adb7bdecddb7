"""Search for training settings: pruned, logged, and resumable after a kill. Optuna does the searching."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from torch import nn

from medxai_helpers.metrics import LOWER_IS_BETTER
from medxai_helpers.runtime import log
from medxai_helpers.training import TrainingSettings, fit
from medxai_helpers.training.inputs import Rows, Store

if TYPE_CHECKING:
    import optuna
    import pandas as pd

DATABASE = "search.db"
SETTINGS = tuple(each.name for each in fields(TrainingSettings))


@dataclass(frozen=True)
class Between:
    """Any number from ``low`` to ``high``; with ``log`` each factor of ten is as likely as the next.

    Introduced in chapter 10.

    Parameters
    ----------
    low, high : float
        Two whole numbers give whole numbers.
    log : bool
        For learning rates and decays.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"Expected low < high, and above 0 with log, but got {self.low} and {self.high}.")

    def draw(self, trial: optuna.Trial, name: str) -> float:
        """Ask the search for a value."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class OneOf:
    """One of a few values. Introduced in chapter 10.

    Parameters
    ----------
    values : tuple
        Numbers, strings, booleans or None.
    """

    values: tuple[Any, ...]

    def draw(self, trial: optuna.Trial, name: str) -> Any:
        """Ask the search for a value."""
        return trial.suggest_categorical(name, self.values)


Space = Mapping[str, Between | OneOf]


@dataclass(frozen=True)
class Search:
    """A finished or interrupted search. Introduced in chapter 10.

    Parameters
    ----------
    study : optuna.Study
        Everything that Optuna knows; its own plots and importances take it.
    settings : TrainingSettings
        What the search did not change.
    """

    study: optuna.Study
    settings: TrainingSettings

    @property
    def best(self) -> TrainingSettings:
        """The settings of the best trial.

        Its score was picked as the best of many on the same validation images, so it flatters: score test images.
        """
        chosen = {name: value for name, value in self.study.best_params.items() if name in SETTINGS}
        return replace(self.settings, **chosen)

    @property
    def best_of_model(self) -> dict[str, Any]:
        """What the best trial chose for the network, such as its dropout."""
        return {name: value for name, value in self.study.best_params.items() if name not in SETTINGS}

    def table(self) -> pd.DataFrame:
        """One row per trial: state, value, epochs, seconds, best value so far, and what was drawn."""
        import pandas as pd

        rows = [
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                "value": _value(trial),
                "epochs": len(trial.intermediate_values),
                "seconds": trial.duration.total_seconds() if trial.duration else float("nan"),
                **trial.params,
            }
            for trial in self.study.trials
        ]
        table = pd.DataFrame(rows).set_index("trial")
        finished = table["value"].where(table["state"] == "complete")
        lower = self.study.direction.name == "MINIMIZE"
        table.insert(2, "best so far", finished.cummin().ffill() if lower else finished.cummax().ffill())
        return table

    def curves(self) -> pd.DataFrame:
        """The watched measure, one row per epoch and one column per trial; NaN after a trial was pruned."""
        import pandas as pd

        return pd.DataFrame({trial.number: pd.Series(trial.intermediate_values) for trial in self.study.trials})

    def importances(self) -> dict[str, float]:
        """How much of the variation between trials each choice explains, largest first; the shares sum to 1.

        Source: Hutter, Hoos and Leyton-Brown 2014 (fANOVA), by Optuna.
        """
        from optuna.importance import get_param_importances

        return dict(get_param_importances(self.study))

    def __str__(self) -> str:
        states = [trial.state.name for trial in self.study.trials]
        pruned = states.count("PRUNED")
        return (
            f"{len(states)} trials, {pruned} pruned: best {self.settings.monitor} {self.study.best_value:.4f} "
            f"with {self.study.best_params}"
        )


def search_settings(
    make_model: Callable[..., nn.Module],
    store: Store,
    targets: NDArray[Any],
    *,
    train: Rows,
    validation: Rows,
    settings: TrainingSettings,
    space: Space,
    trials: int,
    folder: Path,
    name: str = "search",
    seed: int = 0,
) -> Search:
    """Try settings, give up on poor ones early, and keep a log that a killed search goes on from.

    Introduced in chapter 10. Trials are drawn by Optuna's tree-structured Parzen estimator; one is pruned when its
    measure is worse than the median of earlier trials at the same epoch.

    Parameters
    ----------
    make_model : callable
        Gives a fresh network; gets what ``space`` names beyond the settings: ``make_model(dropout=0.3)``.
    store, targets, train, validation
        As for :func:`fit`. Test rows have no business here.
    settings : TrainingSettings
        What is not searched; ``monitor`` is what the search improves.
    space : mapping
        Name of a setting, or of an argument of ``make_model``, to :class:`Between` or :class:`OneOf`.
    trials : int
        In all: a search that has some already adds what is missing.
    folder : Path
        Where ``search.db`` (SQLite) lies.
    name : str
        Of the study in it.
    seed : int
        Decides what is drawn.

    Raises
    ------
    ValueError
        If the space is empty or a drawn value cannot be.
    ImportError
        If Optuna is not installed.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from medxai_helpers.training import FeatureStore
    >>> points = FeatureStore(np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32))
    >>> found = search_settings(
    ...     lambda: nn.Linear(2, 2),
    ...     points,
    ...     (points.values[:, 0] > 0).astype(int),
    ...     train=np.arange(40),
    ...     validation=np.arange(40, 60),
    ...     settings=TrainingSettings(epochs=2),
    ...     space={"learning_rate": Between(1e-4, 1e-1, log=True)},
    ...     trials=2,
    ...     folder=Path(tempfile.mkdtemp()),
    ... )
    epoch 1/2 ...
    >>> len(found.table()), 1e-4 <= found.best.learning_rate <= 1e-1
    (2, True)
    """
    if not space or trials < 1:
        raise ValueError(f"Expected a space of at least one setting and a trial, but got {dict(space)} and {trials}.")

    def one_trial(trial: optuna.Trial) -> float:
        drawn: dict[str, Any] = {setting: choice.draw(trial, setting) for setting, choice in space.items()}
        chosen = replace(settings, **{setting: value for setting, value in drawn.items() if setting in SETTINGS})
        model = make_model(**{setting: value for setting, value in drawn.items() if setting not in SETTINGS})
        run = fit(
            model,
            store,
            targets,
            train=train,
            validation=validation,
            settings=chosen,
            on_epoch=lambda row: _report(trial, row, settings.monitor),
        )
        column = run.history[settings.monitor]
        return float(column.min() if _lower(settings) else column.max())

    study = _open(folder, name, settings, seed)
    with _quiet():
        missing = trials - sum(trial.state.is_finished() for trial in study.trials)
        errors = (FloatingPointError, MemoryError)
        if missing > 0:
            study.optimize(one_trial, n_trials=missing, catch=errors, callbacks=[_log_trial])
    return Search(study, settings)


def _open(folder: Path, name: str, settings: TrainingSettings, seed: int) -> optuna.Study:
    try:
        import optuna
    except ImportError as error:
        raise ImportError("A search needs Optuna: pip install 'medxai-helpers[search]'.") from error
    folder.mkdir(parents=True, exist_ok=True)
    storage = f"sqlite:///{(folder / DATABASE).resolve()}"
    with _quiet():
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            direction="minimize" if _lower(settings) else "maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
            load_if_exists=True,
        )
        # a resumed search would otherwise draw the first trials again
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    return study


def _value(trial: optuna.trial.FrozenTrial) -> float:
    """Return the final value, of a pruned trial the last one seen, of a failed one NaN."""
    seen = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
    return float(trial.value) if trial.value is not None else ([float("nan"), *seen])[-1]


def _report(trial: optuna.Trial, row: dict[str, float], monitor: str) -> None:
    import optuna

    trial.report(row[monitor], step=int(row["epoch"]))
    if trial.should_prune():
        raise optuna.TrialPruned


def _log_trial(_: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    value = "none" if trial.value is None else f"{trial.value:.4f}"
    log.info("trial %d %s: value %s with %s", trial.number, trial.state.name.lower(), value, trial.params)


def _lower(settings: TrainingSettings) -> bool:
    return settings.monitor.rsplit("_", 1)[-1] in LOWER_IS_BETTER


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's own lines away while ours are written, and give its level back."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
