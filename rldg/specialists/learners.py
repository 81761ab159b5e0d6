"""Which learner an algorithm needs."""

from rldg.specialists.config import SpecialistConfig
from rldg.specialists.learner import Learner
from rldg.specialists.spec import AgentSpec


def make_learner(config: SpecialistConfig, spec: AgentSpec, seed: int) -> Learner:
    """The learner of `config.algorithm`."""
    if config.algorithm in ("bc", "hg-dagger"):
        from rldg.specialists.cloning import CloningLearner

        return CloningLearner(config, spec, seed)
    if spec.asymmetric:
        from rldg.specialists.asymmetric import AsymmetricLearner

        return AsymmetricLearner(config, spec, seed)
    return Learner(config, spec, seed)
