"""Tokenizers with the size and the special ids of public ones, and words of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from vlm_perception.models.runtime import import_transformers

# Words of the benchmark's phrases; any other is unknown to them.
_WORDS: Final = ("a", "red", "blue", "green", "box", "mug", "the", "image", "in", "Locate", "detect", "object", "category")


def bert_words(config: Any) -> Any:
    """Special ids where Grounding DINO expects them."""
    text = config.text_config
    specials = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
    words = iter(_WORDS)
    pieces = [specials.get(i) or (next(words, f"w{i}") if i > 1999 else f"w{i}") for i in range(text.vocab_size)]
    tokenizer = import_transformers().BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)})
    tokenizer.model_max_length = int(text.max_position_embeddings)
    return tokenizer


def clip_words(config: Any) -> Any:
    """Letters, as many other pieces as it takes, and the two marks at the end."""
    text = config.text_config
    letters = [chr(code) for code in range(33, 127)]
    pieces = [*letters, *(letter + "</w>" for letter in letters)]
    pieces += [f"w{i}" for i in range(len(pieces), text.vocab_size - 2)] + ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = import_transformers().CLIPTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[])
    tokenizer.model_max_length = int(text.max_position_embeddings)
    return tokenizer


def gemma_letters(config: Any) -> Any:
    """Gemma's special ids, and one token a letter, by the class that the library takes for SigLIP 2."""
    text = config.text_config
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\u2581", *(chr(code) for code in range(33, 127))]
    pieces += [f"w{i}" for i in range(len(pieces), text.vocab_size)]
    tokenizer = import_transformers().Siglip2Tokenizer(vocab={piece: i for i, piece in enumerate(pieces)})
    tokenizer.model_max_length = int(text.max_position_embeddings)
    return tokenizer


def words(
    size: int,
    marks: Mapping[str, int],
    *,
    special: Mapping[str, str],
    plain: Sequence[str] = (),
    max_length: int | None = None,
) -> Any:
    """One token a word, with the space before it, or a sign.

    Args:
        size: of the vocabulary.
        marks: tokens that stand for themselves wherever they are in a text -> their ids.
        special: ``{"bos_token": "<s>", ...}``, of ``marks``; more names, such as "image_token", become attributes.
        plain: those of ``marks`` that decoding does not skip.
        max_length: the model's.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    placed = {number: token for token, number in marks.items()}
    free = iter(piece for word in _WORDS for piece in (word, " " + word))
    pieces = {placed.get(i) or next(free, f"w{i}"): i for i in range(size)}
    unknown = special.get("unk_token", f"w{size - 1}")
    backend = Tokenizer(models.WordLevel(pieces, unk_token=unknown))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r" ?\w+|[^\w\s]|\s+"), "isolated")
    backend.decoder = decoders.Fuse()
    names = {"bos_token", "eos_token", "pad_token", "unk_token"}
    tokenizer = import_transformers().PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **{name: token for name, token in special.items() if name in names},
        extra_special_tokens={name: token for name, token in special.items() if name not in names},
    )
    tokenizer.add_tokens([token for token in marks if token not in plain], special_tokens=True)
    tokenizer.add_tokens(list(plain))
    if max_length is not None:
        tokenizer.model_max_length = max_length
    return tokenizer
