"""The real servers that tests share: each is started once, when the first test asks for it."""

from collections.abc import Iterator

import pytest
from tests.servers import azurite, ceph, postgres
from tests.servers.azurite import Azurite
from tests.servers.ceph import S3, Bucket
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


@pytest.fixture(scope="session")
def shared_bucket() -> Iterator[tuple[S3, Bucket]]:
    """Return an S3 server, and a bucket on it."""
    try:
        with ceph.s3_server() as s3, ceph.new_bucket(s3) as made:
            yield s3, made
    except NoServerError as error:
        pytest.skip(f"NOT TESTED: no S3 here: {error}; or name one: DETENT_TEST_S3")


@pytest.fixture
def bucket(shared_bucket: tuple[S3, Bucket], monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Return an empty place in a bucket, with the credentials for it in the environment."""
    s3, made = shared_bucket
    for name, text in s3.environment.items():
        monkeypatch.setenv(name, text)
    made.empty()
    return made


@pytest.fixture(scope="session")
def azure() -> Iterator[Azurite]:
    """Return an emulator of Azure's blob storage."""
    try:
        with azurite.azurite() as made:
            yield made
    except NoServerError as error:
        pytest.skip(f"NOT TESTED: no Azure here: {error}")
