// What a program finds beside the language: a clock that stands, random numbers that are the same
// each time, and a log. It runs before the program does; `sink` takes a line of the log.
(function (at, low, high, sink) {
  'use strict';
  const { construct } = Reflect;
  const { stringify } = JSON;
  const Clock = Date;
  const frozen = new Proxy(Clock, {
    apply: () => new Clock(at).toString(),
    construct: (target, args, made) =>
      construct(target, args.length ? args : [at], made === frozen ? target : made),
  });
  Clock.now = () => at;
  Clock.prototype.constructor = frozen;
  globalThis.Date = frozen;

  // The generator known as sfc32.
  let [a, b, c, d] = [low | 0, high | 0, 0x9e3779b9 | 0, 1];
  const next = () => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round++) next();
  Math.random = () => next() / 4294967296;

  const text = (value) => {
    if (typeof value === 'string') return value;
    try {
      return stringify(value) ?? String(value);
    } catch {
      return String(value);
    }
  };
  const log = (...values) => sink(values.map(text).join(' '));
  globalThis.console = { log, debug: log, info: log, warn: log, error: log };
  delete globalThis.performance;
})
