"""Normalising and hashing identifiers as each platform wants them: profiles are data, compiled to one DuckDB SELECT.

profile.py    what a profile says (data types)     installed.py    finds the profiles that plugins bring
steps.py      the named SQL steps, checks, parts   compile.py      a profile -> SQL, and how to run it
phone.py country.py dates.py html.py   what SQL cannot say well     functions.py   ... as functions of DuckDB
explain.py    one value at a time, through the same SQL            variants.py    for suppression: each way of hashing
"""

from cdp_bridge.identity.compile import CompiledProfile, compile_profile
from cdp_bridge.identity.explain import Explanation, Question, explain, explain_many
from cdp_bridge.identity.functions import register
from cdp_bridge.identity.installed import CLEAR, Installed, installed, load_profile
from cdp_bridge.identity.profile import FIELDS, IDENTIFYING, Profile, Rule
from cdp_bridge.identity.variants import HASHED, variants, with_digests

__all__ = [
    "CLEAR",
    "FIELDS",
    "HASHED",
    "IDENTIFYING",
    "CompiledProfile",
    "Explanation",
    "Installed",
    "Profile",
    "Question",
    "Rule",
    "compile_profile",
    "explain",
    "explain_many",
    "installed",
    "load_profile",
    "register",
    "variants",
    "with_digests",
]
