"""The time of one ad platform's twin."""

import time


class Clock:
    """Unix seconds that tests can move forward."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        """The twin's time."""
        return time.time() + self.offset
