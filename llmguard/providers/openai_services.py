"""Services that are reached through OpenAI's SDK with another `base_url`: one line each, no SDK of their own."""

from __future__ import annotations

from llmguard.providers.openai_shape import OPENAI_CAPABILITIES, OPENAI_USAGE
from llmguard.providers.provider import Provider

_SERVICES = (
    ("deepseek", "DeepSeek", "https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    ("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    ("deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    ("moonshot", "Moonshot", "https://api.moonshot.cn/v1", "MOONSHOT_API_KEY"),
    ("moonshot", "Moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    ("dashscope", "DashScope", "https://dashscope.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"),
    ("dashscope", "DashScope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"),
    ("nvidia", "NVIDIA", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    ("novita", "Novita", "https://api.novita.ai/v3/openai", "NOVITA_API_KEY"),
    ("hyperbolic", "Hyperbolic", "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
    ("lepton", "Lepton", "https://api.lepton.run/v1", "LEPTON_API_KEY"),
    ("anyscale", "Anyscale", "https://api.endpoints.anyscale.com/v1", "ANYSCALE_API_KEY"),
    ("octoai", "OctoAI", "https://text.octoai.run/v1", "OCTOAI_API_KEY"),
    ("siliconflow", "SiliconFlow", "https://api.siliconflow.cn/v1", "SILICONFLOW_API_KEY"),
    ("minimax", "MiniMax", "https://api.minimax.io/v1", "MINIMAX_API_KEY"),
    ("minimax", "MiniMax", "https://api.minimax.chat/v1", "MINIMAX_API_KEY"),
    ("nebius", "Nebius", "https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY"),
    ("featherless", "Featherless", "https://api.featherless.ai/v1", "FEATHERLESS_API_KEY"),
    ("inception", "Inception", "https://api.inceptionlabs.ai/v1", "INCEPTION_API_KEY"),
    ("sarvam", "Sarvam", "https://api.sarvam.ai/v1", "SARVAM_API_KEY"),
    ("requesty", "Requesty", "https://router.requesty.ai/v1", "REQUESTY_API_KEY"),
    ("github_models", "GitHub Models", "https://models.github.ai/inference", "GITHUB_TOKEN"),
)

OPENAI_SERVICES = tuple(
    Provider(
        name=name,
        title=title,
        hosts=(url.split("/")[2],),
        key_env=(key,),
        base_url=url,
        dialect="openai",
        usage_paths=OPENAI_USAGE,
        capabilities=OPENAI_CAPABILITIES,
    )
    for name, title, url, key in _SERVICES
)
