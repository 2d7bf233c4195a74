"""What the modules of this package share: the subclass of a tracked client, and the call of a request."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import Any

from llmguard.usage.call import Call, started
from llmguard.usage.context import enclosing
from llmguard.usage.inner_call import InnerCall
from llmguard.usage.operations import operation_of, settles
from llmguard.usage.recorded import Recorded
from llmguard.usage.recorder import recorder
from llmguard.usage.settlement import Settlement

_OWN = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
#: Attribute of a tracked client: what its rows say unless the call says otherwise.
DEFAULTS = "_llmguard_defaults"
#: Attribute of a view on a client: what its rows say, whatever the request says.
FIELDS = "_llmguard_fields"


def defaults_of(client: Any) -> dict[str, Any] | None:
    """What a tracked client's rows say, None for one that is not tracked."""
    found = getattr(type(client), "_llmguard_tracked", False) and getattr(client, DEFAULTS, None)
    return found if isinstance(found, dict) else None


def fields_of(client: Any) -> dict[str, Any] | None:
    """What the rows of a view on a client say, None for one that is no view."""
    found = getattr(type(client), "_llmguard_tracked", False) and getattr(client, "__dict__", {}).get(FIELDS)
    return found if isinstance(found, dict) else None


def is_mock(value: Any) -> bool:
    """Whether an object is one of `unittest.mock`, which is not imported for it."""
    mock = sys.modules.get("unittest.mock")
    return mock is not None and isinstance(value, mock.NonCallableMock)


def become(client: Any, subclass: type, fields: dict[str, Any]) -> None:
    """Make a client one of the subclass of its class that records.

    Raises:
        TypeError: its class cannot be changed.
    """
    client.__class__ = subclass
    object.__setattr__(client, DEFAULTS, dict(fields))


def subclass_of(cls: type, methods: dict[str, Any]) -> type:
    """A subclass with these methods that looks like the class itself."""
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    return type(cls.__name__, (cls,), {**names, "_llmguard_tracked": True, **methods})


def begin(
    client: Any, provider: str, path: str, body: Any, *, stream: bool, model: str | None = None, hold: bool = False
) -> Call | InnerCall | None:
    """The call of a request, its intent written; one without a row, inside one that is on the books; None when it is
    not to be recorded.

    Args:
        client: that is tracked.
        provider, path, body, stream, model: of the request.
        hold: see `Call.start`.

    Raises:
        RateLimitExceeded: a limit refuses it.
        SpoolError: its intent cannot be written, and `strict` is on.
    """
    current = recorder()
    operation = operation_of(path, provider)
    if current.settings.disabled or not operation:
        return None
    cls: Any = type(client)
    passing = folders(cls)
    if _under_litellm(passing):
        return None  # its callback has this call on the books
    around = enclosing()
    if around is not None:
        named = model or _text(body.get("model") if isinstance(body, dict) else None)
        return InnerCall(around, {"provider": provider, "model": named})
    asked = body if isinstance(body, dict) else {}
    fields: dict[str, Any] = {
        **(getattr(client, "__dict__", {}).get(FIELDS) or {}),
        "provider": provider,
        "model": model or _text(asked.get("model")),
        "operation": operation,
        "endpoint": path.partition("?")[0],
        "stream": stream,
    }
    return started(fields, asked, passing, defaults=getattr(client, DEFAULTS, None), hold=hold)


def fetch(provider: str, path: str) -> Settlement | None:
    """What a GET settles, None when it is none of what was begun earlier."""
    work = settles(path, provider)
    current = recorder() if work is not None else None
    return None if current is None or current.settings.disabled else Settlement(current, provider, work or "")


def failed(call: Recorded | None, error: BaseException) -> None:
    """A request ended with an exception; there may be no call of it."""
    if call is not None:
        call.fail(error)


def _under_litellm(passing: tuple[str, ...]) -> bool:
    """Whether LiteLLM makes this request, and its calls are tracked: the client was handed to it. A callback of the
    user's that LiteLLM calls, and that asks a model itself, is something else."""
    callback = sys.modules.get("llmguard.usage.litellm_callback")
    if callback is None:
        return False
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((_OWN, *passing)):
            tracking = sys.modules["llmguard.usage.litellm_tracking"]
            return bool(name.startswith(callback.FOLDERS) and tracking.is_litellm_tracking_enabled())
        frame = frame.f_back  # type: ignore[assignment]
    return False


@lru_cache(maxsize=256)
def folders(cls: type) -> tuple[str, ...]:
    """The folders of the packages that a class and its bases are from: their frames only pass a call on."""
    found = []
    for base in cls.__mro__:
        folder = _package_folder(base.__module__)
        if folder:
            found.append(folder + os.sep)
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=1024)
def _package_folder(module: str) -> str:
    """The folder of the outermost package of a module that is no namespace (`google` is one), "" for none."""
    pieces = module.split(".")
    for end in range(1, len(pieces) + 1):
        file = getattr(sys.modules.get(".".join(pieces[:end])), "__file__", None)
        if file:
            return os.path.dirname(file) if os.path.basename(file).startswith("__init__") else ""
    return ""


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
