"""What every OpenAI-shaped client has in common, so that a row for one of them says only what differs."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family

# openai 1 to 3, read from the wheels; Groq, Together, Cerebras and the other generated SDKs offer a part of it.
OPENAI_CALLS = {
    "chat.completions.create": Family.CHAT,
    "chat.completions.parse": Family.CHAT,
    "chat.completions.stream": Family.CHAT,
    "chat.completions.acreate": Family.CHAT,
    "chat.completions.create_with_completion": Family.CHAT,  # instructor adds these three
    "chat.completions.create_partial": Family.CHAT,
    "chat.completions.create_iterable": Family.CHAT,
    "completions.create": Family.TEXT,
    "completions.acreate": Family.TEXT,
    "responses.create": Family.RESPONSES,
    "responses.parse": Family.RESPONSES,
    "responses.stream": Family.RESPONSES,
    "responses.compact": Family.RESPONSES,
    "embeddings.create": Family.EMBEDDING,
    "images.generate": Family.MEDIA,
    "images.edit": Family.MEDIA,
    "images.create_variation": Family.MEDIA,
    "audio.transcriptions.create": Family.MEDIA,
    "audio.translations.create": Family.MEDIA,
    "audio.speech.create": Family.MEDIA,
    "videos.create": Family.MEDIA,
    "videos.create_and_poll": Family.MEDIA,
    "videos.remix": Family.MEDIA,
    "videos.edit": Family.MEDIA,
    "videos.extend": Family.MEDIA,
    "batches.create": Family.CHAT,
    "threads.runs.create": Family.ASSISTANTS,
    "threads.runs.create_and_poll": Family.ASSISTANTS,
    "threads.runs.create_and_stream": Family.ASSISTANTS,
    "threads.runs.stream": Family.ASSISTANTS,
    "threads.runs.submit_tool_outputs": Family.ASSISTANTS,
    "threads.runs.submit_tool_outputs_and_poll": Family.ASSISTANTS,
    "threads.runs.submit_tool_outputs_stream": Family.ASSISTANTS,
    "threads.create_and_run": Family.ASSISTANTS,
    "threads.create_and_run_poll": Family.ASSISTANTS,
    "threads.create_and_run_stream": Family.ASSISTANTS,
}

OPENAI_RETURNS = {"with_options": "", "copy": ""}

OPENAI_TRANSPARENT = frozenset({"with_raw_response", "with_streaming_response", "beta"})

OPENAI_USAGE = {
    "input_tokens": "usage.prompt_tokens",
    "output_tokens": "usage.completion_tokens",
    "total_tokens": "usage.total_tokens",
    "cached_tokens": "usage.prompt_tokens_details.cached_tokens",
    "reasoning_tokens": "usage.completion_tokens_details.reasoning_tokens",
}

OPENAI_CAPABILITIES = frozenset({"stream", "tools", "json"})


def openai_client(*names: str) -> Client:
    """A client class with every OpenAI-shaped call."""
    return Client(names=names, calls=OPENAI_CALLS, returns=OPENAI_RETURNS)


def below(prefix: str) -> dict[str, Family]:
    """The calls of a resource class: those under `prefix`, with the prefix taken off."""
    return {
        path.removeprefix(prefix + "."): family
        for path, family in OPENAI_CALLS.items()
        if path.startswith(prefix + ".")
    }


def openai_resources() -> tuple[Client, ...]:
    """Resource classes of a generated SDK (`resources.chat.completions.Completions`), used as annotations and bases."""
    return (
        Client(names=("Completions", "AsyncCompletions"), calls=below("chat.completions"), within="chat"),
        Client(names=("Completions", "AsyncCompletions"), calls=below("completions")),
        Client(names=("Chat", "AsyncChat"), calls=below("chat")),
        Client(names=("Responses", "AsyncResponses"), calls=below("responses")),
        Client(names=("Embeddings", "AsyncEmbeddings"), calls=below("embeddings")),
        Client(names=("Images", "AsyncImages"), calls=below("images")),
        Client(names=("Audio", "AsyncAudio"), calls=below("audio")),
        Client(names=("Transcriptions", "AsyncTranscriptions"), calls=below("audio.transcriptions")),
        Client(names=("Translations", "AsyncTranslations"), calls=below("audio.translations")),
        Client(names=("Speech", "AsyncSpeech"), calls=below("audio.speech")),
        Client(names=("Threads", "AsyncThreads"), calls=below("threads")),
        Client(names=("Runs", "AsyncRuns"), calls=below("threads.runs")),
    )
