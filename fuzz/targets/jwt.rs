//! Tokens: under a shared secret, under a set of keys that the fuzzer writes, and detached.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ringback_domain::provider::Provider;
use ringback_fuzz::{Input, judge, provider};

static SHARED: LazyLock<Provider> =
    LazyLock::new(|| provider(include_str!("../providers/jwt-shared.toml")));
static DETACHED: LazyLock<Provider> =
    LazyLock::new(|| provider(include_str!("../providers/jwt-detached.toml")));

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let (token, body, key) = (input.part(), input.part(), input.text());
    let headers = [("authorization", token), ("x-jws-signature", token)];
    judge(&SHARED, &headers, "", body, &key);
    judge(&DETACHED, &headers, "", body, &key);
});
