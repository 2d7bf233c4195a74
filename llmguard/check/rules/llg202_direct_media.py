"""An image, speech, transcription or video is generated directly.

What:
    `images.generate`, `audio.speech.create`, `audio.transcriptions.create`, `videos.create` and their kin.

Why:
    The call costs money and uses up rate limit, and no ledger sees who spent it or on what.

Example:
    from openai import OpenAI

    OpenAI().images.generate(model="gpt-image-1", prompt="A fox")

Instead:
    from llmguard import track

    client = track(OpenAI())
    client.images.generate(model="gpt-image-1", prompt="A fox")

Limits:
    A receiver that cannot be resolved is judged by the shape and keywords of the call (`confidence`).

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule
from llmguard.providers.provider import Family

RULE = Rule(
    "LLG202",
    "direct-media",
    "An image, speech, transcription or video is generated directly.",
    applies=lambda callee: callee.family is Family.MEDIA,
)
