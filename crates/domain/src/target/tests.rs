//! URLs as data: what they are normalised to, what is wrong with them.

use proptest::prelude::*;

use super::*;

const ANY: Rules = Rules { require_https: false };
const HTTPS: Rules = Rules { require_https: true };

fn parse(text: &str) -> Target {
    Target::parse(text, ANY).unwrap()
}

#[test]
fn the_parts() {
    let target = parse("https://User:p%40ss@Example.COM:8443/a/../b c?x=1&y='\"é");
    let expect = Target {
        scheme: Scheme::Https,
        host: Host::Domain("example.com".into()),
        port: 8443,
        host_header: "example.com:8443".into(),
        path_and_query: "/b%20c?x=1&y=%27%22%C3%A9".into(),
        display: "https://example.com:8443/b%20c?x=1&y=%27%22%C3%A9".into(),
        credentials: Some(Basic { pair: Zeroizing::new(b"User:p@ss".to_vec()) }),
    };
    assert_eq!(target, expect);
}

#[test]
fn ports_and_paths() {
    for (text, port, host_header, path_and_query) in [
        ("https://example.com", 443, "example.com", "/"),
        ("https://example.com:443/", 443, "example.com", "/"),
        ("http://example.com?q", 80, "example.com", "/?q"),
        ("http://example.com:80/a", 80, "example.com", "/a"),
        ("http://example.com:443", 443, "example.com:443", "/"),
        ("https://example.com:65535/?", 65535, "example.com:65535", "/?"),
        ("https://[2606:4700::1]/", 443, "[2606:4700::1]", "/"),
        ("https://[2606:4700::1]:8443/", 8443, "[2606:4700::1]:8443", "/"),
        ("  https:\\\\example.com\\a ", 443, "example.com", "/a"),
    ] {
        let target = parse(text);
        assert_eq!(target.port, port, "{text}");
        assert_eq!(target.host_header, host_header, "{text}");
        assert_eq!(target.path_and_query, path_and_query, "{text}");
        assert_eq!(target.credentials, None, "{text}");
    }
}

#[test]
fn names() {
    for (host, expect) in [
        ("EXAMPLE.com.", "example.com."),
        ("bücher.example", "xn--bcher-kva.example"),
        ("ｅｘａｍｐｌｅ.com", "example.com"),
        ("ex%61mple.com", "example.com"),
        ("a_b.example", "a_b.example"),
        ("localhost", "localhost"),
        ("127.0.0.1.nip.io", "127.0.0.1.nip.io"),
    ] {
        let target = parse(&format!("https://{host}/"));
        assert_eq!(target.host, Host::Domain(expect.into()), "{host}");
    }
}

#[test]
fn every_notation_of_an_address_is_that_address() {
    for (host, expect) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.1", "127.0.0.1"),
        ("0x7f.0.0.0x1", "127.0.0.1"),
        ("１２７.０.０.１", "127.0.0.1"),
        ("127。0。0。1", "127.0.0.1"),
        ("%31%32%37.0.0.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("[::1]", "::1"),
        ("[0:0::0001]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
    ] {
        let target = parse(&format!("https://{host}/"));
        assert_eq!(target.host, Host::Ip(expect.parse().unwrap()), "{host}");
    }
}

#[test]
fn credentials_become_a_header() {
    for (userinfo, expect) in [
        ("user:secret", Some("user:secret")),
        ("user", Some("user:")),
        (":secret", Some(":secret")),
        ("user:a:b", Some("user:a:b")),
        ("%75ser:%zz%4", Some("user:%zz%4")),
        ("us%C3%A9r:%00", Some("us\u{e9}r:\0")),
        ("", None),
        (":", None),
    ] {
        let target = parse(&format!("https://{userinfo}@example.com/"));
        assert_eq!(target.display, "https://example.com/", "{userinfo}");
        assert_eq!(target.host_header, "example.com", "{userinfo}");
        let value = target.credentials.map(|basic| basic.header_value().to_string());
        let expect = expect.map(|pair| format!("Basic {}", BASE64.encode(pair.as_bytes())));
        assert_eq!(value, expect, "{userinfo}");
    }
    let target = parse("https://user:secret@example.com/");
    assert!(!format!("{target:?}").contains("secret"));
}

#[test]
fn one_error_per_cause() {
    let fits = format!("https://example.com/{}", "x".repeat(MAX_LEN - 20));
    assert_eq!(parse(&fits).display.len(), MAX_LEN);
    // Short as given, too long when escaped.
    let swells = format!("https://example.com/{}", "é".repeat(400));
    let long_label = format!("https://{}.com/", "x".repeat(64));
    let long_name = format!("https://{}com/", "x.".repeat(126));
    for (text, expect) in [
        (format!("{fits}x").as_str(), TargetError::TooLong),
        (&swells, TargetError::TooLong),
        ("https://example.com/\n", TargetError::ControlCharacter),
        ("https://exam\tple.com/", TargetError::ControlCharacter),
        ("https://example.com/\u{85}", TargetError::ControlCharacter),
        ("", TargetError::NotAbsolute),
        ("/hook", TargetError::NotAbsolute),
        ("example.com/hook", TargetError::NotAbsolute),
        ("ftp://example.com/", TargetError::Scheme),
        ("file:///etc/passwd", TargetError::Scheme),
        ("javascript:alert(1)", TargetError::Scheme),
        ("localhost:8080", TargetError::Scheme),
        ("https://", TargetError::NoHost),
        ("https://?x", TargetError::NoHost),
        ("https://user@/", TargetError::NoHost),
        ("https://256.1.1.1/", TargetError::Host),
        ("https://1.2.3.4.5/", TargetError::Host),
        ("https://[::1", TargetError::Host),
        ("https://[fe80::1%25eth0]/", TargetError::Host),
        ("https://a b.com/", TargetError::Host),
        ("https://a..com/", TargetError::Host),
        ("https://./", TargetError::Host),
        ("https://xn--a/", TargetError::Host),
        (&long_label, TargetError::Host),
        (&long_name, TargetError::Host),
        ("https://example.com:0/", TargetError::Port),
        ("https://example.com:65536/", TargetError::Port),
        ("https://example.com:http/", TargetError::Port),
        ("https://example.com/#", TargetError::Fragment),
        ("https://example.com/#top", TargetError::Fragment),
        ("https://a%3Ab:c@example.com/", TargetError::Credentials),
    ] {
        assert_eq!(Target::parse(text, ANY), Err(expect), "{text}");
    }
    assert_eq!(Target::parse("http://example.com/", HTTPS), Err(TargetError::NotHttps));
    assert_eq!(parse("http://example.com/").scheme, Scheme::Http);
    Target::parse("https://example.com/", HTTPS).unwrap();
}

proptest! {
    /// What is stored reads back as itself, and can go into a request line as it is.
    #[test]
    fn the_display_form_is_a_fixed_point(
        text in "(http|https)://([a-zé%0-9.:@\\[\\]]{0,10}@)?[a-z0-9.\\[:\\]x]{1,12}(:[0-9]{1,5})?[ -~é]{0,40}",
    ) {
        let Ok(target) = Target::parse(&text, ANY) else { return Ok(()) };
        let again = parse(&target.display);
        prop_assert_eq!(&again.credentials, &None);
        prop_assert_eq!(again, Target { credentials: None, ..target.clone() });
        prop_assert!(target.path_and_query.starts_with('/'));
        prop_assert!(target.display.bytes().all(|byte| byte.is_ascii_graphic()));
    }

    #[test]
    fn any_text_is_survived(text in ".{0,80}", userinfo in ".{0,20}") {
        let _ = Target::parse(&text, ANY);
        let _ = Target::parse(&format!("https://{userinfo}@example.com/"), ANY);
    }
}
