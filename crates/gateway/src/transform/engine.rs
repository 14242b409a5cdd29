//! One call of one program, in an engine that is made for it and ends with it.

use std::{cell::Cell, cell::RefCell, rc::Rc, time::Duration};

use rquickjs::{
    Coerced, Context, Ctx, Error, Exception, Function, Runtime, Value, context::EvalOptions,
};
use rustix::time::{ClockId, clock_gettime};

use super::{
    Entry, Failure, MAX_LOG, MAX_OUTPUT, MEMORY, Ran, SOFT_TIME, STACK,
    frame::{Asked, Told},
};

/// What places in a program are called after.
const FILE: &str = "program.js";

/// Does what is asked.
pub(super) fn answer(asked: &Asked) -> Told {
    let interrupted = Rc::new(Cell::new(false));
    let log = Rc::new(RefCell::new(String::new()));
    match run(asked, &interrupted, &log) {
        Ok(Some(output)) => Told::Ran(Ran { output, log: log.take() }),
        Ok(None) => Told::Checked,
        // Whatever it looked like from within.
        Err(_) if interrupted.get() => Told::Failed(Failure::Timeout),
        Err(failure) => Told::Failed(failure),
    }
}

fn run(
    asked: &Asked,
    interrupted: &Rc<Cell<bool>>,
    log: &Rc<RefCell<String>>,
) -> Result<Option<String>, Failure> {
    let runtime = Runtime::new().map_err(|_| Failure::Memory)?;
    runtime.set_memory_limit(MEMORY);
    runtime.set_max_stack_size(STACK);
    let (began, interrupted) = (computed(), Rc::clone(interrupted));
    runtime.set_interrupt_handler(Some(Box::new(move || {
        interrupted.set(interrupted.get() || computed().saturating_sub(began) > SOFT_TIME);
        interrupted.get()
    })));
    let context = Context::full(&runtime).map_err(|_| Failure::Memory)?;
    context.with(|ctx| {
        let done = prepare(&ctx, asked, Rc::clone(log)).and_then(|()| call(&ctx, asked));
        done.map_err(|failed| failed.explained(&ctx))
    })
}

/// Processor time that this process has used: a busy machine makes no program slow.
fn computed() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Why a step failed: in the engine, or because of what the program is.
enum Failed {
    Engine(Error),
    Program(Failure),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Engine(error)
    }
}

fn prepare(ctx: &Ctx<'_>, asked: &Asked, log: Rc<RefCell<String>>) -> Result<(), Failed> {
    let sink = Function::new(ctx.clone(), move |line: String| {
        let mut log = log.borrow_mut();
        let room = MAX_LOG.saturating_sub(log.len() + 1);
        let end = (0..=room.min(line.len())).rev().find(|end| line.is_char_boundary(*end));
        if room > 0 {
            log.push_str(&line[..end.unwrap_or(0)]);
            log.push('\n');
        }
    })?;
    let prelude: Function<'_> = ctx.eval(include_str!("prelude.js"))?;
    let (low, high) = (asked.seed as u32, (asked.seed >> 32) as u32);
    prelude.call::<_, ()>((asked.at as f64, low, high, sink))?;
    Ok(())
}

fn call(ctx: &Ctx<'_>, asked: &Asked) -> Result<Option<String>, Failed> {
    let name = asked.entry.name();
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(FILE.to_owned());
    ctx.eval_with_options::<Value<'_>, _>(asked.program.as_str(), options)?;
    // Asked like this, as `const handler = …` makes no property of the global object.
    let function: Value<'_> = ctx.eval(format!("typeof {name} === 'undefined' ? 0 : {name}"))?;
    let function = function.into_function().ok_or_else(|| {
        let needed = match asked.entry {
            Entry::Handler => "handler(webhook)",
            Entry::Convert => "convert(payload)",
        };
        Failed::Program(Failure::Invalid(format!("the program defines no function {needed}")))
    })?;
    let Some(input) = &asked.input else { return Ok(None) };
    let input = ctx.json_parse(input.as_str())?;
    let returned: Value<'_> = function.call((input,))?;
    let unusable = |what: &str| Failed::Program(Failure::Invalid(format!("{name} {what}")));
    if returned.is_promise() {
        return Err(unusable("returned a promise: it has to return the value itself"));
    }
    let output = ctx.json_stringify(returned)?.ok_or_else(|| unusable("returned nothing"))?;
    let output = output.to_string()?;
    if output.len() > MAX_OUTPUT {
        let what = format!("{name} returned more than {} KiB", MAX_OUTPUT / 1024);
        return Err(Failed::Program(Failure::TooLarge(what)));
    }
    Ok(Some(output))
}

impl Failed {
    /// What it means for people.
    fn explained(self, ctx: &Ctx<'_>) -> Failure {
        match self {
            Failed::Program(failure) => failure,
            Failed::Engine(Error::Exception) => thrown(ctx, &ctx.catch()),
            Failed::Engine(Error::Allocation) => Failure::Memory,
            Failed::Engine(error) => Failure::Invalid(error.to_string()),
        }
    }
}

/// What was thrown: its name, its message and its place.
fn thrown<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Failure {
    let Some(exception) = value.clone().into_object().and_then(Exception::from_object) else {
        let text = value.get::<Coerced<String>>().map(|text| text.0);
        return Failure::Threw(text.unwrap_or_else(|_| "something without a text".to_owned()));
    };
    // The engine's own: it has no memory left, and nothing else that happens here makes it.
    let internal = ctx.globals().get::<_, Value<'js>>("InternalError").ok();
    let internal = internal.and_then(Value::into_object);
    if internal.is_some_and(|class| exception.as_object().is_instance_of(&class)) {
        return Failure::Memory;
    }
    let name = exception.as_object().get::<_, Coerced<String>>("name");
    let name = name.map_or_else(|_| "Error".to_owned(), |name| name.0);
    let mut text = name;
    if let Some(message) = exception.message().filter(|message| !message.is_empty()) {
        text.push_str(": ");
        text.push_str(&message);
    }
    if let Some((line, column)) = exception.stack().as_deref().and_then(place) {
        text.push_str(&format!(" (line {line}, column {column})"));
    }
    Failure::Threw(text)
}

/// The innermost place of a stack that is in the program: `    at handler (program.js:3:5)`.
fn place(stack: &str) -> Option<(u32, u32)> {
    stack.lines().find_map(|line| {
        let (_, place) = line.split_once(&format!("{FILE}:"))?;
        let (line, column) = place.trim_end_matches(')').split_once(':')?;
        Some((line.parse().ok()?, column.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(program: &str, input: &str) -> Asked {
        let (program, input) = (program.to_owned(), Some(input.to_owned()));
        Asked { program, entry: Entry::Handler, input, at: 1_700_000_000_000, seed: 7 }
    }

    fn ran(program: &str, input: &str) -> Ran {
        match answer(&asked(program, input)) {
            Told::Ran(ran) => ran,
            other => panic!("{other:?}"),
        }
    }

    fn failed(program: &str) -> Failure {
        match answer(&asked(program, "{}")) {
            Told::Failed(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_program_gives_back_what_it_makes() {
        for program in [
            "function handler(webhook) { webhook.payload.b = 2; return webhook }",
            "const handler = (webhook) => ({ ...webhook, payload: { a: 1, b: 2 } })",
        ] {
            let ran = ran(program, r#"{"payload":{"a":1}}"#);
            assert_eq!(ran.output, r#"{"payload":{"a":1,"b":2}}"#, "{program}");
        }
    }

    #[test]
    fn its_clock_stands_and_its_dice_fall_the_same() {
        let program = "function handler() { return [Date.now(), new Date().toISOString(), \
            new Date(0).getTime(), new Date() instanceof Date, new Date.prototype.constructor() - 0, \
            typeof performance, Math.random(), Math.random()] }";
        let first = ran(program, "{}").output;
        assert_eq!(first, ran(program, "{}").output);
        let head =
            "[1700000000000,\"2023-11-14T22:13:20.000Z\",0,true,1700000000000,\"undefined\",0.";
        assert!(first.starts_with(head), "{first}");
        let other = answer(&Asked { seed: 8, ..asked(program, "{}") });
        assert!(matches!(other, Told::Ran(ran) if ran.output != first));
    }

    #[test]
    fn there_is_nothing_but_the_language() {
        let program = "function handler() { return Object.getOwnPropertyNames(globalThis) }";
        let names: Vec<String> = serde_json::from_str(&ran(program, "{}").output).unwrap();
        for name in ["require", "process", "std", "os", "fetch", "setTimeout", "print", "Worker"] {
            assert!(!names.iter().any(|there| there == name), "{name}");
        }
        let failure = failed("function handler() { return import('fs') }");
        assert!(matches!(failure, Failure::Invalid(_)), "{failure}");
        assert!(matches!(failed("import 'fs'"), Failure::Threw(_)));
    }

    #[test]
    fn what_it_logs_is_kept_within_bounds() {
        let ran = ran("function handler() { console.log('a', 1, {b: 2}); return 0 }", "{}");
        assert_eq!((ran.output.as_str(), ran.log.as_str()), ("0", "a 1 {\"b\":2}\n"));
        let much = "function handler() { for (let i = 0; i < 999; i++) console.log('ü'.repeat(99)); \
            return 0 }";
        let log = self::ran(much, "{}").log;
        assert!((MAX_LOG - 4..=MAX_LOG).contains(&log.len()), "{}", log.len());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (program, expect) in [
            ("\n\n  nonsense(", "SyntaxError: "),
            ("function handler() {\n  return webhook.payload }", "(line 2, column 10)"),
            ("function handler() { throw 'no' }", "no"),
            ("handler = 3", "defines no function handler(webhook)"),
            ("let a = 1", "defines no function handler(webhook)"),
            ("function handler() {}", "handler returned nothing"),
            ("async function handler() { return {} }", "promise"),
            ("function handler() { return 'a'.repeat(2 << 20) }", "more than 1024 KiB"),
            ("function handler() { return 1n }", "TypeError"),
            ("function handler() { throw null }", "null"),
            ("function handler() { let a = {}; a.a = a; return a }", "circular"),
        ] {
            let text = failed(program).to_string();
            assert!(text.contains(expect), "{program}: {text}");
        }
        let text = failed("function handler(w) {\n  let x = ;\n}").to_string();
        assert!(text.contains("line 2, column"), "{text}");
    }

    #[test]
    fn what_asks_is_stopped_and_what_grows_is_bounded() {
        let handler = |body: &str| format!("function handler() {{ {body} }}");
        assert_eq!(failed(&handler("while (true) {}")), Failure::Timeout);
        assert_eq!(failed("while (true) {}"), Failure::Timeout);
        assert_eq!(failed(&handler("for (;;) try { for (;;); } catch {}")), Failure::Timeout);
        assert_eq!(
            failed(&handler("return /(a+)+$/.test('a'.repeat(40) + '!')")),
            Failure::Timeout
        );
        assert_eq!(failed(&handler("return new ArrayBuffer(1 << 30)")), Failure::Memory);
        assert_eq!(
            failed(&handler("let a = []; for (;;) a.push('x'.repeat(9e5))")),
            Failure::Memory
        );
        let deep = failed(&handler("return handler()")).to_string();
        assert!(deep.starts_with("RangeError: Maximum call stack size exceeded"), "{deep}");
    }

    /// Why there is a child process: these run on after their time, as the engine never asks, or
    /// asks too seldom. Whoever makes the bound that the engine keeps the only one fails here.
    #[test]
    fn some_operations_never_ask_whether_their_time_is_up() {
        for (program, least) in [
            ("new Array(1e8) + ''", 2 * SOFT_TIME),
            ("new RegExp('[\\\\p{L}\\\\P{L}]'.repeat(60000), 'v')", 2 * SOFT_TIME),
            ("let a = 3n ** 200000n, b; for (let i = 0; i < 40; i++) b = a * a", 2 * SOFT_TIME),
        ] {
            let began = computed();
            let _ = answer(&asked(program, "{}"));
            let took = computed().saturating_sub(began);
            assert!(took > least, "{program} ended after {took:?}: the engine asks by now");
        }
    }
}
