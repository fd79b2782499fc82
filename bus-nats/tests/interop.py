"""The other side of interop.rs: a client that knows CloudEvents and JetStream, and not us."""

import asyncio
import json
import sys

import nats

DATA = {"city": "Zürich", "cents": 995}
ATTRIBUTES = {
    "specversion": "1.0",
    "type": "orders.placed",
    "source": "/shop/z%C3%BCrich",
    "time": "2026-01-02T03:04:05.678Z",
    "partitionkey": "Z%C3%BCrich%20%E2%82%AC",
}


async def publish(js, subject):
    """One event in binary mode, one in structured mode, and two messages that are no events."""
    headers = {f"ce-{name}": value for name, value in ATTRIBUTES.items()}
    headers |= {"ce-id": "py-binary", "content-type": "application/json", "tenant": "acme"}
    await js.publish(subject, json.dumps(DATA).encode(), headers=headers)

    event = ATTRIBUTES | {"id": "py-structured", "source": "/shop/zürich", "partitionkey": "Zürich €"}
    event |= {"datacontenttype": "application/json", "data": DATA}
    headers = {"content-type": "application/cloudevents+json; charset=utf-8", "tenant": "acme"}
    await js.publish(subject, json.dumps(event).encode(), headers=headers)

    await js.publish(subject, b"hello")
    await js.publish(subject, b"{}", headers={"ce-id": "py-broken", "ce-type": "%C0%A0"})


async def read(js, stream):
    """Everything that the stream has now, a line each."""
    messages = (await js.stream_info(stream)).state.messages
    subscription = await js.pull_subscribe(">", stream=stream)
    for message in await subscription.fetch(messages, timeout=10):
        await message.ack()
        shown = {"subject": message.subject, "headers": message.headers}
        print(json.dumps(shown | {"data": message.data.decode()}))


async def main(command, url, argument):
    client = await nats.connect(url)
    await {"publish": publish, "read": read}[command](client.jetstream(), argument)
    await client.drain()


asyncio.run(main(*sys.argv[1:]))
