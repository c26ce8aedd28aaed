"""Multipart uploads to S3 that were begun and not finished: their parts are stored, and unseen.

obstore cannot list them. botocore can; it is imported when `prune` asks, not before.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any

import botocore.config
import botocore.exceptions
import botocore.session


class Uploads:
    """The unfinished uploads of a bucket. `config` is what obstore got beside the environment."""

    def __init__(self, bucket: str, config: Mapping[str, str]) -> None:
        self._bucket = bucket
        style = "virtual" if config.get("virtual_hosted_style_request") == "true" else "path"
        self._client: Any = botocore.session.Session().create_client(
            "s3",
            # Given, or what obstore looks for; AWS_ENDPOINT_URL botocore finds itself.
            endpoint_url=config.get("endpoint") or os.environ.get("AWS_ENDPOINT"),
            region_name=config.get("region") or os.environ.get("AWS_REGION") or "us-east-1",
            aws_access_key_id=config.get("access_key_id"),
            aws_secret_access_key=config.get("secret_access_key"),
            config=botocore.config.Config(s3={"addressing_style": style}),
        )

    def __enter__(self) -> "Uploads":
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections, and say in the words of the system what went wrong."""
        self._client.close()
        if isinstance(error, botocore.exceptions.ClientError | botocore.exceptions.BotoCoreError):
            raise OSError(str(error)) from error

    def list(self, prefix: str) -> Iterator[tuple[str, str, datetime, int]]:
        """Yield key, upload, time of its beginning and bytes stored so far."""
        pages = self._client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            for upload in page.get("Uploads", []):
                key, name = upload["Key"], upload["UploadId"]
                yield key, name, upload["Initiated"], self._size(key, name)

    def abort(self, key: str, upload: str) -> None:
        """Remove the parts of an upload. One that is gone already is no error."""
        with suppress(self._client.exceptions.NoSuchUpload):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)

    def _size(self, key: str, upload: str) -> int:
        try:
            pages = self._client.get_paginator("list_parts").paginate(
                Bucket=self._bucket, Key=key, UploadId=upload
            )
            return sum(part["Size"] for page in pages for part in page.get("Parts", []))
        except self._client.exceptions.NoSuchUpload:  # finished since it was listed
            return 0
