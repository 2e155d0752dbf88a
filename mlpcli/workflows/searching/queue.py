"""The queue of a running search: proposes trials, and stores their results."""

from time import monotonic
from typing import Protocol

from mlpcli.search.study import Study, Trial
from mlpcli.workflows.searching.folder import SearchFolder
from mlpcli.workflows.searching.trial import TrialResult, TrialTask


class Observer(Protocol):
    """Receives the events of a search, to display them."""

    def note(self, text: str) -> None:
        """A note for the user."""

    def begun(self, study: Study, metric: str, n_trials: int | None, where: int | str) -> None:
        """Called before the first trial; `where` is the number of processes, or the address of the cluster."""

    def trial(self, trial: Trial, best: Trial | None) -> None:
        """Called after each trial; `best` is the best one so far."""

    def ended(self) -> None:
        """Called after the last trial."""


class TrialQueue:
    """Takes trials from the study, and writes their results to the study, the folder and the observer.

    It implements the protocol `mlpcli.search.processes.Tasks`. The search ends after `n_trials` trials, or at
    `deadline` (seconds of `time.monotonic`); None is no limit.
    """

    def __init__(
        self, study: Study, folder: SearchFolder, metric: str, observer: Observer, n_trials: int | None,
        deadline: float | None, prunes: bool,
    ) -> None:  # fmt: skip
        self._study, self._folder, self._metric, self._observer = study, folder, metric, observer
        self._n_trials, self._deadline, self._prunes = n_trials, deadline, prunes

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self._deadline is not None and monotonic() >= self._deadline

    def next(self) -> TrialTask | None:
        """The next trial; None at the deadline, after `n_trials`, or if the space has no untried points."""
        is_enough = self._n_trials is not None and self._study.n_begun >= self._n_trials
        if self.is_late or (is_enough and not self._study.has_unfinished):
            return None
        proposal = self._study.propose()
        best = self._study.best
        return None if proposal is None else TrialTask(proposal, None if best is None else best.score)

    def report(self, task: TrialTask, epoch: int, score: float) -> bool:
        """Report a score; returns whether to prune the trial. Initial trials are not pruned: they are the reference."""
        should_prune = self._study.report(task.proposal.number, epoch, score)
        return should_prune and self._prunes and not task.proposal.origin

    def done(self, task: TrialTask, result: TrialResult) -> None:
        """Store a finished trial, and remove the model of the previous best trial if this one is better.

        The files are written first, so that a trial in the journal always has its files.
        """
        trial = result.trial
        self._folder.write_trial(trial.number, result.files)
        previous_best = self._study.best
        self._study.finish(trial)
        best = self._study.best
        rivals = {trial.number} if previous_best is None else {trial.number, previous_best.number}
        for number in rivals - {0, best.number if best else 0}:
            self._folder.drop_weights(number)
        self._observer.trial(trial, best)

    def died(self, task: TrialTask, reason: str) -> bool:
        """Store a trial whose process died as failed; returns True, as the search continues."""
        proposal = task.proposal
        values = dict(proposal.values)
        self.done(task, TrialResult(Trial(proposal.number, "failed", None, values, proposal.origin, reason=reason)))
        return True
