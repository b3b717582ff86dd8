"""Every score of rgbd-rec/1, from answers that are right or wrong in a known way."""

import json
from dataclasses import replace

import numpy as np
import pytest
from recordings import recordings

from vlm_perception.evaluation.dataset import Expression, load_rgbd_rec
from vlm_perception.evaluation.evaluate import EvaluationReport, Outcome, evaluate, score_answer
from vlm_perception.evaluation.oracle import OracleModel
from vlm_perception.geometry.localize import localize
from vlm_perception.models.base import Capabilities
from vlm_perception.pipeline import Pipeline
from vlm_perception.types import Answer, Detection, Grounding, Role, SceneObject, Status


def scene_object(frame, instance_id, *, shift=0.0):
    """The true instance, or its box moved right by a share of its width."""
    images, instance = frame.load(), frame.instance(instance_id)
    x0, y0, x1, y1 = instance.box_xyxy
    step = shift * (x1 - x0)
    mask = frame.mask(instance_id)
    geometry = localize(mask, images.depth_m, images.camera, up=frame.up_camera).geometry
    return SceneObject(instance_id, (x0 + step, y0, x1 + step, y1), {"x": 1.0}, "x", mask=mask, geometry=geometry)


def answer(*objects, status=Status.SUCCEEDED, count=None):
    groundings = tuple(Grounding(o, Role.TARGET, "x", 1.0) for o in objects)
    return Answer(None, "x", status, "", groundings=groundings, count=count)


def score(dataset, given, kind, targets):
    frame = dataset.frames[0]
    return score_answer(given, Expression("a", "x", kind, targets), frame, frame.load())


def test_a_right_answer(dataset):
    scores = score(dataset, answer(scene_object(dataset.frames[0], 1)), "category", (1,))
    assert scores.pop("centroid_cm") < 0.2
    assert scores == {"acc@0.5": 1, "acc@0.75": 1, "mIoU": 1, "mask_iou": 1, "pick_acc": 1}


def test_a_box_that_is_off_by_a_fifth(dataset):
    # IoU = 0.8 / 1.2: right at 0.5, wrong at 0.75.
    scores = score(dataset, answer(scene_object(dataset.frames[0], 1, shift=0.2)), "relation", (1,))
    assert (scores["acc@0.5"], scores["acc@0.75"]) == (1, 0)
    assert scores["mIoU"] == pytest.approx(2 / 3)
    assert "centroid_cm" in scores


def test_the_wrong_object(dataset):
    scores = score(dataset, answer(scene_object(dataset.frames[0], 2)), "ordinal", (1,))
    assert set(scores.values()) == {0.0}
    assert "centroid_cm" not in scores


def test_only_the_top_answer_counts(dataset):
    frame = dataset.frames[0]
    both = [scene_object(frame, 2), scene_object(frame, 1)]
    assert score(dataset, answer(*both), "category", (1,))["acc@0.5"] == 0
    assert score(dataset, answer(*reversed(both)), "category", (1,))["acc@0.5"] == 1


@pytest.mark.parametrize("status", [Status.NOT_FOUND, Status.AMBIGUOUS, Status.INVALID_COMMAND, Status.MODEL_ERROR])
def test_no_answer_where_there_is_one(dataset, status):
    # Even when groundings come along: the status says that it is no answer.
    given = answer(scene_object(dataset.frames[0], 1), status=status)
    assert set(score(dataset, given, "category", (1,)).values()) == {0.0}


def test_a_box_without_a_pose_is_a_box(dataset):
    blind = replace(scene_object(dataset.frames[0], 1), geometry=None)
    scores = score(dataset, answer(blind, status=Status.NO_DEPTH), "category", (1,))
    assert scores["acc@0.5"] == 1
    assert scores["pick_acc"] == 0
    assert "centroid_cm" not in scores


def test_the_pick_of_the_right_box_can_still_miss(dataset):
    frame = dataset.frames[0]
    right, other = scene_object(frame, 1), scene_object(frame, 2)
    scores = score(dataset, answer(replace(right, geometry=other.geometry)), "category", (1,))
    assert scores["acc@0.5"] == 1
    assert scores["pick_acc"] == 0
    assert scores["centroid_cm"] > 10


@pytest.mark.parametrize(
    ("status", "right"), [(Status.NOT_FOUND, 1), (Status.SUCCEEDED, 0), (Status.AMBIGUOUS, 0), (Status.MODEL_ERROR, 0)]
)
def test_absent(dataset, status, right):
    assert score(dataset, answer(status=status), "absent", ()) == {"absent_acc": right}


def test_plural(dataset):
    frame = dataset.frames[0]
    objects = [scene_object(frame, number) for number in (1, 2, 3)]
    assert score(dataset, answer(*objects[:2]), "plural", (1, 2)) == {"plural_f1@0.5": 1}
    assert score(dataset, answer(*objects), "plural", (1, 2)) == {"plural_f1@0.5": pytest.approx(0.8)}
    assert score(dataset, answer(objects[2]), "plural", (1,)) == {"plural_f1@0.5": 0}
    assert score(dataset, answer(*objects[:2]), "relation", (1, 2)) == {"plural_f1@0.5": 1}


def test_count(dataset):
    frame = dataset.frames[0]
    assert score(dataset, answer(count=2), "count", (1, 2)) == {"count_acc": 1}
    assert score(dataset, answer(count=3), "count", (1, 2)) == {"count_acc": 0}
    objects = [scene_object(frame, 1), scene_object(frame, 2)]
    assert score(dataset, answer(*objects), "count", (1, 2)) == {"count_acc": 1}


def test_the_oracle_is_right_about_everything(dataset):
    steps = []
    report = evaluate(
        dataset, Pipeline(OracleModel(), None), on_progress=lambda done, total: steps.append((done, total))
    )
    assert [o.status.name for o in report.outcomes[:3]] == ["SUCCEEDED"] * 3, report.outcomes
    scores = report.scores()
    assert scores.pop("centroid_cm_median") < 0.1
    assert scores.pop("centroid_cm_p90") < 0.2
    assert set(scores.values()) == {1.0}
    assert set(scores) == {
        "acc@0.5",
        "acc@0.75",
        "mIoU",
        "mask_iou",
        "pick_acc",
        "plural_f1@0.5",
        "count_acc",
        "absent_acc",
    }
    assert steps == [(number, 6) for number in range(1, 7)]
    assert all(outcome.badness == 0 for outcome in report.outcomes)


class OneThing:
    """Finds the same thing whatever it is asked for."""

    name = "one-thing"
    capabilities = Capabilities(detects=True)

    def __init__(self, box_xyxy):
        self.box_xyxy = box_xyxy

    def detect(self, images_rgb, phrases, *, threshold=None):
        return [[Detection(p, p, 0.9, self.box_xyxy) for p in phrases] for _ in images_rgb]

    def close(self):
        pass


def test_a_model_that_always_says_the_same_is_seen_through(dataset):
    model = OneThing(dataset.frames[0].instance(1).box_xyxy)
    report = evaluate(dataset, Pipeline(model, None))
    assert report.model == "one-thing"
    # Right once: one of the two "category" expressions means that thing.
    assert report.scores("category")["acc@0.5"] == 0.5
    assert report.scores("absent")["absent_acc"] == 0
    assert report.scores("plural")["plural_f1@0.5"] <= 2 / 3
    low, high = report.intervals("category")["acc@0.5"]
    assert (low, high) == (0, 1)
    # It gives no masks, and there is no segmenter: nothing can be picked.
    assert report.scores()["pick_acc"] == 0
    assert max(o.badness for o in report.outcomes) == 1


def test_the_json_is_that_of_the_format(dataset):
    report = evaluate(dataset, Pipeline(OracleModel(), None))
    data = json.loads(json.dumps(report.to_json()))
    assert set(data) == {
        "dataset",
        "model",
        "frames",
        "expressions",
        "overall",
        "kinds",
        "intervals",
        "latency_ms",
    }
    assert (data["dataset"], data["model"]) == ("three_boxes", "oracle")
    assert (data["frames"], data["expressions"]) == (1, 6)
    assert list(data["kinds"]) == ["category", "relation", "plural", "count", "absent"]
    assert data["kinds"]["category"]["n"] == 2
    assert data["kinds"]["category"]["acc@0.5"] == 1
    assert set(data["kinds"]["absent"]) == {"n", "absent_acc"}
    assert {"centroid_cm_median", "centroid_cm_p90"} <= set(data["overall"])
    assert "centroid_cm" not in data["overall"]
    assert data["intervals"]["overall"]["acc@0.5"] == [1, 1]
    assert set(data["intervals"]["kinds"]) == set(data["kinds"])
    for times in data["latency_ms"].values():
        assert 0 <= times["p50"] <= times["p95"]
    assert {"language", "detect", "geometry", "resolve", "total"} <= set(data["latency_ms"])


def test_a_limit(dataset):
    assert len(evaluate(dataset, Pipeline(OracleModel(), None), limit=2).outcomes) == 2


def test_latency_percentiles():
    expression = Expression("a", "x", "category", (1,))
    outcomes = tuple(Outcome(expression, Status.SUCCEEDED, "", (), {}, {"detect": float(ms)}) for ms in range(101))
    assert EvaluationReport("d", "m", 1, outcomes).latency_ms == {"detect": {"p50": 50.0, "p95": 95.0}}


@recordings()
def test_true_masks_of_libero_scenes_can_be_picked(folder):
    dev = load_rgbd_rec(folder)
    categories = tuple(e for e in dev.expressions if e.kind == "category")
    report = evaluate(replace(dev, expressions=categories), Pipeline(OracleModel(), None))
    scores = report.scores()
    assert scores["acc@0.5"] >= 0.97
    assert scores["pick_acc"] >= 0.97
    assert scores["centroid_cm_median"] <= 0.3
    assert np.isfinite(list(scores.values())).all()
