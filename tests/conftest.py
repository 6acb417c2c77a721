"""Fixtures that several test files share."""

import pytest
from stores import KINDS, Kind


@pytest.fixture(scope="module", params=["-O0", "-O2"])
def level(request: pytest.FixtureRequest) -> str:
    """Runs every test of a real program at both levels."""
    return str(request.param)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Runs a test with each kind of store."""
    found: Kind = request.param
    return found
