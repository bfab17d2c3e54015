"""Find a model by name: packaged models, model folders, and the Hugging Face Hub."""

from importlib import import_module
from pathlib import Path
from typing import Any, Final

from bimodal.errors import ModelFolderError
from bimodal.inference.model_folder import CONFIG

DEFAULT: Final = "permissive"
"""The model that is used by default."""

_PACKAGED: Final = {
    "permissive": ("bimodal_models", "bimodal-models"),
    "research": ("bimodal_models_research", "bimodal-emotion[research]"),
}
"""Packaged models: the module that contains the model, and the name to install with pip."""

_HUB_FILES: Final = ["*.json", "*.onnx", "*.weights", "*.safetensors", "*.toml", "README.md"]


def find_model(name: str | Path | None = None, *, download: bool = False) -> Path:
    """Folder of a model.

    Args:
        name: A model folder, a packaged model (`permissive`, `research`), or the Hub id of one, `owner/name` or
            `owner/name@revision`; None for the default.
        download: Download a Hub id that is not on this machine. False: raise an error.

    Raises:
        ModelFolderError: The model is not there. The message says how to get it.
    """
    name = DEFAULT if name is None else name
    if (Path(name) / CONFIG).is_file():
        return Path(name)
    if str(name) in _PACKAGED:
        return _packaged(str(name))
    if isinstance(name, Path) or Path(name).exists() or not _is_hub_id(name):
        raise ModelFolderError(
            f"{name}: no model folder ({CONFIG} is missing); 'bimodal train' writes one, and 'bimodal models' lists "
            f"those that are installed"
        )
    from bimodal.features.hub import find_on_hub  # start-up: few models are found so

    otherwise = "add --download (in Python download=True) to download it"
    return find_on_hub(name, _HUB_FILES, download=download, raises=ModelFolderError, otherwise=otherwise)


def installed_models() -> dict[str, Path]:
    """Folder of each packaged model that is installed, by name."""
    return {name: folder for module, _ in _PACKAGED.values() for name, folder in _packaged_folders(module).items()}


def is_packaged(folder: Path) -> bool:
    """Whether a model folder belongs to an installed package. Then pip has compared its files with their digests."""
    return folder in installed_models().values()


def _packaged(name: str) -> Path:
    module, distribution = _PACKAGED[name]
    folders = _packaged_folders(module)
    if name not in folders:
        raise ModelFolderError(
            f"the model '{name}' is not installed; install it with pip install '{distribution}', or name a model "
            "folder, as 'bimodal train' writes it"
        )
    return folders[name]


def _packaged_folders(module: str) -> dict[str, Path]:
    try:
        package: Any = import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return {}
    return {name: Path(folder) for name, folder in package.FOLDERS.items()}


def _is_hub_id(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith(("/", ".", "~")) and not name.endswith("/")
