"""Word sequences looked up by their first word, against trying them one by one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.language.tokens import Cursor, Phrases, tokenize

WORDS = ["can", "you", "see", "the", "a", "mug", "is", "there"]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(patterns=st.lists(TEXTS, max_size=8), text=st.lists(TEXTS, max_size=3).map(" ".join), start=st.integers(0, 5))
def test_all_that_stand_at_the_cursor_are_found_and_no_others(patterns, text, start):
    tokens = tokenize(text)
    cursor = Cursor(tokens, min(start, len(tokens)))
    one_by_one = [(tuple(p.split()), stop) for p in patterns if (stop := cursor.reach(tuple(p.split()))) >= 0]
    assert list(Phrases(patterns).standing(cursor)) == one_by_one
