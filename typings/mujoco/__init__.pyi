# MuJoCo's classes and functions come out of a compiled module without types: without this, pyright knows none of them.
from typing import Any

def __getattr__(name: str) -> Any: ...
