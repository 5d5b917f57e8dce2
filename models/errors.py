"""ModelsError
├── CardError     a card is missing, malformed, or says what cannot be
└── ModelError    an ONNX file is not the pinned one, cannot be loaded, or does not take these inputs
"""  # noqa: D205, D415 - the tree is the documentation


class ModelsError(Exception):
    """The base of what `models` raises; `str(error)` names the file and what is wrong."""


class CardError(ModelsError):
    """A card is missing, malformed, or says what cannot be."""


class ModelError(ModelsError):
    """An ONNX file is not the pinned one, cannot be loaded, or does not take these inputs."""


class OutOfMemory(ModelError):
    """A run needed more memory than there is."""
