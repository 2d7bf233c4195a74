"""Qianfan: Baidu's SDK, whose objects are asked by `do`."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider

QIANFAN = Provider(
    name="qianfan",
    title="Qianfan",
    modules=("qianfan",),
    clients=(
        Client(names=("ChatCompletion", "Completion"), calls={"do": Family.CHAT, "ado": Family.CHAT}),
        Client(names=("Embedding",), calls={"do": Family.EMBEDDING, "ado": Family.EMBEDDING}),
        Client(names=("Text2Image",), calls={"do": Family.MEDIA, "ado": Family.MEDIA}),
    ),
    hosts=("aip.baidubce.com", "qianfan.baidubce.com"),
    key_env=("QIANFAN_ACCESS_KEY",),
)
