"""PaliGemma's mask decoder, against hand-worked numbers and the authors' definitions; then through the whole model."""

import logging
import shutil

import numpy as np
import pytest
import torch

from vlm_perception.models import codecs
from vlm_perception.models.factory import build_model
from vlm_perception.models.mask_tokens import ARRAY_SHAPES, FILE_NAME, MaskDecoder, paste, read_arrays
from vlm_perception.models.runtime import Placement
from vlm_perception.types import ModelError

CPU = Placement("cpu", "float32")
LEFT = (1, 1, 0, 0) * 4  # codes of a mask that is the left half of its box, for the weights below


def zeros():
    return {name: np.zeros(shape, np.float32) for name, shape in ARRAY_SHAPES.items()}


def pass_through():
    """Weights for which each code is a flat block of the mask: odd codes 1, even ones -1.

    Channel 0 carries the code's value through everything; a transposed convolution whose inner 2 x 2 are ones repeats
    each pixel twice each way.
    """
    arrays = zeros()
    arrays["_vq_vae._embedding"][1::2, 0] = 1.0
    arrays["decoder.0.weight"][0, 0] = 1.0
    for name in ("decoder.4", "decoder.6", "decoder.8", "decoder.10"):
        arrays[f"{name}.weight"][0, 0, 1:3, 1:3] = 1.0
    arrays["decoder.12.weight"][0, 0] = 2.0
    arrays["decoder.12.bias"][:] = -1.0
    return arrays


def noise(seed=0):
    rng = np.random.default_rng(seed)
    return {name: (0.1 * rng.standard_normal(shape)).astype(np.float32) for name, shape in ARRAY_SHAPES.items()}


# ------------------------------------------------------------------------------------------ the network


def test_the_arrays_are_the_published_ones():
    """Names and shapes as the authors' evaluator reads them from the file, in torch's layout."""
    layers = ["decoder.0", *(f"decoder.{b}.net.{i}" for b in (2, 3) for i in (0, 2, 4)),
              "decoder.4", "decoder.6", "decoder.8", "decoder.10", "decoder.12"]  # fmt: skip
    names = {"_vq_vae._embedding"} | {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    assert set(ARRAY_SHAPES) == names
    assert len(names) == 25
    assert ARRAY_SHAPES["_vq_vae._embedding"] == (128, 512)
    assert ARRAY_SHAPES["decoder.0.weight"] == (128, 512, 1, 1)
    assert ARRAY_SHAPES["decoder.2.net.2.weight"] == (128, 128, 3, 3)
    assert ARRAY_SHAPES["decoder.3.net.4.weight"] == (128, 128, 1, 1)
    assert [ARRAY_SHAPES[f"decoder.{k}.weight"] for k in (4, 6, 8, 10, 12)] == [
        (128, 128, 4, 4), (128, 64, 4, 4), (64, 32, 4, 4), (32, 16, 4, 4), (1, 16, 1, 1),
    ]  # fmt: skip
    assert [ARRAY_SHAPES[f"decoder.{k}.bias"] for k in (4, 6, 8, 10, 12)] == [(128,), (64,), (32,), (16,), (1,)]


def test_codes_are_rows_of_the_grid():
    codes = [0, 1, 2, 3, 1, 1, 0, 0, 4, 6, 8, 127, 5, 2, 2, 7]
    (mask,) = MaskDecoder(pass_through(), CPU).decode([codes])
    expected = np.where(np.array(codes).reshape(4, 4) % 2, 1.0, -1.0)
    assert mask.shape == (64, 64)
    assert mask.dtype == np.float32
    np.testing.assert_array_equal(mask, np.kron(expected, np.ones((16, 16))))


def test_without_kernels_only_the_last_bias_is_left():
    arrays = zeros()
    arrays["decoder.12.bias"][:] = 0.75
    np.testing.assert_array_equal(MaskDecoder(arrays, CPU).decode([[5] * 16]), np.full((1, 64, 64), 0.75))


def test_rectifiers_stand_where_they_should():
    """A negative value is cut after the first layer; the residual branch adds, and its result is not cut."""
    arrays = pass_through()
    arrays["_vq_vae._embedding"][1::2, 0] = -1.0
    assert MaskDecoder(arrays, CPU).decode([[1] * 16]).max() == -1.0  # cut: 2 * 0 - 1
    arrays = pass_through()
    arrays["decoder.2.net.4.bias"][0] = -0.5  # 1 - 0.5, then the other block gives 0.5 back
    arrays["decoder.3.net.4.bias"][0] = 0.5
    np.testing.assert_allclose(MaskDecoder(arrays, CPU).decode([[1] * 16])[0, 32, 32], 1.0)
    arrays = pass_through()
    arrays["decoder.2.net.4.bias"][0] = -3.0  # 1 - 3 = -2 stays, for the next block makes 1 of it
    arrays["decoder.3.net.4.bias"][0] = 3.0
    np.testing.assert_allclose(MaskDecoder(arrays, CPU).decode([[1] * 16])[0, 32, 32], 1.0)


def test_a_convolution_by_hand():
    """Kernels are not flipped: the one to the right of the middle looks to the right."""
    arrays = zeros()
    arrays["decoder.2.net.0.weight"][0, 0, 1, 2] = 1.0
    decoder = MaskDecoder(arrays, CPU)
    pixels = torch.zeros(1, 128, 2, 3)
    pixels[0, 0] = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    got = decoder._conv(pixels, "decoder.2.net.0", padding=1)
    assert got.shape == (1, 128, 2, 3)
    assert got[0, 0].tolist() == [[2, 3, 0], [5, 6, 0]]


def test_a_transposed_convolution_by_hand():
    """out[y, x] = sum of in[i, j] * kernel[y - 2 i + 1, x - 2 j + 1]."""
    arrays = zeros()
    kernel = np.arange(16, dtype=np.float32).reshape(4, 4)
    arrays["decoder.4.weight"][0, 3] = kernel  # from channel 0 to channel 3
    arrays["decoder.4.bias"][3] = 0.5
    pixels = torch.zeros(1, 128, 2, 2)
    pixels[0, 0, 0, 0] = 1.0
    got = MaskDecoder(arrays, CPU)._doubled(pixels, "decoder.4")
    assert got.shape == (1, 128, 4, 4)
    assert got[0, 3].tolist() == [
        [5.5, 6.5, 7.5, 0.5],
        [9.5, 10.5, 11.5, 0.5],
        [13.5, 14.5, 15.5, 0.5],
        [0.5, 0.5, 0.5, 0.5],
    ]
    assert got[0, 0].abs().max() == 0


def flax_conv(pixels, weight, bias, padding):
    """``flax.linen.Conv`` on (H, W, C) with the kernel that the authors make of a torch one."""
    kernel = weight.transpose(2, 3, 1, 0)
    padded = np.pad(pixels, ((padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], axis=(0, 1))
    return np.einsum("hwcyx,yxco->hwo", windows, kernel) + bias


def flax_doubled(pixels, weight, bias):
    """``flax.linen.ConvTranspose(kernel 4, strides 2, padding=2, transpose_kernel=True)``, by its definition.

    The input is spread out with zeros, padded by 2, and correlated with the kernel turned by 180 degrees and with its
    channel axes swapped.
    """
    kernel = weight.transpose(2, 3, 1, 0)[::-1, ::-1].swapaxes(2, 3)
    height, width, channels = pixels.shape
    spread = np.zeros((2 * height - 1, 2 * width - 1, channels))
    spread[::2, ::2] = pixels
    padded = np.pad(spread, ((2, 2), (2, 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (4, 4), axis=(0, 1))
    return np.einsum("hwcyx,yxco->hwo", windows, kernel) + bias


def test_the_whole_network_is_the_flax_one():
    """Layer for layer in NumPy, with the layouts and paddings of Flax, on random weights."""
    arrays = noise()
    codes = np.random.default_rng(1).integers(0, 128, 16)

    def layer(name, x, padding=0):
        return flax_conv(x, arrays[f"{name}.weight"], arrays[f"{name}.bias"], padding)

    x = arrays["_vq_vae._embedding"][codes].reshape(4, 4, 512)
    x = np.maximum(layer("decoder.0", x), 0)
    for block in (2, 3):
        y = np.maximum(layer(f"decoder.{block}.net.0", x, 1), 0)
        y = np.maximum(layer(f"decoder.{block}.net.2", y, 1), 0)
        x = x + layer(f"decoder.{block}.net.4", y)
    for step in (4, 6, 8, 10):
        x = np.maximum(flax_doubled(x, arrays[f"decoder.{step}.weight"], arrays[f"decoder.{step}.bias"]), 0)
    x = layer("decoder.12", x)
    (ours,) = MaskDecoder(arrays, CPU).decode([codes.tolist()])
    assert x.shape == (64, 64, 1)
    assert x.std() > 1e-3
    np.testing.assert_allclose(ours, x[..., 0], rtol=1e-4, atol=1e-4 * np.abs(x).max())


def test_masks_of_a_batch_do_not_mix():
    decoder = MaskDecoder(noise(), CPU)
    a, b = [3] * 16, list(range(16))
    both = decoder.decode([a, b])
    np.testing.assert_allclose(both[0], decoder.decode([a])[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(both[1], decoder.decode([b])[0], rtol=1e-3, atol=1e-3)
    assert np.abs(both[0] - both[1]).max() > 0.1
    assert decoder.decode([]).shape == (0, 64, 64)


@pytest.mark.parametrize("codes", [[0] * 15, [0] * 17, [0] * 15 + [128], [0] * 15 + [-1]])
def test_wrong_codes_are_refused(codes):
    with pytest.raises(ValueError, match=r"16 codes in \[0, 127\]"):
        MaskDecoder(pass_through(), CPU).decode([codes])


# ------------------------------------------------------------------------------------------ the file


def test_a_file_is_read_and_what_else_it_holds_left_out(tmp_path):
    arrays = noise()
    np.savez(tmp_path / "x.npz", **arrays, **{"encoder.0.weight": np.zeros((4, 4))})
    got = read_arrays(tmp_path / "x.npz")
    assert set(got) == set(ARRAY_SHAPES)
    assert all(np.array_equal(got[name], arrays[name]) for name in got)


def broken(tmp_path, change):
    arrays = zeros()
    change(arrays)
    np.savez(tmp_path / "x.npz", **arrays)
    return tmp_path / "x.npz"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("decoder.8.bias"), r"x.npz: lacks 1 of 25 arrays, first 'decoder.8.bias'; it holds _vq_vae"),
        (lambda a: a.update({"decoder.4.weight": np.zeros((4, 4, 128, 128), np.float32)}),
         r"'decoder.4.weight' has shape \(4, 4, 128, 128\), expected \(128, 128, 4, 4\)"),
        (lambda a: a.update({"decoder.12.bias": np.array([np.nan], np.float32)}), "'decoder.12.bias' .* finite"),
        (lambda a: a.update({"decoder.12.bias": np.array([1])}), r"'decoder.12.bias' \(int64\)"),
        (lambda a: a.clear(), "lacks 25 of 25 arrays.*it holds nothing.*hf download"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path, change, message):
    with pytest.raises(ModelError, match=message):
        read_arrays(broken(tmp_path, change))


def test_what_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "vae-oid.npz"
    whole = broken(tmp_path, lambda _: None).read_bytes()
    np.save(tmp_path / "one.npy", np.zeros(3))
    for content in (b"", b"version https://git-lfs.github.com/spec/v1\n", whole[: len(whole) // 2],
                    (tmp_path / "one.npy").read_bytes()):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"mask decoder .*vae-oid.npz: .*To get it, run `hf download"):
            read_arrays(path)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(ModelError, match="cannot be read"):
        read_arrays(path)


# ------------------------------------------------------------------------------------------ pasting


@pytest.mark.parametrize("image_wh", [(160, 96), (96, 160), (120, 120)])
def test_a_mask_lies_in_its_box(image_wh):
    mask = paste(np.ones((64, 64), np.float32), (10.4, 20.6, 40.4, 60.6), image_wh)
    expected = np.zeros((image_wh[1], image_wh[0]), bool)
    expected[21:61, 10:40] = True
    np.testing.assert_array_equal(mask, expected)


def test_at_its_own_size_a_mask_is_what_it_is():
    values = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    np.testing.assert_array_equal(paste(values, (5, 7, 69, 71), (100, 90))[7:71, 5:69], values > 0)


@pytest.mark.parametrize("side", [16, 100, 128, 333])
def test_the_outline_lands_where_the_zero_crossing_is(side):
    """A ramp that crosses zero at 3/8 of the box, enlarged and shrunk."""
    ramp = np.tile(24 - (np.arange(64, dtype=np.float32) + 0.5), (64, 1))
    mask = paste(ramp, (0, 0, side, side), (400, 400))
    assert abs(mask[side // 2].sum() - side * 24 / 64) <= 0.5
    assert (mask[:side, :side] == mask[0, :side]).all()


def test_boxes_at_and_beyond_the_border_and_of_no_size():
    full = np.ones((64, 64), np.float32)
    assert paste(full, (150.0, 90.0, 160.0, 96.0), (160, 96)).sum() == 60
    assert paste(full, (159.9, 95.9, 200.0, 200.0), (160, 96)).sum() == 1
    assert paste(full, (10.1, 20.0, 10.2, 30.0), (160, 96)).sum() == 10
    assert paste(full, (0, 0, 160, 96), (160, 96)).all()
    assert not paste(-full, (0, 0, 160, 96), (160, 96)).any()
    assert MaskDecoder(pass_through(), CPU).mask([0] * 16, (0, 0, 160, 96), (160, 96)) is None


# ------------------------------------------------------------------------------------------ through the model


BOX = (40, 24, 72, 60)


@pytest.fixture(scope="module")
def folder(tiny_checkpoints, tmp_path_factory):
    """The tiny checkpoint with a decoder beside it."""
    target = tmp_path_factory.mktemp("masks") / "paligemma"
    shutil.copytree(tiny_checkpoints("paligemma"), target)
    np.savez(target / FILE_NAME, **pass_through())
    return target


@pytest.fixture(scope="module")
def with_masks(folder):
    return build_model(str(folder), device="cpu", options={"max_new_tokens": 4})


def written(box, size, codes, label="red mug"):
    where = "".join(f"<loc{k:04d}>" for k in codecs.pixels_to_paligemma(box, (size[1], size[0])))
    return where + "".join(f"<seg{code:03d}>" for code in codes) + f" {label}"


def answer_with(monkeypatch, model, text):
    from test_generative import answer_with

    return answer_with(monkeypatch, model, text)


def image_of(size=(96, 160)):
    return np.zeros((*size, 3), np.uint8)


@pytest.mark.parametrize("size", [(96, 160), (160, 96), (120, 120)])
def test_a_known_mask_comes_back_in_camera_pixels(with_masks, monkeypatch, size):
    asked = answer_with(monkeypatch, with_masks, written(BOX, size, LEFT))
    ((found,),) = with_masks.detect([image_of(size)], ["red mug"])
    prompt = with_masks._dialect._processor.tokenizer.decode(asked[0]["input_ids"][0], skip_special_tokens=True)
    assert "segment red mug" in prompt
    np.testing.assert_allclose(found.box_xyxy, BOX, atol=max(size) / 1024)
    truth = np.zeros(size, bool)
    truth[24:60, 40:56] = True
    assert found.mask.shape == size
    assert (found.mask & truth).sum() / (found.mask | truth).sum() > 0.9


def test_several_things_each_with_its_own_mask(with_masks, monkeypatch):
    size = (96, 160)
    right = tuple(1 - code for code in LEFT)
    text = written((0, 0, 32, 32), size, LEFT, "plate") + " ; " + written((100, 40, 132, 72), size, right)
    answer_with(monkeypatch, with_masks, text)
    (found,) = with_masks.detect([image_of(size)], ["red mug", "plate"])
    masks = {d.phrase: d.mask for d in found}
    assert set(masks) == {"red mug", "plate"}
    assert masks["plate"][:32, :16].mean() > 0.9 and not masks["plate"][:, 18:].any()
    assert masks["red mug"][41:71, 117:131].mean() > 0.9 and not masks["red mug"][:, :114].any()


def test_broken_codes_keep_the_box_and_no_mask(with_masks, monkeypatch):
    for codes in ((), LEFT[:14], (*LEFT, 1), (*LEFT[:15], 128), (0,) * 16):
        answer_with(monkeypatch, with_masks, written(BOX, (96, 160), codes))
        ((found,),) = with_masks.detect([image_of()], ["red mug"])
        assert found.mask is None
        np.testing.assert_allclose(found.box_xyxy, BOX, atol=0.2)


def test_real_generation_with_a_decoder(with_masks):
    assert with_masks.capabilities.masks
    (found,) = with_masks.detect([image_of()], ["red mug", "plate"])
    assert all(d.phrase in ("red mug", "plate") for d in found)


def test_without_the_file_boxes_only_and_it_is_said_once(tiny_checkpoints, monkeypatch, caplog):
    with caplog.at_level(logging.WARNING):
        model = build_model(str(tiny_checkpoints("paligemma")), device="cpu", options={"max_new_tokens": 4})
        answer_with(monkeypatch, model, written(BOX, (96, 160), LEFT))
        for _ in range(3):
            ((found,),) = model.detect([image_of()], ["red mug"])
    assert found.mask is None
    assert not model.capabilities.masks
    assert [ask.prompt for ask in model._dialect.locate(["red mug"])] == ["detect red mug"]
    said = [line for line in caplog.messages if "boxes only" in line]
    assert len(said) == 1
    assert "hf download big-vision/paligemma-hf vae-oid.npz" in said[0]


def test_the_file_may_lie_elsewhere(tiny_checkpoints, folder):
    for where in (folder / FILE_NAME, folder):
        options = {"mask_decoder": str(where)}
        assert build_model(str(tiny_checkpoints("paligemma")), device="cpu", options=options).capabilities.masks
    model = build_model(str(folder), device="cpu", options={"masks": False})
    assert not model.capabilities.masks


def test_the_file_is_found_in_the_hubs_cache(tiny_checkpoints, tmp_path, monkeypatch):
    """Where the documented ``hf download`` leaves it."""
    from huggingface_hub import constants

    space = tmp_path / "spaces--big-vision--paligemma-hf"
    for folder_ in (space / "refs", space / "snapshots" / "abc"):
        folder_.mkdir(parents=True)
    (space / "refs" / "main").write_text("abc")
    np.savez(space / "snapshots" / "abc" / FILE_NAME, **pass_through())
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert build_model(str(tiny_checkpoints("paligemma")), device="cpu").capabilities.masks
    assert not build_model(str(tiny_checkpoints("paligemma")), device="cpu", options={"masks": False}).capabilities.masks


def test_options_that_cannot_be_met(tiny_checkpoints, tmp_path):
    path = str(tiny_checkpoints("paligemma"))
    with pytest.raises(ModelError, match=r"masks need the decoder .*hf download big-vision/paligemma-hf .*option 'mask_decoder'"):
        build_model(path, device="cpu", options={"masks": True})
    with pytest.raises(ModelError, match=r"there is no file .*nowhere.npz.*hf download"):
        build_model(path, device="cpu", options={"mask_decoder": str(tmp_path / "nowhere.npz")})
    with pytest.raises(ModelError, match="there is no file .*hf download"):
        build_model(path, device="cpu", options={"mask_decoder": str(tmp_path)})
    with pytest.raises(ModelError, match="'masks' must be true or false"):
        build_model(path, device="cpu", options={"masks": "yes"})
    with pytest.raises(ModelError, match="florence2.* has no option 'mask_decoder': it goes with paligemma"):
        build_model(str(tiny_checkpoints("florence2")), device="cpu", options={"mask_decoder": str(tmp_path)})
