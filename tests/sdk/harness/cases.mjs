// The frame of the suites in JavaScript: named checks, and a run that counts them.

import assert from "node:assert/strict";

const cases = [];

/** Registers one check of the suite. */
export const check = (name, run) => cases.push({ name, run });

/** Registers one that mostly waits: it begins with the suite, beside the others. */
export const slow = (name, run) => cases.push({ name, run, slow: true });

/** Registers one that looks back at all the others. */
export const last = (name, run) => cases.push({ name, run, last: true });

/** The names of all checks, whether they are run or not. */
export const names = () => cases.map(({ name }) => name);

/** Runs every check, or those whose name holds an argument; the exit status says whether all passed. */
export async function run() {
  const wanted = process.argv.slice(2);
  const chosen = cases.filter(({ name }) => !wanted.length || wanted.some((word) => name.includes(word)));
  const waiting = chosen.filter(({ slow }) => slow).map(judge);
  const verdicts = [];
  for (const one of chosen) if (!one.slow && !one.last) verdicts.push(await judge(one));
  verdicts.push(...(await Promise.all(waiting)));
  for (const one of chosen) if (one.last) verdicts.push(await judge(one));
  const passed = verdicts.filter((verdict) => verdict).length;
  console.log(`${passed} passed, ${verdicts.length - passed} failed`);
  process.exit(passed > 0 && passed === verdicts.length ? 0 : 1);
}

/** The longest that a check may take, in milliseconds. */
const PATIENCE = 300_000;

/** Runs one check and tells; whether it passed. */
async function judge({ name, run }) {
  const started = performance.now();
  let verdict = "ok    ";
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("it does not end")), PATIENCE);
  });
  try {
    await Promise.race([run(), late]);
  } catch (error) {
    // The next check may still tell something. What the SDKs raise has the answer's body.
    console.log(`  ${error.stack}\n  ${JSON.stringify(error.body ?? null)}`);
    verdict = "FAILED";
  } finally {
    clearTimeout(timer);
  }
  console.log(`${verdict} ${name} (${((performance.now() - started) / 1000).toFixed(2)} s)`);
  return verdict !== "FAILED";
}

/** Asks until `accept` is content: a record follows its delivery, it does not precede it. */
export async function eventually(read, accept, within = 15_000) {
  const deadline = Date.now() + within;
  for (;;) {
    const value = await read();
    if (accept(value)) return value;
    assert.ok(Date.now() < deadline, `not in time; last: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
