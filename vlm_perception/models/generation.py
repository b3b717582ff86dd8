"""Running a text-generating network: its tokens, how sure it was of them, and whether it came to an end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vlm_perception.models.runtime import Placement, inference, refuse_nan


@dataclass(frozen=True, eq=False)
class Generated:
    """One answer.

    Attributes:
        tokens: (L,) ids as ``generate`` returns them; of decoder-only networks the prompt comes first.
        score: geometric mean of the probabilities of the answer's tokens, in [0, 1].
        cut_off: it was ended by ``max_new_tokens`` and not by the network. Where the library writes the end token itself
            at that limit (``forced_eos_token_id``), an answer of exactly that length counts as cut off: whether the
            network would have ended there is not to be seen.
    """

    tokens: Any
    score: float
    cut_off: bool


def generate(
    name: str, model: Any, inputs: Mapping[str, Any], arguments: Mapping[str, Any], placement: Placement
) -> Generated:
    """Let a network answer.

    Args:
        name: the model, for messages.
        model: of ``transformers``, with ``generate``.
        inputs: of ``generate``, with ``input_ids``.
        arguments: ``max_new_tokens`` and the like.
        placement: where it runs.

    Raises:
        ModelError: its scores are not numbers.
    """
    with inference(placement):
        output = model.generate(**inputs, **arguments, output_scores=True, return_dict_in_generate=True)
    tokens = output.sequences[0]
    start = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
    cut_off = len(output.scores) >= arguments["max_new_tokens"] and not _ended(
        tokens[start:].tolist(), model.generation_config, arguments["max_new_tokens"]
    )
    return Generated(tokens, _score(name, model, output, placement), cut_off)


def _score(name: str, model: Any, output: Any, placement: Placement) -> float:
    if getattr(output, "sequences_scores", None) is not None:  # beam search: mean log probability already
        steps = output.sequences_scores[:1].float()
    else:
        steps = model.compute_transition_scores(output.sequences, output.scores, normalize_logits=True)[0].float()
    refuse_nan(steps, name, placement)
    finite = steps[steps.isfinite()]
    return float(finite.mean().exp().clamp(0.0, 1.0)) if len(finite) else 0.0


def _ended(answer: list[int], config: Any, max_new_tokens: int) -> bool:
    """Whether the network itself wrote an end token."""
    ends = config.eos_token_id if isinstance(config.eos_token_id, (list, tuple)) else [config.eos_token_id]
    forced = max_new_tokens - 1 if config.forced_eos_token_id is not None else None
    return any(token in ends for index, token in enumerate(answer) if index != forced)
