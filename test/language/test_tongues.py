"""The guess which language a text that is not English may be in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.language import ForeignLanguageError, foreign_language, parse
from vlm_perception.language.tongues import FOREIGN_WORDS, LATIN, guess


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("红色的杯子", "zh ja"),
        ("赤いマグカップ", "ja"),
        ("빨간 컵을 집어", "ko"),
        ("πάρε την κούπα", "el"),
        ("קח את הכוס", "he yi"),
        ("gib mir die rote Tasse", "de"),
        ("où est la tasse rouge", "fr"),
        ("dame la taza roja", "es"),
        ("prendi la tazza rossa", "it"),
        ("pegue a caneca vermelha", "pt"),
        ("pak de rode beker", "nl"),
        ("ota punainen kuppi", "fi"),
        ("ambil cangkir merah", "id"),
        ("lấy cái cốc màu đỏ", "vi"),
    ],
)
def test_what_is_certain(text: str, codes: str) -> None:
    guessed = guess(text)
    assert set(codes.split()) == guessed or (codes == "id" and guessed == {"id", "ms"})
    with pytest.raises(ForeignLanguageError) as refused:
        parse(text)
    assert refused.value.languages == guessed


@pytest.mark.parametrize("text", ["jala aurretik", "une pomme", "kérek egy poharat"])
def test_what_is_not_certain_is_any_language_of_the_script(text: str) -> None:
    assert guess(text) == LATIN


@pytest.mark.parametrize("text", ["возьми 杯子", "ꦏꦥ꧀", "", "42"])
def test_mixed_and_unknown_scripts_may_be_anything(text: str) -> None:
    assert guess(text) == frozenset()


def test_neighbours_that_share_their_words_stay_possible() -> None:
    assert {"fr", "es"} <= guess("la tasse")
    assert {"da", "no"} <= guess("det røde")


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(FOREIGN_WORDS)), st.data())
def test_a_text_of_a_languages_own_words_may_be_in_it(code: str, data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from(sorted(FOREIGN_WORDS[code])), min_size=1, max_size=6))
    assert code in guess(" ".join(words))


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=40))
def test_any_text_is_guessed_at(text: str) -> None:
    assert all(len(code) == 2 for code in guess(text))
    foreign_language(text)


@pytest.mark.parametrize("text", ["the red mug", "what does 出口 mean?", "a café", ""])
def test_english_is_not_foreign(text: str) -> None:
    assert foreign_language(text) is None
