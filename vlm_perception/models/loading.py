"""Checkpoints from a folder or the hub: their files, weights, processors and tokenizers."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vlm_perception.models.hub_cache import holds_tokenizer, lacks_tokenizer
from vlm_perception.models.loading_errors import CheckpointError, explain, is_missing_package, listing
from vlm_perception.models.quiet_loading import quiet_if_shipped
from vlm_perception.models.runtime import Placement, import_torch, import_transformers
from vlm_perception.models.weights import (
    compile_methods,
    quantisation,
    refuse_partial,
    refuse_unknown_backend,
    to_device,
)
from vlm_perception.types import ModelError

_WITH_WORDS: Final = ("AutoTokenizer", "AutoProcessor")


@dataclass(frozen=True)
class Checkpoint:
    """Where a model's files are.

    Attributes:
        name: what the user called it.
        location: a local folder, or a hub id.
        offline: never go to the network, even for a hub id.
        offline_choice: what the user said about that (None: nothing), for other checkpoints that this one's options
            name; ``offline`` may follow from what is in the cache.
    """

    name: str
    location: str
    offline: bool = False
    offline_choice: bool | None = None

    @property
    def is_local(self) -> bool:
        """Whether ``location`` is a folder."""
        return Path(self.location).is_dir()

    def read_json(self, file_name: str) -> dict[str, Any] | None:
        """A JSON file beside the weights (local folders only), or None when there is none.

        Raises:
            ModelError: it is there and is no JSON object.
        """
        path = Path(self.location) / file_name
        if not path.is_file():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"cannot read {path}: {error}") from error
        if not isinstance(content, dict):
            raise ModelError(f"{path}: expected a JSON object, got {type(content).__name__}")
        return content

    def config(self) -> dict[str, Any]:
        """The checkpoint's ``config.json`` as a dict; for a hub id this downloads it.

        Raises:
            ModelError: there is none, or it cannot be reached.
        """
        if self.is_local:
            config = self.read_json("config.json")
            if config is None:
                raise ModelError(
                    f"folder '{self.location}' holds no config.json, so it is no checkpoint in hub layout; "
                    f"it holds: {listing(Path(self.location))}"
                )
            return config
        transformers = import_transformers()
        try:
            config, _ = transformers.PreTrainedConfig.get_config_dict(
                self.location, local_files_only=self.offline
            )
        except Exception as error:
            raise self.failure(error) from error
        if not config:
            raise ModelError(
                f"'{self.location}' has no config.json on the hub, so it is no transformers model"
            )
        return dict(config)

    def load(self, auto_class: Any, **options: Any) -> Any:
        """``auto_class.from_pretrained`` on these files.

        Raises:
            ModelError: whatever goes wrong, explained; a tokenizer that knows no word is wrong.
        """
        try:
            loaded = auto_class.from_pretrained(self.location, local_files_only=self.offline, **options)
        except Exception as error:
            if getattr(auto_class, "__name__", "") in _WITH_WORDS and not self._may_hold_tokenizer():
                raise self._wordless() from error
            raise self.failure(error) from error
        if _speechless(loaded):
            raise self._wordless()
        return loaded

    def _may_hold_tokenizer(self) -> bool:
        if self.is_local:
            return holds_tokenizer({path.name for path in Path(self.location).iterdir()})
        return not (self.offline and lacks_tokenizer(self.location))

    def _wordless(self) -> CheckpointError:
        held = f"; the folder holds: {listing(Path(self.location))}" if self.is_local else ""
        return CheckpointError(
            f"cannot load '{self.name}': its tokenizer (tokenizer.json, vocab.json or the like) is missing, so it would "
            f"know no word. {self.again()}{held}"
        )

    def failure(self, error: BaseException) -> ModelError:
        """What to raise for a loading error."""
        kind = ModelError if is_missing_package(error) else CheckpointError
        return kind(self.explain(error))

    def explain(self, error: BaseException) -> str:
        """Say what a loading error means and what to do about it."""
        return explain(error, self.name, self.location, offline=self.offline)

    def again(self) -> str:
        """What to do to have its files whole."""
        if self.is_local:
            return "Copy or download that folder again, whole"
        return f"Run `hf download {self.location}` again, until it ends without an error"


def _speechless(loaded: Any) -> bool:
    """Whether it is, or holds, a tokenizer with no words: of missing files the library makes one of marks only."""
    tokenizer = getattr(loaded, "tokenizer", loaded)
    if not hasattr(tokenizer, "get_vocab") or not hasattr(tokenizer, "all_special_tokens"):
        return False
    return not set(tokenizer.get_vocab()) - set(tokenizer.get_added_vocab()) - set(tokenizer.all_special_tokens)


def load_weights(
    checkpoint: Checkpoint,
    auto_class: Any,
    placement: Placement,
    *,
    options: Mapping[str, Any],
    keep_float32: bool = False,
    hot: Sequence[str] = ("forward",),
) -> Any:
    """A model on its device, in evaluation mode.

    Args:
        checkpoint: its files.
        auto_class: e.g. ``transformers.AutoModelForMaskGeneration``.
        placement: where, and in which precision.
        options: ``load_in_8bit`` / ``load_in_4bit`` (bitsandbytes, CUDA only), ``compile`` (true, or the name of
            a backend of ``torch.compile``), ``attn_implementation``, and ``missing_weights`` (parts of the names of
            weights that the network does without).
        keep_float32: keep the weights in float32; the caller runs under autocast instead.
        hot: the methods that the caller calls, as paths from the model: what ``compile`` compiles.

    Raises:
        ModelError: as :meth:`Checkpoint.load`, weights are missing, or a quantisation that this machine cannot do.
    """
    torch = import_torch()
    backend = options.get("compile", False)
    refuse_unknown_backend(backend, checkpoint.name)  # before minutes of loading
    arguments: dict[str, Any] = {
        "dtype": torch.float32 if keep_float32 else getattr(torch, placement.dtype)
    }
    if options.get("attn_implementation"):
        arguments["attn_implementation"] = options["attn_implementation"]
    bits = [name for name in ("load_in_8bit", "load_in_4bit") if options.get(name)]
    if bits:
        arguments["quantization_config"] = quantisation(checkpoint.name, bits, placement)
        arguments["device_map"] = {"": placement.device}
        arguments["dtype"] = getattr(torch, placement.dtype)
    with quiet_if_shipped(checkpoint.location):
        # Sizes that differ are reported too, then, instead of an error that names none.
        model, report = checkpoint.load(auto_class, output_loading_info=True, ignore_mismatched_sizes=True, **arguments)
    parts = options.get("missing_weights") or ()
    allowed = (parts,) if isinstance(parts, str) else tuple(parts)
    refuse_partial(model, report, checkpoint.name, allowed=allowed, again=checkpoint.again())
    if not bits:
        model = to_device(model, checkpoint.name, placement)
    model.eval()
    if backend:
        compile_methods(model, hot, backend)
    return model


def load_image_processor(checkpoint: Checkpoint) -> Any:
    """The checkpoint's image processor, with torchvision where it works, else on PIL.

    Raises:
        ModelError: as :meth:`Checkpoint.load`; names torchvision for the processors that have no PIL version.
    """
    auto = import_transformers().AutoImageProcessor
    return checkpoint.load(auto, backend="torchvision" if torchvision_works() else "pil")


def image_device(image_processor: Any, placement: Placement) -> dict[str, str]:
    """Arguments of an image processor's call that make it work where the model is.

    The camera's bytes then go up once, and are resized and normalised there. Processors on torchvision can; those on
    PIL work on the CPU, so they get no argument.
    """
    if placement.on_gpu and getattr(image_processor, "backend", "") == "torchvision":
        return {"device": placement.device}
    return {}


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The checkpoint's tokenizer."""
    return checkpoint.load(import_transformers().AutoTokenizer)


def torchvision_works() -> bool:
    """Whether torchvision imports; one that does not match torch is installed but raises."""
    if importlib.util.find_spec("torchvision") is None:
        return False
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError, OSError):
        return False
    return True
