"""Error texts without secrets: keys and tokens that providers, gateways and proxies echo in their messages."""

from __future__ import annotations

import re

_MARK = "[secret]"
#: (pattern, what to put in its place)
_SECRETS = (
    # keys with a known beginning: OpenAI, Anthropic, Groq, xAI, Replicate, Hugging Face, GitHub, Slack, Google, AWS
    (re.compile(r"\b(?:sk|pk|rk|gsk|xai|r8|hf|ghp|gho|ghs|xox[abpr]|AIza|AKIA|ASIA)[-_]?[A-Za-z0-9*_\-]{8,}"), _MARK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/\-]{8,}=*"), rf"\1 {_MARK}"),
    (
        re.compile(
            r"(?i)([\"']?\b(?:api[-_ ]?key|access[-_ ]?token|x-api-key|secret|password|token)\b[\"']?\s*[:=]\s*)"
            r"[\"']?[^\s\"',;&}]{4,}[\"']?"
        ),
        rf"\1{_MARK}",
    ),
    (re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"), _MARK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"), _MARK),  # a JSON web token
)


def scrubbed(text: str) -> str:
    """The text with what looks like a secret replaced."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
