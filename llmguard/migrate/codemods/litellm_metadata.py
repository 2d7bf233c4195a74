"""LiteLLM's part of `to-tracked-client`: whose a call is, told to the callback in LiteLLM's own `metadata`.

litellm.completion(model=m, messages=x)
litellm.completion(model=m, messages=x, metadata={"llmguard": {"user_id": user_id, "service_name": "search"}})

LiteLLM sends Anthropic the `user_id` of its metadata; what stands below a key of its own goes to nobody.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from llmguard.check.values import External, Here
from llmguard.migrate.statements import appended

if TYPE_CHECKING:
    from llmguard.check.judge import Judge
    from llmguard.migrate.edit import Edit
    from llmguard.migrate.source import Found

#: Functions whose `metadata` is for callbacks alone.
_TAKE_IT = frozenset({"completion", "acompletion", "text_completion", "atext_completion", "embedding", "aembedding"})


#: A test that puts something in the place of such a function may look at its arguments.
PATCHED = re.compile(rb"""["'](?:[\w.]*\.)?a?(?:text_)?(?:completion|embedding)["']""")


def rewritten(judge: Judge, found: Found, said: dict[str, str]) -> Edit | None:
    """The edit that tells the callback whose a call is; None where the call has metadata, or may have some.

    Args:
        judge: the resolution of its file.
        found: the call.
        said: name of a column -> expression, "" for none.
    """
    call = found.call
    if call is None or any(keyword.arg in (None, "metadata") for keyword in call.keywords):
        return None
    if any(isinstance(parent, ast.JoinedStr) for parent in found.source.ancestors(call)):
        return None
    judge.infer.refill()
    values = judge.infer.values(call.func, Here(found.site.scope, found.site.block))
    paths = {value.path if isinstance(value, External) else "" for value in values}
    if not paths <= {f"litellm.{name}" for name in _TAKE_IT}:
        return None
    inner = ", ".join(f'"{name}": {value}' for name, value in said.items() if value)
    return appended(found.source, call, f'metadata={{"llmguard": {{{inner}}}}}')
