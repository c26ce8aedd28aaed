"""The registry's HTTP API: the operations of `detent.api` over the stores of one registry.

Who asks is told by a *token*; a *problem* is the answer to what went wrong (RFC 9457). No rule of
the registry lives here.
"""
