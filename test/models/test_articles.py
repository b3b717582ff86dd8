"""Articles before the phrases of a prompt."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.models.articles import indefinite, with_article

TOLD = {
    "red mug": "a red mug", "orange mug": "an orange mug", "glass": "a glass", "blue glass": "a blue glass",
    "bus": "a bus", "cactus": "a cactus", "iris": "an iris", "lens": "a lens", "dress": "a dress",
    "one mug": "one mug", "some milk": "some milk", "no mug": "no mug", "another mug": "another mug",
    "every mug": "every mug", "his cup": "his cup", "these cups": "these cups", "two mugs": "two mugs", "3 cans": "3 cans",
    "the mug": "the mug", "A mug": "A mug", "my mug": "my mug", "John's mug": "John's mug",
    "mugs": "mugs", "Plates": "Plates", "people": "people", "scissors": "scissors", "knives": "knives",
    "mug with stripes": "a mug with stripes", "box of cookies": "a box of cookies",
    "bottles of milk": "bottles of milk", "mug left of the plates": "a mug left of the plates",
    "left mug": "a left mug", "red left mugs": "red left mugs",
    "umbrella": "an umbrella", "uniform": "a uniform", "unopened can": "an unopened can",
    "unidentified box": "an unidentified box", "used cup": "a used cup", "USB stick": "a USB stick", "utensil": "a utensil",
    "urn": "an urn", "one-handled pot": "a one-handled pot", "European plug": "a European plug", "egg": "an egg",
    "hourglass": "an hourglass", "honest face": "an honest face", "honey jar": "a honey jar", "heirloom": "an heirloom", "hat": "a hat",
    "LED lamp": "an LED lamp", "8-pack": "an 8-pack", "80-pack": "an 80-pack", "11th box": "an 11th box", "110 V plug": "110 V plug", "x-ray": "an x-ray", "xylophone": "a xylophone",
    "": "", "红色杯子": "a 红色杯子",
}  # fmt: skip


@pytest.mark.parametrize(("phrase", "told"), TOLD.items())
def test_told(phrase, told):
    assert with_article(phrase) == told


@settings(deadline=None, max_examples=80)
@given(st.text(max_size=30))
def test_no_phrase_is_changed_but_for_its_article(phrase):
    told = with_article(phrase)
    assert told in (phrase, f"a {phrase}", f"an {phrase}")
    assert with_article(told) == told


def test_indefinite_of_nothing():
    assert indefinite("") == "a"
