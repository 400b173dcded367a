"""These tests ask nothing but Helm, which `make bootstrap` brings."""

import pytest

from chart.rendering import helm_programme
from stack.server import ServerMissing
from support.servers import unavailable


@pytest.fixture(autouse=True, scope="session")
def _helm() -> None:
    if helm_programme() is None:
        unavailable(ServerMissing("helm"))
