"""`to-wrapper`: the call becomes one of the wrapper's, its result's `["response"]` what it was.

client.chat.completions.create(model=m, messages=x)
llm_wrapper.chat_completion_sync(model=m, messages=x, service_name="search")["response"]

Where the client stays, it is the first argument (so that it is still the first thing that is evaluated):
llm_wrapper.chat_completion_sync(client=client, model=m, messages=x, service_name="search")["response"]
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from llmguard.migrate import clients
from llmguard.migrate.edit import Edit
from llmguard.migrate.logging_by_hand import NO_LOG, ByHand
from llmguard.migrate.models import may_be_none
from llmguard.migrate.source import Span

if TYPE_CHECKING:
    from llmguard.migrate.source import Found, Source
    from llmguard.migrate.users import User

PATHS = {"chat": ("chat", "completions", "create"), "messages": ("messages", "create")}
_METHODS = {"chat": "chat_completion", "messages": "messages_create"}
#: Arguments of the wrapper that are none of the SDK's method.
_OURS = frozenset({"user_id", "service_name", "provider", "client_options", "provider_metadata", "client"})


#: Columns that most formatters keep to, and the most that a file's own lines make of it.
_WIDTH, _WIDEST = 88, 120


class Ask(NamedTuple):
    """What a migrated call says.

    Attributes:
        shape: "chat" or "messages".
        provider: to be named, "" for the wrapper's default.
        service: name of the service.
        options: client options, name -> expression.
        wrapper: name of the wrapper in this file.
        awaits: whether a blocking call becomes one that is awaited; None where none can.
        client: expression of the client, "" for one of the wrapper's own.
    """

    shape: str
    provider: str
    service: str
    options: dict[str, str]
    wrapper: str
    awaits: bool | None = None
    client: str = ""


def obstacle(found: Found, asynchronous: bool) -> str:
    """The reason code for which a call cannot be the wrapper's, "" when it can."""
    reason, call = unsayable(found), found.call
    if reason or call is None:
        return reason
    outer = found.source.parents.get(call)
    awaited = isinstance(outer, ast.Await)
    if clients.has_comment(found.source, call.func) or _has_gap(found.source, outer, call):
        return "comments"
    if asynchronous and not awaited:
        return "unawaited-coroutine"
    if not asynchronous and awaited:
        return "async-context-needed"
    return ""


def unsayable(found: Found) -> str:
    """The reason code for which the arguments of a call cannot be said to the wrapper, "" when they can."""
    call = found.call
    if call is None:
        return "bound-method-reference"
    if found.site.fstring is not None or any(isinstance(node, ast.JoinedStr) for node in found.source.ancestors(call)):
        return "fstring"
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        return "kwargs-opaque"
    if any(keyword.arg in _OURS for keyword in call.keywords):
        return "kwargs-opaque"
    if not {"model", "messages"} <= {keyword.arg for keyword in call.keywords}:
        return "kwargs-opaque"
    if any(keyword.arg == "model" and may_be_none(found, keyword.value) for keyword in call.keywords):
        return "model-unknown"
    return ""


def _has_gap(source: Source, outer: ast.AST | None, call: ast.Call) -> bool:
    """Whether a comment stands between an `await` and its call, or behind the call in their parentheses."""
    if not isinstance(outer, ast.Await):
        return False
    whole, inner = source.span(outer), source.span(call)
    return "#" in source.text[whole.start : inner.start] + source.text[inner.end : whole.end]


def rewritten(
    found: Found, ask: Ask, asynchronous: bool, user: User, log: ByHand = NO_LOG
) -> tuple[list[Edit], list[str]]:
    """The edits of a call without an obstacle, and the reason codes that a human should see."""
    call = found.call
    assert call is not None
    source = found.source
    awaits, notes = asynchronous, []
    if not asynchronous and not ask.client and ask.awaits is not None:
        awaits = ask.awaits
        notes.append("yields-now" if awaits else "blocks-loop")
    notes += said_of(user, log)
    name = _METHODS[ask.shape] if awaits else f"{_METHODS[ask.shape]}_sync"
    added = [("user_id", user.text), ("service_name", f'"{ask.service}"'), ("metadata", log.metadata)]
    added.append(("provider", f'"{ask.provider}"' if ask.provider else ""))
    options = ", ".join(f'"{option}": {value}' for option, value in ask.options.items())
    added.append(("client_options", f"{{{options}}}" if options else ""))
    said = [(key, value) for key, value in added if value]
    codemod = ToWrapper(f"{ask.wrapper}.{name}", said, source.newline, ask.client)
    outer = source.parents.get(call) if asynchronous else call
    assert isinstance(outer, ast.expr)
    span = source.span(outer)
    text = codemod.applied(source.segment(call))
    if _is_too_long(source, outer, text):
        text = codemod.applied(source.segment(call), source.indent(outer))
    if not awaits:
        return [Edit(span, f'{text}["response"]')], notes
    closing = _own_parenthesis(source, outer) if asynchronous else None
    if closing is not None:  # `(await x).y`: the parentheses are there
        return [Edit(span, f"await {text}"), Edit(Span(closing, closing), '["response"]')], notes
    return [Edit(span, f'(await {text})["response"]')], notes


def said_of(user: User, log: ByHand) -> list[str]:
    """The reason codes that a human should see of who a call is for, and of its logging by hand."""
    notes = ["logged-by-hand"] if log.kept else []
    if not user.is_known:
        notes.append("no-user-id")
    notes += ["user-attribute"] if user.is_read else []
    notes += [] if user.is_everywhere else ["no-user-id-everywhere"]
    return notes


def _is_too_long(source: Source, node: ast.expr, text: str) -> bool:
    """Whether a line that keeps to the file's width would no longer do so with a text in a node's place. One with a
    comment stays a line: the comment may be a pragma, which speaks of the line."""
    if node.end_lineno != node.lineno or "\n" in text or "#" in source.lines[node.lineno - 1]:
        return False
    width = max(_WIDTH, min(source.width, _WIDEST))
    span = source.span(node)
    return len(source.lines[node.lineno - 1]) - (span.end - span.start) + len(text) + len('["response"]') > width


def _own_parenthesis(source: Source, node: ast.expr) -> int | None:
    """Where the parenthesis ends that an `await` needs to have something behind it; None when it has none."""
    parent = source.parents.get(node)
    if not isinstance(parent, (ast.Attribute, ast.Subscript)) or parent.value is not node:
        return None
    end = source.span(node).end
    rest = source.text[end:]
    at = end + len(rest) - len(rest.lstrip())
    return at + 1 if source.text[at : at + 1] == ")" else None


class ToWrapper(cst.CSTTransformer):
    """Rewrites one call.

    Args:
        callee: what is called instead.
        added: keyword arguments to append: name, expression.
        newline: line end of the file.
        client: expression of the client, "" for one of the wrapper's own.
    """

    def __init__(self, callee: str, added: list[tuple[str, str]], newline: str = "\n", client: str = "") -> None:
        super().__init__()
        self._newline = newline
        self._client = client
        self._callee = callee
        self._added = added
        self._depth = 0

    def applied(self, text: str, indent: str | None = None) -> str:
        """The text of the call after the rewrite.

        Args:
            text: of the call.
            indent: of its line, to give each argument a line of its own; None to lay them out as they are.
        """
        wrapped = cst.parse_expression(f"({text}{self._newline})")
        assert isinstance(wrapped, cst.Call)
        bare = wrapped.with_changes(lpar=(), rpar=())
        return cst.Module([], default_newline=self._newline).code_for_node(self.changed(bare, indent))

    def changed(self, node: cst.Call, indent: str | None = None) -> cst.Call:
        """The call after the rewrite; see `applied`."""
        args = [
            arg.with_changes(keyword=cst.Name("provider_metadata"))
            if arg.keyword is not None and arg.keyword.value == "metadata"
            else arg
            for arg in node.args
        ]
        if self._client:
            first = _argument("client", self._client)
            args.insert(0, first.with_changes(comma=cst.Comma(whitespace_after=_indent(node))))
        new = [_argument(name, value) for name, value in self._added]
        func = cst.parse_expression(self._callee)
        if indent is not None:
            inner, outer = _line_end(indent + ("\t" if indent.endswith("\t") else "    ")), _line_end(indent)
            return node.with_changes(func=func, whitespace_before_args=inner, args=_lines([*args, *new], inner, outer))
        return node.with_changes(func=func, args=_joined(args, new, _indent(node)))


def _argument(name: str, value: str) -> cst.Arg:
    plain = cst.SimpleWhitespace("")
    equal = cst.AssignEqual(whitespace_before=plain, whitespace_after=plain)
    return cst.Arg(keyword=cst.Name(name), value=cst.parse_expression(value), equal=equal)


def _indent(node: cst.Call) -> cst.BaseParenthesizableWhitespace:
    """What stands between two arguments: a line end where each has a line of its own."""
    before = node.whitespace_before_args
    if isinstance(before, cst.ParenthesizedWhitespace):
        return before.with_changes(
            first_line=before.first_line.with_changes(comment=None, whitespace=_NO), empty_lines=()
        )
    for arg in node.args[:-1]:
        after = arg.comma.whitespace_after if isinstance(arg.comma, cst.Comma) else None
        if isinstance(after, cst.ParenthesizedWhitespace):
            return after.with_changes(
                first_line=after.first_line.with_changes(comment=None, whitespace=_NO), empty_lines=()
            )
    return cst.SimpleWhitespace(" ")


_NO = cst.SimpleWhitespace("")


def _joined(args: list[cst.Arg], new: list[cst.Arg], between: cst.BaseParenthesizableWhitespace) -> list[cst.Arg]:
    """Old arguments and new ones; what stood before the closing parenthesis stands there still."""
    if not args or not new:
        return [*args, *_comma_separated(new, between)]
    last = args[-1]
    trailing = isinstance(last.comma, cst.Comma)
    closing = last.comma.whitespace_after if isinstance(last.comma, cst.Comma) else last.whitespace_after_arg
    after: cst.BaseParenthesizableWhitespace = between
    if isinstance(closing, cst.ParenthesizedWhitespace) and closing.first_line.comment is not None:
        # The comment of the last argument stays with it.
        lines = between.last_line if isinstance(between, cst.ParenthesizedWhitespace) else closing.last_line
        after = closing.with_changes(last_line=lines)
        closing = closing.with_changes(
            first_line=closing.first_line.with_changes(comment=None, whitespace=_NO), empty_lines=()
        )
    before = last.comma.whitespace_before if isinstance(last.comma, cst.Comma) else _NO
    kept = last.with_changes(
        whitespace_after_arg=last.whitespace_after_arg if trailing else _NO,
        comma=cst.Comma(whitespace_before=before, whitespace_after=after),
    )
    appended = _comma_separated(new, between)
    end = appended[-1]
    if trailing:
        end = end.with_changes(comma=cst.Comma(whitespace_after=closing))
    else:
        end = end.with_changes(whitespace_after_arg=closing)
    return [*args[:-1], kept, *appended[:-1], end]


def _line_end(indent: str) -> cst.ParenthesizedWhitespace:
    return cst.ParenthesizedWhitespace(
        first_line=cst.TrailingWhitespace(newline=cst.Newline()), last_line=cst.SimpleWhitespace(indent)
    )


def _lines(
    args: list[cst.Arg], inner: cst.ParenthesizedWhitespace, outer: cst.ParenthesizedWhitespace
) -> list[cst.Arg]:
    """Each argument on a line of its own, with a comma behind it."""
    return [arg.with_changes(comma=cst.Comma(whitespace_after=inner if arg is not args[-1] else outer)) for arg in args]


def _comma_separated(new: list[cst.Arg], between: cst.BaseParenthesizableWhitespace) -> list[cst.Arg]:
    return [
        *(arg.with_changes(comma=cst.Comma(whitespace_after=between)) for arg in new[:-1]),
        *new[-1:],
    ]
