"""The trials of a search, their results and the importance of each key, with an Optuna study.

A search that was killed continues as if it had not been interrupted: unfinished trials are started again with the same
numbers and values, and the values of trial 7 depend only on the seed, on the number 7 and on the earlier trials.
"""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from mlpcli.config.loading import LoadedConfig
from mlpcli.search.journal import JournalFile
from mlpcli.search.space import Parameter, Space

Outcome = Literal["complete", "pruned", "diverged", "failed", "in flight"]
OUTCOMES: tuple[Outcome, ...] = ("complete", "pruned", "diverged", "failed", "in flight")

NAME = "search"
RECORD, IDENTITY, DUPLICATE = "record", "identity", "repeated"
RANDOM_TRIALS = 10  # random trials before the sampler uses the results
UNPRUNED_TRIALS = 5  # complete trials before any is pruned
# In a small space the sampler may draw points that were tried before: after RANDOM_AFTER such points in a row it draws
# at random, and after MAX_DUPLICATES it stops.
RANDOM_AFTER, MAX_DUPLICATES = 5, 200
MIN_TRIALS_FOR_IMPORTANCE = 8

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Proposal:
    """A trial to run: its number, its config, and the values of the searched keys.

    `origin` names an initial trial ("as written", "recipe strong"), and is "" for values that the sampler drew.
    """

    number: int
    loaded: LoadedConfig
    values: Mapping[str, Any]
    origin: str


@dataclass(frozen=True)
class Trial:
    """A trial and its result; `score` is None if it has none, and `reason` says why the trial is not complete."""

    number: int
    outcome: Outcome
    score: float | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""
    epochs: int = 0
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class InitialTrial:
    """A trial with a fixed config, before the sampler draws any.

    `drawn` are its values as Optuna would draw them, from which the sampler learns; `values` are those of the config.
    """

    origin: str
    loaded: LoadedConfig
    drawn: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


class Study:
    """The trials of one search, stored in the journal `path`; no trial is pruned before `warmup` epochs."""

    def __init__(
        self, path: str, space: Space, loaded: LoadedConfig, first: Sequence[InitialTrial], higher_is_better: bool,
        seed: int, warmup: int = 0,
    ) -> None:  # fmt: skip
        self._space, self._loaded, self._first, self._seed = space, loaded, tuple(first), seed
        self.higher_is_better = higher_is_better
        self._journal = JournalFile(path)
        self._study = optuna.create_study(
            storage=JournalStorage(self._journal),
            study_name=NAME,
            direction="maximize" if higher_is_better else "minimize",
            pruner=optuna.pruners.MedianPruner(UNPRUNED_TRIALS, warmup),
            load_if_exists=True,
        )
        self._running: dict[int, optuna.Trial] = {}
        self._proposed: dict[int, Proposal] = {}
        self._unfinished = [trial for trial in self._frozen() if trial.state == TrialState.RUNNING]

    @property
    def identity(self) -> Mapping[str, Any]:
        """What must stay the same when the search is resumed, as stored by `begin`; empty before."""
        found: Mapping[str, Any] = self._study.user_attrs.get(IDENTITY, {})
        return found

    def begin(self, identity: Mapping[str, Any]) -> None:
        """Store what must stay the same when the search is resumed, and enqueue the initial trials."""
        if not self.identity:
            self._study.set_user_attr(IDENTITY, dict(identity))
        for initial in self._first[len(self._frozen()) :]:
            self._study.enqueue_trial(dict(initial.drawn))

    def close(self) -> None:
        """Close the journal file."""
        self._journal.close()

    @property
    def n_keys(self) -> int:
        """Number of searched keys."""
        return len(self._space.parameters)

    @property
    def n_begun(self) -> int:
        """Number of trials that were started, in earlier sittings or in this one."""
        return len(self.trials())

    @property
    def has_unfinished(self) -> bool:
        """Whether trials of an earlier sitting have to be started again."""
        return bool(self._unfinished)

    def propose(self) -> Proposal | None:
        """The next trial: an unfinished one of an earlier sitting, or else a new one.

        None if the sampler finds no point that was not tried before.
        """
        while self._unfinished:
            unfinished = self._unfinished.pop(0)
            trial = optuna.Trial(self._study, unfinished._trial_id)
            if RECORD in unfinished.user_attrs:  # killed after the record was stored, before Optuna was told
                self._end(trial, unfinished.user_attrs[RECORD])
            elif unfinished.user_attrs.get(DUPLICATE):
                self._study.tell(trial, state=TrialState.FAIL)
            elif proposal := self._proposal(trial):
                return proposal
        while self._n_recent_duplicates() < MAX_DUPLICATES:
            if proposal := self._proposal(self._study.ask()):
                return proposal
        return None

    def report(self, number: int, epoch: int, score: float) -> bool:
        """Report the score of a running trial after an epoch; returns whether to prune the trial."""
        trial = self._running[number]
        # A trial that is started again has reported its first epochs in an earlier sitting.
        if epoch not in trial.storage.get_trial(trial._trial_id).intermediate_values:
            trial.report(score, epoch)
        return trial.should_prune()

    def finish(self, trial: Trial) -> None:
        """Store the result of a running trial."""
        running = self._running.pop(trial.number)
        self._proposed.pop(trial.number)
        record = {
            "outcome": trial.outcome, "score": trial.score, "values": dict(trial.values), "origin": trial.origin,
            "epochs": trial.epochs, "seconds": round(trial.seconds, 3), "reason": trial.reason,
        }  # fmt: skip
        running.set_user_attr(RECORD, record)
        self._end(running, record)

    def trials(self) -> list[Trial]:
        """Every trial that was started, in the order of the numbers."""
        return list(self._trials())

    @property
    def best(self) -> Trial | None:
        """The complete trial with the best score, in a tie the first; None without complete trials."""
        complete = [trial for trial in self.trials() if trial.outcome == "complete" and trial.score is not None]
        sign = -1.0 if self.higher_is_better else 1.0
        return min(complete, key=lambda trial: (sign * (trial.score or 0.0), trial.number), default=None)

    def importance(self) -> dict[str, float]:
        """Importance of each key as a fraction of 1, by PED-ANOVA (Watanabe et al. 2023).

        Empty if fewer than MIN_TRIALS_FOR_IMPORTANCE trials are complete, or if all their scores are equal.
        """
        complete = [trial for trial in self._frozen() if trial.state == TrialState.COMPLETE and trial.params]
        if len(complete) < MIN_TRIALS_FOR_IMPORTANCE or len({trial.value for trial in complete}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna warns of keys that are in few trials
            importances = optuna.importance.get_param_importances(self._study)
        return {key: value for key, value in importances.items() if math.isfinite(value)}

    def _frozen(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _trials(self) -> Iterator[Trial]:
        for frozen in self._frozen():
            if frozen.state == TrialState.WAITING or frozen.user_attrs.get(DUPLICATE):
                continue
            origin = self._first[frozen.number].origin if frozen.number < len(self._first) else ""
            if (record := frozen.user_attrs.get(RECORD)) is not None:
                yield Trial(frozen.number, **record)
            elif frozen.number in self._proposed:
                yield Trial(frozen.number, "in flight", None, self._proposed[frozen.number].values, origin)
            else:
                yield Trial(frozen.number, "in flight", None, dict(frozen.params), origin)

    def _proposal(self, trial: optuna.Trial) -> Proposal | None:
        """The proposal of an Optuna trial; None, and the trial is marked, if an earlier one has the same values."""
        number = trial.number
        if number < len(self._first):
            first = self._first[number]
            for parameter in self._space.parameters:
                if parameter.key in first.drawn:
                    parameter.suggest(trial)
            proposal = Proposal(number, first.loaded, dict(first.values), first.origin)
        else:
            is_random = self._n_recent_duplicates() >= RANDOM_AFTER
            keys = [parameter.key for parameter in self._space.parameters]

            def pick(parameter: Parameter) -> Any:
                self._study.sampler = self._sampler(number, keys.index(parameter.key), is_random)
                return parameter.suggest(trial)

            loaded, values = self._space.assign(self._loaded, pick)
            proposal = Proposal(number, loaded, values, "")
            if any(trial.params == earlier.params for earlier in self._frozen() if earlier.number < number):
                trial.set_user_attr(DUPLICATE, True)
                self._study.tell(trial, state=TrialState.FAIL)
                return None
        self._running[number], self._proposed[number] = trial, proposal
        return proposal

    def _n_recent_duplicates(self) -> int:
        """Number of duplicates since the last trial that was none."""
        is_duplicate = [bool(frozen.user_attrs.get(DUPLICATE)) for frozen in self._frozen()]
        return len(list(takewhile(bool, reversed(is_duplicate))))

    def _sampler(self, number: int, key_index: int, is_random: bool) -> optuna.samplers.BaseSampler:
        """A new sampler, seeded by trial and key, so that a resumed search draws what it would have drawn."""
        (seed,) = np.random.SeedSequence(self._seed, spawn_key=(number, key_index)).generate_state(1)
        if is_random:
            return optuna.samplers.RandomSampler(seed=int(seed))
        # Not multivariate: a joint sampler ignores keys that are missing in some trials.
        return optuna.samplers.TPESampler(seed=int(seed), multivariate=False, n_startup_trials=RANDOM_TRIALS)

    def _end(self, trial: optuna.Trial, record: Mapping[str, Any]) -> None:
        """Tell Optuna the result. Diverged trials count as pruned, so that the sampler avoids their values."""
        if record["outcome"] == "complete":
            self._study.tell(trial, record["score"])
        else:
            is_bad = record["outcome"] in ("pruned", "diverged")
            self._study.tell(trial, state=TrialState.PRUNED if is_bad else TrialState.FAIL)
