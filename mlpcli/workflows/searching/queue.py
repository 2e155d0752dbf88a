"""The trials of a search that is under way: which comes next, and what becomes of each."""

from time import monotonic
from typing import Protocol

from mlpcli.search.study import Study, Trial
from mlpcli.workflows.searching.folder import SearchFolder
from mlpcli.workflows.searching.trial import TrialResult, TrialTask


class Observer(Protocol):
    """Who watches a search: the terminal, or nobody."""

    def note(self, text: str) -> None:
        """Something the user should know."""

    def begun(self, study: Study, metric: str, n_trials: int | None, where: int | str) -> None:
        """Trials are about to run."""

    def trial(self, trial: Trial, best: Trial | None) -> None:
        """A trial has ended."""

    def ended(self) -> None:
        """No more trials will come."""


class TrialQueue:
    """Where the next trial comes from, and who is told what became of it."""

    def __init__(
        self, study: Study, folder: SearchFolder, metric: str, observer: Observer, n_trials: int | None,
        deadline: float | None, prunes: bool,
    ) -> None:  # fmt: skip
        self._study, self._folder, self._metric, self._observer = study, folder, metric, observer
        self._n_trials, self._deadline, self._prunes = n_trials, deadline, prunes

    @property
    def is_late(self) -> bool:
        """Whether the seconds are used up."""
        return self._deadline is not None and monotonic() >= self._deadline

    def next(self) -> TrialTask | None:
        """The next trial, None where there are enough."""
        is_enough = self._n_trials is not None and self._study.n_begun >= self._n_trials
        if self.is_late or (is_enough and not self._study.has_unfinished):
            return None
        proposal = self._study.propose()
        best = self._study.best
        return None if proposal is None else TrialTask(proposal, None if best is None else best.score)

    def report(self, task: TrialTask, epoch: int, score: float) -> bool:
        """Whether a trial is to be pruned; the first ones are not, as all others are measured by them."""
        is_behind = self._study.report(task.proposal.number, epoch, score)
        return is_behind and self._prunes and not task.proposal.origin

    def done(self, task: TrialTask, result: TrialResult) -> None:
        """Note a trial, its files before its end, and forget the model that it beats."""
        trial = result.trial
        self._folder.write_trial(trial.number, result.files)
        before = self._study.best
        self._study.finish(trial)
        best = self._study.best
        for number in {one.number for one in (before, trial) if one is not None} - {0, best.number if best else 0}:
            self._folder.drop_weights(number)
        self._observer.trial(trial, best)

    def died(self, task: TrialTask, reason: str) -> bool:
        """A trial whose process ended has failed; the others go on."""
        proposal = task.proposal
        values = dict(proposal.values)
        self.done(task, TrialResult(Trial(proposal.number, "failed", None, values, proposal.origin, reason=reason)))
        return True
