"""What the tests in a real cluster share beyond keelwatch as it is installed (tests/e2e_support)."""

from __future__ import annotations

from pathlib import Path

import pytest

from keelwatch.inventory.client import Api, ApiError, UnreachableError, connect
from tests.e2e_support import KUBECONFIG


@pytest.fixture(scope="module")
def api() -> Api:
    """A client of the cluster's API server, as the administrator."""
    if not Path(KUBECONFIG).is_file():
        pytest.skip(f"no cluster: {KUBECONFIG} is not there")
    made = connect(Path(KUBECONFIG))
    try:
        made.get("/version")
    except (ApiError, UnreachableError) as error:
        pytest.skip(f"no cluster: {error}")
    return made
