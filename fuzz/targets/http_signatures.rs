//! HTTP Message Signatures (RFC 9421), and the draft before them.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ringback_domain::provider::Provider;
use ringback_fuzz::{Input, judge, provider};

static RFC9421: LazyLock<Provider> =
    LazyLock::new(|| provider(include_str!("../providers/rfc9421.toml")));
static CAVAGE: LazyLock<Provider> =
    LazyLock::new(|| provider(include_str!("../providers/cavage.toml")));

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let headers = [
        ("signature-input", input.part()),
        ("signature", input.part()),
        ("content-digest", input.part()),
        ("digest", input.part()),
        ("date", input.part()),
    ];
    let (query, body) = (input.text(), input.part());
    judge(&RFC9421, &headers, &query, body, "");
    judge(&CAVAGE, &headers, &query, body, "");
});
