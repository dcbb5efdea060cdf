"""Calls by httpx. The way is argv[1]; addresses are in the environment."""

import json
import os
import ssl
import sys

import httpx

way, env = sys.argv[1], os.environ


def context(certificate=True):
    made = ssl.create_default_context(cafile=env["CA"])
    if certificate:
        made.load_cert_chain(env["CERT"], env["KEY"])
    return made


def client(**options):
    return httpx.Client(trust_env=False, **options)


def call():
    if way.startswith("exec"):
        return httpx.get(env["TARGET"])
    if way.startswith("mtls"):
        proxy = httpx.Proxy(env["PROXY_MTLS"], ssl_context=context())
        return client(proxy=proxy, verify=context(False)).get(env["TARGET"])
    if way.startswith("token"):
        return client(proxy=env["PROXY_TOKEN"], verify=context(False)).get(env["TARGET"])
    if way == "socket_http":
        # Over a plain connection httpx would send the path alone.
        transport = httpx.HTTPTransport(uds=env["PROXY_SOCKET"])
        return client(transport=transport).get(env["TARGET"], extensions={"target": env["TARGET"].encode()})
    if way == "door_mtls":
        return client(verify=context()).get(env["DOOR_MTLS"])
    if way == "door_token":
        return client().get(env["DOOR_TOKEN"])
    return client(transport=httpx.HTTPTransport(uds=env["DOOR_SOCKET"])).get("http://crm/hello")


try:
    answer = call()
    print(json.dumps({"status": answer.status_code, "body": answer.text}))
except Exception as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
