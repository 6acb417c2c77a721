"""Fixtures that several test files share."""

import pytest


@pytest.fixture(scope="module", params=["-O0", "-O2"])
def level(request: pytest.FixtureRequest) -> str:
    """Runs every test of a real program at both levels."""
    return str(request.param)
