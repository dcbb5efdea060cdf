"""Calls by aiohttp. The way is argv[1]; addresses are in the environment."""

import asyncio
import json
import os
import ssl
import sys

import aiohttp

way, env = sys.argv[1], os.environ


def context(certificate=True):
    made = ssl.create_default_context(cafile=env["CA"])
    if certificate:
        made.load_cert_chain(env["CERT"], env["KEY"])
    return made


async def get(session, url, **options):
    async with session.get(url, **options) as answer:
        return {"status": answer.status, "body": await answer.text()}


async def call():
    if way.startswith("exec"):
        # The one thing that must be said: aiohttp does not look at the environment by itself.
        async with aiohttp.ClientSession(trust_env=True) as session:
            return await get(session, env["TARGET"])
    if way == "door_socket":
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(env["DOOR_SOCKET"])) as session:
            return await get(session, "http://crm/hello")
    async with aiohttp.ClientSession() as session:
        if way.startswith("mtls"):
            # One context for both: the certificate is shown to the target too, if it asks.
            return await get(session, env["TARGET"], proxy=env["PROXY_MTLS"], ssl=context())
        if way.startswith("token"):
            return await get(session, env["TARGET"], proxy=env["PROXY_TOKEN"], ssl=context(False))
        if way == "door_mtls":
            return await get(session, env["DOOR_MTLS"], ssl=context())
        return await get(session, env["DOOR_TOKEN"])


try:
    print(json.dumps(asyncio.run(call())))
except Exception as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
