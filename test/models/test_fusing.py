"""Fused networks answer as they did before."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tiny import omdet  # noqa: E402

from vlm_perception.models.fusing import fuse_for_inference  # noqa: E402


def lively(model):
    """The statistics that training would have left in batch norms: fresh ones are no-ops."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
    return model.eval()


def test_omdet_turbo(tmp_path) -> None:
    model = lively(transformers.AutoModelForZeroShotObjectDetection.from_pretrained(omdet(tmp_path)))
    norms = sum(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    size = int(model.config.image_size)
    ids = torch.tensor([[1, 5, 2], [1, 6, 2]])
    inputs = {
        "pixel_values": torch.randn(1, 3, size, size),
        "classes_input_ids": ids, "classes_attention_mask": torch.ones_like(ids),
        "tasks_input_ids": ids[:1], "tasks_attention_mask": torch.ones_like(ids[:1]),
        "classes_structure": torch.tensor([2]),
    }  # fmt: skip
    with torch.inference_mode():
        before = model(**inputs)
        branches = sum(type(module).__name__ == "OmDetTurboRepVggBlock" for module in model.modules())
        assert norms and branches
        assert fuse_for_inference(model) == norms + branches
        after = model(**inputs)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    for name in ("decoder_class_logits", "decoder_coord_logits"):
        torch.testing.assert_close(after[name], before[name], rtol=1e-3, atol=1e-4)
    assert before.decoder_class_logits.std() > 1e-3


def test_a_norm_that_is_not_applied_to_the_convolution_stays() -> None:
    class Before(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.conv = torch.nn.BatchNorm2d(3), torch.nn.Conv2d(3, 3, 1)

    assert fuse_for_inference(Before().eval()) == 0
    assert fuse_for_inference(torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Conv2d(3, 3, 1)).eval()) == 0
