"""The real servers that tests share: each is started once, when the first test asks for it."""

from collections.abc import Iterator

import pytest
from tests.servers import postgres
from tests.servers.processes import NoServerError


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Return the URL of a PostgreSQL server."""
    try:
        with postgres.server_url() as url:
            yield url
    except NoServerError as error:
        pytest.skip(f"NOT TESTED: no PostgreSQL here: {error}; or name one: DETENT_TEST_POSTGRES")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Return the URL of a place on that server without a registry."""
    with postgres.new_schema(postgres_server) as url:
        yield url
