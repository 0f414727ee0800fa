"""Context-dependent preferences from any feedback: who wants what, how sure, and what to do.

The names below are the public ones; each is loaded when it is first used, so that
`import penchant` costs nothing. Everything else is reached by the path of its module.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # "as" tells type checkers that the name is meant to be public here.
    from penchant.beliefs.belief import Belief as Belief
    from penchant.data.batch import Batch as Batch
    from penchant.data.description import Description as Description
    from penchant.data.readers.read import read as read
    from penchant.data.records import Records as Records
    from penchant.data.samples import conjoint as conjoint
    from penchant.data.samples import convincing_arguments as convincing_arguments
    from penchant.data.samples import london as london
    from penchant.data.samples import swissmetro as swissmetro
    from penchant.encoders.table import TableEncoder as TableEncoder
    from penchant.errors import BeliefError as BeliefError
    from penchant.errors import ConfigError as ConfigError
    from penchant.errors import DataError as DataError
    from penchant.errors import MissingExtraError as MissingExtraError
    from penchant.errors import NotFittedError as NotFittedError
    from penchant.errors import PenchantError as PenchantError
    from penchant.evaluation.report import ReportData as ReportData
    from penchant.evaluation.report import write_report as write_report
    from penchant.models.best_worst import BestWorst as BestWorst
    from penchant.models.bradley_terry import BradleyTerry as BradleyTerry
    from penchant.models.component_effects import component_effects as component_effects
    from penchant.models.conditional_logit import ConditionalLogit as ConditionalLogit
    from penchant.models.error_components import ErrorComponents as ErrorComponents
    from penchant.models.hierarchical_logit import HierarchicalLogit as HierarchicalLogit
    from penchant.models.latent_class_logit import LatentClassLogit as LatentClassLogit
    from penchant.models.leaderboard import Leaderboard as Leaderboard
    from penchant.models.mixed_logit import MixedLogit as MixedLogit
    from penchant.models.nested_logit import NestedLogit as NestedLogit
    from penchant.models.neural_logit import NeuralLogit as NeuralLogit
    from penchant.models.ordinal_ratings import OrdinalRatings as OrdinalRatings
    from penchant.models.personal_logit import PersonalLogit as PersonalLogit
    from penchant.models.plackett_luce import PlackettLuce as PlackettLuce
    from penchant.models.reward_model import RewardModel as RewardModel
    from penchant.models.summary import likelihood_ratio as likelihood_ratio
    from penchant.models.willingness import willingness_to_pay as willingness_to_pay
    from penchant.policies.oneshot.what_if import Change as Change
    from penchant.policies.oneshot.what_if import what_if as what_if

_HOMES = {
    "Batch": "penchant.data.batch",
    "Belief": "penchant.beliefs.belief",
    "BeliefError": "penchant.errors",
    "BestWorst": "penchant.models.best_worst",
    "BradleyTerry": "penchant.models.bradley_terry",
    "Change": "penchant.policies.oneshot.what_if",
    "ConditionalLogit": "penchant.models.conditional_logit",
    "ConfigError": "penchant.errors",
    "DataError": "penchant.errors",
    "Description": "penchant.data.description",
    "ErrorComponents": "penchant.models.error_components",
    "HierarchicalLogit": "penchant.models.hierarchical_logit",
    "LatentClassLogit": "penchant.models.latent_class_logit",
    "Leaderboard": "penchant.models.leaderboard",
    "MissingExtraError": "penchant.errors",
    "MixedLogit": "penchant.models.mixed_logit",
    "NestedLogit": "penchant.models.nested_logit",
    "NeuralLogit": "penchant.models.neural_logit",
    "NotFittedError": "penchant.errors",
    "OrdinalRatings": "penchant.models.ordinal_ratings",
    "PenchantError": "penchant.errors",
    "PersonalLogit": "penchant.models.personal_logit",
    "PlackettLuce": "penchant.models.plackett_luce",
    "Records": "penchant.data.records",
    "ReportData": "penchant.evaluation.report",
    "RewardModel": "penchant.models.reward_model",
    "TableEncoder": "penchant.encoders.table",
    "component_effects": "penchant.models.component_effects",
    "conjoint": "penchant.data.samples",
    "convincing_arguments": "penchant.data.samples",
    "likelihood_ratio": "penchant.models.summary",
    "london": "penchant.data.samples",
    "read": "penchant.data.readers.read",
    "swissmetro": "penchant.data.samples",
    "what_if": "penchant.policies.oneshot.what_if",
    "willingness_to_pay": "penchant.models.willingness",
    "write_report": "penchant.evaluation.report",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("penchant")
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(
            f"penchant has no {name!r}; its public names are {', '.join(_HOMES)}."
        ) from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__"})
