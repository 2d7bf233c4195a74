"""The type of a provider's row: what its SDK looks like, in data.

The checker reads `clients`, `functions`, `factories`, `shapes` and `endpoints`; the runtime reads
`key_env`, `base_url`, `dialect` and `usage_paths`. A provider without behaviour of its own is one row.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


# NamedTuples, not dataclasses: every commit's hook pays for what this module imports.
EMPTY: Mapping[str, Any] = MappingProxyType({})


class Family(str, Enum):
    """What kind of call it is; the value is what reports print."""

    COMPLETION = "completion"  # litellm.completion and its kin
    CHAT = "chat"
    RESPONSES = "responses"
    MESSAGES = "messages"  # Anthropic's messages
    TEXT = "text"  # plain prompt in, text out
    EMBEDDING = "embedding"
    MEDIA = "media"  # images, speech, transcription, video
    ASSISTANTS = "assistants"
    HTTP = "http"  # a plain HTTP request to a generation URL

    def __str__(self) -> str:
        return self.value


class Client(NamedTuple):
    """A class of an SDK whose instances make calls.

    Attributes:
        names: simple names of the class ("OpenAI"), or of a function that returns an instance; "" is the module itself.
        calls: attribute path from an instance to a generating method -> family. Segments in
            `Provider.transparent` are left out of the path before it is looked up.
        returns: attribute path of a method -> simple name of the class that it returns; "" is the instance itself.
        within: text that the dotted path of the class must contain (tells two classes of one name apart).
    """

    names: tuple[str, ...]
    calls: Mapping[str, Family] = EMPTY
    returns: Mapping[str, str] = EMPTY
    within: str = ""


class Factory(NamedTuple):
    """A foreign callable that makes a client when one argument has a certain value: `boto3.client("bedrock-runtime")`.

    Attributes:
        modules: import roots of the callable.
        methods: last segment of its dotted path.
        argument: position and keyword of the telling argument.
        value: what that argument must be.
        makes: simple name of the client class in the same row.
    """

    modules: tuple[str, ...]
    methods: tuple[str, ...]
    argument: tuple[int, str]
    value: str
    makes: str


class Shape(NamedTuple):
    """How a call looks when its receiver cannot be resolved: last attribute names, and keywords.

    Attributes:
        path: the last attribute names, dotted.
        needs: keywords that must all be there. Empty: the path alone admits nothing else.
        any_of: keywords of which one must be there.
        refuses: keywords that mean another API.
        unseen: what it is when the keywords hide in `**kwargs` or positions: "likely", "possible" or "" (nothing);
            "possible" becomes "likely" in a file that imports one of the provider's modules.
        evidence: the shape counts only in a file that imports one of the provider's modules.
    """

    path: str
    family: Family
    needs: frozenset[str] = frozenset()
    any_of: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    unseen: str = "possible"
    evidence: bool = False


class Provider(NamedTuple):
    """One provider. See the module's docstring for who reads what.

    Attributes:
        name: what reports and the ledger call it.
        title: how people write it.
        modules: import roots of its SDKs (dotted); the longest match decides.
        clients: SDK classes, see `Client`.
        functions: dotted path of a generating function -> family.
        factories: see `Factory`.
        shapes: see `Shape`.
        transparent: attribute names that do not change what is called (`with_raw_response`, `beta`).
        endpoints: URL pieces of generating endpoints -> family, matched against the URL of a plain HTTP request.
        hosts: hosts of the API; also how a `base_url=` names the provider of an OpenAI-shaped client.
        key_env: environment variables of the API key, first one first.
        base_url: default URL of the API.
        dialect: wire format: "openai", "anthropic", "google", ..., "" when only LiteLLM speaks it.
        usage_paths: token field of the ledger -> dotted path in the response.
        operations: end of the path of a POST of its API (`*` for one piece, `**` for any number) -> what that starts,
            in OpenTelemetry's words where it has one; "" for what generates nothing. The most exact one decides.
        settled: end of the path of a GET of its API that tells the counts of work which was begun earlier; a piece that
            is `*work` is the identifier of that work, where the answer does not say it.
        models: what the names of its own models begin with, which no provider with `own_models` serves for it.
        own_models: it serves no other maker's models under their plain names.
        default_model: asked of it when nobody says which, "" for none.
        model_env: environment variable of that model.
        option_env: argument of the SDK's client -> (environment variable, default), where the SDK does not read it.
        request_defaults: arguments that the API needs, where a question does not say.
        capabilities: what the API offers beyond plain text ("stream", "tools", "json", "images").
    """

    name: str
    title: str
    modules: tuple[str, ...] = ()
    clients: tuple[Client, ...] = ()
    functions: Mapping[str, Family] = EMPTY
    factories: tuple[Factory, ...] = ()
    shapes: tuple[Shape, ...] = ()
    transparent: frozenset[str] = frozenset()
    endpoints: Mapping[str, Family] = EMPTY
    hosts: tuple[str, ...] = ()
    key_env: tuple[str, ...] = ()
    base_url: str = ""
    dialect: str = ""
    usage_paths: Mapping[str, str] = EMPTY
    operations: Mapping[str, str] = EMPTY
    settled: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    own_models: bool = False
    default_model: str = ""
    model_env: str = ""
    option_env: Mapping[str, tuple[str, str]] = EMPTY
    request_defaults: Mapping[str, Any] = EMPTY
    capabilities: frozenset[str] = frozenset()
