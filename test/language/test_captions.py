"""Captions fall into claims that can be checked one by one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.language.captions import parse_claims
from vlm_perception.types import CommandError, Entity


def shown(claim: Entity) -> str:
    relations = [
        f"{'not ' * r.negated}{r.predicate}({', '.join(a.phrase for a in r.anchors)})" for r in claim.relations
    ]
    return " ".join([f"{claim.number or '*' if claim.number != 0 else 0} {claim.phrase}", *relations])


@pytest.mark.parametrize(
    ("text", "atoms"),
    [
        ("the red mug", ["1 red mug"]),
        ("An image of a snowman by a fire.", ["1 snowman", "1 fire", "1 snowman next_to(fire)"]),
        ("The bowl is on the plate. It is black.", ["1 bowl", "1 plate", "1 black bowl", "1 bowl on(plate)"]),
        (
            "There are two bowls and a spoon. A green apple is in the bowl.",
            ["2 bowl", "1 spoon", "1 green apple", "1 bowl", "1 green apple in(bowl)"],
        ),
        (
            "A close-up of a cookie box beside a moka pot, with a stove in the background.",
            ["1 cookie box", "1 moka pot", "1 stove", "1 cookie box next_to(moka pot)"],
        ),
        ("a mug. The mug is left of a mug", ["1 mug", "1 mug left_of(mug)"]),
        ("there is no cup", ["0 cup"]),
        ("the bowl is not on the plate", ["1 bowl", "1 bowl not on(plate)"]),
        (
            "a black bowl between the plate and the ramekin",
            ["1 black bowl", "1 plate", "1 ramekin", "1 black bowl between(plate, ramekin)"],
        ),
    ],
)
def test_atoms(text: str, atoms: list[str]) -> None:
    claims = parse_claims(text)
    assert [shown(atom) for atom in claims.atoms] == atoms
    assert claims.rest == ()


def test_a_claim_of_several_relations_is_also_judged_as_a_whole() -> None:
    atoms = [shown(atom) for atom in parse_claims("the mug is on the plate and left of the box").atoms]
    assert atoms[3:] == ["1 mug on(plate)", "1 mug left_of(box)", "1 mug on(plate) left_of(box)"]


def test_what_is_not_understood_is_kept() -> None:
    claims = parse_claims("A man is holding a cup, looking out at the city. Hello.")
    assert "1 cup" in [shown(atom) for atom in claims.atoms]
    assert len(claims.rest) == 2
    assert "city" in claims.rest[0]
    assert claims.rest[1] == "Hello"


@pytest.mark.parametrize("text", ["", "yes", "42", "...", "\U0001f916"])
def test_no_claims(text: str) -> None:
    with pytest.raises(CommandError, match="claims nothing"):
        parse_claims(text)


@settings(deadline=None, max_examples=40)
@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from(["a red mug", "is", "on", "the plate", ".", "it", "not", "two"])).map(" ".join)
)
def test_it_never_raises_anything_else(text: str) -> None:
    try:
        claims = parse_claims(text)
    except CommandError:
        return
    assert claims.whole
    assert claims.atoms
