"""The text that an expression may build: enough to recognise URLs, model ids and attribute names.

Unknown pieces become HOLE characters.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from llmguard.check.values import ANYTHING, HOLE, Here, Other, Text, Value, Values

if TYPE_CHECKING:
    from llmguard.check.infer import Inference

_MOST = 6  # alternatives that are kept
_LONGEST = 500
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")


def string_values(infer: Inference, node: ast.expr, here: Here) -> Values:
    """The strings that an f-string, a concatenation or a `%` format may give; other operations are of no interest."""
    if isinstance(node, ast.BinOp) and not isinstance(node.op, (ast.Add, ast.Mod, ast.Div)):
        return frozenset((Other("number"),))
    found: set[Value] = {Text(text[:_LONGEST]) for text in _texts(infer, node, here) if text.strip(HOLE)}
    return frozenset(found) or ANYTHING


_SAME = frozenset(
    {"strip", "rstrip", "lstrip", "lower", "upper", "format", "replace", "removesuffix", "encode", "decode"}
)


def string_method(infer: Inference, node: ast.Call, here: Here) -> Values | None:
    """What a method of a known string gives, None when the receiver is none. `format` leaves holes."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in _SAME:
        return None
    texts = [v.text for v in infer.values(node.func.value, here) if isinstance(v, Text)]
    if not texts:
        return None
    if node.func.attr == "format":
        texts = [_PLACEHOLDER.sub(HOLE, text) for text in texts]
    return frozenset(Text(text) for text in texts[:_MOST])


def joined_url(infer: Inference, node: ast.Call, here: Here) -> Values:
    """`urljoin(base, path)`."""
    if len(node.args) < 2:
        return ANYTHING
    bases = [base.rstrip("/") + "/" for base in texts_of(infer, node.args[0], here)]
    paths = [path.lstrip("/") for path in texts_of(infer, node.args[1], here)]
    return frozenset(Text(text) for text in _product(bases, paths) if text.strip(HOLE + "/")) or ANYTHING


def texts_of(infer: Inference, node: ast.expr, here: Here) -> list[str]:
    """Alternatives for the text of an expression; a lone HOLE when nothing is known."""
    return _texts(infer, node, here)[:_MOST]


def _texts(infer: Inference, node: ast.expr, here: Here) -> list[str]:
    if isinstance(node, ast.JoinedStr):
        texts = [""]
        for piece in node.values:
            part = piece.value if isinstance(piece, ast.FormattedValue) else piece
            texts = _product(texts, texts_of(infer, part, here))
        return texts
    if isinstance(node, ast.BinOp):
        return _operation(infer, node, here)
    found = sorted(v.text for v in infer.values(node, here) if isinstance(v, Text))
    return found[:_MOST] or [HOLE]


def _operation(infer: Inference, node: ast.BinOp, here: Here) -> list[str]:
    # A long chain `a + b + c` leans to the left: walk it, do not recurse into it.
    pieces: list[ast.expr] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp) and isinstance(left.op, type(node.op)) and isinstance(node.op, ast.Add):
        pieces.append(left.right)
        left = left.left
        if len(pieces) > 40:
            return [HOLE]
    if not pieces:
        texts = texts_of(infer, node.left, here)
        if isinstance(node.op, ast.Mod):
            return [text.replace("%s", HOLE).replace("%d", HOLE) for text in texts]
        return _product([text + "/" for text in texts], texts_of(infer, node.right, here))
    texts = [""]
    for piece in [left, *reversed(pieces)]:
        texts = _product(texts, texts_of(infer, piece, here))
    return texts


def _product(texts: list[str], parts: list[str]) -> list[str]:
    return [text + part for text in texts for part in parts][:_MOST]
