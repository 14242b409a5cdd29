//! What a run showed: tables for people, JSON for programs, and the gates.

use std::fmt::Write as _;

use serde::Serialize;

use crate::backing::{Cost, Store};
use crate::floor::Floor;
use crate::shape::{Case, RATE, Round, Shape, Sizes};
use crate::stats::{Percentiles, Spread};

/// Floors of a quiet machine differ by less than this factor.
const QUIET: f64 = 1.6;

/// The floor, exchanges/s, of the machine on which the limit of CPU per delivery was set.
const REFERENCE_FLOOR: f64 = 125_000.0;

/// A whole run.
#[derive(Debug, Serialize)]
pub struct Run {
    pub machine: String,
    pub file_system: String,
    /// The repository's commit, or the binary that was given instead.
    pub server: String,
    pub rounds: u32,
    pub sizes: Sizes,
    pub floors: Vec<Floor>,
    /// One synced write of 20 kB, between the rounds, milliseconds.
    pub fsync: Percentiles,
    pub shapes: Vec<Shaped>,
}

/// The rounds of one case.
#[derive(Debug, Serialize)]
pub struct Shaped {
    #[serde(flatten)]
    pub case: Case,
    pub rounds: Vec<Round>,
}

/// Something the server must reach, and whether it did.
#[derive(Debug, Serialize)]
pub struct Gate {
    pub what: &'static str,
    pub limit: f64,
    pub measured: f64,
    pub met: bool,
}

impl Shaped {
    /// A figure over the rounds.
    fn over(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(figure))
    }

    fn sum(&self, count: impl Fn(&Round) -> u64) -> u64 {
        self.rounds.iter().map(count).sum()
    }
}

impl Run {
    fn floor(&self) -> Spread {
        Spread::of(self.floors.iter().map(|floor| floor.per_second))
    }

    pub fn lost(&self) -> u64 {
        self.shapes.iter().map(|shaped| shaped.sum(|round| round.lost)).sum()
    }

    /// The gates of the shapes that ran. Medians are judged, except what must never happen.
    pub fn gates(&self) -> Vec<Gate> {
        let floor = self.floor().median;
        let at_most = |what, limit: f64, measured: f64| Gate {
            what,
            limit,
            measured,
            met: measured <= limit,
        };
        let mut gates = Vec::new();
        gates.extend(self.postgres_beside_sqlite());
        for shaped in self.on(Store::Sqlite) {
            match shaped.case.shape {
                Shape::One => {
                    let ratio = shaped.over(|round| round.delivered_per_second / floor).median;
                    gates.push(Gate {
                        what: "one: delivered/s over the floor, at least",
                        limit: 0.18,
                        measured: ratio,
                        met: ratio >= 0.18,
                    });
                    let cpu = shaped.over(|round| round.cpu_us).median;
                    gates.push(at_most("one: server CPU per delivery, µs, at most", 55.0, cpu));
                    // The same limit as a ratio: it was set where the floor makes 125,000 a second,
                    // and a slower hour makes both slower.
                    let limit = 55.0 * REFERENCE_FLOOR / 1e6;
                    let what = "one: server CPU per delivery x floor, at most";
                    gates.push(at_most(what, limit, cpu * floor / 1e6));
                    let ack = shaped.over(|round| round.ack.p99).median;
                    gates.push(at_most("one: ack p99, ms, at most", 12.0, ack));
                }
                Shape::Hanging => {
                    let p99 = shaped.over(|round| round.end_to_end.p99).median;
                    let what = "hanging: end-to-end p99 of the live ones, ms, at most";
                    gates.push(at_most(what, 500.0, p99));
                }
                Shape::Pending => {
                    let first = shaped
                        .over(|round| round.pending.map_or(0.0, |facts| facts.first_dispatch_ms))
                        .median;
                    let what = "pending: kill -9 to first dispatch, ms, at most";
                    gates.push(at_most(what, 2_000.0, first));
                }
                Shape::Source => {
                    let p99 = shaped
                        .over(|round| round.posts.map_or(f64::INFINITY, |facts| facts.ack.p99))
                        .median;
                    gates.push(at_most("source: ack p99 of posts, ms, at most", 50.0, p99));
                    let failed = shaped.sum(|round| round.posts.map_or(1, |facts| facts.failed));
                    gates.push(at_most(
                        "source: posts not answered 2xx, at most",
                        0.0,
                        failed as f64,
                    ));
                }
                Shape::Five | Shape::Paced | Shape::Failing | Shape::Wide | Shape::SourceGithub => {
                }
            }
        }
        gates.push(at_most("all: lost, at most", 0.0, self.lost() as f64));
        gates
    }

    fn on(&self, store: Store) -> impl Iterator<Item = &Shaped> {
        self.shapes.iter().filter(move |shaped| shaped.case.store == store)
    }

    /// If the shape `one` ran on both stores.
    fn postgres_beside_sqlite(&self) -> Option<Gate> {
        let rate = |store| {
            let shaped = self.on(store).find(|shaped| shaped.case.shape == Shape::One)?;
            Some(shaped.over(|round| round.delivered_per_second).median)
        };
        let measured = rate(Store::Postgres)? / rate(Store::Sqlite)?;
        let what = "one: delivered/s on PostgreSQL over SQLite, at least";
        Some(Gate { what, limit: 0.6, measured, met: measured >= 0.6 })
    }

    /// The whole run with every round, the summary of the floor, and the gates.
    pub fn json(&self) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Document<'a> {
            #[serde(flatten)]
            run: &'a Run,
            floor: Spread,
            gates: Vec<Gate>,
        }
        serde_json::to_string_pretty(&Document {
            run: self,
            floor: self.floor(),
            gates: self.gates(),
        })
    }

    /// The tables.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.head(&mut out);
        if !self.shapes.is_empty() {
            table(&mut out, &self.speed());
            table(&mut out, &self.cost());
            let database = self.database();
            if database.len() > 1 {
                table(&mut out, &database);
            }
            self.notes(&mut out);
            self.judged(&mut out);
        }
        out
    }

    fn head(&self, out: &mut String) {
        let Sizes { messages, connections, paced_seconds, hanging_seconds, .. } = self.sizes;
        let floor = self.floor();
        let took = Spread::of(self.floors.iter().map(|floor| floor.took.p99)).median;
        let _ = writeln!(out, "machine  {}, {}", self.machine, self.file_system);
        let _ = writeln!(out, "server   {}", self.server);
        let _ = writeln!(
            out,
            "load     {messages} messages flat out, {RATE}/s paced for {paced_seconds} s (hanging \
             {hanging_seconds} s), {connections} connections, 1 KiB, {} round(s)",
            self.rounds,
        );
        let _ = writeln!(
            out,
            "floor    {} /s median ({}-{}, {} runs), p99 {} ms",
            count(floor.median),
            count(floor.min),
            count(floor.max),
            self.floors.len(),
            number(took),
        );
        let _ = writeln!(
            out,
            "fsync    p50 {} ms, p99 {} ms (20 kB written and synced, between the rounds)",
            number(self.fsync.p50),
            number(self.fsync.p99),
        );
        if floor.max > QUIET * floor.min {
            let times = number(floor.max / floor.min);
            let _ =
                writeln!(out, "WARNING  floors differ {times} times: the machine was not quiet");
        }
        let _ = writeln!(out);
    }

    fn speed(&self) -> Vec<Vec<String>> {
        let mut rows = vec![words(
            "shape|delivered/s|ratio|ratio range|accepted/s|ack p50|p99|p99.9|e2e p50|p99|p99.9|\
             e2e p99 range|lost|dup",
        )];
        let floor = self.floor().median;
        for shaped in &self.shapes {
            let ratio = shaped.over(|round| round.delivered_per_second / floor);
            let flat_out = shaped.case.shape.is_flat_out();
            let only = |figure: String| if flat_out { figure } else { "-".into() };
            let ms = |figure: fn(&Round) -> f64| number(shaped.over(figure).median);
            let e2e = shaped.over(|round| round.end_to_end.p99);
            rows.push(vec![
                shaped.case.name(),
                count(shaped.over(|round| round.delivered_per_second).median),
                only(format!("{:.3}", ratio.median)),
                only(format!("{:.2}-{:.2}", ratio.min, ratio.max)),
                count(shaped.over(|round| round.accepted_per_second).median),
                ms(|round| round.ack.p50),
                ms(|round| round.ack.p99),
                ms(|round| round.ack.p999),
                ms(|round| round.end_to_end.p50),
                ms(|round| round.end_to_end.p99),
                ms(|round| round.end_to_end.p999),
                format!("{}-{}", number(e2e.min), number(e2e.max)),
                shaped.sum(|round| round.lost).to_string(),
                shaped.sum(|round| round.duplicated).to_string(),
            ]);
        }
        rows
    }

    fn cost(&self) -> Vec<Vec<String>> {
        let mut rows = vec![words(
            "shape|CPU µs|CPU range|bench µs|kB/msg|idle MiB|after|peak|start ms|503|failed",
        )];
        for shaped in &self.shapes {
            let cpu = shaped.over(|round| round.cpu_us);
            let median = |figure: fn(&Round) -> f64| number(shaped.over(figure).median);
            rows.push(vec![
                shaped.case.name(),
                number(cpu.median),
                format!("{}-{}", number(cpu.min), number(cpu.max)),
                median(|round| round.bench_cpu_us),
                median(|round| round.written_kb),
                median(|round| round.idle_mib),
                median(|round| round.after_mib),
                median(|round| round.peak_mib),
                median(|round| round.start_ms),
                shaped.sum(|round| round.refused).to_string(),
                shaped.sum(|round| round.failed).to_string(),
            ]);
        }
        rows
    }

    /// What the database server did, where there is one.
    fn database(&self) -> Vec<Vec<String>> {
        let mut rows = vec![words("database, per message|CPU µs|CPU range|log bytes|statements")];
        for shaped in self.on(Store::Postgres) {
            let over = |figure: fn(&Cost) -> f64| {
                shaped.over(|round| round.database.as_ref().map_or(0.0, figure))
            };
            let cpu = over(|cost| cost.cpu_us);
            rows.push(vec![
                shaped.case.name(),
                number(cpu.median),
                format!("{}-{}", number(cpu.min), number(cpu.max)),
                count(over(|cost| cost.wal_bytes).median),
                number(over(|cost| cost.statements).median),
            ]);
        }
        rows
    }

    fn notes(&self, out: &mut String) {
        for shaped in &self.shapes {
            let name = shaped.case.name();
            let median = |figure: fn(&Round) -> f64| number(shaped.over(figure).median);
            if shaped.rounds.iter().any(|round| round.retried.is_some()) {
                let _ = writeln!(
                    out,
                    "{name}: {} deliveries per round after a refusal, end to end p50 {} ms, p99 {} \
                     ms (not in the table above)",
                    median(|round| round.retried.map_or(0.0, |retried| retried.count as f64)),
                    median(|round| round.retried.map_or(0.0, |retried| retried.end_to_end.p50)),
                    median(|round| round.retried.map_or(0.0, |retried| retried.end_to_end.p99)),
                );
            }
            if let Some(facts) = shaped.rounds.iter().find_map(|round| round.hanging) {
                let _ = writeln!(
                    out,
                    "{name}: {} live endpoint(s), {} that never answer; {} messages accepted for \
                     the latter, {} attempts made",
                    self.sizes.live_endpoints, facts.endpoints, facts.accepted, facts.attempts,
                );
            }
            for facts in shaped.rounds.iter().filter_map(|round| round.pending) {
                let _ = writeln!(
                    out,
                    "{name}: {} accepted at {}/s for an endpoint that is {}; killed; listening \
                     again after {} ms, first dispatch to a live one after {} ms; the live one at \
                     {RATE}/s: ack p50/p99 {}/{} ms, end to end {}/{} ms",
                    facts.pending,
                    count(facts.accepted_per_second),
                    self.sizes.dead.name(),
                    number(facts.restart_ms),
                    number(facts.first_dispatch_ms),
                    number(facts.live_ack.p50),
                    number(facts.live_ack.p99),
                    number(facts.live_end_to_end.p50),
                    number(facts.live_end_to_end.p99),
                );
            }
            for facts in shaped.rounds.iter().filter_map(|round| round.posts) {
                let _ = writeln!(
                    out,
                    "{name}: {} of {} signed posts answered 2xx at {}/s while the endpoint was \
                     down: ack p50/p99/p99.9 {}/{}/{} ms, a bare server {}/{}/{} ms; killed; \
                     listening again after {} ms; all delivered {} ms after the endpoint was \
                     recovered",
                    facts.accepted,
                    facts.accepted + facts.failed,
                    count(facts.per_second.into()),
                    number(facts.ack.p50),
                    number(facts.ack.p99),
                    number(facts.ack.p999),
                    number(facts.bare.p50),
                    number(facts.bare.p99),
                    number(facts.bare.p999),
                    number(facts.restart_ms),
                    number(facts.recovered_ms),
                );
            }
            let failed = shaped.sum(|round| round.failed);
            if failed > 0 {
                let _ = writeln!(out, "{name}: {failed} messages were never acknowledged");
            }
            let misnamed = shaped.sum(|round| round.misnamed);
            if misnamed > 0 {
                let _ =
                    writeln!(out, "{name}: {misnamed} delivered under another id than promised");
            }
            if let Some(text) = shaped.rounds.iter().find_map(|round| round.complaint.as_ref()) {
                let _ = writeln!(out, "{name}: first unexpected answer: {text}");
            }
        }
        let _ = writeln!(out);
    }

    fn judged(&self, out: &mut String) {
        let mut rows = vec![words("gate|limit|measured|")];
        for gate in self.gates() {
            rows.push(vec![
                gate.what.into(),
                number(gate.limit),
                number(gate.measured),
                if gate.met { "met" } else { "NOT met" }.into(),
            ]);
        }
        table(out, &rows);
    }
}

fn words(line: &str) -> Vec<String> {
    line.split('|').map(str::to_owned).collect()
}

/// Aligned columns, the first to the left and the others to the right; then an empty line.
fn table(out: &mut String, rows: &[Vec<String>]) {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = width(column).unwrap_or_default();
            let _ = if column == 0 {
                write!(out, "{cell:<width$}")
            } else {
                write!(out, "  {cell:>width$}")
            };
        }
        let _ = writeln!(out);
    }
    let _ = writeln!(out);
}

/// Three digits that matter.
fn number(figure: f64) -> String {
    match figure.abs() {
        0.0 => "0".into(),
        size if size < 1.0 => format!("{figure:.3}"),
        size if size < 10.0 => format!("{figure:.2}"),
        size if size < 100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}

/// A whole number with its thousands apart.
fn count(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let check = |figure, expect: &str| assert_eq!(number(figure), expect);
        check(0.0, "0");
        check(0.1849, "0.185");
        check(3.456, "3.46");
        check(55.04, "55.0");
        check(1234.5, "1234");
        assert_eq!(count(125_000.4), "125,000");
        assert_eq!(count(999.0), "999");
    }

    #[test]
    fn columns_line_up() {
        let mut out = String::new();
        table(&mut out, &[words("shape|µs"), words("one|1234")]);
        assert_eq!(out, "shape    µs\none    1234\n\n");
    }
}
