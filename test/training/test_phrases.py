"""Names of generated things: consistent, complete, and honest about what is unclear."""

from __future__ import annotations

import pytest

from training import phrases


def test_every_name_is_in_the_vocabulary() -> None:
    known = set(phrases.vocabulary(phrases.PAINTABLE))
    for key in phrases.KINDS:
        colors = phrases.PAINTED_COLORS.get(key, phrases.COLORS) if key in phrases.PAINTABLE else ()
        looks = [None, *colors] if key not in phrases.PROCEDURAL else list(colors)
        for color in looks:
            assert set(phrases.naming(key, color).names) <= known


@pytest.mark.parametrize("key", sorted(phrases.KINDS))
def test_no_phrase_is_both_right_and_unclear(key: str) -> None:
    for color in (None, "green"):
        found = phrases.naming(key, color)
        assert not set(found.names) & found.unclear


def test_paint_replaces_the_color_in_the_name() -> None:
    green = phrases.naming("porcelain_mug", "green")
    assert "green mug" in green.names
    assert "white mug" not in green.names
    assert "white mug" not in green.unclear


def test_look_alikes_are_wrong_for_each_other() -> None:
    soup, tomato = phrases.naming("alphabet_soup"), phrases.naming("tomato_sauce")
    assert "tomato sauce can" not in soup.names
    assert "tomato sauce can" not in soup.unclear
    assert "can" in soup.names
    assert "can" in tomato.names
    assert "white mug" not in phrases.naming("white_yellow_mug").unclear


def test_words_have_no_articles_or_plurals() -> None:
    known = phrases.words(phrases.vocabulary(phrases.PAINTABLE))
    assert {"bowl", "black", "mug", "microwave", "caddy"} <= set(known)
    assert not {"the", "a", "bowls", "boxes"} & set(known)


@pytest.mark.parametrize(("said", "asked"), [("the Black bowl", "black bowl"), (" a mug ", "mug"), ("tap", "tap")])
def test_articles_go(said: str, asked: str) -> None:
    assert phrases.strip_article(said) == asked
