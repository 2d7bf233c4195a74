"""Amazon Bedrock: the runtime clients that boto3 and its async kin make from a service name."""

from __future__ import annotations

from llmguard.providers.provider import Client, Factory, Family, Provider, Shape

_RUNTIME = {
    "invoke_model": Family.CHAT,
    "invoke_model_with_response_stream": Family.CHAT,
    "invoke_model_with_bidirectional_stream": Family.CHAT,
    "converse": Family.CHAT,
    "converse_stream": Family.CHAT,
    "start_async_invoke": Family.MEDIA,
}
_AGENT = {
    "invoke_agent": Family.ASSISTANTS,
    "invoke_inline_agent": Family.ASSISTANTS,
    "invoke_flow": Family.ASSISTANTS,
    "retrieve_and_generate": Family.CHAT,
    "retrieve_and_generate_stream": Family.CHAT,
}
_AWS = ("boto3", "botocore", "aioboto3", "aiobotocore", "types_boto3", "mypy_boto3")
_MODEL_ID = frozenset({"modelId"})

BEDROCK = Provider(
    name="bedrock",
    title="Amazon Bedrock",
    modules=(*_AWS, "mypy_boto3_bedrock_runtime", "types_aiobotocore_bedrock_runtime", "types_boto3_bedrock_runtime"),
    clients=(
        Client(names=("BedrockRuntimeClient", "BedrockRuntime"), calls=_RUNTIME),
        Client(names=("AgentsforBedrockRuntimeClient", "BedrockAgentRuntime"), calls=_AGENT),
    ),
    factories=(
        Factory(_AWS, ("client", "create_client"), (0, "service_name"), "bedrock-runtime", "BedrockRuntime"),
        Factory(_AWS, ("client", "create_client"), (0, "service_name"), "bedrock-agent-runtime", "BedrockAgentRuntime"),
    ),
    shapes=(
        Shape("invoke_model", Family.CHAT, needs=_MODEL_ID),
        Shape("invoke_model_with_response_stream", Family.CHAT, unseen="likely"),
        Shape("converse", Family.CHAT, needs=_MODEL_ID),
        Shape("converse_stream", Family.CHAT, needs=_MODEL_ID),
        Shape("retrieve_and_generate", Family.CHAT, unseen="likely"),
        Shape("invoke_agent", Family.ASSISTANTS, needs=frozenset({"agentId", "sessionId"})),
    ),
    endpoints={"bedrock-runtime.": Family.HTTP},
    hosts=("bedrock-runtime.",),
    key_env=("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID"),
    dialect="bedrock",
    usage_paths={
        "input_tokens": "usage.inputTokens",
        "output_tokens": "usage.outputTokens",
        "total_tokens": "usage.totalTokens",
    },
    capabilities=frozenset({"stream", "tools", "images"}),
)
