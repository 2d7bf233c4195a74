"""Replicate: module functions and clients."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider

_REPLICATE = {
    "run": Family.TEXT,
    "async_run": Family.TEXT,
    "stream": Family.TEXT,
    "async_stream": Family.TEXT,
    "predictions.create": Family.TEXT,
    "predictions.async_create": Family.TEXT,
    "models.predictions.create": Family.TEXT,
    "models.predictions.async_create": Family.TEXT,
    "deployments.predictions.create": Family.TEXT,
    "deployments.predictions.async_create": Family.TEXT,
}
REPLICATE = Provider(
    name="replicate",
    title="Replicate",
    modules=("replicate",),
    clients=(Client(names=("", "Client", "Replicate", "AsyncReplicate"), calls=_REPLICATE),),
    endpoints={"api.replicate.com/v1/predictions": Family.HTTP, "api.replicate.com/v1/models/": Family.HTTP},
    hosts=("api.replicate.com",),
    key_env=("REPLICATE_API_TOKEN",),
    base_url="https://api.replicate.com/v1",
)
