"""From detections in 3-D to the things a query speaks of: predicates and the resolver."""

from vlm_perception.spatial.resolver import resolve
from vlm_perception.spatial.settings import ResolverSettings
from vlm_perception.spatial.wording import unknown_words

__all__ = ["ResolverSettings", "resolve", "unknown_words"]
