"""Error texts without secrets and without what was asked: keys and prompts that providers, gateways, proxies and
validators echo in their messages."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import Any

from llmguard.providers import PROVIDERS
from llmguard.usage.estimate import texts_of

_MARK = "[secret]"
_ASKED = "[input]"
#: Beginnings of keys: of the providers (OpenAI and many more, Groq, xAI, Perplexity, Replicate, Hugging Face, NVIDIA,
#: Fireworks, Cerebras, Together, Jina, Voyage, Databricks, Anyscale, LangSmith), GitHub, GitLab, Slack, npm, PyPI,
#: Google (keys, OAuth), AWS (key identifiers, Bedrock keys), Azure's, DigitalOcean, Stripe.
_PREFIXES = (
    *("sk", "pk", "rk", "sess", "gsk", "xai", "pplx", "r8", "hf", "nvapi", "fw", "csk", "tgp", "jina", "pa", "dapi"),
    *("esecret", "ls", "lsv2", "ghp", "gho", "ghu", "ghs", "ghr", "github_pat", "glpat", "npm", "pypi", "xapp"),
    *("AIza", r"ya29\.", r"1//", r"AQ\.", "GOCSPX", "AKIA", "ASIA", "AROA", "ABSK", "dop_v1", "xox[abeoprs]", "whsec"),
)
_DIGIT = r"[-_]?(?=[A-Za-z0-9*_\-]{0,200}[0-9*])"  # without a sign behind its beginning a word may be no key
_SCHEMES = "bearer|basic|digest|negotiate|apikey|token"
_BEGINS = "|".join(_PREFIXES)
_WORD = r"A-Za-z0-9*_\-+/=.~"
#: Names of fields, headers, parameters and variables whose value is a secret.
_NAMED = "|".join(
    (
        *(r"api[-_ ]?keys?", r"api[-_ ]?tokens?", r"access[-_ ]?keys?(?:[-_ ]?ids?)?", r"access[-_ ]?tokens?"),
        *(r"account[-_ ]?key", r"auth[-_ ]?tokens?", r"client[-_ ]?secret", r"secret(?:[-_ ]?access)?(?:[-_ ]?key)?"),
        *(r"subscription[-_ ]?key", r"shared[-_ ]?access[-_ ]?(?:key|signature)", r"(?:signing|private)[-_ ]?key"),
        *(r"(?:refresh|id|session|security)[-_ ]?token", "credentials?", "passwords?", "passwd", "pwd", "signature"),
        *("sig", "key", "token", "cookie"),
    )
)
_VALUE = r"[\"']?(?!\[secret\])[^\s\"',;&}<>]{4,}[\"']?"
#: (pattern, what to put in its place), the more exact ones first.
_SECRETS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), _MARK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,3}"), _MARK),  # JSON web tokens
    (re.compile(r"\b[0-9a-f]{32}\.[A-Za-z0-9]{16}\b"), _MARK),  # Zhipu's
    (re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"), _MARK),  # a password in a URL
    (re.compile(rf"(?<![A-Za-z0-9])(?:{_BEGINS})(?:[-_][{_WORD}]{{10,}}|{_DIGIT}[{_WORD}]{{8,}})(?<!\.)"), _MARK),
    # a header with its scheme, whatever that is; and a scheme without its header
    (re.compile(rf"(?i)(\bauthorization\b[\"']?\s*[:=]\s*[\"']?(?:(?:{_SCHEMES})\s+)?)[^\r\n\"'}}]+"), rf"\1{_MARK}"),
    (
        re.compile(rf"(?i)\b({_SCHEMES})\s+(?=\S{{0,200}}[0-9=._\-])[\w.~+/\-]{{8,}}=*"),
        rf"\1 {_MARK}",
    ),
    (re.compile(rf"(?i)([\"']?\b(?:[\w-]{{0,40}}[-_ ])?(?:{_NAMED})\b[\"']?\s*[:=]\s*){_VALUE}"), rf"\1{_MARK}"),
    (re.compile(rf"(?i)(\bapi[ _-]?key[^:\n]{{0,40}}:\s*){_VALUE}"), rf"\1{_MARK}"),
)
#: What is long, has letters and digits, and is no word: a key of a provider whose keys have no beginning of their own.
_LONG = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{32,}(?![A-Za-z0-9_-])")
_UUID = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: What pydantic says of the value that it did not like.
_DISLIKED = re.compile(r"(?s)\binput_value=.*?(?=, input_type=|\Z)")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_SHINGLE = 12  # letters and digits in a row that are no chance
_MOST_ASKED = 60_000  # characters of a request that are looked for in an error


def scrubbed(text: str, *, long_words: bool = True) -> str:
    """The text with what looks like a secret replaced, and the values of the keys that this process has.

    Args:
        text: of an error, say.
        long_words: also what merely looks like a key because it is long; a user's own text has such words.
    """
    for name in _key_names():
        value = os.environ.get(name, "")
        if len(value) >= 6:
            text = text.replace(value, _MARK)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return _LONG.sub(_masked, text) if long_words else text


def _masked(match: re.Match[str]) -> str:
    found = match.group()
    mixed = any(sign.isdigit() for sign in found) and any(sign.isalpha() for sign in found)
    is_words = found.count("-") + found.count("_") > 4  # the name of a model, of a module
    return _MARK if mixed and not is_words and not _UUID.fullmatch(found) else found


@lru_cache(maxsize=1)
def _key_names() -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for provider in PROVIDERS for name in provider.key_env))


def without_input(text: str, request: Any = None) -> str:
    """The text without what was asked, as far as that can be known.

    Args:
        text: of an error.
        request: the body of the request, if it is there: what the text has in common with it, in twelve letters or
            digits in a row, is taken out.
    """
    text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    text = _DISLIKED.sub(f"input_value={_ASKED}", text)
    asked = "".join(_letters(each) for each in texts_of(request, _MOST_ASKED)) if request is not None else ""
    if len(asked) < _SHINGLE:
        return text
    known = {asked[at : at + _SHINGLE] for at in range(len(asked) - _SHINGLE + 1)}
    places = [at for at, sign in enumerate(text) if sign.isalnum()]
    letters = _letters(text)
    kept, at, end = [], 0, 0
    while at + _SHINGLE <= len(letters):
        if letters[at : at + _SHINGLE] not in known:
            at += 1
            continue
        last = at + _SHINGLE
        while last < len(letters) and letters[last - _SHINGLE + 1 : last + 1] in known:
            last += 1
        kept += [text[end : places[at]], _ASKED]
        end, at = places[last - 1] + 1, last
    return "".join([*kept, text[end:]])


def _letters(text: str) -> str:
    """The letters and digits of a text, each as one sign."""
    return "".join(sign.lower() if len(sign.lower()) == 1 else sign for sign in text if sign.isalnum())
