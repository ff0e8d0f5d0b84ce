"""What the read-only door lets through: one SELECT, and nothing that writes files. Pure.

The engine's ``readonly`` setting does the real work (no insert, no DDL, no settings, no table functions that reach
files or networks); this keeps out what the embedded engine would do before it looks at that setting: several
statements at once, and ``INTO OUTFILE``.
"""

import re
from typing import Final

from analytics.errors import QueryRefused

MAX_CHARACTERS: Final = 20_000
TOKEN: Final = re.compile(
    r"""
    (?P<comment>--[^\n]*|\#[!\x20][^\n]*|/\*.*?\*/)
  | (?P<string>'(?:[^'\\]|\\.|'')*')
  | (?P<quoted>"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)
  | (?P<word>[A-Za-z_][A-Za-z_0-9]*)
  | (?P<heredoc>\$[A-Za-z_0-9]*\$)
  | (?P<open>['"`]|/\*)
  | (?P<semicolon>;)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
FIRST_WORDS: Final = frozenset({"SELECT", "WITH"})
REFUSED_WORDS: Final = {
    "OUTFILE": "files cannot be written",
    "INFILE": "files cannot be read",
    "FORMAT": "the format is chosen by the caller, not in the statement",
    "INSERT": "only SELECT is allowed",
}


def read_only(sql: str) -> str:
    """``sql`` without comments and closing semicolon, if it is one SELECT; raises QueryRefused, saying why not.

    A column that is named like a refused word (FORMAT, OUTFILE ...) must stand in quotes.
    """
    if len(sql) > MAX_CHARACTERS:
        raise QueryRefused(f"a statement has at most {MAX_CHARACTERS:,} characters")
    parts: list[str] = []
    words: list[str] = []
    ended = False
    for match in TOKEN.finditer(sql):
        kind, text = match.lastgroup, match.group()
        if kind == "comment" or (kind == "other" and text.isspace()):
            parts.append(" ")
            continue
        if ended:
            raise QueryRefused("only one statement is allowed")
        if kind == "semicolon":
            ended = True
            continue
        if kind == "open":
            raise QueryRefused("a quote or comment is opened and not closed")
        if kind == "heredoc":
            raise QueryRefused("strings stand in single quotes")
        if kind == "word":
            words.append(text.upper())
        elif not words and text != "(":
            raise QueryRefused("only SELECT is allowed")
        parts.append(text)
    if not words or words[0] not in FIRST_WORDS:
        raise QueryRefused("only SELECT is allowed")
    for word, reason in REFUSED_WORDS.items():
        if word in words:
            raise QueryRefused(f"{word}: {reason}")
    return "".join(parts).strip()
