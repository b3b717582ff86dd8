"""A word-level tokenizer whose vocabulary is the list of words that the model knows."""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

PAD, UNKNOWN, BEGIN, END = "[PAD]", "[UNK]", "[BOS]", "[EOS]"
TASK = "detect"
MAX_TOKENS = 77

_IRREGULAR_PLURALS = {"shelves": "shelf", "loaves": "loaf"}
_PLURAL_BY_ES = ("box", "dish")


def build_tokenizer(words: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """Tokenizer over `words`, in the form that the stock processor expects.

    Articles go, plurals of known words become singular, and a task sentence ("Detect a, b.") becomes
    one word, so that a phrase scores the same whatever it is asked together with. The end token has the
    highest id because the model pools the text there.
    """
    known = sorted(set(words) | {TASK})
    vocabulary = {token: index for index, token in enumerate([PAD, UNKNOWN, BEGIN, *known, END])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    replacements = [(rf"^{TASK}\b.*$", TASK), (r"\b(?:the|a|an|some)\b", " "), (r"[^a-z\s]", " ")]
    replacements += [(rf"\b{many}\b", one) for many, one in _IRREGULAR_PLURALS.items()]
    replacements += [(rf"\b{word}(?:e?s)\b", word) for word in known if len(word) > 2]
    replacements += [(r"\bgrey\b", "gray")]
    steps = [normalizers.Lowercase(), normalizers.Strip()]
    steps += [normalizers.Replace(Regex(pattern), text) for pattern, text in replacements]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}",
        special_tokens=[(BEGIN, vocabulary[BEGIN]), (END, vocabulary[END])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=BEGIN,
        eos_token=END,
        model_max_length=MAX_TOKENS,
    )
