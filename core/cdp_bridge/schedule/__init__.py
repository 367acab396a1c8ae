"""Decides which syncs are due, each slot exactly once, and requests their runs from the store."""

from cdp_bridge.schedule.retry import finish
from cdp_bridge.schedule.scheduler import Scheduler
from cdp_bridge.schedule.timetable import Timetable
from cdp_bridge.schedule.when import effective, slots

__all__ = ["Scheduler", "Timetable", "effective", "finish", "slots"]
