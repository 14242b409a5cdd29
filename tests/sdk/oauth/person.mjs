// A person with a browser, as far as a program can be one: it follows redirects, keeps cookies, and
// presses the button of every form it meets. What a browser itself has to show is shown in Chromium.

import assert from "node:assert/strict";

const unescaped = (text) =>
  text.replace(
    /&(amp|lt|gt|quot|#39|#x27);/g,
    (_, name) => ({ amp: "&", lt: "<", gt: ">", quot: '"' })[name] ?? "'",
  );

const attribute = (tag, name) => {
  const value = tag.match(new RegExp(`\\b${name}="([^"]*)"`, "i"))?.[1];
  return value === undefined ? undefined : unescaped(value);
};

/** The only form of a page: where it goes, and its fields; of buttons, the one that is wanted. */
function formOf(html, decision) {
  const form = html.match(/<form\b[^>]*>/i)?.[0];
  if (!form || attribute(form, "method")?.toLowerCase() !== "post") return undefined;
  const fields = new URLSearchParams();
  for (const [tag] of html.matchAll(/<(?:input|button)\b[^>]*>/gi)) {
    const [name, value] = [attribute(tag, "name"), attribute(tag, "value")];
    if (name && (!/^<button/i.test(tag) || value === decision)) fields.append(name, value ?? "");
  }
  return { action: attribute(form, "action") ?? "", fields };
}

export class Person {
  #cookies = new Map();
  /** Every answer so far: `{url, status, headers, text}`. */
  trail = [];

  /** `decision` is what they say on the server's page: allow or deny. `app` is where they are home. */
  constructor({ decision = "allow", app = "http://app.localhost" } = {}) {
    Object.assign(this, { decision, app });
  }

  /** Sets a cookie as a page of the site would. */
  keep(url, name, value) {
    const { hostname } = new URL(url);
    if (!this.#cookies.has(hostname)) this.#cookies.set(hostname, new Map());
    this.#cookies.get(hostname).set(name, value);
  }

  /** One request. A form is posted. */
  async ask(url, { form, headers = {}, method = form ? "POST" : "GET" } = {}) {
    const kept = this.#cookies.get(new URL(url).hostname) ?? new Map();
    const cookie = [...kept].map((pair) => pair.join("=")).join("; ");
    const answer = await fetch(url, {
      method,
      body: form && new URLSearchParams(form),
      headers: { accept: "text/html", ...(cookie && { cookie }), ...headers },
      redirect: "manual",
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      this.keep(url, name, value);
    }
    const seen = { url, status: answer.status, headers: answer.headers, text: await answer.text() };
    this.trail.push(seen);
    return seen;
  }

  /**
   * Goes to a URL and on, until home, until `stop` holds of where they are to go next, `over` of an
   * answer, or until nothing leads on. Answers `{landed}`, `{next}` or the last answer.
   */
  async go(url, { stop = () => false, over = () => false, ...request } = {}) {
    let next = { url, request };
    for (let hop = 0; hop < 20; hop += 1) {
      if (new URL(next.url).origin === this.app) return { landed: new URL(next.url) };
      if (hop > 0 && stop(next.url)) return { next: next.url, form: next.request.form };
      const answer = await this.ask(next.url, next.request);
      const location = answer.headers.get("location");
      const form = answer.status < 400 && formOf(answer.text, this.decision);
      if (over(answer)) return answer;
      if (location) next = { url: new URL(location, next.url).href, request: {} };
      else if (form) next = { url: new URL(form.action, next.url).href, request: { form: form.fields } };
      else return answer;
    }
    return assert.fail(`goes round in circles: ${url}`);
  }
}
