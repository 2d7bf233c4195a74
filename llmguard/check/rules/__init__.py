"""The rules, one file each. A new rule is a file here and a line in `RULES`."""

from __future__ import annotations

from types import ModuleType

from llmguard.check.finding import Callee
from llmguard.check.rules import (
    llg101_direct_completion,
    llg102_direct_chat,
    llg103_direct_messages,
    llg104_direct_response,
    llg105_direct_text_completion,
    llg111_direct_google,
    llg112_direct_mistral,
    llg113_direct_cohere,
    llg114_direct_bedrock,
    llg115_direct_ollama,
    llg116_direct_huggingface,
    llg117_direct_assistant,
    llg190_direct_http,
    llg201_direct_embedding,
    llg202_direct_media,
    llg301_passed_on_method,
    llg801_unused_suppression,
    llg802_stale_ignore,
    llg803_stale_baseline,
    llg804_suppression_without_reason,
    llg901_unchecked_file,
    llg902_unparsed_lines,
)
from llmguard.check.rules.rule import Rule

#: In order of precedence: the first that applies to a call is the one that is reported.
MODULES: tuple[ModuleType, ...] = (
    llg301_passed_on_method,
    llg201_direct_embedding,
    llg202_direct_media,
    llg190_direct_http,
    llg117_direct_assistant,
    llg111_direct_google,
    llg112_direct_mistral,
    llg113_direct_cohere,
    llg114_direct_bedrock,
    llg115_direct_ollama,
    llg116_direct_huggingface,
    llg101_direct_completion,
    llg102_direct_chat,
    llg103_direct_messages,
    llg104_direct_response,
    llg105_direct_text_completion,
    llg801_unused_suppression,
    llg802_stale_ignore,
    llg803_stale_baseline,
    llg804_suppression_without_reason,
    llg901_unchecked_file,
    llg902_unparsed_lines,
)
RULES: tuple[Rule, ...] = tuple(module.RULE for module in MODULES)
BY_CODE: dict[str, Rule] = {rule.code: rule for rule in RULES}


def rule_of(callee: Callee) -> Rule:
    """The rule that reports a call."""
    return next(rule for rule in RULES if rule.applies is not None and rule.applies(callee))


def find_rule(name: str) -> Rule | None:
    """The rule with this code or slug, in any case."""
    wanted = name.strip().lower()
    return next((rule for rule in RULES if wanted in (rule.code.lower(), rule.slug)), None)


def code_named(name: str) -> str:
    """The code, or the prefix of codes, that a code, prefix or slug stands for, "" for what is no rule."""
    rule = find_rule(name)
    if rule is not None:
        return rule.code
    prefix = name.strip().upper()
    return prefix if prefix and any(rule.code.startswith(prefix) for rule in RULES) else ""


def unknown_code(names: tuple[str, ...]) -> str:
    """The first of these codes, prefixes or slugs that is no rule's, "" when all are."""
    for name in names:
        if not code_named(name):
            return name or "(empty)"
    return ""


def documentation(rule: Rule) -> str:
    """The docstring of a rule's module."""
    module = next(module for module in MODULES if module.RULE is rule)
    return (module.__doc__ or "").strip()


def covers(name: str, code: str) -> bool:
    """Whether a code, prefix or slug stands for a rule (among others)."""
    return code.startswith(_code_prefix(name))


def chosen(rule: Rule, severities: tuple[tuple[str, str], ...]) -> str:
    """The severity of a rule: that of the longest code, prefix or slug for it (the last of equals), else its own."""
    found = [(len(_code_prefix(name)), at) for at, (name, _) in enumerate(severities) if covers(name, rule.code)]
    return severities[max(found)[1]][1] if found else str(rule.severity)


def contradiction(select: tuple[str, ...], ignore: tuple[str, ...]) -> str:
    """A code, prefix or slug in `select` that stands for the same as one in `ignore`, "" for none."""
    ignored = {_code_prefix(name) for name in ignore}
    return next((name for name in select if _code_prefix(name) in ignored), "")


def selected(code: str, select: tuple[str, ...], ignore: tuple[str, ...]) -> bool:
    """Whether a code is on: the longest matching prefix in `select` and `ignore` decides, `ignore` at a tie."""

    def longest(prefixes: tuple[str, ...]) -> int:
        return max((len(p) for p in map(_code_prefix, prefixes) if code.startswith(p)), default=-1)

    chosen = longest(select) if select else 0
    return chosen >= 0 and longest(ignore) < max(chosen, 1)


def _code_prefix(name: str) -> str:
    rule = find_rule(name)
    return rule.code if rule is not None else name.strip().upper()
