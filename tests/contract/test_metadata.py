"""Every database of a registry keeps the same promises."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from detent.metadata.base import Metadata
from detent.metadata.postgres import PostgresMetadata
from detent.metadata.sqlite import SqliteMetadata
from detent.testing.metadata import MetadataContract, Opener


class TestSqliteFile(MetadataContract):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        return partial(SqliteMetadata, tmp_path / "deep" / "50% #1?" / "detent.db")


class TestSqliteInMemory(MetadataContract):
    @pytest.fixture
    def opener(self) -> None:
        return None

    @pytest.fixture
    def metadata(self, opener: None) -> Iterator[Metadata]:
        made = SqliteMetadata(None)
        yield made
        made.close()


@pytest.mark.integration
class TestPostgres(MetadataContract):
    @pytest.fixture
    def opener(self, postgres_url: str) -> Opener:
        return partial(PostgresMetadata, postgres_url)
