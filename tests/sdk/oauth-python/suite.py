"""An authorization server made with Authlib against OAuth connections.

Authlib's own client looks at the server first, so that what fails later is not the server. The 56 cases
are in tests/sdk/oauth. Run by `cargo xtask test --only oauth-python`, which starts the server.
"""

import itertools
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import requests
from authority import Authority
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwk, jwt

from harness.cases import case, equal, raises, run, true

URL, TOKEN = os.environ["RINGBACK_URL"], os.environ["RINGBACK_TOKEN"]
HOME = "http://app.localhost/success"
SECRET = "made-up-secret-of-a-client"

people = (f"user-{number}" for number in itertools.count(1))
names = (f"client-{number}" for number in itertools.count(1))


def call(method, path, body=None):
    """One request of the API; the answer, whatever it is."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    return requests.request(method, f"{URL}/api/v1{path}", json=body, headers=headers, timeout=30)


def ask(method, path, body=None):
    """What the API answers; it has to succeed."""
    answer = call(method, path, body)
    true(answer.ok, f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json() if answer.content else None


def client(authority, provider="openid", key=None):
    """A client of a new application at the authorization server; with a key, it has no secret."""
    settings = {
        "openid": {"issuer": authority.issuer},
        "oauth2": {
            "authorizationUrl": f"{authority.issuer}/authorize",
            "tokenUrl": f"{authority.issuer}/token",
            "revocationUrl": f"{authority.issuer}/revoke",
        },
    }
    proof = {"clientSecret": SECRET}
    if key:
        proof = {
            "clientAuth": "private_key_jwt",
            "signingKey": key.as_pem(private=True).decode(),
            "signingAlgorithm": "ES256",
        }
    made = ask(
        "POST",
        "/oauth-client",
        {
            "application": ask("POST", "/app", {"name": "authlib"})["id"],
            "provider": provider,
            "settings": settings[provider],
            "clientId": next(names),
            **proof,
        },
    )
    method = proof.get("clientAuth", "client_secret_basic")
    authority.register(
        made["clientId"], made["redirectUri"], proof.get("clientSecret"), method, key
    )
    return made


def begin(client, **wanted):
    body = {"client": client["id"], "userRef": next(people), "returnTo": HOME, **wanted}
    return {**body, **ask("POST", "/authorization", body)}


def sent(url):
    """Where a browser is sent on to from there."""
    answer = requests.get(url, allow_redirects=False, timeout=30)
    true("location" in answer.headers, f"{url}: {answer.status_code} {answer.text}")
    return answer.headers["location"]


def follow(url):
    """What the application is told when a browser that goes there comes home."""
    for _ in range(10):
        if url.startswith(HOME):
            return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        url = sent(url)
    raise AssertionError("round in circles")


def confirm(flow, home):
    body = {"userRef": flow["userRef"], "confirmation": home["confirmation"]}
    return call("POST", f"/authorization/{flow['id']}/confirm", body)


def connect(client, **wanted):
    flow = begin(client, **wanted)
    answer = confirm(flow, follow(flow["url"]))
    equal((answer.status_code, "" if answer.ok else answer.text), (200, ""))
    return answer.json()["granted"]


def token(connection):
    return call("GET", f"/connection/{connection['id']}/token")


def refresh(connection):
    return call("POST", f"/connection/{connection['id']}/refresh")


def until(time):
    """Waits until that time, as the API writes it."""
    left = datetime.fromisoformat(time) - datetime.now(timezone.utc)
    threading.Event().wait(max(left.total_seconds(), 0))


def files(authority, access_token):
    return requests.get(
        f"{authority.issuer}/files", headers={"authorization": f"Bearer {access_token}"}
    )


# --- the server is what it says, as Authlib's own client sees it


@case
def fixture_code_refresh_and_revocation():
    authority = Authority()
    redirect_uri = "http://127.0.0.1:9/callback"
    authority.register("fixture", redirect_uri, SECRET)
    session = OAuth2Session(
        "fixture",
        SECRET,
        redirect_uri=redirect_uri,
        scope="openid files",
        code_challenge_method="S256",
    )
    verifier = "v" * 43
    url, state = session.create_authorization_url(
        f"{authority.issuer}/authorize", code_verifier=verifier, nonce="n"
    )
    back = sent(url)
    equal(parse_qs(urlsplit(back).query)["iss"], [authority.issuer])
    endpoint = f"{authority.issuer}/token"
    first = session.fetch_token(
        endpoint, authorization_response=back, state=state, code_verifier=verifier
    )
    claims = jwt.decode(first["id_token"], authority.key, ["ES256"]).claims
    equal((claims["sub"], claims["nonce"], claims["iss"]), ("ada", "n", authority.issuer))
    second = session.refresh_token(endpoint, first["refresh_token"])
    true(second["refresh_token"] != first["refresh_token"], "it rotates")
    raises(
        OAuthError,
        lambda: session.refresh_token(endpoint, first["refresh_token"]),
        error="invalid_grant",
    )
    raises(
        OAuthError,
        lambda: session.refresh_token(endpoint, second["refresh_token"]),
        error="invalid_grant",
    )
    equal(session.revoke_token(f"{authority.issuer}/revoke", "unknown").status_code, 200)
    wrong = session.create_authorization_url(
        f"{authority.issuer}/authorize", code_verifier=verifier
    )[0]
    back = sent(wrong)
    raises(
        OAuthError,
        lambda: session.fetch_token(endpoint, authorization_response=back, code_verifier="w" * 43),
    )
    authority.close()


# --- Ringback as its client


@case
def rfc6749_code_with_pkce_then_rotation_then_revocation():
    authority = Authority()
    connection = connect(client(authority, "oauth2"), scopes=["files"])
    ((form, status, _),) = authority.of("authorization_code")
    equal(status, 200)
    true(43 <= len(form["code_verifier"]) <= 128, "a verifier")
    for _ in range(3):
        equal(refresh(connection).status_code, 200)
    used = [form["refresh_token"] for form, *_ in authority.of("refresh_token")]
    equal(len(set(used)), 3)
    equal([status for _, status, _ in authority.of("refresh_token")], [200, 200, 200])
    revoked = call("POST", f"/connection/{connection['id']}/revoke")
    true(revoked.ok, revoked.text)
    ended = {form["token"] for form, *_ in authority.asked if "token" in form}
    last = authority.of("refresh_token")[-1][2]
    equal(ended, {last["access_token"], last["refresh_token"]})
    equal(files(authority, last["access_token"]).status_code, 401)
    equal(token(connection).status_code, 409)
    authority.close()


@case
def rfc9700_4_14_2_many_reads_of_a_stale_token_refresh_it_once():
    authority = Authority(life=1)
    connection = connect(client(authority, "oauth2"), scopes=["files"])
    authority.life = 3600
    until(connection["expiresAt"])
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: token(connection), range(100)))
    equal({answer.status_code for answer in answers}, {200})
    (access_token,) = {answer.json()["accessToken"] for answer in answers}
    equal(len(authority.of("refresh_token")), 1)
    equal(files(authority, access_token).json()["of"], "ada")
    authority.close()


@case
def rfc9700_4_14_2_a_rotated_token_that_somebody_else_uses_ends_the_connection():
    authority = Authority()
    made = client(authority, "oauth2")
    connection = connect(made, scopes=["files"])
    ((_, _, first),) = authority.of("authorization_code")
    equal(refresh(connection).status_code, 200)
    # Somebody has found the old refresh token in a backup, and uses it.
    thief = OAuth2Session(made["clientId"], SECRET)
    endpoint = f"{authority.issuer}/token"
    raises(
        OAuthError,
        lambda: thief.refresh_token(endpoint, first["refresh_token"]),
        error="invalid_grant",
    )
    answer = refresh(connection)
    equal(answer.status_code, 409)
    equal(token(connection).json()["code"], "reauthorization_required")
    equal(ask("GET", f"/connection/{connection['id']}")["status"], "reauthorization_required")
    authority.close()


@case
def oidc_core_3_1_3_7_login_with_an_id_token_of_es256():
    authority = Authority()
    flow = begin(
        client(authority),
        purpose="login",
        scopes=["openid", "profile"],
        params={"login_hint": "grace"},
    )
    answer = confirm(flow, follow(flow["url"]))
    equal(answer.status_code, 200)
    claims = answer.json()["claims"]
    equal((claims["sub"], claims["iss"]), ("grace", authority.issuer))
    authority.close()


@case
def rfc6749_4_1_2_1_a_person_who_denies():
    authority = Authority()
    flow = begin(client(authority), scopes=["openid"], params={"login_hint": "nobody"})
    home = follow(flow["url"])
    equal((home["error"], "confirmation" in home), ("access_denied", False))
    equal(ask("GET", f"/authorization/{flow['id']}")["status"], "failed")
    equal(authority.asked, [])
    authority.close()


@case
def rfc7523_3_private_key_jwt_with_es256():
    authority = Authority()
    key = jwk.ECKey.generate_key("P-256")
    connection = connect(client(authority, key=key), scopes=["openid"])
    equal(refresh(connection).status_code, 200)
    true(all("client_assertion" in form for form, *_ in authority.asked), "each proves the client")
    equal(len(authority.jtis), 2)
    authority.close()


@case
def rfc6749_4_4_client_credentials():
    authority = Authority()
    made = client(authority, "oauth2")
    connection = ask("POST", "/connection", {"client": made["id"], "scopes": ["files"]})
    answer = token(connection).json()
    equal(files(authority, answer["accessToken"]).status_code, 200)
    equal(answer["scopes"], ["files"])
    authority.close()


run()
