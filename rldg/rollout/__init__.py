"""The control loop and what it leaves behind."""

from rldg.rollout.episode import Episode, EpisodeMetadata
from rldg.rollout.loop import Subscriber, Transition, recorded_episode, rollout

__all__ = ["Episode", "EpisodeMetadata", "Subscriber", "Transition", "recorded_episode", "rollout"]
