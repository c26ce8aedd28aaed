"""Manifests as bytes, and the files of a version as a format sees them."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, BinaryIO, cast

from detent.blobs.base import Blobs, BlobWriter, Progress, open_verified, read_verified
from detent.domain.digest import canonical_json
from detent.domain.manifest import MANIFEST_FORMAT, File, Manifest
from detent.errors import CorruptError, InvalidError


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the canonical JSON of a manifest: its digest is the version's identity."""
    content = asdict(manifest)
    if manifest.compiled is None:
        del content["compiled"]  # manifests from before there were forms keep their digests
    return canonical_json(content)


def decode_manifest(data: bytes, *, what: str) -> Manifest:
    """Read a manifest back.

    Raises
    ------
    InvalidError
        If a newer release wrote it.
    CorruptError
        If it is no manifest.
    """
    import msgspec

    try:
        schema = msgspec.json.decode(data, type=dict[str, Any]).get("schema")
        if schema != MANIFEST_FORMAT:
            raise InvalidError(
                f"the manifest of {what} is `{schema}`; this release reads `{MANIFEST_FORMAT}`",
                hint="upgrade: `pip install --upgrade detent`",
            )
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"the manifest of {what} cannot be read: {error}") from error


def read_manifest(blobs: Blobs, digest: str, *, what: str) -> Manifest:
    """Read and check the manifest with a digest; `what` names its version in an error."""
    return decode_manifest(read_verified(blobs, digest, what=what), what=what)


class BlobSink:
    """Takes a format's files and stores each as a blob."""

    def __init__(self, blobs: Blobs, progress: Progress | None = None) -> None:
        self.files: list[File] = []
        self._blobs = blobs
        self._progress = progress

    @contextmanager
    def create(self, path: str) -> Iterator[BinaryIO]:
        """Open a new file for writing."""
        with self._blobs.create() as writer:
            stream = _SinkStream(writer, self._progress)
            yield cast(BinaryIO, stream)
            stream.close()
        self.files.append(File(path=path, digest=writer.digest, size_bytes=writer.size_bytes))


class _SinkStream(io.RawIOBase):
    """A blob being written, as the file object that zipfile, NumPy and others expect."""

    def __init__(self, writer: BlobWriter, progress: Progress | None) -> None:
        self._writer = writer
        self._progress = progress
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        n = self._writer.write(data)
        self._position += n
        if self._progress:
            self._progress(n)
        return n

    def tell(self) -> int:
        return self._position


class BlobSource:
    """Gives a format the files of a manifest, each one checked before it is handed out."""

    def __init__(
        self,
        blobs: Blobs,
        files: Sequence[File],
        *,
        what: str,
        progress: Progress | None = None,
    ) -> None:
        self._blobs = blobs
        self._files = {file.path: file for file in files}
        self._what = what
        self._progress = progress

    def paths(self) -> Sequence[str]:
        """Return the paths of the files, in the manifest's order."""
        return tuple(self._files)

    def open(self, path: str) -> BinaryIO:
        """Open a verified file for reading."""
        file = self._files.get(path)
        if file is None:
            raise CorruptError(f"`{path}` is not among the files of {self._what}")
        return open_verified(self._blobs, file.digest, what=self._what, progress=self._progress)
