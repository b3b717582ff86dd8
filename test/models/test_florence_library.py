"""What Florence-2's answers mean, by this package and by the library's own post-processing: the same.

The library drops the fraction of a pixel and what of a label is not ASCII; this package keeps both.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_perception.models.asking import Sizes
from vlm_perception.models.factory import build_model
from vlm_perception.models.regions import RegionWish

SIZES = ((160, 96), (96, 160), (120, 120), (1280, 720))  # (width, height)
GROUNDING, DETECTION = "<CAPTION_TO_PHRASE_GROUNDING>", "<OPEN_VOCABULARY_DETECTION>"
REFERRING, OUTLINE, READING = "<REFERRING_EXPRESSION_SEGMENTATION>", "<REGION_TO_SEGMENTATION>", "<OCR_WITH_REGION>"

BINS = st.integers(0, 999)
LABELS = st.text("abcdefgh ", min_size=1, max_size=8).filter(lambda text: text.strip() and text.strip() not in ("it", "the image"))


def tokens(bins):
    return "".join(f"<loc_{k}>" for k in bins)


def whole(*parts):
    return f"</s><s>{''.join(parts)}</s>"


@pytest.fixture(scope="module")
def dialect_of(tiny_checkpoints):
    cache = {}

    def get(**options):
        key = tuple(options.items())
        if key not in cache:
            cache[key] = build_model(str(tiny_checkpoints("florence2")), device="cpu", options=options)._dialect
        return cache[key]

    return get


def ask_of(dialect, task):
    if task == READING:
        return dialect.read_text()
    if task == OUTLINE:
        return dialect.region((1, 1, 20, 20), (160, 96), RegionWish.OUTLINE)
    return dialect.locate(["red mug"])[0]


def both(dialect_of, task, text, wh):
    """Our places, and what the library's processor makes of the same text."""
    options = {GROUNDING: {"task": GROUNDING}, REFERRING: {"masks": True}}.get(task, {})
    dialect = dialect_of(**options)
    ask = ask_of(dialect, task)
    assert ask.prompt.startswith(task)
    parsed = ask.read(text, Sizes(wh, (768, 768)))
    return parsed, dialect._processor.post_process_generation(text=text, task=task, image_size=wh)[task]


def same_pixels(ours, theirs):
    """Up to the fraction of a pixel, which the library drops (and computes in single precision)."""
    difference = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    assert difference.size == 0 or (difference.min() > -1e-3 and difference.max() < 1 + 1e-3), difference


def ordered(bins):
    """As a box is written: upper left before lower right, with an area."""
    x1, y1, x2, y2 = bins
    return x1 < x2 and y1 < y2


BOXES = st.tuples(BINS, BINS, BINS, BINS).filter(ordered)


@pytest.mark.parametrize("task", [GROUNDING, DETECTION])
@settings(deadline=None, max_examples=40)
@given(things=st.lists(st.tuples(LABELS, st.lists(BOXES, min_size=1, max_size=3, unique=True)), min_size=1, max_size=4,
                       unique_by=lambda thing: thing[0].strip()), wh=st.sampled_from(SIZES))  # fmt: skip
def test_boxes(dialect_of, task, things, wh):
    text = whole(*(label + tokens(k for box in boxes for k in box) for label, boxes in things))
    parsed, theirs = both(dialect_of, task, text, wh)
    labels = theirs["labels"] if task == GROUNDING else theirs["bboxes_labels"]
    assert [" ".join(label.split()) for label in labels] == [place.label for place in parsed.places]
    same_pixels([place.box for place in parsed.places], theirs["bboxes"])
    assert parsed.problems == ()


@settings(deadline=None, max_examples=20)
@given(words=st.sampled_from(["it", "the image"]), box=BOXES, other=BOXES)
def test_grounded_words_that_name_nothing(dialect_of, words, box, other):
    """The checkpoint says which; the library leaves them out, for this task alone."""
    text = whole(words, tokens(box), "red mug", tokens(other))
    parsed, theirs = both(dialect_of, GROUNDING, text, (160, 96))
    assert [place.label for place in parsed.places] == theirs["labels"] == ["red mug"]
    same_pixels([place.box for place in parsed.places], theirs["bboxes"])
    assert words in parsed.problems[0]
    parsed, theirs = both(dialect_of, DETECTION, text, (160, 96))
    assert [place.label for place in parsed.places] == theirs["bboxes_labels"] == [words, "red mug"]


QUADS = st.lists(BINS, min_size=8, max_size=8).filter(lambda k: len(set(k[0::2])) > 1 and len(set(k[1::2])) > 1)


@settings(deadline=None, max_examples=40)
@given(lines=st.lists(st.tuples(LABELS, QUADS), min_size=1, max_size=4, unique_by=lambda line: line[0].strip()),
       wh=st.sampled_from(SIZES))  # fmt: skip
def test_lines_of_writing(dialect_of, lines, wh):
    parsed, theirs = both(dialect_of, READING, whole(*(label + tokens(bins) for label, bins in lines)), wh)
    assert [" ".join(label.split()) for label in theirs["labels"]] == [place.label for place in parsed.places]
    same_pixels([place.polygons[0] for place in parsed.places], theirs["quad_boxes"])
    extents = [(min(q[0::2]), min(q[1::2]), max(q[0::2]), max(q[1::2])) for q in theirs["quad_boxes"]]
    same_pixels([place.box for place in parsed.places], extents)
    assert parsed.problems == ()


def on_a_line(bins):
    points = np.array(bins).reshape(-1, 2)
    return np.linalg.matrix_rank(points - points[0]) < 2


OUTLINES = st.integers(3, 8).flatmap(lambda n: st.lists(BINS, min_size=2 * n, max_size=2 * n)).filter(lambda k: not on_a_line(k))
THINGS = st.lists(st.lists(OUTLINES, min_size=1, max_size=3), min_size=1, max_size=3, unique_by=str)


@pytest.mark.parametrize("task", [REFERRING, OUTLINE])
@settings(deadline=None, max_examples=40)
@given(things=THINGS, marked=st.booleans(), wh=st.sampled_from(SIZES))
def test_outlines(dialect_of, task, things, marked, wh):
    """With ``<poly>`` one thing each, without it a single one; ``<sep>`` parts a thing's outlines."""
    things = things if marked else things[:1]
    written = ["<sep>".join(tokens(outline) for outline in thing) for thing in things]
    parsed, theirs = both(dialect_of, task, whole(*(f"<poly>{one}</poly>" if marked else one for one in written)), wh)
    assert [len(place.polygons) for place in parsed.places] == [len(thing) for thing in theirs["polygons"]]
    for place, thing in zip(parsed.places, theirs["polygons"], strict=True):
        for ours, outline in zip(place.polygons, thing, strict=True):
            same_pixels(ours, outline)
    assert parsed.problems == ()


@settings(deadline=None, max_examples=30)
@given(things=st.lists(st.tuples(LABELS, OUTLINES), min_size=1, max_size=3, unique_by=lambda thing: thing[0].strip()),
       wh=st.sampled_from(SIZES))  # fmt: skip
def test_detection_by_outlines(dialect_of, things, wh):
    """Stuff is outlined where things are boxed."""
    text = whole(*(f"{label}<poly>{tokens(outline)}</poly>" for label, outline in things))
    parsed, theirs = both(dialect_of, DETECTION, text, wh)
    assert [" ".join(label.split()) for label in theirs["polygons_labels"]] == [place.label for place in parsed.places]
    for place, (outline,) in zip(parsed.places, theirs["polygons"], strict=True):
        same_pixels(place.polygons[0], outline)


@pytest.mark.parametrize("wish", ["DESCRIPTION", "CATEGORY", "TEXT"])
def test_words_of_a_region(dialect_of, wish):
    ask = dialect_of().region((40, 24, 72, 60), (160, 96), RegionWish[wish])
    task = ask.prompt.partition(">")[0] + ">"
    text = whole("a red mug")
    theirs = dialect_of()._processor.post_process_generation(text=text, task=task, image_size=(160, 96))[task]
    assert ask.read(text, Sizes((160, 96), (768, 768))).text == theirs == "a red mug"


@pytest.mark.parametrize("wish", list(RegionWish))
@settings(deadline=None, max_examples=25)
@given(box=st.tuples(*[st.floats(0, 95)] * 4), wh=st.sampled_from(SIZES[:3]))
def test_the_region_of_a_prompt_is_the_librarys(dialect_of, wish, box, wh):
    import torch

    x1, y1, x2, y2 = min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])
    ask = dialect_of().region((x1, y1, x2, y2), wh, wish)
    bins = [int(part.rstrip(">")) for part in ask.prompt.split("<loc_")[1:]]
    library = dialect_of()._processor.post_processor
    theirs = library.quantize(torch.tensor([[x1, y1, x2, y2]], dtype=torch.float64), wh)[0].tolist()
    assert np.abs(np.subtract(bins, theirs)).max() <= 1  # where a value lies on the border of two bins
    (told,) = dialect_of()._processor._construct_prompts([ask.prompt])
    assert tokens(bins) in told
    assert "<REGION" not in told
