"""AssemblyAI: transcription, and questions about it."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider

ASSEMBLYAI = Provider(
    name="assemblyai",
    title="AssemblyAI",
    modules=("assemblyai",),
    clients=(
        Client(
            names=("Transcriber",),
            calls=dict.fromkeys(("transcribe", "transcribe_async", "transcribe_group", "submit"), Family.MEDIA),
        ),
        Client(
            names=("Lemur",),
            calls=dict.fromkeys(("task", "question", "summarize", "action_items"), Family.TEXT),
        ),
    ),
    hosts=("api.assemblyai.com",),
    key_env=("ASSEMBLYAI_API_KEY",),
)
