"""Where text models look: the map is the attention of the phrase's tokens, laid where the image's tokens lie."""

import types
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from vlm_perception.models.base import HeatmapModel
from vlm_perception.models.capability import require
from vlm_perception.models.dialects.internvl import tile_columns
from vlm_perception.models.factory import build_model
from vlm_perception.models.text_attention import TextAttention, decoder_layers, eager_attention, more_than
from vlm_perception.models.token_grids import TokenGrid, differing, paint, row_by_row
from vlm_perception.types import CommandError, ModelError

KINDS = ("florence2", "kosmos-2", "paligemma", "qwen2_5_vl", "qwen3_vl", "internvl", "molmo2")
SIZES = ((96, 160), (160, 96), (120, 120))
# Shares of the image: lower right and upper right of the middle, so that swapped and mirrored axes show.
PLACES = ((0.55, 0.62, 0.7, 0.88), (0.55, 0.12, 0.7, 0.38))


def image_of(size, place=None):
    image = np.full((*size, 3), 90, np.uint8)
    if place is not None:
        x1, y1, x2, y2 = (round(v * side) for v, side in zip(place, (size[1], size[0]) * 2, strict=True))
        image[y1:y2, x1:x2] = (255, 20, 20)
    return image


@contextmanager
def attention_of_our_own(model, weights_for):
    """The upper half's attention is replaced; weights_for(shape) -> an array to take its place."""
    handles = []
    for layer in decoder_layers(model._model, "x"):
        module = layer.encoder_attn if hasattr(layer, "encoder_attn") else layer.self_attn

        def replace(_module, _inputs, output):
            return (output[0], torch.as_tensor(weights_for(tuple(output[1].shape)), dtype=output[1].dtype), *output[2:])

        handles.append(module.register_forward_hook(replace))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def embeddings_of(model, image):
    """(T, D) of the sequence that holds the image's tokens, as the text side sees it."""
    seen = []
    network = model._model
    encoder = network.model.language_model.encoder if network.config.is_encoder_decoder else None
    owner = encoder if encoder is not None else decoder_layers(network, "x")[0]

    def look(_module, inputs, keywords):
        given = keywords.get("inputs_embeds", keywords.get("hidden_states", inputs[0] if inputs else None))
        seen.append(given[0].float())

    handle = owner.register_forward_pre_hook(look, with_kwargs=True)
    model.heatmap(image, "red mug")
    handle.remove()
    return seen[0]


@pytest.fixture(scope="module")
def mean_of(tiny_checkpoints):
    cache = {}

    def get(kind):
        if kind not in cache:
            cache[kind] = build_model(str(tiny_checkpoints(kind)), device="cpu", options={"heatmap": "mean"})
        return cache[kind]

    return get


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_map_covers_the_image(model_of, kind, size):
    model = model_of(kind)
    assert isinstance(model, HeatmapModel)
    require(model, "heatmaps")
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    heat = model.heatmap(image, "red mug")
    assert heat.shape == size
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    assert heat.max() == pytest.approx(1.0)
    assert heat.max() > heat.min()
    np.testing.assert_allclose(heat, model.heatmap(image, "red mug"), atol=1e-5)
    assert not np.allclose(heat, model.heatmap(image, "plate"), atol=1e-3)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "kosmos-2"])
def test_attention_to_what_changed_lies_where_it_changed(mean_of, kind, size, place):
    """Tokens are attended to by how much a thing put into the image changes them: the map peaks at that thing.

    This goes through the real processor, vision tower, merger and layout of tokens; only the attention is ours.
    """
    model = mean_of(kind)
    change = (embeddings_of(model, image_of(size, place)) - embeddings_of(model, image_of(size))).norm(dim=-1)
    with attention_of_our_own(model, lambda shape: change[: shape[-1]].expand(shape)):
        heat = model.heatmap(image_of(size, place), "red mug")
    coarsest = min(model._dialect.reading(image_of(size), "mug", model.placement).grids, key=lambda g: g.tokens.size)
    v, u = np.unravel_index(heat.argmax(), heat.shape)
    for at, low, high, side, cells in (
        (u, place[0], place[2], size[1], coarsest.tokens.shape[1]),
        (v, place[1], place[3], size[0], coarsest.tokens.shape[0]),
    ):
        assert low * side - side / cells / 2 <= at <= high * side + side / cells / 2
    middle = heat[round((place[1] + place[3]) / 2 * size[0]), round((place[0] + place[2]) / 2 * size[1])]
    assert middle > 1.5 * heat.mean()


@pytest.mark.parametrize("size", SIZES)
def test_kosmos_goes_through_the_resampler(mean_of, size):
    """One image token is looked at, and that token looks at one patch."""
    model = mean_of("kosmos-2")
    projection = model._model.image_to_text_projection.x_attn
    for patch, (row, column) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):

        def route(_module, _inputs, output, patch=patch):
            weights = torch.zeros_like(output[1])
            weights[:, :, 5, 1 + patch] = 1.0  # column 0 is the class token
            weights[:, :, 6, 1 + (patch + 1) % 4] = 1.0
            return output[0], weights

        handle = projection.register_forward_hook(route)
        positions = model._dialect.reading(image_of(size), "red mug", model.placement).image_positions
        assert len(positions) == 64

        def weights(shape, positions=positions):
            array = np.zeros(shape)
            array[..., positions[5]] = 1.0
            return array

        with attention_of_our_own(model, weights):
            heat = model.heatmap(image_of(size), "red mug")
        handle.remove()
        quarters = heat.reshape(2, size[0] // 2, 2, size[1] // 2).mean((1, 3))
        assert np.unravel_index(quarters.argmax(), (2, 2)) == (row, column)


def rows_of(model, phrase, image):
    """Where a phrase's ids are in the sequence that reads it, found by looking for them."""
    dialect = model._dialect
    tokenizer = dialect._chat.tokenizer if hasattr(dialect, "_chat") else dialect._processor.tokenizer
    words = tokenizer(phrase, add_special_tokens=False)["input_ids"]
    text = list(dialect.reading(image, phrase, model.placement).text)
    at = [k for k in range(len(text)) if text[k : k + len(words)] == words]
    assert len(at) == 1
    return slice(at[0], at[0] + len(words))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "kosmos-2"])
@pytest.mark.parametrize("method", ["relative", "mean"])
def test_only_the_phrases_tokens_count(tiny_checkpoints, kind, method):
    """The phrase looks at one token of the image, and everything else at another: the map has the first."""
    model, size = build_model(str(tiny_checkpoints(kind)), device="cpu", options={"heatmap": method}), (96, 160)
    image = image_of(size)
    reading = model._dialect.reading(image, "red mug", model.placement)
    rows = rows_of(model, "red mug", image)
    grid = reading.grids[0].tokens
    hot, cold = reading.image_positions[grid[-1, -1]], reading.image_positions[grid[0, 0]]

    def weights(shape):
        array = np.full(shape, 1e-3)
        if shape[-2] == len(reading.text):  # "red mug"; the neutral word's prompt is shorter
            array[..., cold] = 1.0
            array[:, :, rows, cold] = 1e-3
            array[:, :, rows, hot] = 1.0
        return array

    with attention_of_our_own(model, weights):
        heat = model.heatmap(image, "red mug")
    v, u = np.unravel_index(heat.argmax(), heat.shape)
    assert v > size[0] / 2
    assert u > size[1] / 2
    assert heat[: size[0] // 4, : size[1] // 4].max() < 0.2


@pytest.mark.parametrize("kind", ["florence2", "paligemma", "qwen3_vl"])
def test_values_are_the_librarys_attentions(tiny_checkpoints, mean_of, kind):
    """The same numbers by ``output_attentions`` of a model loaded with eager attention."""
    image = np.random.default_rng(3).integers(0, 255, (96, 160, 3), dtype=np.uint8)
    options = {"heatmap": "mean", "attn_implementation": "eager"}
    eager = build_model(str(tiny_checkpoints(kind)), device="cpu", options=options)
    reading = eager._dialect.reading(image, "red mug", eager.placement)
    rows = rows_of(eager, "red mug", image)
    with torch.no_grad():
        output = eager._model(**reading.inputs, output_attentions=True)
    layers = output.cross_attentions if kind == "florence2" else output.attentions
    theirs = torch.stack([layer[0, :, rows].mean((0, 1)) for layer in layers[len(layers) // 2 :]]).mean(0)
    expected = paint(theirs.numpy()[reading.image_positions], reading.grids, (160, 96))
    np.testing.assert_allclose(eager.heatmap(image, "red mug"), expected, atol=1e-3)
    np.testing.assert_allclose(mean_of(kind).heatmap(image, "red mug"), expected, atol=1e-3)


def test_the_upper_half_of_the_layers(mean_of):
    model = mean_of("qwen3_vl")
    image = image_of((96, 160))

    class Spoken(torch.nn.Module):
        def __init__(self, level):
            super().__init__()
            self.level = level
            self.self_attn = torch.nn.Identity()

    class Network(torch.nn.Module):
        config = types.SimpleNamespace(sub_configs={}, _attn_implementation="eager")

        def __init__(self):
            super().__init__()
            self.layers = torch.nn.ModuleList(Spoken(level) for level in range(5))

        def generate(self, input_ids, **_):
            for layer in self.layers:
                weights = torch.zeros(1, 2, input_ids.shape[1], input_ids.shape[1])
                weights[..., reading.image_positions[layer.level]] = 1.0
                for hook in layer.self_attn._forward_hooks.values():
                    hook(layer.self_attn, (), (None, weights))

    reading = model._dialect.reading(image, "red mug", model.placement)
    attention = TextAttention("x", Network(), model.placement, "mean")
    values = attention._attention(reading, rows_of(model, "red mug", image))
    np.testing.assert_allclose(values[:6], [0, 0, 1 / 3, 1 / 3, 1 / 3, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_attention_is_switched_and_back(model_of, kind):
    network = model_of(kind)._model
    config = network.config
    text, vision = config.text_config, config.vision_config
    before = (config._attn_implementation, text._attn_implementation, vision._attn_implementation)
    assert before == ("sdpa", "sdpa", "sdpa")
    with eager_attention(network, kind):
        assert (text._attn_implementation, vision._attn_implementation) == ("eager", "sdpa")
    model_of(kind).heatmap(image_of((96, 160)), "mug")
    assert (config._attn_implementation, text._attn_implementation, vision._attn_implementation) == before
    for layer in decoder_layers(network, kind):
        assert not layer.self_attn._forward_hooks


def test_attention_that_cannot_be_seen_is_an_error(tiny_checkpoints, monkeypatch):
    model = build_model(str(tiny_checkpoints("paligemma")), device="cpu")
    monkeypatch.setattr(model._model, "set_attn_implementation", lambda _: None)
    with pytest.raises(ModelError, match="does not give its weights; load it with the option attn_implementation: eager"):
        model.heatmap(image_of((96, 160)), "mug")

    def refuse(_):
        raise ValueError("no such thing")

    monkeypatch.setattr(model._model, "set_attn_implementation", refuse)
    with pytest.raises(ModelError, match=r"cannot be switched to 'eager' \(no such thing\)"):
        model.heatmap(image_of((96, 160)), "mug")
    with pytest.raises(ModelError, match="no decoder layers found in Linear"):
        decoder_layers(torch.nn.Linear(1, 1), "x")


def test_nan_is_an_error(model_of):
    def broken(shape):
        return np.full(shape, np.nan)

    with attention_of_our_own(model_of("qwen3_vl"), broken), pytest.raises(ModelError, match="try dtype:=float32"):
        model_of("qwen3_vl").heatmap(image_of((96, 160)), "mug")


@pytest.mark.parametrize("kind", ["florence2", "qwen3_vl"])
def test_out_of_memory_says_what_to_do_and_leaves_nothing_behind(tiny_checkpoints, monkeypatch, kind):
    model = build_model(str(tiny_checkpoints(kind)), device="cpu")

    def full(**_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(model._model, "generate", full)
        with pytest.raises(ModelError, match="ran out of memory"):
            model.heatmap(image_of((96, 160)), "mug")
    assert model._model.config.text_config._attn_implementation == "sdpa"
    assert not any(layer.self_attn._forward_hooks for layer in decoder_layers(model._model, kind))
    model.heatmap(image_of((96, 160)), "mug")


@pytest.mark.parametrize("kind", KINDS)
def test_empty_phrases_wrong_images_and_closed_models(tiny_checkpoints, kind):
    model = build_model(str(tiny_checkpoints(kind)), device="cpu")
    for phrase in ("", " . "):
        with pytest.raises(CommandError, match="phrase is empty"):
            model.heatmap(image_of((96, 160)), phrase)
    with pytest.raises(ModelError, match=r"must be \(H, W, 3\) uint8"):
        model.heatmap(np.zeros((8, 8), np.uint8), "mug")
    for phrase in ("object", "thing object item", "mug 杯 🙂"):
        assert model.heatmap(image_of((96, 160)), phrase).shape == (96, 160)
    model.close()
    with pytest.raises(ModelError, match="is closed"):
        model.heatmap(image_of((96, 160)), "mug")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("qwen3_vl", {"attn_implementation": "eager"}),
        ("qwen3_vl", {"compile": "eager"}),
        ("florence2", {"compile": "eager"}),
        ("kosmos-2", {"compile": "eager"}),
    ],
)
def test_compiled_and_eager_models_give_the_same_map(tiny_checkpoints, model_of, kind, options):
    """After a detection, too: what that compiled knows nothing of those who watch."""
    image = np.random.default_rng(3).integers(0, 255, (96, 160, 3), dtype=np.uint8)
    model = build_model(str(tiny_checkpoints(kind)), device="cpu", options={"max_new_tokens": 2, **options})
    model.detect([image], ["mug"])
    np.testing.assert_allclose(model.heatmap(image, "mug"), model_of(kind).heatmap(image, "mug"), atol=1e-3)


def test_half_precision_runs(tiny_checkpoints):
    for kind in ("florence2", "qwen3_vl"):
        model = build_model(str(tiny_checkpoints(kind)), device="cpu", dtype="bf16")
        assert model.heatmap(image_of((96, 160), PLACES[0]), "mug").max() == pytest.approx(1.0)


def test_other_chat_models_say_that_they_cannot(model_of):
    model = model_of("llava")
    assert not model.capabilities.heatmaps
    with pytest.raises(CommandError, match="cannot give heatmaps; models that can: .*florence-2-base"):
        model.heatmap(image_of((96, 160)), "mug")


def test_the_method_is_one_of_two(tiny_checkpoints):
    with pytest.raises(ModelError, match="option 'heatmap' must be one of relative, mean, got 'rollout'"):
        build_model(str(tiny_checkpoints("florence2")), device="cpu", options={"heatmap": "rollout"})


def test_sinks_cancel():
    sink = np.array([10.0, 0.1, 0.1, 0.1])
    thing = np.array([10.0, 0.1, 0.4, 0.1])
    excess = more_than(thing, sink)
    assert excess.argmax() == 2
    assert excess[0] == 0
    assert not more_than(sink, sink).any()
    assert np.isnan(more_than(np.zeros(3), sink[:3])).all()


def test_paint_adds_grids_by_area_and_cuts_what_reaches_beyond():
    fine = TokenGrid(row_by_row(2, 4))
    whole = TokenGrid(row_by_row(1, 1, first=8))
    values = np.zeros(9)
    values[7] = 1.0
    heat = paint(values, (fine, whole), (80, 40))
    assert heat.shape == (40, 80)
    assert np.unravel_index(heat.argmax(), heat.shape)[0] >= 30
    assert heat[35, 75] == 1.0
    assert not heat[:10, :40].any()
    values[8] = 1.0  # over all 8 cells: an eighth of the fine one's density
    assert paint(values, (fine, whole), (80, 40))[0, 0] == pytest.approx(1 / 9)
    beyond = TokenGrid(row_by_row(2, 2), (2.0, 1.0))  # the right column lies outside
    heat = paint(np.array([0.0, 1.0, 0.0, 1.0]), (beyond,), (40, 40))
    assert heat.argmax() % 40 == 39
    assert heat[:, 10].max() < 0.1
    assert not paint(np.zeros(4), (TokenGrid(row_by_row(2, 2)),), (8, 8)).any()


def test_differing():
    assert differing("locate red mug .", "locate object .") == (slice(7, 14), slice(7, 13))
    assert differing("ab", "ab") == (slice(2, 2), slice(2, 2))
    assert differing("aa", "aaa") == (slice(2, 2), slice(2, 3))


@pytest.mark.parametrize(("tiles", "wh", "columns"), [
    (2, (160, 96), 2), (2, (96, 160), 1), (4, (120, 120), 2), (12, (640, 480), 4), (6, (480, 720), 2), (1, (9, 9), 1),
])  # fmt: skip
def test_tile_columns_are_the_librarys(tiles, wh, columns):
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

    assert tile_columns(tiles, wh[0] / wh[1]) == columns
    for width, height in ((640, 480), (480, 640), (1280, 720), (720, 720), (1000, 300), (333, 777)):
        across, down = get_optimal_tiled_canvas((height, width), (448, 448), 1, 12)
        assert tile_columns(across * down, width / height) == across
