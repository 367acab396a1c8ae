"""The Python functions that a compiled profile calls, made known to a DuckDB connection."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from cdp_bridge.identity.country import country_code, subdivision_code
from cdp_bridge.identity.dates import birth_date
from cdp_bridge.identity.html import html_text
from cdp_bridge.identity.phone import e164, phone_digits, real_phone

if TYPE_CHECKING:
    import duckdb

# Arrow columns in, an Arrow column out. No cache behind them: personal data must not outlive its page.
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "phone_e164": lambda raw, country: _column(map(e164, raw.to_pylist(), country.to_pylist())),
    "phone_digits": lambda raw, country: _column(map(phone_digits, raw.to_pylist(), country.to_pylist())),
    "real_phone": lambda number: _column(map(real_phone, number.to_pylist())),
    "subdivision_code": lambda raw, country: _column(map(subdivision_code, raw.to_pylist(), country.to_pylist())),
    "country_code": lambda raw: _column(map(country_code, raw.to_pylist())),
    "birth_date": lambda raw: _column(map(birth_date, raw.to_pylist())),
    "html_text": lambda raw: _column(map(html_text, raw.to_pylist())),
    "lower_case": lambda raw: _column(map(str.lower, raw.to_pylist())),
}


def register(connection: "duckdb.DuckDBPyConnection") -> None:
    """Add the functions to `connection`, once. Close the connection: one left open at exit makes DuckDB complain."""
    from duckdb.func import PythonUDFType

    for name, function in _FUNCTIONS.items():
        arity = function.__code__.co_argcount
        connection.create_function(name, function, ["VARCHAR"] * arity, "VARCHAR", type=PythonUDFType.ARROW)


def _column(texts: Iterable[str]) -> Any:
    import pyarrow

    return pyarrow.array(texts, type=pyarrow.string())
