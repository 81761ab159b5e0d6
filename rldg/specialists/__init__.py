"""Specialists: one small policy per task, learned by RLPD in simulation or on the robot. JAX loads with `train` only."""

from rldg.specialists.config import SpecialistConfig
from rldg.specialists.policy import SpecialistPolicy, load_specialist

__all__ = ["SpecialistConfig", "SpecialistPolicy", "load_specialist"]
