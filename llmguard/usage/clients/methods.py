"""Methods of a tracked client's resources, which know where they were taken and called.

A call belongs to the line that calls `client.chat.completions.create`, or hands it to a thread, or makes a task of its
coroutine; when the request is sent, that line is on no stack any more. So resources become one of a subclass of their
class, as clients do, whose methods note it. They run what the class has at that moment: one that is patched still is.
"""

from __future__ import annotations

import inspect
import sys
from functools import lru_cache
from types import CoroutineType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from llmguard.usage.caller import Spot, remember, spot, submitted
from llmguard.usage.clients.tracked import folders, subclass_of
from llmguard.usage.recorder import recorder

if TYPE_CHECKING:
    from types import FrameType


class Bound:
    # A function of a class, as it was taken from an object; called with that object first. (No docstring: like its
    # name, code and signature, it is that of the function.)

    __slots__ = ("_passing", "function", "spot")
    __doc__ = property(lambda self: self.function.__doc__)

    def __init__(self, function: Any, passing: tuple[str, ...], taken: FrameType | None) -> None:
        """Args: the function, file names that pass calls on (see `caller`), the frame that took it."""
        self.function = function
        self._passing = passing
        self.spot = None if taken is None else _spot(passing, taken)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        result = self.function(*arguments, **keywords)
        if type(result) is CoroutineType:
            remember(result, _spot(self._passing, sys._getframe(1)) or self.spot)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)

    def __eq__(self, other: object) -> bool:
        return bool(self.function == (other.function if isinstance(other, Bound) else other))

    def __hash__(self) -> int:
        return hash(self.function)


class Started(Bound):
    # One whose coroutine hands its work to a thread: the place is known wherever that is done. (No docstring either.)

    __slots__ = ()

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        result = self.function(*arguments, **keywords)
        if type(result) is not CoroutineType:
            return result
        return _placed(result, _spot(self._passing, sys._getframe(1)) or self.spot)


async def _placed(coroutine: CoroutineType[Any, Any, Any], place: Spot | None) -> Any:
    token = submitted.set(place)
    try:
        return await coroutine
    finally:
        submitted.reset(token)


def _spot(passing: tuple[str, ...], frame: FrameType) -> Spot | None:
    try:
        return spot(recorder().settings.project_root, passing, frame)
    except Exception:  # noqa: BLE001  (a call never fails for its record; without a place it has one still)
        return None


class Method:
    """A method of a class, in its subclass; what is set on the object itself goes before it.

    Args:
        cls: that has the method.
        name: of it.
    """

    def __init__(self, cls: type, name: str) -> None:
        self._cls = cls
        self._name = name
        self._passing = folders(cls)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        found = getattr(self._cls, self._name)
        if instance is None:
            return found
        if type(found) is not FunctionType:  # a test has put something in its place
            bind = getattr(type(found), "__get__", None)
            return bind(found, instance, owner) if bind is not None else found
        return MethodType(Bound(found, self._passing, sys._getframe(1)), instance)


class Noted:
    """A method in the place of one of its class, that notes where it was taken and called.

    Args:
        function: the method.
        passing: file names that pass calls on.
        bound: what it becomes when it is taken from an object.
    """

    def __init__(self, function: Any, passing: tuple[str, ...] = (), bound: type[Bound] = Bound) -> None:
        self._function = function
        self._passing = passing
        self._bound = bound
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self._function
        return MethodType(self._bound(self._function, self._passing, sys._getframe(1)), instance)


class Resource:
    """An attribute of a client, or of a resource, that is made when it is first asked for."""

    def __init__(self, cls: type, name: str) -> None:
        self._found = inspect.getattr_static(cls, name)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        found = self._found.__get__(instance, owner)
        if instance is not None:
            watch(found)
        return found


def watch(resource: Any) -> None:
    """Have a resource, and those below it, note where their methods are taken and called; nothing else is changed."""
    cls: Any = type(resource)
    if getattr(cls, "_llmguard_watched", False) or not _is_resource(cls):
        return
    try:
        resource.__class__ = _watched(cls)
    except (TypeError, AttributeError):
        return  # made in C, or with slots: its calls are tracked all the same, where a stack tells their place
    watch_below(resource)


def watch_below(holder: Any) -> None:
    """`watch` for the resources that an object has made already."""
    for name, below in list(getattr(holder, "__dict__", {}).items()):
        if name != "parent_ref":  # Mistral's resources know the one above them
            watch(below)


def watched_members(cls: type, *, methods: bool = True, properties: bool = True) -> dict[str, Any]:
    """What a subclass of a client's or resource's class needs, so that its methods and those of what it makes note
    their place.

    Args:
        cls: of the client or resource.
        methods: whether its own methods do.
        properties: whether it has resources that it makes each time (they are read at each request where it has none).
    """
    found: dict[str, Any] = {"_llmguard_watched": True}
    for name in dir(cls):
        if name.startswith("_"):
            continue
        member = inspect.getattr_static(cls, name)
        kind = type(member)
        if kind is FunctionType and methods:
            found[name] = Method(cls, name)
        elif kind.__name__ == "cached_property":
            found[name] = Resource(cls, name)
        elif kind is property and member.fset is None and properties:
            found[name] = property(Resource(cls, name).__get__)
    return found


@lru_cache(maxsize=512)
def _watched(cls: type) -> type:
    return subclass_of(cls, watched_members(cls))


@lru_cache(maxsize=1024)
def _is_resource(cls: type) -> bool:
    """Whether a class is one of an SDK's resources: what a client's methods hang on."""
    names = {base.__name__ for base in cls.__mro__}
    root = cls.__module__.partition(".")[0]
    if names & {"SyncAPIResource", "AsyncAPIResource"}:
        return True
    if root == "google":
        return bool(names & {"BaseModule", "Chats", "AsyncChats", "_BaseChat"})
    return root == "cohere" and cls.__name__ in ("V2Client", "AsyncV2Client")
