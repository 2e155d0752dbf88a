"""The trials of a search: what is tried next, what became of each, and which keys mattered. Optuna does the choosing.

A search that was killed goes on as if it had not been: trials that had begun begin again under their numbers with their
values, and the values of trial 7 depend on the seed, on 7 and on the trials before alone.
"""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
RANDOM_TRIALS = 10  # before the sampler has enough to go by
UNPRUNED_TRIALS = 5  # complete ones, before any is pruned
# In a small space the sampler draws points again that were tried; after so many it draws at random, then gives up.
RANDOM_AFTER, MAX_DUPLICATES = 5, 200
MIN_TRIALS_FOR_IMPORTANCE = 8

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Proposal:
    """A trial that is to run: its number, its config, and what stands in it for the keys that are searched."""

    number: int
    loaded: LoadedConfig
    values: Mapping[str, Any]
    origin: str


@dataclass(frozen=True)
class Trial:
    """What became of a trial; `score` is None without one, `reason` says why it is not complete."""

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
    """A trial whose config is given.

    `drawn` are the values that the sampler learns of, as it would have drawn them; `values` as the config has them.
    """

    origin: str
    loaded: LoadedConfig
    drawn: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


class Study:
    """The trials of one search, kept in the journal under `path`; no trial is pruned before `warmup` epochs."""

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
        self._unfinished = [one for one in self._frozen() if one.state == TrialState.RUNNING]

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the search was begun with, as `begin` noted it; empty before."""
        found: Mapping[str, Any] = self._study.user_attrs.get(IDENTITY, {})
        return found

    def begin(self, identity: Mapping[str, Any]) -> None:
        """Note what must stay the same when the search goes on, and put the first trials in their places."""
        if not self.identity:
            self._study.set_user_attr(IDENTITY, dict(identity))
        for one in self._first[len(self._frozen()) :]:
            self._study.enqueue_trial(dict(one.drawn))

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    @property
    def n_keys(self) -> int:
        """How many keys are searched."""
        return len(self._space.parameters)

    @property
    def n_begun(self) -> int:
        """Trials that have begun, in earlier sittings or in this one."""
        return len(self.trials())

    @property
    def has_unfinished(self) -> bool:
        """Whether trials of an earlier sitting wait to be begun again."""
        return bool(self._unfinished)

    def propose(self) -> Proposal | None:
        """The next trial: one that an earlier sitting left, else a new one; None where every point seems tried."""
        while self._unfinished:
            frozen = self._unfinished.pop(0)
            trial = optuna.Trial(self._study, frozen._trial_id)
            if RECORD in frozen.user_attrs:  # killed between the record and the end
                self._end(trial, frozen.user_attrs[RECORD])
            elif frozen.user_attrs.get(DUPLICATE):
                self._study.tell(trial, state=TrialState.FAIL)
            elif proposal := self._proposal(trial):
                return proposal
        while self._n_recent_duplicates() < MAX_DUPLICATES:
            if proposal := self._proposal(self._study.ask()):
                return proposal
        return None

    def report(self, number: int, epoch: int, score: float) -> bool:
        """Note the score of a running trial after an epoch; says whether it is to be pruned."""
        trial = self._running[number]
        if epoch not in trial.storage.get_trial(trial._trial_id).intermediate_values:  # of an earlier sitting
            trial.report(score, epoch)
        return trial.should_prune()

    def finish(self, trial: Trial) -> None:
        """Note what became of a running trial."""
        running = self._running.pop(trial.number)
        self._proposed.pop(trial.number)
        record = {
            "outcome": trial.outcome, "score": trial.score, "values": dict(trial.values), "origin": trial.origin,
            "epochs": trial.epochs, "seconds": round(trial.seconds, 3), "reason": trial.reason,
        }  # fmt: skip
        running.set_user_attr(RECORD, record)
        self._end(running, record)

    def trials(self) -> list[Trial]:
        """Every trial that has begun, in the order of the numbers."""
        return list(self._trials())

    @property
    def best(self) -> Trial | None:
        """The complete trial with the best score, the first of equals."""
        complete = [one for one in self.trials() if one.outcome == "complete" and one.score is not None]
        sign = -1.0 if self.higher_is_better else 1.0
        return min(complete, key=lambda one: (sign * (one.score or 0.0), one.number), default=None)

    def importance(self) -> dict[str, float]:
        """Which fraction of what sets the best trials apart each key accounts for (PED-ANOVA, Watanabe et al. 2023).

        Empty where too few trials are complete.
        """
        complete = [one for one in self._frozen() if one.state == TrialState.COMPLETE and one.params]
        if len(complete) < MIN_TRIALS_FOR_IMPORTANCE or len({one.value for one in complete}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # keys that few trials have are of little importance
            found = optuna.importance.get_param_importances(self._study)
        return {key: value for key, value in found.items() if math.isfinite(value)}

    def _frozen(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _trials(self) -> Iterator[Trial]:
        for one in self._frozen():
            if one.state == TrialState.WAITING or one.user_attrs.get(DUPLICATE):
                continue
            origin = self._first[one.number].origin if one.number < len(self._first) else ""
            if (record := one.user_attrs.get(RECORD)) is not None:
                yield Trial(one.number, **record)
            elif one.number in self._proposed:
                yield Trial(one.number, "in flight", None, self._proposed[one.number].values, origin)
            else:
                yield Trial(one.number, "in flight", None, dict(one.params), origin)

    def _proposal(self, trial: optuna.Trial) -> Proposal | None:
        """What a trial is to run; None where another one has its values already."""
        number = trial.number
        if number < len(self._first):
            first = self._first[number]
            for one in self._space.parameters:
                if one.key in first.drawn:
                    one.suggest(trial)
            proposal = Proposal(number, first.loaded, dict(first.values), first.origin)
        else:
            is_random = self._n_recent_duplicates() >= RANDOM_AFTER
            keys = [one.key for one in self._space.parameters]

            def pick(one: Parameter) -> Any:
                self._study.sampler = self._sampler(number, keys.index(one.key), is_random)
                return one.suggest(trial)

            loaded, values = self._space.assign(self._loaded, pick)
            proposal = Proposal(number, loaded, values, "")
            if any(trial.params == one.params for one in self._frozen() if one.number < number):
                trial.set_user_attr(DUPLICATE, True)
                self._study.tell(trial, state=TrialState.FAIL)
                return None
        self._running[number], self._proposed[number] = trial, proposal
        return proposal

    def _n_recent_duplicates(self) -> int:
        """How many of the last trials drew a point again that was tried."""
        repeated = [bool(one.user_attrs.get(DUPLICATE)) for one in self._frozen()]
        return len(repeated) - max((place + 1 for place, is_one in enumerate(repeated) if not is_one), default=0)

    def _sampler(self, number: int, place: int, is_random: bool) -> optuna.samplers.BaseSampler:
        """A sampler of its own for each value, so that a search that goes on draws what it would have drawn."""
        (seed,) = np.random.SeedSequence(self._seed, spawn_key=(number, place)).generate_state(1)
        if is_random:
            return optuna.samplers.RandomSampler(seed=int(seed))
        # One key at a time: jointly, it would leave out keys that some trials do not have.
        return optuna.samplers.TPESampler(seed=int(seed), multivariate=False, n_startup_trials=RANDOM_TRIALS)

    def _end(self, trial: optuna.Trial, record: Mapping[str, Any]) -> None:
        """Tell the sampler. A trial that diverged counts among the worst, so that it stays away from there."""
        if record["outcome"] == "complete":
            self._study.tell(trial, record["score"])
        else:
            is_bad = record["outcome"] in ("pruned", "diverged")
            self._study.tell(trial, state=TrialState.PRUNED if is_bad else TrialState.FAIL)
