//! AWS Signature Version 4, for requests with a body in one piece.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use url::Url;

use crate::time::Timestamp;

/// Who signs, and for which service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signer<'a> {
    pub(super) access_key_id: &'a str,
    pub(super) secret_access_key: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a Url,
    /// Names in lower case; all of them are signed, and so is `host`.
    pub(super) headers: &'a [(String, String)],
    pub(super) body: &'a [u8],
}

impl Signer<'_> {
    /// The headers to add: `x-amz-date` and `authorization`.
    pub(super) fn sign(&self, request: &Request<'_>, now: Timestamp) -> Vec<(String, String)> {
        let time = time(now);
        let day = &time[..8];
        let host = match (request.url.host_str(), request.url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let own = [("host".to_owned(), host), ("x-amz-date".to_owned(), time.clone())];
        let mut headers: Vec<&(String, String)> = request.headers.iter().chain(&own).collect();
        headers.sort_unstable();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");

        let path = if request.url.path().is_empty() { "/" } else { request.url.path() };
        let mut query: Vec<&str> = request
            .url
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|it| !it.is_empty())
            .collect();
        query.sort_unstable();
        let mut canonical = format!("{}\n{path}\n{}\n", request.method, query.join("&"));
        for (name, value) in headers {
            // Writing to a string cannot fail.
            let _ = writeln!(canonical, "{name}:{}", value.trim());
        }
        let _ = write!(canonical, "\n{names}\n{}", hash(request.body));

        let Signer { access_key_id, region, service, .. } = self;
        let scope = format!("{day}/{region}/{service}/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
        let mut key = format!("AWS4{}", self.secret_access_key).into_bytes();
        for step in [day, region, service, "aws4_request"] {
            key = mac(&key, step);
        }
        let signature = HEXLOWER.encode(&mac(&key, &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={access_key_id}/{scope}, SignedHeaders={names}, \
             Signature={signature}"
        );
        vec![("x-amz-date".to_owned(), time), ("authorization".to_owned(), authorization)]
    }
}

/// SHA-256, in hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// `20150830T123600Z`.
fn time(now: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNER: Signer<'static> = Signer {
        access_key_id: "AKIDEXAMPLE",
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
        service: "service",
    };

    /// From the test suite that AWS publishes for the signature (`post-x-www-form-urlencoded`,
    /// `get-vanilla-query-order-key-case`).
    #[test]
    fn known_answers() {
        let check = |method, url: &str, headers: &[(String, String)], body: &[u8], expect: &str| {
            let url = Url::parse(url).unwrap();
            let request = Request { method, url: &url, headers, body };
            let now = Timestamp(1_440_938_160_000);
            let signed = SIGNER.sign(&request, now);
            assert_eq!(signed[0].1, "20150830T123600Z");
            assert!(signed[1].1.ends_with(expect), "{}", signed[1].1);
        };
        let form = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        check(
            "POST",
            "https://example.amazonaws.com/",
            &form,
            b"Param1=value1",
            "Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        );
        check(
            "GET",
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            &[],
            b"",
            "Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        );
        check(
            "GET",
            "https://example.amazonaws.com",
            &[],
            b"",
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        );
    }
}
