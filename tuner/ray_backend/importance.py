"""Which axes mattered, by Optuna on a study made of the finished trials."""

from __future__ import annotations

import math
import warnings

import optuna
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.trial import create_trial

from search_spaces.document import parse_yaml, read_yaml
from search_spaces.overrides import Overrides, override
from search_spaces.space import Space, read_space
from trainable.errors import UserError
from tuner.conclusions.importances import Importances
from tuner.ray_backend.domain import Domain
from tuner.ray_backend.sampler import quiet_optuna
from tuner.records import SearchRecord, TrialRecord
from tuner.store import Store
from tuner.tolerant import mapping, text

FEWEST_TRIALS = 10
"""below, not even a warning would make the numbers worth printing"""
MOST_FOR_FANOVA = 500
"""its forest takes seconds beyond"""

_BEST_SHARE, _FEWEST_BEST = 0.25, 5
"""the trials that PED-ANOVA tells from the others. Optuna's tenth is for thousands of trials: of 60 it found the only
axis with an effect in half of the simulated searches, a quarter in all; Optuna asks for five at least"""


def importances_of(record: SearchRecord, space: Space) -> Importances:
    """Importances of a search's axes on its finished trials; the same trials give the same numbers.

    fANOVA (Hutter et al. 2014) where every axis exists in every trial and trials are not too many, PED-ANOVA (Watanabe
    et al. 2023) otherwise.
    """
    domain = Domain(space)
    trials = [trial for trial in record.trials if trial.eligible and domain.covers(trial.params)]
    values = {trial.best_value for trial in trials if trial.best_value is not None}
    conditional = any(axis.when for axis in space.axes.values())
    method = "PED-ANOVA" if conditional or len(trials) > MOST_FOR_FANOVA else "fANOVA"
    if len(trials) < FEWEST_TRIALS:
        reason = record.say("fewer than {count} trials have finished", count=FEWEST_TRIALS)
    elif len(values) < 2:
        reason = record.say("all trials have the same value")
    else:
        shares = _shares(trials, record, domain, _evaluator(method, len(trials)))
        reason = "" if shares else record.say("no axis made a difference")
        return Importances(method, len(trials), shares, conditional, reason)
    return Importances(method, len(trials), conditional=conditional, reason=reason)


def stored_importances(store: Store, record: SearchRecord) -> Importances:
    """The same for a search on disk; none, with the reason, where its space cannot be read any more."""
    try:
        return importances_of(record, stored_space(store))
    except UserError as error:
        return Importances("", 0, reason=record.say("its space cannot be read: {mistake}", mistake=error.mistakes[0]))


def stored_space(store: Store) -> Space:
    """The space of a search on disk. Raises UserError where it cannot be read any more."""
    stored = read_yaml(store.search_yaml).data
    space = read_space(parse_yaml(text(stored.get("space")), "space"))
    overrides = Overrides.model_validate(mapping(stored.get("search")).get("overrides", {}))
    return override(space, overrides)[0]


def _evaluator(method: str, trials: int) -> BaseImportanceEvaluator:
    if method == "fANOVA":
        return FanovaImportanceEvaluator(seed=0)
    return PedAnovaImportanceEvaluator(target_quantile=max(_BEST_SHARE, _FEWEST_BEST / trials))


def _shares(
    trials: list[TrialRecord], record: SearchRecord, domain: Domain, evaluator: BaseImportanceEvaluator
) -> dict[str, float]:
    """Axis -> share, largest first; empty where no axis has any."""
    with quiet_optuna(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that `normalize` is experimental; that few trials say little, we say
        study = optuna.create_study(direction=record.direction)
        for trial in trials:
            labels = domain.labels(trial.params)
            distributions = {path: domain.distributions[path] for path in labels}
            study.add_trial(create_trial(value=trial.best_value, params=labels, distributions=distributions))
        # normalised here: Optuna gives equal shares where all are 0, which would read as a finding
        found = get_param_importances(study, evaluator=evaluator, normalize=False)
    total = math.fsum(found.values())
    if not math.isfinite(total) or total <= 0:
        return {}
    return {path: share / total for path, share in sorted(found.items(), key=lambda row: -row[1])}
