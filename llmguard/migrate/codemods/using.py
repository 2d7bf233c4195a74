"""`using`: the call stays as it is, on a view of its client that says whose it is.

client.chat.completions.parse(model=m, messages=x, response_format=Answer)
llm_wrapper.using(client, user_id=user_id, service_name="search").chat.completions.parse(model=m, ...)
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from llmguard.migrate.edit import Edit

if TYPE_CHECKING:
    from llmguard.migrate.source import Source


class Using(cst.CSTTransformer):
    """Puts `llm_wrapper.using(...)` round the client of a call.

    Args:
        wrapper: name of the wrapper in this file.
        said: keyword arguments: name, expression.
        newline: line end of the file.
    """

    def __init__(self, wrapper: str, said: list[tuple[str, str]], newline: str = "\n") -> None:
        super().__init__()
        self._wrapper = wrapper
        self._said = said
        self._newline = newline

    def applied(self, text: str) -> str:
        """The text of the client after the rewrite."""
        expression = cst.parse_expression(f"({text}{self._newline})")
        bare = expression.with_changes(lpar=expression.lpar[1:], rpar=expression.rpar[:-1])
        plain = cst.SimpleWhitespace("")
        equal = cst.AssignEqual(whitespace_before=plain, whitespace_after=plain)
        args = [
            cst.Arg(keyword=cst.Name(name), value=cst.parse_expression(value), equal=equal)
            for name, value in self._said
        ]
        func = cst.Attribute(value=cst.Name(self._wrapper), attr=cst.Name("using"))
        made = cst.Call(func=func, args=[cst.Arg(bare), *args])
        return cst.Module([], default_newline=self._newline).code_for_node(made)


def rewritten(source: Source, client: ast.expr, wrapper: str, said: list[tuple[str, str]]) -> Edit:
    """The edit that has a call made on a view of its client."""
    return Edit(source.span(client), Using(wrapper, said, source.newline).applied(source.operand(client)))
