"""`to-tracked-client`: the client is tracked where it is made, or where it is used; the calls stay as they are.

client = Groq(timeout=5)            client.with_raw_response.chat.completions.create(...)
client = track(Groq(timeout=5), service_name="search")
"""

from __future__ import annotations

import ast

import libcst as cst

from llmguard.migrate.edit import Edit
from llmguard.migrate.source import Source


class ToTrackedClient(cst.CSTTransformer):
    """Puts `track(...)` round an expression.

    Args:
        track: name of the function in this file.
        service: name of the service.
        newline: line end of the file.
    """

    def __init__(self, track: str, service: str, newline: str = "\n") -> None:
        super().__init__()
        self._newline = newline
        self._track = track
        self._service = service

    def applied(self, text: str) -> str:
        """The text of the expression after the rewrite."""
        expression = cst.parse_expression(f"({text}{self._newline})")
        bare = expression.with_changes(lpar=expression.lpar[1:], rpar=expression.rpar[:-1])
        service = cst.Arg(
            keyword=cst.Name("service_name"),
            value=cst.SimpleString(f'"{self._service}"'),
            equal=cst.AssignEqual(
                whitespace_before=cst.SimpleWhitespace(""), whitespace_after=cst.SimpleWhitespace("")
            ),
        )
        return cst.Module([], default_newline=self._newline).code_for_node(
            cst.Call(func=cst.Name(self._track), args=[cst.Arg(bare), service])
        )


def tracked(source: Source, expression: ast.expr, track: str, service: str) -> Edit:
    """The edit that tracks what an expression gives."""
    return Edit(
        source.span(expression), ToTrackedClient(track, service, source.newline).applied(source.segment(expression))
    )
