"""How sure the resolver must be.

The ratios of scores come from rendered scenes with one or two things of a name, scored by the embedded detector. At
0.85, one in thirty single things has a rival, and three in four pairs are seen to be pairs; "the" promises one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ResolverSettings:
    """Margins of the resolver.

    Attributes:
        score_ratio: a rival with less than this share of the best detection score is no rival ("the bowl"): of a pair
            of equal things, detectors score the worse seen one a little lower, look-alikes well below.
        unlike_ratio: the same where the rival differs in measured color or size: then it is rather a look-alike.
        destination_ratio: as ``score_ratio``, for where to put something.
        attribute_ratio: the same where the phrase names an attribute ("the red mug"): detectors also fire, less, on
            the wrong color.
        relation_ratio: a rival whose relations hold less than this share as well as the best one's is no rival.
        min_relation: below this, a relation does not hold for a single thing.
        holds: from this on, a relation holds; for counting, plurals and statements.
        set_ratio: members of a set ("all mugs") and things that are ordered ("leftmost mug") have at least this
            share of the best detection score.
        set_gap: and at least this share of the next better member's: where scores drop by more, the set ends.
        rank_margin: two things closer in a ranking than this share of their size are tied.
        place_clearance_m: room left around a thing that is put down.
    """

    score_ratio: float = 0.85
    unlike_ratio: float = 0.95
    destination_ratio: float = 0.9
    attribute_ratio: float = 0.85
    relation_ratio: float = 0.85
    min_relation: float = 0.2
    holds: float = 0.4
    set_ratio: float = 0.4
    set_gap: float = 0.6
    rank_margin: float = 0.1
    place_clearance_m: float = 0.01
