"""An authorization server made with Authlib, on loopback: what it keeps is in memory.

Refresh tokens rotate, and one that comes twice ends its grant (RFC 9700, section 4.14.2). Codes want
PKCE, answers have `iss`, and ID tokens are signed with ES256.
"""

import os
import threading
import time

# Everything is on loopback, in the clear.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.common.security import generate_token
from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector, current_token
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6750 import BearerTokenGenerator, BearerTokenValidator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core import AuthorizationCodeMixin, UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, jsonify, request
from joserfc import jwk
from werkzeug.serving import WSGIRequestHandler, make_server


class Person:
    def __init__(self, name):
        self.name = name

    def get_user_id(self):
        return self.name


class Client(ClientMixin):
    def __init__(self, client_id, secret, redirect_uri, method, key):
        self.client_id, self.secret, self.redirect_uri = client_id, secret, redirect_uri
        self.method, self.key = method, key
        self.id_token_signed_response_alg = "ES256"

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return self.redirect_uri

    def get_allowed_scope(self, scope):
        known = {"openid", "profile", "files"}
        return " ".join(one for one in (scope or "").split() if one in known)

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret):
        return self.secret is not None and client_secret == self.secret

    def check_endpoint_auth_method(self, method, endpoint):
        return method == self.method

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type in {"authorization_code", "refresh_token", "client_credentials"}


class Code(AuthorizationCodeMixin):
    def __init__(self, code, request):
        self.code = code
        self.client_id = request.client.client_id
        self.user = request.user
        self.redirect_uri = request.payload.redirect_uri
        self.scope = request.payload.scope
        self.nonce = request.payload.data.get("nonce")
        self.code_challenge = request.payload.data.get("code_challenge")
        self.code_challenge_method = request.payload.data.get("code_challenge_method")

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope

    def get_nonce(self):
        return self.nonce

    def get_auth_time(self):
        return None

    def get_acr(self):
        return None

    def get_amr(self):
        return None


class Token(TokenMixin):
    def __init__(self, answer, client, user, grant):
        self.access_token = answer["access_token"]
        self.refresh_token = answer.get("refresh_token")
        self.scope, self.expires_in = answer.get("scope", ""), answer["expires_in"]
        self.client, self.user, self.grant = client, user, grant
        self.issued_at = time.time()
        self.used = self.revoked = False

    def check_client(self, client):
        return self.client.client_id == client.client_id

    def get_scope(self):
        return self.scope

    def get_expires_in(self):
        return self.expires_in

    def is_expired(self):
        return time.time() > self.issued_at + self.expires_in

    def is_revoked(self):
        return self.revoked

    def get_user(self):
        return self.user

    def get_client(self):
        return self.client


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


class Authority:
    """A server of its own.

    `asked` are the token and revocation requests with their answers, `life` is for how many seconds
    access tokens are good that it issues from now on.
    """

    def __init__(self, life=3600):
        self.clients, self.codes, self.tokens, self.asked = {}, {}, [], []
        self.life = life
        self.key = jwk.ECKey.generate_key("P-256", {"kid": "es", "alg": "ES256", "use": "sig"})
        self.jtis = set()
        app = Flask(__name__)
        self._server = make_server("127.0.0.2", 0, app, threaded=True, request_handler=Quiet)
        self.issuer = f"http://127.0.0.2:{self._server.port}"
        self._wire(app)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def register(
        self, client_id, redirect_uri, secret=None, method="client_secret_basic", key=None
    ):
        self.clients[client_id] = Client(client_id, secret, redirect_uri, method, key)

    def of(self, grant_type):
        """The requests for tokens of a grant type, as `(form, status, answer)`."""
        return [one for one in self.asked if one[0].get("grant_type") == grant_type]

    def close(self):
        self._server.shutdown()

    def _save_token(self, answer, request):
        before = request.refresh_token if isinstance(request.refresh_token, Token) else None
        grant = before.grant if before else object()
        self.tokens.append(Token(answer, request.client, request.user, grant))

    def _wire(self, app):
        authority = self
        server = AuthorizationServer(app, self.clients.get, self._save_token)
        made_up = lambda **_: generate_token(48)
        server.register_token_generator(
            "default", BearerTokenGenerator(made_up, made_up, lambda client, grant_type: self.life)
        )

        class CodeGrant(grants.AuthorizationCodeGrant):
            TOKEN_ENDPOINT_AUTH_METHODS = [
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt",
            ]

            def save_authorization_code(self, code, request):
                authority.codes[code] = Code(code, request)

            def query_authorization_code(self, code, client):
                known = authority.codes.get(code)
                return known if known and known.client_id == client.client_id else None

            def delete_authorization_code(self, authorization_code):
                del authority.codes[authorization_code.code]

            def authenticate_user(self, authorization_code):
                return authorization_code.user

        class Identity(OpenIDCode):
            def resolve_client_private_key(self, client):
                return authority.key

            def get_encode_header(self, client):
                return {"alg": "ES256", "kid": "es"}

            def get_client_claims(self, client):
                return {"iss": authority.issuer, "aud": [client.client_id]}

            def exists_nonce(self, nonce, request):
                return any(code.nonce == nonce for code in authority.codes.values())

            def generate_user_info(self, user, scope):
                return UserInfo(sub=user.name, name=f"The person {user.name}")

        class RefreshGrant(grants.RefreshTokenGrant):
            TOKEN_ENDPOINT_AUTH_METHODS = CodeGrant.TOKEN_ENDPOINT_AUTH_METHODS
            INCLUDE_NEW_REFRESH_TOKEN = True

            def authenticate_refresh_token(self, refresh_token):
                known = next(
                    (one for one in authority.tokens if one.refresh_token == refresh_token), None
                )
                if known and known.used:
                    # Somebody has it who should not: whoever has the newer one loses it, too.
                    for one in authority.tokens:
                        one.revoked = one.revoked or one.grant is known.grant
                return known if known and not known.used and not known.revoked else None

            def authenticate_user(self, refresh_token):
                return refresh_token.user

            def revoke_old_credential(self, refresh_token):
                refresh_token.used = True

        class Credentials(grants.ClientCredentialsGrant):
            TOKEN_ENDPOINT_AUTH_METHODS = CodeGrant.TOKEN_ENDPOINT_AUTH_METHODS

        class Revocation(RevocationEndpoint):
            CLIENT_AUTH_METHODS = CodeGrant.TOKEN_ENDPOINT_AUTH_METHODS

            def query_token(self, token_string, token_type_hint):
                names = ("access_token", "refresh_token")
                return next(
                    (
                        one
                        for one in authority.tokens
                        if token_string in [getattr(one, n) for n in names]
                    ),
                    None,
                )

            def revoke_token(self, token, request):
                token.revoked = True

        class Assertion(JWTBearerClientAssertion):
            CLIENT_AUTH_METHOD = "private_key_jwt"

            def get_audiences(self):
                return [authority.issuer, f"{authority.issuer}/token"]

            def validate_jti(self, claims, jti):
                known = jti in authority.jtis
                authority.jtis.add(jti)
                return not known

            def resolve_client_public_key(self, client):
                return client.key

        class Iss(IssuerParameter):
            def get_issuer(self):
                return authority.issuer

        class Bearer(BearerTokenValidator):
            def authenticate_token(self, token_string):
                return next(
                    (one for one in authority.tokens if one.access_token == token_string), None
                )

        server.register_grant(
            CodeGrant, [CodeChallenge(required=True), Identity(require_nonce=False)]
        )
        server.register_grant(RefreshGrant)
        server.register_grant(Credentials)
        server.register_endpoint(Revocation)
        server.register_client_auth_method("private_key_jwt", Assertion())
        server.register_extension(Iss())
        protector = ResourceProtector()
        protector.register_token_validator(Bearer())

        def noted(answer):
            self.asked.append((request.form.to_dict(), answer.status_code, answer.get_json()))
            return answer

        @app.get("/authorize")
        def authorize():
            # Whoever comes is logged in as `login_hint`, and says yes at once; nobody says no.
            hint = request.args.get("login_hint", "ada")
            grant = server.get_consent_grant(end_user=Person(hint))
            user = None if hint == "nobody" else Person(hint)
            return server.create_authorization_response(grant_user=user, grant=grant)

        @app.post("/token")
        def token():
            return noted(server.create_token_response())

        @app.post("/revoke")
        def revoke():
            return noted(server.create_endpoint_response("revocation"))

        @app.get("/userinfo")
        @protector("openid")
        def userinfo():
            return jsonify(
                sub=current_token.user.name, name=f"The person {current_token.user.name}"
            )

        @app.get("/files")
        @protector("files")
        def files():
            return jsonify(
                files=["a.txt"], of=current_token.user.name if current_token.user else None
            )

        @app.get("/keys")
        def keys():
            return jsonify(keys=[self.key.as_dict(private=False)])

        @app.get("/.well-known/openid-configuration")
        @app.get("/.well-known/oauth-authorization-server")
        def metadata():
            return jsonify(self.metadata())

    def metadata(self):
        said = AuthorizationServerMetadata(
            issuer=self.issuer,
            authorization_endpoint=f"{self.issuer}/authorize",
            token_endpoint=f"{self.issuer}/token",
            revocation_endpoint=f"{self.issuer}/revoke",
            userinfo_endpoint=f"{self.issuer}/userinfo",
            jwks_uri=f"{self.issuer}/keys",
            response_types_supported=["code"],
            response_modes_supported=["query"],
            grant_types_supported=["authorization_code", "refresh_token", "client_credentials"],
            token_endpoint_auth_methods_supported=[
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt",
            ],
            token_endpoint_auth_signing_alg_values_supported=["ES256"],
            code_challenge_methods_supported=["S256"],
            subject_types_supported=["public"],
            id_token_signing_alg_values_supported=["ES256"],
            authorization_response_iss_parameter_supported=True,
        )
        return dict(said)
