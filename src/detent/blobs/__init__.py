"""Blobs: bytes stored under their digest, written once, never changed.

`Blobs` (in ``base``) is the seam. ``local`` keeps them in a folder, ``remote`` in an object store
(with a local ``cache``), ``memory`` in a dict (read that one first). Nobody above this package
knows how bytes lie on a disk.
"""
