"""Specialists: one small policy per task, learned by RLPD. Only `rldg.specialists.train` needs JAX."""

from rldg.specialists.config import SpecialistConfig
from rldg.specialists.policy import SpecialistPolicy, load_specialist

__all__ = ["SpecialistConfig", "SpecialistPolicy", "load_specialist"]
