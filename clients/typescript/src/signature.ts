/**
 * Signatures as Standard Webhooks 1.0.0 defines them: `v1` is HMAC-SHA256 with a shared secret,
 * `v1a` is Ed25519, where the receiver holds only the public key. What is signed is
 * `id.timestamp.body`, over the bytes that arrived. A request carries a signature for each key of
 * a rotation, separated by spaces.
 */

import { createHmac, createPublicKey, timingSafeEqual, verify, type KeyObject } from "node:crypto";

/** Why a request is not accepted as genuine; the names are those of Ringback's sources. */
export type Reason =
  | "missing_header"
  | "malformed"
  | "signature_mismatch"
  | "stale"
  | "from_future";

/** The request does not prove that its sender holds the key. Its body must not be trusted. */
export class VerificationError extends Error {
  override readonly name = "VerificationError";
  constructor(readonly reason: Reason) {
    super(`the webhook is not accepted: ${reason}`);
  }
}

interface Key {
  readonly scheme: "v1" | "v1a";
  fits(signed: Buffer, signature: Buffer): boolean;
}

/** Signatures of one request that are looked at; an endpoint has ten secrets at most. */
const MAX_SIGNATURES = 16;
/** What stands before the 32 bytes of an Ed25519 key in its usual form (RFC 8410). */
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

/** Verifies with any of several keys. */
export class Verifier {
  readonly #keys: readonly Key[];
  readonly #tolerance: number;

  /**
   * `keys`: `whsec_…` or `whpk_…`, all of which count. `toleranceSeconds`: how far a timestamp may
   * lie from the present, in either direction. Throws if a key cannot be read, without repeating it.
   */
  constructor(keys: readonly string[], toleranceSeconds = 300) {
    if (keys.length === 0) throw new TypeError("a receiver needs at least one key");
    this.#keys = keys.map(parse);
    this.#tolerance = toleranceSeconds;
  }

  /**
   * The id of a genuine request; throws `VerificationError` otherwise. The names of `headers` are
   * in lower case, `body` is what arrived byte for byte, `now` is in Unix seconds.
   */
  verify(headers: Readonly<Record<string, string>>, body: Uint8Array, now: number): string {
    const id = headers["webhook-id"];
    const timestamp = headers["webhook-timestamp"];
    const signatures = headers["webhook-signature"];
    if (!id || !timestamp || !signatures) throw new VerificationError("missing_header");
    // With a dot in it, two messages could share a signed text.
    if (id.includes(".")) throw new VerificationError("malformed");
    const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
    if (!this.#matches(signed, signatures)) throw new VerificationError("signature_mismatch");
    if (!/^\d{1,15}$/.test(timestamp)) throw new VerificationError("malformed");
    const age = now - Number(timestamp);
    if (age > this.#tolerance) throw new VerificationError("stale");
    if (age < -this.#tolerance) throw new VerificationError("from_future");
    return id;
  }

  #matches(signed: Buffer, signatures: string): boolean {
    const candidates = signatures.split(" ", MAX_SIGNATURES).map((candidate) => {
      const comma = candidate.indexOf(",");
      const signature = Buffer.from(candidate.slice(comma + 1), "base64");
      return { scheme: candidate.slice(0, Math.max(comma, 0)), signature };
    });
    return this.#keys.some((key) =>
      candidates.some(({ scheme, signature }) => scheme === key.scheme && key.fits(signed, signature)),
    );
  }
}

function parse(text: string): Key {
  if (text.startsWith("whpk_")) return ed25519(decode(text.slice("whpk_".length)));
  if (text.startsWith("whsk_")) throw new TypeError("a receiver needs the public key: whpk_…");
  return hmac(decode(text.startsWith("whsec_") ? text.slice("whsec_".length) : text));
}

function hmac(secret: Buffer): Key {
  if (secret.length < 24 || secret.length > 75) {
    throw new TypeError(`a secret has 24 to 75 bytes, this one has ${secret.length}`);
  }
  return {
    scheme: "v1",
    fits(signed, signature) {
      const expected = createHmac("sha256", secret).update(signed).digest();
      return signature.length === expected.length && timingSafeEqual(signature, expected);
    },
  };
}

function ed25519(bytes: Buffer): Key {
  if (bytes.length !== 32) {
    throw new TypeError(`an ed25519 public key has 32 bytes, this one has ${bytes.length}`);
  }
  const key: KeyObject = createPublicKey({
    key: Buffer.concat([SPKI, bytes]),
    format: "der",
    type: "spki",
  });
  return { scheme: "v1a", fits: (signed, signature) => verify(null, signed, key, signature) };
}

function decode(text: string): Buffer {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length === 0 || bytes.toString("base64") !== text) {
    throw new TypeError("a key is padded base64 after `whsec_` or `whpk_`");
  }
  return bytes;
}
