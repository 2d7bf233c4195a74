"""ElevenLabs: speech."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider

ELEVENLABS = Provider(
    name="elevenlabs",
    title="ElevenLabs",
    modules=("elevenlabs",),
    clients=(
        Client(
            names=("ElevenLabs", "AsyncElevenLabs"),
            calls=dict.fromkeys(
                (
                    "generate",
                    *("text_to_speech.convert", "text_to_speech.stream", "text_to_speech.convert_with_timestamps"),
                    *("speech_to_text.convert", "speech_to_speech.convert", "text_to_sound_effects.convert"),
                ),
                Family.MEDIA,
            ),
        ),
    ),
    functions={"elevenlabs.generate": Family.MEDIA},
    hosts=("api.elevenlabs.io",),
    key_env=("ELEVENLABS_API_KEY",),
)
