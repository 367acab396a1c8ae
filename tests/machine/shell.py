"""Which commands a shell script calls, as far as they are written out."""

from __future__ import annotations

import re
from collections.abc import Iterator

_HEREDOC = re.compile(r"<<-?[ ]*'?(\w+)'?(.*)\n(?:.*\n)*?\1\n")
_QUOTED = re.compile(r'(?P<open>\$\()|(?P<close>")|\\.|[^"\\$]+|\$', re.DOTALL)
_PLAIN = re.compile(
    r"""(?P<void>\\\n|(?<![^\s;(])\#.*)|(?P<value>'[^']*'|\\.|\$\(\(.*?\)\)|\$\{[^}]*\}|\$[\w@*\#?!$-]*(?!\())
    |(?P<open>[$<>]\()|(?P<quote>")|(?P<redirect>\d*[<>]+&?[ ]*)|(?P<close>\))|(?P<end>[\n;|&({}!`])|(?P<space>[ \t]+)
    |(?P<word>[^\s;|&(){}!"'\\$<>`]+)""",
    re.VERBOSE,
)
_FUNCTION = re.compile(r"^\s*(\w+)\(\)", re.MULTILINE)
_BEFORE_COMMANDS = {"if", "then", "else", "elif", "do", "while", "until", "time", "exec", "setsid"}
_NAME = re.compile(r"[\w.][\w./-]*")
_ASSIGNMENT = re.compile(r"\w+\+?=")


def functions(script: str) -> set[str]:
    """The names of those that it defines."""
    return set(_FUNCTION.findall(script))


def commands(script: str) -> set[str]:
    """The first words of its commands, but for what stands in a variable."""
    return {word for word in _first_words(_HEREDOC.sub(r"\2\n", script)) if _NAME.fullmatch(word)}


def _first_words(text: str) -> Iterator[str]:
    """The first word of each command; a word with something quoted or expanded in it has a `$` there."""
    place, quotes, word, first, target = 0, [False], "", True, False
    # For each quotation and substitution that is open: whether it is a quotation, and the word before it.
    outside: list[tuple[str, bool]] = []
    while place < len(text):
        token = (_QUOTED if quotes[-1] else _PLAIN).match(text, place)
        assert token, text[place : place + 40]
        place, kind = token.end(), token.lastgroup
        if kind in ("quote", "open"):
            outside.append((f"{word}$", first))
            quotes.append(kind == "quote")
            word, first = "", kind == "open"
        elif kind == "close" and len(quotes) > 1:
            if word and first and not quotes[-1]:
                yield word
            quotes.pop()
            word, first = outside.pop()
        elif kind == "close":
            # The end of a subshell, or of a pattern of `case`.
            word, first = "", True
        elif quotes[-1] or kind == "void":
            continue
        elif kind in ("word", "value"):
            word += token[0] if kind == "word" else "$"
        elif kind == "redirect":
            word, target = "", True
        else:
            if word and target:
                target = False
            elif word and first and not _ASSIGNMENT.match(word):
                yield word
                first = word in _BEFORE_COMMANDS
            word, first = "", first or kind == "end"
