"""What every implementation of a seam promises, as tests that its author subclasses.

A *contract* is a class of tests for one protocol: `BlobsContract` for `detent.blobs.base.Blobs`,
`MetadataContract` for `detent.metadata.base.Metadata`, `FormatContract` for
`detent.formats.base.Format`. A subclass gives it the fixtures that open the implementation, and
pytest does the rest. The contracts are in modules of their own, because they need pytest::

    from detent.testing.blobs import BlobsContract
"""
