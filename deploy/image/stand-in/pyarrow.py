"""Stands where PyArrow would: chdb imports it when it is loaded, but uses it for Arrow results only.

keelwatch never asks for those, and the real one would make the image twice as large.
"""

from __future__ import annotations

from typing import Any

RecordBatchReader = object
"""Named in an annotation that chdb evaluates."""


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"pyarrow.{name}: this image has no pyarrow (deploy/image/left-out.list)")
