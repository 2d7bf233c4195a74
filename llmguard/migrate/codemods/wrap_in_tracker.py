"""`wrap-in-tracker`: the statement of a call moves into a tracker block, which is handed the response.

answer = ollama.chat(model=m, messages=x)
with llm_tracker.track_llm_call(provider="ollama", model=m, service_name="search") as usage_log:
    answer = usage_log.response = ollama.chat(model=m, messages=x)
"""

from __future__ import annotations

import ast
import io
import tokenize
from typing import TYPE_CHECKING

import libcst as cst

from llmguard.errors import UncheckableError
from llmguard.migrate.edit import Edit
from llmguard.migrate.source import Span

if TYPE_CHECKING:
    from llmguard.migrate.source import Found, Source


def obstacle(found: Found) -> str:
    """The reason code for which a statement cannot move into a block, "" when it can."""
    call, statement, source = _asking(found), found.site.statement, found.source
    if call is None:
        return "bound-method-reference"
    if found.site.fstring is not None or isinstance(source.parents.get(statement), ast.ClassDef):
        return "foreign-statement"
    if any(k.arg == "stream" and not (isinstance(k.value, ast.Constant) and not k.value.value) for k in call.keywords):
        return "foreign-statement"
    if not isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr, ast.Return)) or _value(statement) is None:
        return "foreign-statement"
    if _bare(_value(statement)) is not call and not _is_first(_value(statement), call):
        return "foreign-statement"
    if isinstance(statement, ast.AnnAssign) and _bare(statement.value) is not call:
        return "foreign-statement"
    if not source.begins_line(statement) or not source.ends_line(statement) or _has_long_token(source, statement):
        return "foreign-statement"
    return ""


def rewritten(found: Found, tracker: str, said: dict[str, str], log: str = "usage_log") -> Edit:
    """The edit of a statement without an obstacle.

    Args:
        found: the call.
        tracker: name of the tracker in this file.
        said: arguments of the tracker beside provider and model: name -> expression, "" for none.
        log: name of the variable that holds the block's log.
    """
    call, statement, source = _asking(found), found.site.statement, found.source
    assert call is not None
    waits = isinstance(source.parents.get(call), ast.Await)
    indent, newline = source.indent(statement), source.newline
    span = source.span(statement)
    model = next((keyword.value for keyword in call.keywords if keyword.arg in ("model", "model_id")), None)
    provider = _provider(found, model)
    arguments = [f'provider="{provider}"'] if provider else []
    if isinstance(model, (ast.Constant, ast.Name)) or _is_plain(model):
        assert model is not None
        arguments.append(f"model={source.segment(model)}")
    arguments += [f"{name}={value}" for name, value in said.items() if value]
    head = f"{'async ' if waits else ''}with {tracker}.track_llm_call({', '.join(arguments)}) as {log}:"
    step = _step(source, indent)
    first, rest = HandResponse(source.segment(call), log, newline).applied(source.text[span.start : span.end])
    lines = first.split(newline)
    block = [head, f"{indent}{step}{lines[0]}", *(f"{step}{line}" if line else line for line in lines[1:])]
    text = newline.join([*block, *([indent + rest] if rest else [])])
    return Edit(Span(span.start, span.end), text)


#: Functions that run in a thread what they are given, and give back what it gives.
_IN_THREADS = frozenset({"to_thread", "run_in_executor", "run_sync", "run_in_threadpool", "sync_to_async"})


def _asking(found: Found) -> ast.Call | None:
    """The call that asks a model, or has a method do so in a thread: `await asyncio.to_thread(model.ask, prompt)`."""
    if found.call is not None:
        return found.call
    outer = found.source.parents.get(found.expression)
    if not isinstance(outer, ast.Call) or found.expression not in outer.args:
        return None
    in_thread = ast.unparse(outer.func).rpartition(".")[2] in _IN_THREADS
    return outer if in_thread and isinstance(found.source.parents.get(outer), ast.Await) else None


def _provider(found: Found, model: ast.expr | None) -> str:
    """Who answers; of LiteLLM only what the model's name says."""
    if found.callee.provider != "litellm":
        return found.callee.provider
    name = model.value if isinstance(model, ast.Constant) and isinstance(model.value, str) else ""
    return name.partition("/")[0] if "/" in name else ""


class HandResponse(cst.CSTTransformer):
    """Gives the block the value of a call, in the statement that makes it.

    Args:
        call: text of the call.
        log: name of the variable that holds the block's log.
        newline: line end of the file.
    """

    def __init__(self, call: str, log: str, newline: str = "\n") -> None:
        super().__init__()
        self._newline = newline
        self._response = cst.Attribute(value=cst.Name(log), attr=cst.Name("response"))
        self._call = cst.parse_expression(f"({call}{newline})").with_changes(lpar=(), rpar=())

    def applied(self, text: str) -> tuple[str, str]:
        """The statement that belongs into the block, and the one that follows it ("" when that is all)."""
        (line,) = cst.parse_module(text).body
        assert isinstance(line, cst.SimpleStatementLine)
        (statement,) = line.body
        first, rest = self._split(statement)
        module = cst.Module([], default_newline=self._newline)
        return module.code_for_node(first), module.code_for_node(rest) if rest is not None else ""

    def _split(self, statement: cst.BaseSmallStatement) -> tuple[cst.BaseSmallStatement, cst.BaseSmallStatement | None]:
        assert isinstance(statement, (cst.Expr, cst.Return, cst.Assign, cst.AnnAssign))
        value = statement.value
        assert value is not None
        target = cst.AssignTarget(self._response)
        if self._is_call(value) and isinstance(statement, cst.Assign):
            return statement.with_changes(targets=[*statement.targets, target]), None
        if self._is_call(value) and isinstance(statement, cst.Expr):
            return cst.Assign(targets=[target], value=value), None
        taken = _Taken(self._call, self._response)
        rest = statement.visit(taken)
        assert isinstance(rest, cst.BaseSmallStatement)
        if not taken.taken:
            raise UncheckableError("a call could not be taken out of its statement")
        return cst.Assign(targets=[target], value=taken.value), rest

    def _is_call(self, node: cst.BaseExpression) -> bool:
        bare = node.expression if isinstance(node, cst.Await) else node
        return _same(bare, self._call)


class _Taken(cst.CSTTransformer):
    """Takes the call (and its `await`) out of a statement."""

    def __init__(self, call: cst.BaseExpression, response: cst.BaseExpression) -> None:
        super().__init__()
        self._call = call
        self._response = response
        self.value: cst.BaseExpression = call
        self.taken = False

    def visit_Await(self, node: cst.Await) -> bool:
        return not _same(node.expression, self._call)

    def leave_Await(self, original_node: cst.Await, updated_node: cst.Await) -> cst.BaseExpression:
        if _same(original_node.expression, self._call):
            self.taken = True
            self.value = original_node.with_changes(lpar=(), rpar=())
            return self._response
        return updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        if not _same(original_node, self._call):
            return updated_node
        self.taken = True
        return self._response


def _same(node: cst.BaseExpression, call: cst.BaseExpression) -> bool:
    """Whether two expressions are the same but for parentheses round them."""
    return bool(node.with_changes(lpar=(), rpar=()).deep_equals(call))


def _value(statement: ast.stmt) -> ast.expr | None:
    return getattr(statement, "value", None)


def _bare(node: ast.expr | None) -> ast.expr | None:
    return node.value if isinstance(node, ast.Await) else node


def _is_first(value: ast.expr | None, call: ast.Call) -> bool:
    """Whether a call is what an expression evaluates first: it stands at the left end of attributes, items, calls."""
    node = value
    while node is not None:
        if node is call:
            return True
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Await, ast.Starred)):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.BinOp):
            node = node.left
        elif isinstance(node, ast.BoolOp):
            node = node.values[0]
        elif isinstance(node, ast.Compare):
            node = node.left
        else:
            return False
    return False


def _is_plain(node: ast.expr | None) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _has_long_token(source: Source, statement: ast.stmt) -> bool:
    """Whether a token goes over lines (a long string): moving it to the right would change it. So would a backslash."""
    text = source.segment(statement)
    if "\n" not in text and "\r" not in text:
        return False
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return True
    return "\\\n" in text or any(token.start[0] != token.end[0] for token in tokens if token.string.strip())


def _step(source: Source, indent: str) -> str:
    """One level of indentation, as the place has it, else as the file has it."""
    if indent:
        return "\t" if "\t" in indent else "    " if len(indent) % 4 == 0 else "  "
    for line in source.lines:
        stripped = line.lstrip(" \t")
        if stripped and line[0] in " \t":
            blank = line[: len(line) - len(stripped)]
            return "\t" if blank[0] == "\t" else blank if len(blank) in (2, 3, 4, 8) else "    "
    return "    "
