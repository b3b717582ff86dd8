"""Where a text model looks while it reads or writes a phrase: its attention to the image's tokens.

A forward pass over image and prompt, no generation. Attention is averaged over the phrase's tokens, over all heads and
over the upper half of the decoder's layers, where words have met the image (Zhang et al., "MLLMs Know Where to Look:
Training-free Perception of Small Visual Details", 2025, look there too). Some image tokens draw attention whatever is
asked (Darcet et al., "Vision Transformers Need Registers", 2024; Kang et al., "See What You Are Told: Visual Attention
Sink in Large Multimodal Models", 2025), so by default the map is what the phrase draws *more* than the word "object" in
its place does, in the manner of the first of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import numpy as np

from vlm_perception.models.base import Heatmap
from vlm_perception.models.runtime import Placement, first_line, import_torch, inference
from vlm_perception.models.token_grids import Reading, differing, paint
from vlm_perception.models.weights import uncompiled
from vlm_perception.types import FloatArray, ModelError

METHODS: Final = ("relative", "mean")
_NEUTRAL: Final = ("object", "thing", "item")


class TextAttention:
    """The heatmaps of one network.

    Args:
        name: what the user called the model.
        network: a loaded model of the library with ``generate``.
        placement: where it runs.
        method: "relative" (two passes a phrase) or "mean" (one).
    """

    def __init__(self, name: str, network: Any, placement: Placement, method: str) -> None:
        """Keep what is needed; nothing is run."""
        self._name, self._network, self._placement, self._method = name, network, placement, method

    def heatmap(self, phrase: str, read: Callable[[str], Reading], image_wh: tuple[int, int]) -> Heatmap:
        """(H, W) float32 in [0, 1] with a peak of 1, or all 0 where the phrase draws no more than "object".

        Args:
            phrase: what is looked for.
            read: a phrase -> the same prompt with that phrase, over the same image.
            image_wh: size of that image.

        Raises:
            ModelError: the network's attention cannot be had, or is not finite.
        """
        asked = read(phrase)
        plain = read(next((word for word in _NEUTRAL if word not in phrase.lower()), _NEUTRAL[0]))
        rows, plain_rows = differing(asked.text, plain.text)
        if rows.start >= rows.stop:
            raise ModelError(f"'{self._name}': its tokenizer keeps nothing of the phrase '{phrase}'")
        with eager_attention(self._network, self._name):
            values = self._attention(asked, rows)
            if self._method == "relative":
                values = more_than(values, self._attention(plain, plain_rows))
        if not np.isfinite(values).all():
            raise ModelError(
                f"'{self._name}' attends with NaN in {self._placement.dtype} on {self._placement.device}; "
                "try dtype:=float32"
            )
        return paint(values, asked.grids, image_wh)

    def _attention(self, reading: Reading, rows: slice) -> FloatArray:
        """Mean attention of the rows to each of the image's tokens, or to the patches behind them."""
        torch = import_torch()
        columns = torch.from_numpy(reading.image_positions).to(self._placement.device)
        layers = decoder_layers(self._network, self._name)
        kept: list[Any] = []
        routes: list[Any] = []

        def to_image(weights: Any) -> None:
            kept.append(weights[0, :, rows].index_select(-1, columns).float().mean((0, 1)))

        with ExitStack() as stack:
            for layer in layers[len(layers) // 2 :]:
                cross = getattr(layer, "encoder_attn", None)
                stack.enter_context(self._watched(cross if cross is not None else layer.self_attn, to_image))
            if reading.through is not None:
                module = self._network.get_submodule(reading.through.module)
                stack.enter_context(self._watched(module, lambda w: routes.append(w[0].float().mean(0))))
            with inference(self._placement):
                self._network.generate(**reading.inputs, max_new_tokens=1, num_beams=1, do_sample=False)
        values = torch.stack(kept).mean(0)
        if reading.through is not None:
            values = self._to_patches(values, routes[0][:, reading.through.first :], reading)
        return np.asarray(values.cpu().numpy(), dtype=np.float64)

    def _to_patches(self, values: Any, route: Any, reading: Reading) -> Any:
        """Attention to tokens, and of tokens to patches and to one another -> attention to patches."""
        patches = sum(grid.tokens.size for grid in reading.grids)
        if route.shape[1] != patches + len(values):
            raise ModelError(
                f"'{self._name}': {len(values)} image tokens look at {route.shape[1] - len(values)} patches, "
                f"but the image has {patches}"
            )
        return values @ route[:, :patches]

    @contextmanager
    def _watched(self, module: Any, take: Callable[[Any], None]) -> Iterator[None]:
        """Hand over the weights of a module's first call."""
        done = False

        def look(_module: Any, _inputs: Any, output: Any) -> None:
            nonlocal done
            if done:
                return
            done = True
            weights = output[1] if isinstance(output, tuple) and len(output) > 1 else None
            if weights is None:
                raise ModelError(
                    f"'{self._name}': the attention of {type(module).__name__} does not give its weights; load it "
                    "with the option attn_implementation: eager"
                )
            take(weights)

        handle = module.register_forward_hook(look)
        try:
            yield
        finally:
            handle.remove()


def more_than(values: FloatArray, plain: FloatArray) -> FloatArray:
    """By how much one distribution of attention exceeds another, token by token; 0 where it does not.

    Both are brought to a sum of 1 first. The excess is taken relative to the other's value, plus its mean: else
    tokens that hardly anything looks at would count most.
    """
    with np.errstate(invalid="ignore"):
        first, second = values / values.sum(), plain / plain.sum()
    return np.asarray(np.maximum(first - second, 0.0) / (second + second.mean()))


def decoder_layers(network: Any, name: str) -> Any:
    """The layers of the text decoder in a model of the library.

    Raises:
        ModelError: it keeps them elsewhere.
    """
    part = network
    for _ in range(6):
        if hasattr(part, "layers"):
            return part.layers
        inner = part.get_decoder() if hasattr(part, "get_decoder") else None
        part = inner if inner is not None and inner is not part else getattr(part, "model", None)
    raise ModelError(f"'{name}': no decoder layers found in {type(network).__name__}")


@contextmanager
def eager_attention(network: Any, name: str) -> Iterator[None]:
    """Let the text side compute its attention so that the weights can be seen; set back afterwards.

    The vision tower, whose attention is the largest, keeps its implementation. Compiled code is left for the time.

    Raises:
        ModelError: the network cannot be switched.
    """
    config = network.config
    parts = {key: getattr(config, key) for key in config.sub_configs if getattr(config, key, None) is not None}
    before = {"": _implementation(config), **{key: _implementation(part) for key, part in parts.items()}}
    eager = {key: "eager" if key in ("", "text_config") else value for key, value in before.items()}
    with ExitStack() as stack:
        stack.enter_context(uncompiled(network))
        if eager != before:
            _switch(network, eager, name)
            stack.callback(_switch, network, before, name)
        yield


def _implementation(config: Any) -> str:
    return str(config._attn_implementation)  # noqa: SLF001  the library has no public name for it


def _switch(network: Any, implementations: dict[str, str], name: str) -> None:
    try:
        network.set_attn_implementation(implementations)
    except (ValueError, ImportError) as error:
        raise ModelError(
            f"'{name}': its attention cannot be switched to {implementations['']!r} ({first_line(error)}); load it "
            "with the option attn_implementation: eager"
        ) from error
