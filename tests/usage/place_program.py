"""A user's program: each call has a model of its own, and a comment that says so stands where the call is made."""

import asyncio
import functools
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import anthropic
import cohere
import openai
from google import genai

from llmguard import llm_tracker, llm_wrapper, track
from llmguard.testing import FakeProvider
from llmguard.usage.context import carry_into_threads

try:
    from mistralai import Mistral
except ImportError:
    from mistralai.client import Mistral

M = [{"role": "user", "content": "x"}]
CARRY = "carry" in sys.argv


async def asynchronous(client, clients):
    await client.chat.completions.create(model="awaited", messages=M)  # awaited
    await asyncio.gather(
        client.chat.completions.create(model="gathered", messages=M),  # gathered
        client.chat.completions.create(model="gathered too", messages=M),  # gathered too
    )
    await asyncio.create_task(client.chat.completions.create(model="task", messages=M))  # task
    coroutine = client.chat.completions.create(model="kept", messages=M)  # kept
    await asyncio.ensure_future(coroutine)
    await asyncio.wait_for(client.chat.completions.create(model="timed", messages=M), 20)  # timed
    await asyncio.gather(*(client.chat.completions.create(model=f"each {n}", messages=M) for n in range(2)))  # each 0 each 1
    create = client.with_options(max_retries=1).chat.completions.create
    await asyncio.create_task(create(model="stored", messages=M))  # stored
    await asyncio.gather(client.responses.create(model="responses", input="x"))  # responses
    stream = await asyncio.create_task(client.chat.completions.create(model="stream", messages=M, stream=True))  # stream
    async for _ in stream:
        pass
    öl = "Öl"; await asyncio.gather(client.chat.completions.create(model="umlaut", messages=M))  # umlaut
    await asyncio.gather(clients["anthropic"].messages.create(model="anthropic", messages=M, max_tokens=9))  # anthropic
    await asyncio.gather(clients["mistral"].chat.complete_async(model="mistral", messages=M))  # mistral
    await asyncio.gather(clients["google"].aio.models.generate_content(model="google", contents="x"))  # google
    await asyncio.gather(clients["cohere"].chat(model="cohere", messages=M))  # cohere
    await asyncio.gather(
        llm_wrapper.chat_completion(M, model="wrapper", provider="openai", client_options=clients["options"])  # wrapper
    )
    await asyncio.to_thread(clients["sync"].chat.completions.create, model="to_thread", messages=M)  # to_thread
    loop = asyncio.get_running_loop()
    work = functools.partial(clients["sync"].chat.completions.create, model="executor", messages=M)  # executor
    await loop.run_in_executor(None, work)  # executor when carried
    with llm_tracker.track_llm_call("acme", "block"):  # block
        await asyncio.sleep(0)


def synchronous(client, clients):
    client.chat.completions.create(  # plain
        model="plain",
        messages=M,
    )
    with ThreadPoolExecutor(2) as pool:
        pool.submit(client.chat.completions.create, model="submitted", messages=M).result()  # submitted
        pool.submit(lambda: client.chat.completions.create(model="lambda", messages=M)).result()  # lambda
        create = client.chat.completions.create  # early
        pool.submit(create, model="early", messages=M).result()  # early when carried
        pool.submit(llm_wrapper.chat_completion_sync, M, model="wrapped", provider="openai", client_options=clients["options"]).result()  # wrapped
    thread = threading.Thread(target=client.chat.completions.create, kwargs={"model": "thread", "messages": M})  # thread
    thread.start()  # thread when carried
    thread.join()
    client.chat.completions.with_raw_response.create(model="raw", messages=M)  # raw
    ask(client)


class Service:
    def __init__(self, client):
        self.client = client

    def answer(self):
        return self.client.chat.completions.create(model="method", messages=M)  # method


def ask(client):
    Service(client).answer()


def main():
    if CARRY:
        carry_into_threads()
    with FakeProvider() as provider:
        sync = track(openai.OpenAI(base_url=provider.base_url, api_key="x"))
        options = {"base_url": provider.base_url, "api_key": "x"}
        clients = {
            "sync": sync,
            "options": options,
            "anthropic": track(anthropic.AsyncAnthropic(base_url=provider.url, api_key="x")),
            "mistral": track(Mistral(api_key="x", server_url=provider.url)),
            "google": track(genai.Client(api_key="x", http_options={"base_url": provider.url})),
            "cohere": track(cohere.AsyncClientV2("x", base_url=provider.url)),
        }
        synchronous(sync, clients)
        asyncio.run(asynchronous(track(openai.AsyncOpenAI(**options)), clients))
        direct = track(openai.AsyncOpenAI(**options))
        asyncio.run(direct.chat.completions.create(model="run", messages=M))  # run


main()
