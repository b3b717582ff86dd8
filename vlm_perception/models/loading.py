"""Checkpoints from a folder or the hub, and loading errors that say what to do next."""

from __future__ import annotations

import importlib
import importlib.util
import json
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_perception.models.runtime import Placement, first_line, import_torch, import_transformers
from vlm_perception.types import ModelError

_UNREACHABLE = (
    "ConnectError",
    "ConnectionError",
    "ConnectTimeout",
    "HfHubHTTPError",
    "HTTPError",
    "LocalEntryNotFoundError",
    "MaxRetryError",
    "NameResolutionError",
    "OfflineModeIsEnabled",
    "ProxyError",
    "ReadTimeout",
    "TimeoutException",
)


@dataclass(frozen=True)
class Checkpoint:
    """Where a model's files are.

    Attributes:
        name: what the user called it.
        location: a local folder, or a hub id.
        offline: never go to the network, even for a hub id.
    """

    name: str
    location: str
    offline: bool = False

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
                    f"it holds: {_listing(Path(self.location))}"
                )
            return config
        transformers = import_transformers()
        try:
            config, _ = transformers.PreTrainedConfig.get_config_dict(
                self.location, local_files_only=self.offline
            )
        except Exception as error:
            raise ModelError(self.explain(error)) from error
        if not config:
            raise ModelError(
                f"'{self.location}' has no config.json on the hub, so it is no transformers model"
            )
        return dict(config)

    def load(self, auto_class: Any, **options: Any) -> Any:
        """``auto_class.from_pretrained`` on these files.

        Raises:
            ModelError: whatever goes wrong, explained.
        """
        try:
            return auto_class.from_pretrained(self.location, local_files_only=self.offline, **options)
        except Exception as error:
            raise ModelError(self.explain(error)) from error

    def explain(self, error: BaseException) -> str:
        """Say what a loading error means and what to do about it."""
        names = {type(link).__name__ for link in _chain(error)}
        text = " ".join(str(link) for link in _chain(error))
        what = f"cannot load '{self.name}'"
        if self.name != self.location:
            what += f" from '{self.location}'"
        if "GatedRepoError" in names or "gated repo" in text:
            return (
                f"{what}: its licence has to be accepted first. Log in at https://huggingface.co/{self.location}, "
                "accept the licence, then run `hf auth login` on this machine"
            )
        if isinstance(error, ImportError) or "ImportError" in names or "ModuleNotFoundError" in names:
            missing = next((m for m in _OPTIONAL if m in text.lower()), "")
            hint = f"pip install {missing}" if missing else first_line(error)
            return f"{what}: a Python package is missing or broken ({hint}): {first_line(error)}"
        if self.is_local:
            return (
                f"{what}: {first_line(error)} ({type(error).__name__}); "
                f"the folder holds: {_listing(Path(self.location))}"
            )
        if "RepositoryNotFoundError" in names and not self.offline:
            return f"{what}: the hub has no such repository, or it is private (then run `hf auth login`)"
        if self.offline or names & set(_UNREACHABLE) or "offline" in text or "couldn't connect" in text.lower():
            why = "offline mode is on" if self.offline or _env_offline() else "the hub cannot be reached"
            return (
                f"{what}: {why} and the files are not in the cache. On a machine with network run "
                f"`hf download {self.location} --local-dir FOLDER`, copy FOLDER here and give its path as "
                "the model"
            )
        return f"{what}: {type(error).__name__}: {first_line(error)}"


_OPTIONAL = (
    "torchvision",
    "timm",
    "accelerate",
    "bitsandbytes",
    "sentencepiece",
    "einops",
    "tiktoken",
    "num2words",
    "pillow",
)


def _env_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")


def _chain(error: BaseException) -> list[BaseException]:
    links: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in links:
        links.append(current)
        current = current.__cause__ or current.__context__
    return links


def _listing(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:12]) + (" ..." if len(names) > 12 else "") if names else "nothing"


def missing_modules(names: tuple[str, ...]) -> list[str]:
    """Those of ``names`` that cannot be found, without importing any."""
    return [name for name in names if importlib.util.find_spec(name) is None]


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
            a backend of ``torch.compile``), and ``attn_implementation``.
        keep_float32: keep the weights in float32; the caller runs under autocast instead.
        hot: the methods that the caller calls, as paths from the model: what ``compile`` compiles.

    Raises:
        ModelError: as :meth:`Checkpoint.load`, or a quantisation that this machine cannot do.
    """
    torch = import_torch()
    arguments: dict[str, Any] = {
        "dtype": torch.float32 if keep_float32 else getattr(torch, placement.dtype)
    }
    if options.get("attn_implementation"):
        arguments["attn_implementation"] = options["attn_implementation"]
    bits = [name for name in ("load_in_8bit", "load_in_4bit") if options.get(name)]
    if bits:
        arguments["quantization_config"] = _quantisation(checkpoint.name, bits, placement)
        arguments["device_map"] = {"": placement.device}
        arguments["dtype"] = getattr(torch, placement.dtype)
    model = checkpoint.load(auto_class, **arguments)
    if not bits:
        model = _to_device(model, checkpoint.name, placement)
    model.eval()
    if options.get("compile"):
        _compile(model, hot, options["compile"], checkpoint.name)
    return model


def _compile(model: Any, hot: Sequence[str], backend: object, name: str) -> None:
    torch = import_torch()
    if backend is not True and backend not in torch._dynamo.list_backends(exclude_tags=()):  # noqa: SLF001
        known = ", ".join(torch._dynamo.list_backends())  # noqa: SLF001
        raise ModelError(f"'{name}': option 'compile' must be true, false or one of {known}, got {backend!r}")
    for path in hot:
        owner, _, method = path.rpartition(".")
        part = operator.attrgetter(owner)(model) if owner else model
        chosen = {} if backend is True else {"backend": backend}
        setattr(part, method, torch.compile(getattr(part, method), **chosen))


def _quantisation(name: str, bits: list[str], placement: Placement) -> Any:
    if len(bits) > 1:
        raise ModelError(f"'{name}': load_in_8bit and load_in_4bit exclude each other")
    if not placement.on_gpu:
        raise ModelError(f"'{name}': {bits[0]} needs a CUDA GPU, the device is '{placement.device}'")
    missing = missing_modules(("bitsandbytes", "accelerate"))
    if missing:
        raise ModelError(f"'{name}': {bits[0]} needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    return import_transformers().BitsAndBytesConfig(**{bits[0]: True})


def _to_device(model: Any, name: str, placement: Placement) -> Any:
    torch = import_torch()
    try:
        return model.to(placement.device)
    except torch.OutOfMemoryError:
        pass
    except RuntimeError as error:
        raise ModelError(f"cannot move '{name}' to {placement.device}: {first_line(error)}") from error
    del model
    raise ModelError(
        f"'{name}' does not fit into the memory of {placement.device}. "
        "Use a smaller model, load_in_8bit / load_in_4bit, or device:=cpu"
    )


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
