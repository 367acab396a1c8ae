"""Normalising and hashing identifiers as each platform wants them: profiles are data, compiled to one DuckDB SELECT.

profile.py    what a profile says (data types, loading)       profiles/*.json   the profiles and their test vectors
steps.py      the named SQL steps, checks and parts           compile.py        a profile -> SQL, and how to run it
phone.py country.py dates.py   what SQL cannot say well       functions.py      ... as functions of DuckDB
explain.py    one value at a time, through the same SQL
"""

from cdp_bridge.identity.compile import CompiledProfile, compile_profile
from cdp_bridge.identity.explain import Explanation, Question, explain, explain_many
from cdp_bridge.identity.functions import register
from cdp_bridge.identity.profile import FIELDS, PROFILES, Profile, Rule, load_profile

__all__ = [
    "FIELDS",
    "PROFILES",
    "CompiledProfile",
    "Explanation",
    "Profile",
    "Question",
    "Rule",
    "compile_profile",
    "explain",
    "explain_many",
    "load_profile",
    "register",
]
