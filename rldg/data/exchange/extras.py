"""Packages that only some formats need."""

import importlib
from typing import Any

from rldg.errors import UsageError


def required(module: str, extra: str) -> Any:
    """The module, or a `UsageError` that says which extra of rldg brings it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UsageError(f"The package {module} is not installed: pip install 'rldg[{extra}]'.") from None
