"""DashScope: Alibaba's SDK of classes that are called by class method."""

from __future__ import annotations

from llmguard.providers.provider import Family, Provider

DASHSCOPE = Provider(
    name="dashscope",
    title="DashScope",
    modules=("dashscope",),
    functions={
        f"dashscope.{name}.{method}": family
        for name, family in (
            ("Generation", Family.CHAT),
            ("AioGeneration", Family.CHAT),
            ("MultiModalConversation", Family.CHAT),
            ("AioMultiModalConversation", Family.CHAT),
            ("Application", Family.CHAT),
            ("TextEmbedding", Family.EMBEDDING),
            ("MultiModalEmbedding", Family.EMBEDDING),
            ("BatchTextEmbedding", Family.EMBEDDING),
            ("ImageSynthesis", Family.MEDIA),
            ("VideoSynthesis", Family.MEDIA),
        )
        for method in ("call", "async_call")
    },
    endpoints={"dashscope.aliyuncs.com/api/v1/services/": Family.HTTP},
    hosts=("dashscope.aliyuncs.com",),
    key_env=("DASHSCOPE_API_KEY",),
)
