"""Extracts what a container writes from the frames of the Docker engine."""

from __future__ import annotations

import io
from typing import IO, Any

_HEAD = 8


class Demultiplexed(io.RawIOBase):
    """The bytes of an attached stream: each frame is a kind, three zeros, four bytes of length, then the bytes.

    Raises OSError once there were more than `most`.
    """

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._left, self._most = stream, 0, most

    @property
    def is_over(self) -> bool:
        """Whether there was more than the limit."""
        return self._most < 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Some of the bytes; 0 at the end."""
        if not self._left:
            head = self._stream.read(_HEAD)
            if len(head) < _HEAD:
                return 0
            self._left = int.from_bytes(head[4:])
        data = self._stream.read(min(self._left, memoryview(buffer).nbytes))
        memoryview(buffer).cast("B")[: len(data)] = data
        self._left -= len(data)
        self._most -= len(data)
        if self.is_over:
            raise OSError("more than the limit")
        return len(data)
