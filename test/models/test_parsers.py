"""Parsers against a corpus of broken outputs: salvage what is certain, report the rest, never invent."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.models.parsers import florence
from vlm_perception.models.parsers.kosmos import parse_kosmos
from vlm_perception.models.parsers.molmo import parse_molmo
from vlm_perception.models.parsers.paligemma import parse_paligemma
from vlm_perception.models.parsers.point_tags import parse_points
from vlm_perception.models.parsers.written import parse_written

CORPUS = Path(__file__).parent / "corpus"
PARSERS = {
    "written": lambda text, limits=(1000, 1000): parse_written(text, limits),
    "points": lambda text, limits=(100, 100): parse_points(text, limits),
    "molmo": lambda text, limits=None: parse_molmo(text),
    "florence": lambda text, limits=None: florence.parse_boxes(text),
    "florence_polygons": lambda text, limits=None: florence.parse_polygons(text),
    "florence_quads": lambda text, limits=None: florence.parse_quads(text),
    "florence_words": lambda text, limits=None: florence.parse_words(text),
    "paligemma": lambda text, limits=None: parse_paligemma(text),
    "kosmos": lambda text, limits=None: parse_kosmos(text),
}
LARGEST = {"written": 1000, "points": 100, "molmo": 1000, "florence": 999.5, "florence_polygons": 999, "florence_quads": 999.5,
           "florence_words": 0, "paligemma": 1023, "kosmos": 1}  # fmt: skip


def cases():
    for kind in PARSERS:
        for case in yaml.safe_load((CORPUS / f"{kind}.yaml").read_text(encoding="utf-8")):
            yield pytest.param(kind, case, id=f"{kind}-{case['name']}")


@pytest.mark.parametrize(("kind", "case"), cases())
def test_corpus(kind, case):
    limits = {"limits": tuple(case["limits"])} if "limits" in case else {}
    parsed = PARSERS[kind](case["text"], **limits)
    scale = 32 if kind == "kosmos" else 1
    got = [[place.label, *(v * scale for v in place.box)] for place in parsed.places]
    assert [row[0] for row in got] == [row[0] for row in case["places"]]
    for ours, expected in zip(got, case["places"], strict=True):
        assert ours[1:] == pytest.approx(expected[1:])
    if "codes" in case:
        assert [list(place.codes) for place in parsed.places] == case["codes"]
    expected_problems = case.get("problems", [])
    assert len(parsed.problems) == len(expected_problems), parsed.problems
    for part in expected_problems:
        assert any(part in line for line in parsed.problems), parsed.problems
    if "text_out" in case:
        assert parsed.text == case["text_out"]
        for place in parsed.places:
            if place.span is not None:
                assert parsed.text[place.span[0] : place.span[1]] == place.label


@pytest.mark.parametrize("kind", PARSERS)
def test_the_corpus_is_larger_than_a_handful(kind):
    cases = yaml.safe_load((CORPUS / f"{kind}.yaml").read_text(encoding="utf-8"))
    assert len(cases) >= 10
    assert any(case.get("problems") for case in cases)
    assert len({case["name"] for case in cases}) == len(cases)
    told = " ".join(case["name"] for case in cases)
    for kind_of_fault in ("cut |truncated", "refusal", "language|script|Chinese", "repeat|circles|again"):
        assert re.search(kind_of_fault, told), kind_of_fault


FRAGMENTS = st.sampled_from(
    ['{"bbox_2d": [', "1", "2,", " 30", ", 400]", '"label": "mug"', "}", "[", "]", "<loc_5>", "<loc_999>", "<loc0004>",
     "<seg001>", "<seg001>" * 15, "<loc0100>" * 2, ";", "<phrase>", "</phrase>", "<object>", "</object>", "<patch_index_0033>", "<patch_index_1500>",
     '<point x="1" y="2">', '<points coords="1 1 ', "\t2 ", '">', "</point>", "mug", " ", "<", ">", "(", ")", "-", "1e309", "\n", "é", "<poly>", "</poly>",
     "<sep>", "<loc_x>", "<loc_1000>", "<loc_" + "9" * 5000 + ">", "<patch_index_x>", "</delimiter_of_multi_objects/>", "</s>",
     "<loc_-3>", "<loc_" , "</", "٣"]
)  # fmt: skip


@pytest.mark.parametrize("kind", PARSERS)
@settings(deadline=None, max_examples=60)
@given(text=st.one_of(st.lists(FRAGMENTS, max_size=30).map("".join), st.text(max_size=60)))
def test_no_text_raises_or_leaves_the_range(kind, text):
    parsed = PARSERS[kind](text)
    for place in parsed.places:
        x1, y1, x2, y2 = place.box
        low = -0.5 if kind in ("florence", "florence_quads") else 0
        assert low <= x1 <= x2 <= LARGEST[kind]
        assert low <= y1 <= y2 <= LARGEST[kind]


@pytest.mark.parametrize("kind", PARSERS)
def test_long_nonsense_is_quick(kind):
    for text in ('<points coords="' * 3000, "[" * 20000, "{" * 2000, "<loc_1>" * 5001, "<loc0001>" * 5001, "<loc0001><seg001>" * 3000, "<phrase>" * 3000, "(1," * 5000, '{"a":' * 3000, "mug " * 20000, "< " * 20000,
                 "<loc_1> " * 5001, "<poly>" * 5000, "<poly><loc_1>" * 5000, "<object><patch_index_0001>" * 3000,
                 "<patch_index_0001>" * 5000, "<loc_" + "9" * 20000 + ">", "<object><patch_index_" + "9" * 20000 + ">",
                 "<a" * 20000, "</a" * 20000, "<loc_1>mug" * 3000):
        assert isinstance(PARSERS[kind](text).problems, tuple)


@pytest.mark.parametrize("kind", PARSERS)
def test_problems_are_short_enough_for_a_log(kind):
    nines = "9" * 9000
    for text in (f"<loc_{nines}>", f"<loc{nines}>" * 4, f"mug<loc_{nines}><loc_1><loc_2><loc_3>", "mug " * 5000,
                 f"<object><patch_index_{nines}><patch_index_0001></object>", f'<points coords="1 1 {nines} 2">',
                 f'<points coords="{nines} 1 1 2">', f'{{"bbox_2d": [1, 2, 3, {nines[:400]}]}}',
                 '{"bbox_2d": [' + "1, " * 3000 + "1]}", f'<point x="{nines}" y="1">lid</point>'):  # fmt: skip
        assert max((len(problem) for problem in PARSERS[kind](text).problems), default=0) < 300, text[:40]


@settings(deadline=None, max_examples=50)
@given(
    boxes=st.lists(
        st.tuples(*[st.integers(0, 998)] * 2, *[st.integers(1, 500)] * 2), min_size=1, max_size=5, unique=True
    ),
    cut=st.floats(0, 1),
)
def test_a_truncated_answer_gives_a_prefix_of_the_whole(boxes, cut):
    """Whatever the point of truncation, only boxes of the whole answer come out, in order."""
    import json

    full = [(x, y, min(x + w, 1000), min(y + h, 1000)) for x, y, w, h in boxes]
    whole = json.dumps([{"bbox_2d": box, "label": f"thing {i}"} for i, box in enumerate(full)])
    parsed = parse_written(whole[: int(len(whole) * cut)], (1000, 1000))
    found = [place.box for place in parsed.places]
    assert found == [tuple(map(float, box)) for box in full[: len(found)]]
