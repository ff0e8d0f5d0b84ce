"""Engines that need more than the product's own dependencies."""

import importlib
from typing import Any

from runtime.errors import PrerequisiteError


def module_of(engine: str, module: str, extra: str) -> Any:
    """The module of an engine that needs an extra; PrerequisiteError says which. ``engine``: as people call it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise PrerequisiteError(
            f"the {engine} needs affectstream installed with its extra `{extra}`: {error}"
        ) from error
