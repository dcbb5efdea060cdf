"""Calls by requests. The way is argv[1]; addresses are in the environment."""

import json
import os
import ssl
import sys

import requests
from requests.adapters import HTTPAdapter

way, env = sys.argv[1], os.environ


class SvidAdapter(HTTPAdapter):
    """Shows a certificate to the proxy, for which requests has no argument and urllib3 has."""

    def proxy_manager_for(self, proxy, **options):
        shown = ssl.create_default_context(cafile=env["CA"])
        shown.load_cert_chain(env["CERT"], env["KEY"])
        return super().proxy_manager_for(proxy, proxy_ssl_context=shown, **options)


def call():
    if way.startswith("exec"):
        return requests.get(env["TARGET"])
    session = requests.Session()
    session.trust_env = False
    session.verify = env["CA"]
    if way == "door_mtls":
        return session.get(env["DOOR_MTLS"], cert=(env["CERT"], env["KEY"]))
    if way == "door_token":
        return session.get(env["DOOR_TOKEN"])
    proxy = env["PROXY_MTLS"] if way.startswith("mtls") else env["PROXY_TOKEN"]
    if way.startswith("mtls"):
        for scheme in ("http://", "https://"):
            session.mount(scheme, SvidAdapter())
    session.proxies = {"http": proxy, "https": proxy}
    return session.get(env["TARGET"])


try:
    answer = call()
    print(json.dumps({"status": answer.status_code, "body": answer.text}))
except Exception as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
