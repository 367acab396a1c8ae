"""Which sync is due, each slot exactly once: timetables, and the scheduler that asks the store for runs."""

from .retry import finish
from .scheduler import Scheduler
from .timetable import Timetable
from .when import effective, slots

__all__ = ["Scheduler", "Timetable", "effective", "finish", "slots"]
