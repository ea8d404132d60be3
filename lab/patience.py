"""How much longer to wait than on an ordinary machine: a guest without a hardware's help is slow."""

from __future__ import annotations

import os

PATIENCE = float(os.environ.get("LAB_PATIENCE", "1"))
