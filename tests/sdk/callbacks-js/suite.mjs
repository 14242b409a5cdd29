// Libraries of payment gateways as the signing side of redirects.
//
// What vnpay signs, and what razorpay takes for signed, ends the callback; the same with a digit
// changed does not. Run by `cargo xtask test --only callbacks-js`, which starts the server.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import razorpay from "razorpay/dist/utils/razorpay-utils.js";
import { VNPay, buildPaymentUrlSearchParams, calculateSecureHash, ignoreLogger } from "vnpay";
import { check, run } from "./harness/cases.mjs";

const { RINGBACK_URL: url, RINGBACK_TOKEN: token } = process.env;
const page = (name) => `http://app.localhost/${name}`;
const secret = "a made-up secret";

async function call(method, path, body) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

const { id: application } = await call("POST", "/api/v1/app", { name: "shop" });

/** A callback to which a browser comes back from this gateway. */
const callback = (preset, settings, reference, amount) =>
  call("POST", "/api/v1/callback", {
    application,
    kind: "redirect",
    redirect: {
      success: page("success"),
      failure: page("failure"),
      pending: page("pending"),
      preset,
      settings,
      expect: { reference, amount },
    },
  });

const status = async ({ id }) => (await call("GET", `/api/v1/callback/${id}`)).status;

/** Where a browser is sent on to that brings this: the target, and what the status says. */
async function visit(made, query, form) {
  const answer = await fetch(`${made.url}${query ? `?${query}` : ""}`, {
    method: form ? "POST" : "GET",
    body: form && new URLSearchParams(form),
    redirect: "manual",
  });
  assert.equal(answer.status, 303);
  const to = new URL(answer.headers.get("location"));
  const { callback: id, status, expires, signature } = Object.fromEntries(to.searchParams);
  const mac = createHmac("sha256", made.statusSecret).update(`${id}.${status}.${expires}`);
  assert.equal(signature, mac.digest("base64url"), "the status is signed as it is documented");
  assert.equal(id, made.id);
  return { page: to.origin + to.pathname, status };
}

const vnpay = new VNPay({ tmnCode: "CTTVNP01", secureSecret: secret, loggerFn: ignoreLogger });

/** What VNPay sends a browser back with, as its library signs and takes it. */
function vnpayReturn(changed) {
  const fields = {
    vnp_Amount: 1000000,
    vnp_BankCode: "NCB",
    vnp_OrderInfo: "Thanh toán đơn hàng: 17 *~(x)!'&=+%",
    vnp_PayDate: "20231207170112",
    vnp_ResponseCode: "00",
    vnp_TmnCode: "CTTVNP01",
    vnp_TransactionNo: "14226112",
    vnp_TransactionStatus: "00",
    vnp_TxnRef: "order-17",
    ...changed,
  };
  const params = buildPaymentUrlSearchParams(fields);
  const hash = { secureSecret: secret, data: params.toString(), hashAlgorithm: "sha512" };
  params.append("vnp_SecureHash", calculateSecureHash({ ...hash, bufferEncode: "utf-8" }));
  const taken = vnpay.verifyReturnUrl(Object.fromEntries(params));
  assert.ok(taken.isVerified, "its library refuses it");
  return params.toString();
}

check("vnpay: what its library signs", async () => {
  const settings = { hashSecret: secret };
  const paid = vnpayReturn();
  const made = await callback("vnpay", settings, "order-17", "1000000");
  const forged = paid.replace("vnp_TxnRef=order-17", "vnp_TxnRef=order-18");
  assert.deepEqual(await visit(made, forged), { page: page("pending"), status: "returned" });
  assert.deepEqual(await visit(made, paid), { page: page("success"), status: "completed" });
  assert.deepEqual(await visit(made, paid), { page: page("success"), status: "completed" });

  const canceled = vnpayReturn({ vnp_ResponseCode: "24", vnp_TransactionStatus: "02" });
  const other = await callback("vnpay", settings, "order-17", "1000000");
  assert.deepEqual(await visit(other, canceled), { page: page("failure"), status: "failed" });

  const small = vnpayReturn({ vnp_Amount: 100 });
  const third = await callback("vnpay", settings, "order-17", "1000000");
  assert.deepEqual(await visit(third, small), { page: page("pending"), status: "returned" });
  assert.equal(await status(third), "returned");
});

/** A signature that razorpay's library takes. */
function razorpaySigned(params, text) {
  const signature = createHmac("sha256", secret).update(text).digest("hex");
  assert.ok(razorpay.validatePaymentVerification(params, signature, secret), "it refuses it");
  return signature;
}

check("razorpay: a form that is posted across sites", async () => {
  const made = await callback("razorpay", { keySecret: secret }, "order_1");
  const form = (order_id) => ({
    razorpay_payment_id: "pay_1",
    razorpay_order_id: order_id,
    razorpay_signature: razorpaySigned({ order_id, payment_id: "pay_1" }, `${order_id}|pay_1`),
  });
  const another = await visit(made, "", form("order_2"));
  assert.deepEqual(another, { page: page("pending"), status: "returned" }, "of another order");
  const signature = form("order_1").razorpay_signature.replace(/.$/, (one) => (one === "0" ? "1" : "0"));
  const forged = await visit(made, "", { ...form("order_1"), razorpay_signature: signature });
  assert.deepEqual(forged, { page: page("pending"), status: "returned" });
  const right = await visit(made, "", form("order_1"));
  assert.deepEqual(right, { page: page("success"), status: "completed" });
});

check("razorpay: a payment link", async () => {
  const back = (status) => {
    const params = {
      payment_link_id: "plink_1",
      payment_link_reference_id: "TSsd1989",
      payment_link_status: status,
      payment_id: "pay_1",
    };
    const signature = razorpaySigned(params, `plink_1|TSsd1989|${status}|pay_1`);
    const named = Object.entries(params).map(([name, value]) => [`razorpay_${name}`, value]);
    return new URLSearchParams([...named, ["razorpay_signature", signature]]).toString();
  };
  const made = await callback("razorpay-link", { keySecret: secret }, "plink_1");
  const partly = await visit(made, back("partially_paid"));
  assert.deepEqual(partly, { page: page("pending"), status: "returned" });
  const forged = await visit(made, back("partially_paid").replace("partially_paid", "paid"));
  assert.deepEqual(forged, { page: page("pending"), status: "returned" });
  assert.deepEqual(await visit(made, back("paid")), { page: page("success"), status: "completed" });
});

await run();
