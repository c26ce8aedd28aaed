"""The suites of a registry in a folder, run on PostgreSQL with S3: ``make afar``.

Whatever opens rows in a file or in memory gets a schema of its own instead, and whatever opens
bytes there a place in a bucket. Tests about the files of a folder have the mark ``folder`` and are
left out.
"""

import os
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from tests.servers import ceph, postgres
from tests.servers.processes import NoServerError

import detent.metadata.sqlite
import detent.opening
from detent.blobs.remote import RemoteBlobs
from detent.metadata.postgres import PostgresMetadata


class Afar:
    """The servers, and what each place of a test is there."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._postgres = stack.enter_context(postgres.server_url())
        s3 = stack.enter_context(ceph.s3_server())
        os.environ.update(s3.environment)
        self._bucket = stack.enter_context(ceph.new_bucket(s3))
        self._schema_of = cache(self._new_schema)
        self._place_of = cache(self._new_place)

    def open_metadata(self, path: Any = None) -> PostgresMetadata:
        """Return the rows at a path: the same for the same one, new ones for none."""
        known = path and os.path.abspath(path)
        return PostgresMetadata(self._schema_of(known) if known else self._new_schema())

    def open_blobs(self, path: Any = None) -> RemoteBlobs:
        """Return the bytes at a path: the same for the same one, new ones for none."""
        known = path and os.path.abspath(path)
        return RemoteBlobs(self._place_of(known) if known else self._new_place())

    def _new_schema(self, path: str | None = None) -> str:
        return self._stack.enter_context(postgres.new_schema(self._postgres))

    def _new_place(self, path: str | None = None) -> str:
        self._bucket.empty()
        return self._bucket.url


def pytest_configure(config: pytest.Config) -> None:
    """Put what is afar in the place of what is near, before any test is read."""
    stack = ExitStack()
    config.add_cleanup(stack.close)
    try:
        afar = Afar(stack)
    except NoServerError as error:
        pytest.exit(f"NOT TESTED: {error}; or name one: DETENT_TEST_POSTGRES, DETENT_TEST_S3", 1)
    detent.metadata.sqlite.SqliteMetadata = afar.open_metadata  # type: ignore[assignment, misc]
    detent.opening._open_local = afar.open_blobs  # type: ignore[assignment]
    detent.opening._open_memory = afar.open_blobs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests of files."""
    about_files = pytest.mark.skip(reason="of files that only a registry in a folder has")
    for item in items:
        if item.get_closest_marker("folder"):
            item.add_marker(about_files)
