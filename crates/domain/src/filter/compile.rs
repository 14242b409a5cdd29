//! From JSON to an expression, or to the place where it is wrong.

use regex::RegexBuilder;
use serde_json::{Map, Value};

use super::{
    DEPTH, Expression, LENGTH, NODES, REGEX_BYTES,
    number::is_inexact,
    pattern::{Object, Operand, Order, Part, Pattern, Rule, Side, Test, Wanted},
    reference::Reference,
};

const OPERATORS: &str = "$eq, $neq, $gt, $gte, $lt, $lte, $in, $nin, $startsWith, $endsWith, \
                         $regex, $exist, $ref, $and, $or and $not";

/// A filter that cannot be, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wrong} (at {})", if place.is_empty() { "the top" } else { place })]
pub struct Mistake {
    /// A JSON Pointer (RFC 6901) into the filter: `/body/amount/$gte`.
    pub place: String,
    /// What is wrong there.
    pub wrong: Wrong,
}

/// What can be wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The text is no JSON.
    #[error("not JSON: {0}")]
    Json(String),
    /// The whole filter, or what `$and`, `$or` and `$not` of it hold, is something else.
    #[error("expected an object with `headers`, `body`, `query` or `path`")]
    Rule,
    /// A name at the top that is no part of a message.
    #[error("unknown part `{0}`: a filter looks at `headers`, `body`, `query` and `path`")]
    Part(String),
    /// An operator that compares, where a message as a whole stands.
    #[error("`{0}` belongs inside `headers`, `body`, `query` or `path`")]
    Misplaced(String),
    /// An operator that does not exist.
    #[error("unknown operator `{0}`: there are {OPERATORS}")]
    Operator(String),
    /// An operator takes something else.
    #[error("`{operator}` takes {takes}")]
    Operand {
        /// Which.
        operator: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// A path that cannot be read.
    #[error("`$ref` takes a path such as `order.items[0].sku`")]
    Reference,
    /// A pattern that cannot be compiled.
    #[error("no regular expression: {0}")]
    Regex(String),
    /// An integer that doubles cannot tell from others.
    #[error("a number of more than 64 bits cannot be compared exactly")]
    Inexact,
    /// Longer than [`LENGTH`].
    #[error("longer than {LENGTH} bytes")]
    Length,
    /// Deeper than [`DEPTH`].
    #[error("nested deeper than {DEPTH} levels")]
    Depth,
    /// More values than [`NODES`].
    #[error("more than {NODES} values")]
    Nodes,
}

impl Expression {
    /// Compiles a filter from its text.
    ///
    /// # Errors
    /// [`Mistake`], with its place.
    pub fn parse(text: &str) -> Result<Expression, Mistake> {
        let wrong = |error: serde_json::Error| Wrong::Json(error.to_string());
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Mistake { place: String::new(), wrong: wrong(error) })?;
        Expression::compile(&value)
    }

    /// Compiles a filter.
    ///
    /// # Errors
    /// [`Mistake`], with its place.
    pub fn compile(filter: &Value) -> Result<Expression, Mistake> {
        let mut compiler = Compiler { place: Vec::new(), depth: 0, nodes: 0 };
        if filter.to_string().len() > LENGTH {
            return Err(compiler.mistake(Wrong::Length));
        }
        Ok(Expression { rule: compiler.rule(filter)? })
    }
}

/// Walks a filter and keeps track of where it is.
struct Compiler {
    place: Vec<String>,
    depth: usize,
    nodes: usize,
}

impl Compiler {
    fn rule(&mut self, value: &Value) -> Result<Rule, Mistake> {
        let Value::Object(object) = value else { return Err(self.mistake(Wrong::Rule)) };
        self.enter(value, |this| {
            let mut rule = Rule::default();
            for (key, value) in object {
                this.at(key, |this| this.add_to_rule(&mut rule, key, value))?;
            }
            Ok(rule)
        })
    }

    fn add_to_rule(&mut self, rule: &mut Rule, key: &str, value: &Value) -> Result<(), Mistake> {
        if let Some(part) = Part::ALL.into_iter().find(|part| part.name() == key) {
            let position = if part == Part::Headers { Position::Headers } else { Position::Inside };
            rule.parts.push((part, self.pattern(value, In { part, position })?));
            return Ok(());
        }
        match key {
            "$or" => rule.or = Some(self.list("$or", value, Self::rule)?),
            "$and" => rule.and = self.list("$and", value, Self::rule)?,
            "$not" => rule.not = Some(Box::new(self.rule(value)?)),
            _ if OPERATORS.split([',', ' ']).any(|known| known == key) => {
                return Err(self.mistake(Wrong::Misplaced(key.to_owned())));
            }
            _ if key.starts_with('$') => {
                return Err(self.mistake(Wrong::Operator(key.to_owned())));
            }
            _ => return Err(self.mistake(Wrong::Part(key.to_owned()))),
        }
        Ok(())
    }

    fn pattern(&mut self, value: &Value, within: In) -> Result<Pattern, Mistake> {
        match value {
            Value::Array(items) => self.enter(value, |this| {
                let inside = In { position: Position::Inside, ..within };
                Ok(Pattern::Each(this.each(items, |this, item| this.pattern(item, inside))?))
            }),
            Value::Object(object) => self.enter(value, |this| {
                let mut pattern = Object::default();
                for (key, value) in object {
                    this.at(key, |this| this.add_to_object(&mut pattern, key, value, within))?;
                }
                pattern.about.object = !pattern.about.fields.is_empty() || object.is_empty();
                Ok(Pattern::Object(pattern))
            }),
            scalar => Ok(Pattern::Scalar(self.constant(scalar)?)),
        }
    }

    fn add_to_object(
        &mut self,
        object: &mut Object,
        key: &str,
        value: &Value,
        within: In,
    ) -> Result<(), Mistake> {
        let pattern = |this: &mut Self, value: &Value| this.pattern(value, within);
        match key {
            "$or" => object.about.or = Some(self.list("$or", value, pattern)?),
            "$and" => object.about.and = self.list("$and", value, pattern)?,
            "$not" => object.not = Some(Box::new(pattern(self, value)?)),
            "$ref" => object.same = Some(self.reference(value, within.part)?),
            _ if key.starts_with('$') => {
                let test = self.test(key, value, within.part)?;
                object.tests.push(test);
            }
            _ => {
                // Names of headers have no case.
                let header = within.position == Position::Headers;
                let name = if header { key.to_ascii_lowercase() } else { key.to_owned() };
                let inside = In { position: Position::Inside, ..within };
                object.about.fields.push((name.into(), self.pattern(value, inside)?));
            }
        }
        Ok(())
    }

    fn test(&mut self, key: &str, value: &Value, part: Part) -> Result<Test, Mistake> {
        let takes = |operator, takes| Wrong::Operand { operator, takes };
        let ordered = |value: &Value| value.is_number() || value.is_string();
        let scalar = |value: &Value| !value.is_array() && !value.is_object();
        let order = |this: &mut Self, order, operator| {
            let wrong = takes(operator, "a number or a text");
            Ok(Test::Order(order, this.operand(value, part, ordered, wrong)?))
        };
        let member = |this: &mut Self, wanted, operator| {
            let wrong = takes(operator, "a value or an array of values, none of them nested");
            Ok(Test::In(wanted, this.operand(value, part, one_or_many(scalar), wrong)?))
        };
        let affix = |this: &mut Self, side, operator| {
            let wrong = takes(operator, "a text or an array of texts");
            let texts = one_or_many(Value::is_string);
            Ok(Test::Affix(side, this.operand(value, part, texts, wrong)?))
        };
        let equal = |this: &mut Self, wanted| {
            // Never refused: every value can be compared.
            Ok(Test::Equal(wanted, this.operand(value, part, |_| true, Wrong::Rule)?))
        };
        match key {
            "$eq" => equal(self, Wanted::Yes),
            "$neq" => equal(self, Wanted::No),
            "$gt" => order(self, Order::Greater, "$gt"),
            "$gte" => order(self, Order::GreaterOrEqual, "$gte"),
            "$lt" => order(self, Order::Less, "$lt"),
            "$lte" => order(self, Order::LessOrEqual, "$lte"),
            "$in" => member(self, Wanted::Yes, "$in"),
            "$nin" => member(self, Wanted::No, "$nin"),
            "$startsWith" => affix(self, Side::Start, "$startsWith"),
            "$endsWith" => affix(self, Side::End, "$endsWith"),
            "$exist" => match self.constant(value)? {
                Value::Bool(exist) => Ok(Test::Exist(exist)),
                _ => Err(self.mistake(takes("$exist", "true or false"))),
            },
            "$regex" => match self.constant(value)? {
                Value::String(pattern) => self.regex(&pattern),
                _ => Err(self.mistake(takes("$regex", "a text"))),
            },
            _ => Err(self.mistake(Wrong::Operator(key.to_owned()))),
        }
    }

    /// The engine takes time linear in the text, whatever the pattern.
    fn regex(&self, pattern: &str) -> Result<Test, Mistake> {
        RegexBuilder::new(pattern)
            .size_limit(REGEX_BYTES)
            .build()
            .map(Test::Regex)
            .map_err(|error| self.mistake(Wrong::Regex(reason(&error))))
    }

    /// A value to compare with, or a reference to one.
    fn operand(
        &mut self,
        value: &Value,
        part: Part,
        fits: impl Fn(&Value) -> bool,
        wrong: Wrong,
    ) -> Result<Operand, Mistake> {
        if let Value::Object(object) = value
            && let Some((path, 1)) = object.get("$ref").map(|path| (path, object.len()))
        {
            return self.enter(value, |this| {
                this.at("$ref", |this| Ok(Operand::Reference(this.reference(path, part)?)))
            });
        }
        if !fits(value) {
            return Err(self.mistake(wrong));
        }
        self.constant(value).map(Operand::Value)
    }

    fn reference(&mut self, value: &Value, part: Part) -> Result<Reference, Mistake> {
        let path = self.constant(value)?;
        let reference = path.as_str().and_then(|path| Reference::parse(path, part));
        reference.ok_or_else(|| self.mistake(Wrong::Reference))
    }

    /// A value that means itself, whatever it holds.
    fn constant(&mut self, value: &Value) -> Result<Value, Mistake> {
        self.enter(value, |this| {
            match value {
                Value::Number(number) if is_inexact(number) => {
                    return Err(this.mistake(Wrong::Inexact));
                }
                Value::Array(items) => {
                    this.each(items, Self::constant)?;
                }
                Value::Object(object) => check_all(this, object)?,
                _ => {}
            }
            Ok(value.clone())
        })
    }

    /// The operands of `$or` and `$and`.
    fn list<T>(
        &mut self,
        operator: &'static str,
        value: &Value,
        item: impl FnMut(&mut Self, &Value) -> Result<T, Mistake>,
    ) -> Result<Vec<T>, Mistake> {
        let takes = "an array with at least one filter";
        match value {
            Value::Array(items) if !items.is_empty() => {
                self.enter(value, |this| this.each(items, item))
            }
            _ => Err(self.mistake(Wrong::Operand { operator, takes })),
        }
    }

    fn each<T>(
        &mut self,
        items: &[Value],
        mut item: impl FnMut(&mut Self, &Value) -> Result<T, Mistake>,
    ) -> Result<Vec<T>, Mistake> {
        let one =
            |(index, value): (usize, &Value)| self.at(&index.to_string(), |this| item(this, value));
        items.iter().enumerate().map(one).collect()
    }

    /// Counts a value, and the level that it opens.
    fn enter<T>(
        &mut self,
        value: &Value,
        inside: impl FnOnce(&mut Self) -> Result<T, Mistake>,
    ) -> Result<T, Mistake> {
        let level = usize::from(value.is_array() || value.is_object());
        self.nodes += 1;
        self.depth += level;
        if self.nodes > NODES {
            return Err(self.mistake(Wrong::Nodes));
        }
        if self.depth > DEPTH {
            return Err(self.mistake(Wrong::Depth));
        }
        let result = inside(self);
        self.depth -= level;
        result
    }

    fn at<T>(
        &mut self,
        key: &str,
        inside: impl FnOnce(&mut Self) -> Result<T, Mistake>,
    ) -> Result<T, Mistake> {
        self.place.push(key.replace('~', "~0").replace('/', "~1"));
        let result = inside(self);
        self.place.pop();
        result
    }

    fn mistake(&self, wrong: Wrong) -> Mistake {
        let place = self.place.iter().flat_map(|key| ["/", key]).collect();
        Mistake { place, wrong }
    }
}

/// Where a pattern stands.
#[derive(Clone, Copy)]
struct In {
    part: Part,
    position: Position,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Its fields are names of headers.
    Headers,
    Inside,
}

fn check_all(compiler: &mut Compiler, object: &Map<String, Value>) -> Result<(), Mistake> {
    object
        .iter()
        .try_for_each(|(key, value)| compiler.at(key, |this| this.constant(value)).map(drop))
}

fn one_or_many(one: impl Fn(&Value) -> bool) -> impl Fn(&Value) -> bool {
    move |value| value.as_array().map_or_else(|| one(value), |items| items.iter().all(&one))
}

/// In one line: the crate draws a picture of where the pattern is wrong.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => format!("it takes more than {REGEX_BYTES} bytes"),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    }
}
