"""Sets a fresh glewlwyd up for the grant client credentials: setup.py PORT TOKEN_TTL_SECONDS

One OpenID Connect plugin that signs at+jwt access tokens with RS256 and shows its key set,
the scopes read and write, the client svc with the secret s3cret-svc.
"""

import http.client
import json
import subprocess
import sys
import time

PORT, TTL = int(sys.argv[1]), int(sys.argv[2])


def call(method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    headers = {"Content-Type": "application/json", **(headers or {})}
    connection.request(method, path, json.dumps(body), headers)
    response = connection.getresponse()
    text = response.read().decode()
    if response.status != 200:
        sys.exit(f"{method} {path}: {response.status} {text}")
    return response


def wait_for_the_port():
    for _ in range(300):
        try:
            http.client.HTTPConnection("127.0.0.1", PORT, timeout=10).connect()
            return
        except ConnectionRefusedError:
            time.sleep(0.1)
    sys.exit(f"nothing listens on port {PORT}")


def openssl(*arguments, given=None):
    return subprocess.run(
        ["openssl", *arguments], input=given, capture_output=True, text=True, check=True
    ).stdout


def plugin():
    key = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    return {
        "module": "oidc",
        "name": "oidc",
        "display_name": "OpenID Connect",
        "parameters": {
            "iss": f"http://127.0.0.1:{PORT}/api/oidc",
            "jwt-type": "rsa",
            "jwt-key-size": "256",
            "key": key,
            "cert": openssl("pkey", "-pubout", given=key),
            "access-token-duration": TTL,
            "refresh-token-duration": 1209600,
            "code-duration": 600,
            "refresh-token-rolling": True,
            "allow-non-oidc": True,
            "auth-type-client-enabled": True,
            "auth-type-code-enabled": True,
            "auth-type-token-enabled": False,
            "auth-type-id-token-enabled": True,
            "auth-type-password-enabled": False,
            "auth-type-refresh-enabled": True,
            "auth-type-none-enabled": False,
            "jwks-show": True,
            "jwks-x5c": [],
            "subject-type": "public",
            "secret-type": "pairwise",
            "introspection-revocation-allowed": True,
            "introspection-revocation-allow-target-client": True,
            "scope": [],
            "additional-parameters": [],
            "claims": [],
            "request-parameter-allow": True,
            "address-claim": {"type": "no"},
            "name-claim": "on-demand",
            "email-claim": "no",
            "scope-claim": "no",
            "pkce-allowed": True,
        },
    }


def scope(name):
    return {
        "name": name,
        "display_name": name,
        "description": name,
        "password_required": True,
        "password_max_age": 0,
        "scheme": {},
    }


def client():
    return {
        "client_id": "svc",
        "name": "svc",
        "description": "test",
        "confidential": True,
        "enabled": True,
        "password": "s3cret-svc",
        "client_secret": "s3cret-svc",
        "authorization_type": ["client_credentials"],
        "redirect_uri": ["http://127.0.0.1/cb"],
        "scope": ["read", "write"],
        "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
    }


wait_for_the_port()
# The package's own first login.
login = call("POST", "/api/auth/", {"username": "admin", "password": "password"})
session = {"Cookie": login.getheader("Set-Cookie").split(";")[0]}
call("POST", "/api/mod/plugin/", plugin(), session)
for name in ("read", "write"):
    call("POST", "/api/scope/", scope(name), session)
call("POST", "/api/client/", client(), session)
