"""One call of an API: path, query, body and caller."""

from dataclasses import dataclass

from sandbox.google.config import Token


@dataclass
class Call:
    """What came; `parts` are the segments that the route's pattern names, `rows_taken` is set by a `partial` fault."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    token: Token
    parts: tuple[str, ...] = ()
    rows_taken: int | None = None
    request_id: str = ""
