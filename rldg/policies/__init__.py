"""Everything that acts."""

from rldg.policies.base import Policy, PolicyMetadata

__all__ = ["Policy", "PolicyMetadata"]
