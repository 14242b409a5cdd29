// A real authorization server (`oidc-provider`), and before it a front that notes what it was asked and,
// if told to, lies.
//
// Every check has a server of its own: it is hostile as soon as `lie` has told the front what to make of
// the answers of one step. What the server itself does is always honest, so that a lie is one lie.

import { createPrivateKey, createPublicKey, createHmac, randomUUID } from "node:crypto";
import { createServer, request as ask } from "node:http";
import { CompactSign, exportJWK, generateKeyPair } from "jose";
import Provider, { interactionPolicy } from "oidc-provider";
import MemoryAdapter from "oidc-provider/lib/adapters/memory_adapter.js";

/** The scopes that a person may grant beside `openid`. */
export const SCOPES = ["openid", "offline_access", "profile", "email", "files:read", "files:write"];

/** What each path is for. */
const STEPS = {
  "/.well-known/openid-configuration": "metadata",
  "/.well-known/oauth-authorization-server": "metadata",
  "/auth": "authorize",
  "/device": "verification",
  "/device/auth": "device",
  "/jwks": "jwks",
  "/me": "userinfo",
  "/reg": "register",
  "/request": "push",
  "/token": "token",
  "/token/introspection": "introspect",
  "/token/revocation": "revoke",
};

async function key(alg, kid) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, kid, use: "sig" };
}
/** Made once: the first is the servers' own, the second what they come to after a rotation. */
export const keys = {
  RS256: await key("RS256", "first"),
  rotated: await key("RS256", "second"),
  stranger: await key("RS256", "first"),
};

/** A compact JWS over the claims, by a private JWK. */
export const sign = (header, claims, jwk = keys.RS256) =>
  new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: jwk.alg, kid: jwk.kid, ...header })
    .sign(createPrivateKey({ key: jwk, format: "jwk" }));

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token that nobody signed. */
export const unsigned = (claims, alg = "none") => `${encoded({ alg })}.${encoded(claims)}.`;

/** A token whose HMAC is made with the public key, as those verify it who take `alg` from the token. */
export function confused(claims, form, jwk = keys.RS256) {
  const open = createPublicKey({ key: jwk, format: "jwk" });
  const secret =
    form === "pem"
      ? open.export({ type: "spki", format: "pem" })
      : JSON.stringify(open.export({ format: "jwk" }));
  const signed = `${encoded({ alg: "HS256", kid: jwk.kid })}.${encoded(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** The header and the claims of a compact JWS. */
export function opened(token) {
  const [header, claims] = token.split(".", 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
  return { header, claims };
}

// --- lies, to be given to `lie`

/** Changes the JSON of an answer. */
export const json = (change) => async (answer, request) => {
  const value = JSON.parse(answer.body);
  answer.body = Buffer.from(JSON.stringify((await change(value, request)) ?? value));
};

/** Changes what an authorization response says that comes as a query. */
export const response = (change) => async (answer) => {
  const url = URL.parse(answer.headers.location ?? "");
  if (!["code", "error", "response"].some((name) => url?.searchParams.has(name))) return;
  await change(url.searchParams);
  answer.headers.location = url.href;
};

/** Puts another ID token into a token response: what `make` makes of the honest one's claims. */
export const idToken = (make) =>
  json(async (body) => {
    if (body.id_token) body.id_token = await make(opened(body.id_token).claims, body.id_token);
  });

/** Answers something else. */
export const instead =
  (status, body, headers = {}) =>
  (answer) => {
    answer.status = status;
    answer.headers = { "content-type": "application/json", ...headers };
    answer.body = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  };

// --- the server

function bodyOf(stream) {
  const chunks = [];
  return new Promise((resolve, reject) => {
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("end", () => resolve(Buffer.concat(chunks)));
    stream.on("error", reject);
  });
}

async function listen(server, host) {
  await new Promise((resolve) => server.listen(0, host, resolve));
  return `http://${host}:${server.address().port}`;
}

/** Who asks: the client's id, by whatever it authenticates with. */
function clientOf({ headers, form, query }) {
  const named = form.get("client_id") ?? query.get("client_id");
  if (named) return named;
  const basic = headers.authorization?.match(/^Basic (.+)$/)?.[1];
  if (basic)
    return decodeURIComponent(Buffer.from(basic, "base64").toString().split(":")[0].replaceAll("+", " "));
  const assertion = form.get("client_assertion");
  return assertion && opened(assertion).claims.sub;
}

const page = (inner) => `<!doctype html><title>Authorization server</title>${inner}`;

/** The page on which a person allows or denies. */
async function decide(provider, request, response) {
  if (request.method === "GET") {
    response.writeHead(200, { "content-type": "text/html" });
    return response.end(
      page(`<form method="post" action="${request.url}">
        <button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button></form>`),
    );
  }
  const form = new URLSearchParams((await bodyOf(request)).toString());
  const { params } = await provider.interactionDetails(request, response);
  const refusal = { error: "access_denied", error_description: "The person said <b>no</b>" };
  const result =
    form.get("decision") === "deny" ? refusal : { login: { accountId: params.login_hint ?? "ada" } };
  return provider.interactionFinished(request, response, result);
}

/**
 * An authorization server on its own site: `host` is an address of loopback.
 *
 * `granted` are the scopes that the person grants of those that are asked for. `life` is for how long
 * access tokens are good, in seconds, and may be changed. `features` and `configuration` are the library's.
 */
export async function authority({
  host = "127.0.0.2",
  granted = SCOPES,
  features = {},
  configuration = {},
} = {}) {
  const made = { life: 3600, seen: [], granted, clients: new Map() };
  let told = {};

  const behind = createServer();
  const front = createServer();
  made.issuer = await listen(front, host);

  const store = new Map();
  const policy = interactionPolicy.base();
  const provider = new Provider(made.issuer, {
    adapter: (model) => new MemoryAdapter(model, store),
    jwks: { keys: [keys.RS256] },
    cookies: { keys: ["made up"] },
    scopes: SCOPES,
    claims: { openid: ["sub"], profile: ["name"], email: ["email"] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `The person ${id}`, email: `${id}@app.localhost` }),
    }),
    interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
    // The person has decided about everything on the one page.
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({
        accountId: oidc.session.accountId,
        clientId: oidc.client.clientId,
      });
      for (const scope of oidc.requestParamOIDCScopes) {
        if (made.granted.includes(scope)) grant.addOIDCScope(scope);
        else grant.rejectOIDCScope(scope);
      }
      await grant.save();
      return grant;
    },
    pkce: { required: () => true },
    rotateRefreshToken: () => true,
    issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
    expiresWithSession: () => false,
    ttl: {
      AccessToken: () => made.life,
      ClientCredentials: () => made.life,
      Grant: 86_400,
      IdToken: 3600,
      Interaction: 3600,
      RefreshToken: 86_400,
      Session: 86_400,
      DeviceCode: 600,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      introspection: { enabled: true },
      jwtResponseModes: { enabled: true },
      // What is offered is used: those who want it turn it on.
      pushedAuthorizationRequests: { enabled: false },
      registration: { enabled: true },
      requestObjects: { enabled: true },
      revocation: { enabled: true },
      rpInitiatedLogout: { enabled: false },
      ...features,
    },
    ...configuration,
  });
  behind.on("request", (request, response) => {
    if (request.url.startsWith("/interaction/")) {
      decide(provider, request, response).catch((error) => response.writeHead(500).end(page(error.message)));
    } else provider.callback()(request, response);
  });
  const inner = new URL(await listen(behind, host));

  /** What the server itself answers. */
  const honest = (request) =>
    new Promise((resolve, reject) => {
      const { method, url, headers } = request;
      const passed = ask({ host, port: inner.port, method, path: url, headers }, async (answer) => {
        const { connection, "transfer-encoding": _, "content-length": __, ...headers } = answer.headers;
        resolve({ status: answer.statusCode, headers, body: await bodyOf(answer) });
      });
      passed.on("error", reject);
      passed.end(request.body);
    });

  front.on("request", async (incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const { pathname, searchParams: query } = new URL(url, made.issuer);
    const body = await bodyOf(incoming);
    const urlencoded = headers["content-type"]?.startsWith("application/x-www-form-urlencoded");
    const form = new URLSearchParams(urlencoded ? body.toString() : "");
    // The resumed authorization is the step that answers the client.
    const step = STEPS[pathname] ?? (pathname.startsWith("/auth/") ? "authorize" : "page");
    const request = { step, method, url, headers, query, form, body };
    request.client = clientOf(request);
    made.seen.push(request);
    const early = told[`before ${step}`];
    const answer = early ? { status: 200, headers: {}, body: undefined } : await honest(request);
    // What the server itself has said, whatever becomes of it.
    request.answer = { ...answer };
    await (early ?? told[step])?.(answer, request);
    if (answer.body === undefined) return outgoing.destroy();
    outgoing.writeHead(answer.status, answer.headers);
    if (Buffer.isBuffer(answer.body)) return outgoing.end(answer.body);
    for await (const chunk of answer.body) {
      if (outgoing.destroyed) return undefined;
      if (!outgoing.write(chunk)) {
        await Promise.race(
          ["drain", "close"].map((event) => new Promise((wake) => outgoing.once(event, wake))),
        );
      }
    }
    return outgoing.end();
  });

  return Object.assign(made, {
    provider,
    /** From now on the front makes this of the answers of a step; `before` one, the server is not even asked. */
    lie: (step, lie) => (told = { ...told, [step]: lie }),
    /** From now on the front says what the server says. */
    relent: () => (told = {}),
    /** The requests of a step so far. */
    requests: (step) => made.seen.filter((request) => request.step === step),
    /** The requests for tokens of a grant type, by default of codes. */
    tokenRequests: (grant = "authorization_code") =>
      made.requests("token").filter(({ form }) => form.get("grant_type") === grant),
    /** Registers a client as an operator of the server would, who knows its id beforehand. */
    async register(metadata) {
      const { client_id = `client-${randomUUID()}` } = metadata;
      const client = {
        client_secret: `made-up-secret-${randomUUID()}`,
        grant_types: [
          "authorization_code",
          "refresh_token",
          "client_credentials",
          "urn:ietf:params:oauth:grant-type:device_code",
        ],
        response_types: ["code"],
        ...metadata,
        client_id,
      };
      await new MemoryAdapter("Client", store).upsert(client_id, client);
      return client;
    },
    /** Forgets every grant and token. */
    forget() {
      for (const name of store.keys())
        if (/^(AccessToken|RefreshToken|Grant):/.test(name)) store.delete(name);
    },
    close() {
      for (const server of [front, behind]) {
        server.close();
        server.closeAllConnections();
      }
    },
  });
}
