//! An operation with values: the request that asks for it.

use serde_json::{Map, Value};

use super::{Operation, Parameter, Place};

/// A request to a server's API.
#[derive(Debug, PartialEq)]
pub struct Ask {
    /// Path and query.
    pub path: String,
    /// Headers that the operation takes, by name.
    pub headers: Vec<(String, String)>,
    /// The body; none if nothing was given for it.
    pub body: Option<Value>,
}

/// Why values make no request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A needed parameter has no value.
    #[error("{operation} needs {name}: {description}")]
    Missing {
        /// What was asked for.
        operation: String,
        /// What it lacks.
        name: String,
        /// What that is for.
        description: String,
    },
    /// A parameter that the operation does not have.
    #[error("{operation} has no parameter {name:?}; it takes {known}")]
    Unknown {
        /// What was asked for.
        operation: String,
        /// What it does not know.
        name: String,
        /// What it does.
        known: String,
    },
}

/// The request that asks for `operation` with these parameters, several of a name in order.
///
/// # Errors
/// [`Unfit`].
pub fn ask(
    operation: &Operation,
    values: &[(String, String)],
    body: Option<Value>,
) -> Result<Ask, Unfit> {
    for (name, _) in values {
        if !operation.parameters.iter().any(|one| one.name == *name) {
            return Err(unknown(operation, name));
        }
    }
    let given = |one: &Parameter| -> Vec<&str> {
        values.iter().filter(|(name, _)| *name == one.name).map(|(_, value)| &**value).collect()
    };
    let mut path = operation.path.clone();
    for one in operation.parameters(Place::Path) {
        let value = given(one).into_iter().next_back().filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| Unfit::Missing {
            operation: operation.id.clone(),
            name: one.name.clone(),
            description: one.description.clone(),
        })?;
        path = path.replace(&format!("{{{}}}", one.name), &segment(value));
    }
    let mut mark = '?';
    for one in operation.parameters(Place::Query) {
        for value in given(one) {
            path.push(mark);
            path.push_str(&format!("{}={}", segment(&one.name), segment(value)));
            mark = '&';
        }
    }
    let headers = operation
        .parameters(Place::Header)
        .flat_map(|one| given(one).into_iter().map(|value| (one.name.clone(), value.to_owned())));
    Ok(Ask { path, headers: headers.collect(), body })
}

/// Says what there is instead of a name that there is not.
fn unknown(operation: &Operation, name: &str) -> Unfit {
    let known: Vec<&str> = operation.parameters.iter().map(|one| &*one.name).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Unfit::Unknown { operation: operation.id.clone(), name: name.to_owned(), known }
}

/// The fields of an operation's body, by name; none where it is no object.
pub fn fields(operation: &Operation) -> Option<&Map<String, Value>> {
    operation.body.as_ref()?.schema["properties"].as_object()
}

/// Whatever was given stays one segment of the path, or one value of the query.
pub fn segment(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    match text {
        // A client or a proxy between may take these for steps in the path.
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        other => other.bytes().map(byte).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::find;

    fn pairs(values: &[(&str, &str)]) -> Vec<(String, String)> {
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_go_where_they_belong() {
        let check = |id: &str, values: &[(&str, &str)], path: &str, headers: &[(&str, &str)]| {
            let made = ask(find(id).unwrap(), &pairs(values), None).unwrap();
            assert_eq!((&*made.path, made.headers), (path, pairs(headers)));
        };
        check("application.get", &[("app_id", "../x?y")], "/api/v1/app/..%2Fx%3Fy", &[]);
        check("application.get", &[("app_id", "..")], "/api/v1/app/%2E%2E", &[]);
        check(
            "source_request.list",
            &[("status", "stale"), ("source_id", "s"), ("status", "accepted"), ("limit", "5")],
            "/ingest/api/v1/source/s/request?limit=5&status=stale&status=accepted",
            &[],
        );
        let wait = [("callback_id", "c"), ("prefer", "wait=5")];
        check("callback.result", &wait, "/api/v1/callback/c/result", &[("prefer", "wait=5")]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let operation = find("message.get").unwrap();
        let said = |values| ask(operation, &pairs(values), None).unwrap_err().to_string();
        let known = "it takes app_id, msg_id, with_content";
        let unknown = said(&[("app", "a")]);
        assert_eq!(unknown, format!("message.get has no parameter \"app\"; {known}"));
        assert!(said(&[("app_id", "a")]).starts_with("message.get needs msg_id"));
        assert!(said(&[("app_id", ""), ("msg_id", "m")]).contains("needs app_id"));
    }
}
