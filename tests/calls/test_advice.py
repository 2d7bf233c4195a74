"""The advice that a finding prints, done literally: pasted into the program, with the keys of other providers set, the
request goes where it went before, and is on the books."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from llmguard.check import check_source
from llmguard.testing import FakeProvider
from tests.command import ROOT
from tests.optional import optional

GROQ, OPENAI, ANTHROPIC = "from groq import Groq\n", "from openai import OpenAI\n", "from anthropic import Anthropic\n"
_M = "messages=[{'role': 'user', 'content': 'Hello'}]"


class Case(NamedTuple):
    """A program with one call: the module that it needs, its text, and where its request belongs."""

    needs: str
    text: str
    belongs: str


def chat(imports: str, client: str) -> str:
    return f"{imports}client = {client}\nr = client.chat.completions.create(model='m', {_M})\n"


CASES = {
    "openai": Case("openai", chat(OPENAI, "OpenAI()"), "openai"),
    "openai, key": Case(
        "openai", chat("import os\n" + OPENAI, "OpenAI(api_key=os.environ['OPENAI_API_KEY'])"), "openai"
    ),
    "openai, timeout": Case("openai", chat(OPENAI, "OpenAI(timeout=9)"), "openai"),
    "openai, own server": Case("openai", chat("import os\n" + OPENAI, "OpenAI(base_url=os.environ['OWN'])"), "own"),
    "openai, own server said": Case("openai", chat(OPENAI, "OpenAI(base_url='{own}')"), "own"),
    "openai, copies": Case("openai", chat(OPENAI, "OpenAI().with_options(timeout=9)"), "openai"),
    "openai, other options": Case(
        "openai", chat(OPENAI, "OpenAI(max_retries=0, default_headers={{'x': 'y'}})"), "openai"
    ),
    "openai, raw": Case(
        "openai", OPENAI + f"c = OpenAI()\nr = c.chat.completions.with_raw_response.create(model='m', {_M})\n", "openai"
    ),
    "openai, streamed": Case(
        "openai",
        OPENAI + f"c = OpenAI()\nr = list(c.chat.completions.create(model='m', stream=True, {_M}))\n",
        "openai",
    ),
    "openai, alias": Case("openai", chat("from openai import OpenAI as O\n", "O()"), "openai"),
    "openai, inline": Case("openai", OPENAI + f"r = OpenAI().chat.completions.create(model='m', {_M})\n", "openai"),
    "openai, module": Case("openai", f"import openai\nr = openai.chat.completions.create(model='m', {_M})\n", "openai"),
    "openai, function": Case(
        "openai",
        OPENAI + f"def ask(client):\n    return client.chat.completions.create(model='m', {_M})\nask(OpenAI())\n",
        "openai",
    ),
    "openai, another's in a function": Case(
        "groq",
        GROQ + f"def ask(client):\n    return client.chat.completions.create(model='m', {_M})\nask(Groq())\n",
        "groq",
    ),
    "openai, one of two": Case(
        "groq",
        f"import os\n{GROQ}{OPENAI}c = Groq() if os.environ.get('OWN') else OpenAI()\n"
        f"r = c.chat.completions.create(model='m', {_M})\n",
        "groq",
    ),
    "openai, embedding": Case(
        "openai", OPENAI + "c = OpenAI()\nr = c.embeddings.create(model='e', input='x')\n", "openai"
    ),
    "openai, responses": Case(
        "openai", OPENAI + "c = OpenAI()\nr = c.responses.create(model='m', input='x')\n", "openai"
    ),
    "openai, async": Case(
        "openai",
        "import asyncio\nfrom openai import AsyncOpenAI\nasync def main():\n"
        f"    return await AsyncOpenAI().chat.completions.create(model='m', {_M})\nasyncio.run(main())\n",
        "openai",
    ),
    "groq": Case("groq", chat(GROQ, "Groq()"), "groq"),
    "groq, key": Case("groq", chat("import os\n" + GROQ, "Groq(api_key=os.environ['GROQ_API_KEY'])"), "groq"),
    "groq, retries": Case("groq", chat(GROQ, "Groq(max_retries=0)"), "groq"),
    "anthropic": Case(
        "anthropic", ANTHROPIC + f"c = Anthropic()\nr = c.messages.create(model='m', max_tokens=5, {_M})\n", "anthropic"
    ),
    "anthropic, timeout": Case(
        "anthropic",
        ANTHROPIC + f"c = Anthropic(timeout=9)\nr = c.messages.create(model='m', max_tokens=5, {_M})\n",
        "anthropic",
    ),
    "azure": Case(
        "openai",
        chat(
            "from openai import AzureOpenAI\n",
            "AzureOpenAI(azure_endpoint='{azure}', api_version='2024-10-21', api_key='k')",
        ),
        "azure",
    ),
    "azure, environment": Case(
        "openai", chat("from openai import AzureOpenAI\n", "AzureOpenAI(api_version='2024-10-21')"), "azure"
    ),
    "litellm": Case("litellm", f"import litellm\nr = litellm.completion(model='openai/m', {_M})\n", "openai"),
    "litellm, groq": Case(
        "litellm", f"import litellm\nr = litellm.completion(model='openai/m', api_base='{{groq}}/v1', {_M})\n", "groq"
    ),
    "litellm, embedding": Case(
        "litellm", "import litellm\nr = litellm.embedding(model='openai/e', input=['x'])\n", "openai"
    ),
    "http, groq": Case(
        "httpx", f"import httpx\nr = httpx.post('{{groq}}/v1/chat/completions', json=dict(model='m', {_M}))\n", "groq"
    ),
    "http, openai": Case(
        "httpx",
        f"import httpx\nr = httpx.post('{{openai}}/v1/chat/completions', json=dict(model='m', {_M}))\n",
        "openai",
    ),
    "http, embedding": Case(
        "httpx", "import httpx\nr = httpx.post('{own}/v1/embeddings', json=dict(model='e', input='x'))\n", "own"
    ),
}


def pasted(text: str, site: ast.Call, message: str) -> str:
    """The program after its call was changed as the message says."""
    advice = message.rpartition("on no ledger: ")[2]
    segment = ast.get_source_segment(text, site)
    assert segment is not None
    receiver = ast.get_source_segment(text, site.func) or ""
    if found := re.fullmatch(r"call (\(await )?([\w.]+\([^)]*), \.\.\.\)(\))?\[\"response\"\] instead", advice):
        arguments = segment[len(receiver) + 1 :]
        opening, call, closing = found[1] or "", found[2], found[3] or ""
        new = f'{opening}{call}, {arguments}{closing}["response"]'
        whole = f"await {segment}" if opening else segment
        assert whole in text, "what is awaited stays so"
        return "from llmguard import llm_wrapper\n" + text.replace(whole, new)
    if advice.startswith("make it on a tracked client, track(client)"):
        client = re.split(r"\.(?:with_options|chat|messages|embeddings|responses)\b", receiver)[0]
        return "from llmguard import track\n" + text.replace(receiver, receiver.replace(client, f"track({client})", 1))
    found = re.fullmatch(r"make it inside (llm_tracker\.track_llm_call\(\"\w+\", model\))", advice)
    assert found is not None, advice
    lines = text.split("\n")
    line = lines[site.lineno - 1]
    indent = line[: len(line) - len(line.lstrip())]
    block = found[1].replace("model", "'m'")
    lines[site.lineno - 1] = f"{indent}with {block} as log:\n{indent}    {line.lstrip()}"
    return "from llmguard import llm_tracker\n" + "\n".join(lines)


#: Those that the fast tier looks at.
_FIRST = ("openai", "groq, key", "http, openai", "openai, timeout")


@pytest.mark.parametrize(
    "name", [name if name in _FIRST else pytest.param(name, marks=pytest.mark.full) for name in CASES]
)
def test_the_request_goes_where_it_belongs(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    optional(case.needs)
    providers = {each: FakeProvider() for each in ("openai", "groq", "anthropic", "azure", "own")}
    for provider in providers.values():
        provider.__enter__()
    try:
        text = case.text.replace("{{", "{").replace("}}", "}")
        for each, provider in providers.items():
            text = text.replace("{%s}" % each, provider.base_url if each == "own" else provider.url)  # noqa: UP031
        (finding,) = [f for f in check_source(text).findings if f.rule != "LLG301"]
        site = next(
            node
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call)
            and (node.func.lineno, node.func.col_offset + 1) == (finding.region.line, finding.region.column)
            and ast.unparse(node.func) == re.sub(r"\s", "", finding.callee)
        )
        program = pasted(text, site, finding.message)
        (tmp_path / "program.py").write_text(program)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "program.py"],
            cwd=tmp_path,
            env=environment(providers, tmp_path),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{program}\n{done.stderr[-2000:]}"
        assert {each: len(provider.requests) for each, provider in providers.items() if provider.requests} == {
            case.belongs: 1
        }, program
    finally:
        for provider in providers.values():
            provider.__exit__(None, None, None)
    usage = subprocess.run(
        [sys.executable, "-m", "llmguard", "usage", "summary", "--output-format", "json"],
        cwd=tmp_path,
        env=environment(providers, tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert json.loads(usage.stdout)["total"]["calls"] == 1, usage.stdout + usage.stderr


def environment(providers: dict[str, FakeProvider], folder: Path) -> dict[str, str]:
    """Keys of all providers, each at a place of its own; the default provider is another one than most calls'."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "GROQ", "ANTHROPIC"))},
        "PYTHONPATH": str(ROOT),
        "LLM_PRIMARY_PROVIDER": "deepseek",
        "DEEPSEEK_API_KEY": "of-deepseek",
        "OPENAI_API_TYPE": "openai",
        "OPENAI_API_KEY": "of-openai",
        "OPENAI_BASE_URL": providers["openai"].base_url,
        "GROQ_API_KEY": "of-groq",
        "GROQ_BASE_URL": providers["groq"].url,
        "ANTHROPIC_API_KEY": "of-anthropic",
        "ANTHROPIC_BASE_URL": providers["anthropic"].url,
        "AZURE_OPENAI_API_KEY": "of-azure",
        "AZURE_OPENAI_ENDPOINT": providers["azure"].url,
        "OWN": providers["own"].base_url,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LLMGUARD_DATABASE_URL": f"sqlite:///{folder / 'usage.db'}",
        "LLMGUARD_SPOOL_DIR": str(folder / "spool"),
    }
