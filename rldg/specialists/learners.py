"""Which learner a training needs."""

from rldg.specialists.config import SpecialistConfig
from rldg.specialists.learner import Learner
from rldg.specialists.spec import AgentSpec


def make_learner(config: SpecialistConfig, spec: AgentSpec, seed: int) -> Learner:
    """The learner of `config`; a clone has no critics that could see more than its actor."""
    if spec.asymmetric and not config.clones:
        from rldg.specialists.asymmetric import AsymmetricLearner

        return AsymmetricLearner(config, spec, seed)
    return Learner(config, spec, seed)
