//! Recognises the hot route before any router is asked.

use http::{Method, Request};

/// The application's id or uid, if this is `POST /api/v1/app/{app_id}/msg`. Whatever looks unusual
/// (escapes, doubled slashes) is left to the router, which serves the same door.
pub fn route<B>(request: &Request<B>) -> Option<&str> {
    if request.method() != Method::POST {
        return None;
    }
    let rest = request.uri().path().strip_prefix("/api/v1/app/")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let application = rest.strip_suffix("/msg")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!application.is_empty() && application.bytes().all(plain)).then_some(application)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hot_route() {
        for (method, path, expect) in [
            ("POST", "/api/v1/app/app_1/msg", Some("app_1")),
            ("POST", "/api/v1/app/my-uid.x/msg/", Some("my-uid.x")),
            ("POST", "/api/v1/app/a/msg?with_content=false", Some("a")),
            ("GET", "/api/v1/app/app_1/msg", None),
            ("POST", "/api/v1/app//msg", None),
            ("POST", "/api/v1/app/msg", None),
            ("POST", "/api/v1/app/a/msg/m", None),
            ("POST", "/api/v1/app/a%2Fb/msg", None),
            ("POST", "/api/v1/app/a/endpoint/msg", None),
            ("POST", "/api/v1/app/a/msg//", None),
        ] {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            assert_eq!(route(&request), expect, "{method} {path}");
        }
    }
}
