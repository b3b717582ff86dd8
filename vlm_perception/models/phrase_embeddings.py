"""Text embeddings of phrases, each computed once: for models whose text tower does not see the image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vlm_perception.models.prompts import head_phrase
from vlm_perception.models.runtime import Placement, import_torch, inference

_CACHED = 1024


class PhraseEmbeddings:
    """Phrases -> embeddings, through prompt templates, with a cache.

    More than one template is a prompt ensemble (Radford et al., "Learning Transferable Visual Models From Natural
    Language Supervision", 2021): their embeddings are averaged.
    """

    def __init__(
        self,
        encode: Callable[[Mapping[str, Any]], Any],
        tokenizer: Any,
        templates: Sequence[str],
        placement: Placement,
        *,
        max_tokens: int,
        unit_length: bool,
    ) -> None:
        """Take over a text tower.

        Args:
            encode: tokens -> (N, D).
            tokenizer: text -> tokens.
            templates: texts with ``{}`` for the phrase.
            placement: where the tower runs.
            max_tokens: every text is padded and cut to this length, as these towers were trained.
            unit_length: normalise before and after averaging.
        """
        self._encode = encode
        self._tokenizer = tokenizer
        self._templates = tuple(templates)
        self._placement = placement
        self._max_tokens = max_tokens
        self._unit_length = unit_length
        self._cache: OrderedDict[str, Any] = OrderedDict()

    def __call__(self, phrases: Sequence[str]) -> Any:
        """(P, D) float32 on the device."""
        torch = import_torch()
        missing = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._cache]
        if missing:
            texts = [template.format(head_phrase(p).lower()) for p in missing for template in self._templates]
            tokens = self._tokenizer(
                texts, padding="max_length", truncation=True, max_length=self._max_tokens, return_tensors="pt"
            ).to(self._placement.device)
            with inference(self._placement, autocast=True):
                features = self._normal(self._encode(tokens).float())
                features = self._normal(features.reshape(len(missing), len(self._templates), -1).mean(dim=1))
            self._cache.update(zip(missing, features, strict=True))
        found = []
        for phrase in phrases:
            self._cache.move_to_end(phrase)
            found.append(self._cache[phrase])
        while len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return torch.stack(found)

    def _normal(self, features: Any) -> Any:
        return import_torch().nn.functional.normalize(features, dim=-1) if self._unit_length else features

    def clear(self) -> None:
        """Forget everything, the text tower included."""
        self._cache.clear()
        self._encode = _closed


def _closed(_: Mapping[str, Any]) -> Any:
    raise RuntimeError("the text tower is closed")
