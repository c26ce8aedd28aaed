"""What `detent serve` was asked for: it travels to each worker."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How to serve.

    Attributes
    ----------
    url, user : str
        The registry, and who acts in it.
    aliases : tuple of str
        Each with its model: ``churn@production``.
    host, port : str, int
        Where HTTP is answered; port 0 takes a free one.
    grpc_port : int or None
        Where gRPC is answered; None does not.
    workers : int
        How many processes.
    is_strict : bool
        Stop answering when the lease has ended and cannot be renewed.
    lease_s : float
        For how long a change waits for a process that is not heard of, in seconds.
    batch_s : float
        How long a request waits for others to be answered with it, in seconds; 0 does not.
    trusted : bool
        Load versions whose files can run code.
    limit_bytes : int
        The largest body of a request.
    body_s : float
        How long a request may take to arrive, in seconds.
    drain_s : float
        How long requests in flight may take after the signal to end, in seconds.
    log_requests : bool
        A line in the log for each request.
    """

    url: str
    user: str
    aliases: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int | None = None
    workers: int = 1
    is_strict: bool = False
    lease_s: float = 10.0
    batch_s: float = 0.0
    trusted: bool = False
    limit_bytes: int = 16 * 1024 * 1024
    body_s: float = 10.0
    drain_s: float = 30.0
    log_requests: bool = False
