// Plays the scenarios that all handler libraries share (../../scenarios.json).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { MemoryDedupe, Receiver, Reject, Reply, Retry } from "../dist/index.js";

const file = JSON.parse(readFileSync(new URL("../../scenarios.json", import.meta.url), "utf8"));

export const scenarios = file.scenarios;

/** A promise that is settled from outside. */
function gate() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { open, opened };
}

/** A memory that tells when an event was settled. */
class Watched extends MemoryDedupe {
  settled = gate();
  done(id) {
    super.done(id);
    this.settled.open();
  }
  forget(id) {
    super.forget(id);
    this.settled.open();
  }
}

class Broken {
  begin() {
    throw new Error("the store of ids is away");
  }
}

/** Plays one scenario. `connect(receiver)` gives a way to send to it and a way to end that. */
export async function play(scenario, connect) {
  const dedupe = { memory: new Watched(), broken: new Broken() }[scenario.dedupe];
  const receiver = new Receiver((scenario.keys ?? ["secret"]).map((name) => file.keys[name]), {
    clock: () => file.now,
    onError: () => {},
    ...(dedupe && { dedupe }),
    ...(scenario.tolerance && { toleranceSeconds: scenario.tolerance }),
    ...(scenario.deadline && { deadlineMs: scenario.deadline * 1000 }),
    ...(scenario.maxRunning && { maxRunning: scenario.maxRunning }),
    ...(scenario.bodyLimit && { bodyLimit: scenario.bodyLimit }),
  });
  const called = [];
  let running = 0;
  let event;
  let entered = gate();
  let released = gate();
  for (const [type, behaviour] of Object.entries(scenario.handlers)) {
    const turns = [behaviour].flat();
    receiver.on(type, async (given) => {
      called.push(type);
      event = given;
      const turn = turns.length > 1 ? turns.shift() : turns[0];
      running += 1;
      try {
        for (const act of typeof turn === "string" ? turn.split(", ") : [turn]) {
          if (act === "wait") {
            entered.open();
            await released.opened;
          } else if (act === "fail") throw new Error("a mistake of the handler");
          else if (act === "retry") throw new Retry("not now");
          else if (act === "reject") throw new Reject("not wanted");
          else if (act.retry) throw new Retry("not now", act.retry);
          else if (act === "reply") return new Reply("done at once");
          else assert.equal(act, "ok");
        }
      } finally {
        running -= 1;
      }
    });
  }

  const { send, end } = await connect(receiver);
  const check = (answer, expected) => {
    assert.equal(answer.status, expected.status, answer.text);
    assert.equal(answer.retryAfter, expected.retryAfter);
    if (expected.error) assert.equal(answer.text, expected.error);
    if (expected.status === 204) assert.equal(answer.text, "");
  };
  const under = {};
  let closed;
  try {
    for (const step of scenario.steps) {
      called.length = 0;
      if (step.send) {
        check(await send(file.requests[step.send]), step.answer);
      } else if (step.begin) {
        entered = gate();
        under[step.as] = send(file.requests[step.begin]);
        await entered.opened;
      } else if (step.finish) {
        released.open();
        check(await under[step.finish], step.answer);
      } else if (step.release) {
        released.open();
        await dedupe.settled.opened;
      } else if (step.close) {
        closed = receiver.close().then(() => running);
      } else {
        assert.ok(step.closed);
        assert.equal(await closed, 0, "handlers are under way after the end");
      }
      assert.deepEqual(called, step.called ?? []);
      if (step.event) {
        const { type, id = event.id } = step.event;
        assert.deepEqual([event.type, event.id], [type, id]);
        assert.equal(event.text(), file.requests[step.send].body);
      }
    }
  } finally {
    released.open();
    await end();
  }
}
