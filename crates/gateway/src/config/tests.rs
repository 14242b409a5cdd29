use std::path::PathBuf;
use std::time::Duration;

use super::*;

/// Loads a file's text, variables as `NAME=value` and flags, in the `serve` profile.
fn load(file: &str, env: &[&str], flags: &[Flag]) -> Result<Loaded, Error> {
    let env = env.iter().filter_map(|pair| pair.split_once('='));
    Config::load(Sources {
        profile: Profile::Serve,
        file: Some(File { path: PathBuf::from("ringback.toml"), text: file.to_owned() }),
        env: env.map(|(name, value)| (name.into(), value.into())).collect(),
        flags: flags.to_vec(),
    })
}

fn listen_flag(value: &str) -> Flag {
    Flag { name: "--listen", setting: "listen", value: value.to_owned() }
}

#[test]
fn later_layers_win() {
    let file = "listen = \"127.0.0.1:1\"\n[delivery]\ntimeout = 3\nconnect_timeout = 1.5\n";
    let env = ["RINGBACK_LISTEN=127.0.0.1:2", "RINGBACK_DELIVERY_TIMEOUT=4"];
    let config = load(file, &env, &[listen_flag("127.0.0.1:3")]).unwrap().config;
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.delivery.timeout, Duration::from_secs(4));
    assert_eq!(config.delivery.connect_timeout, Duration::from_millis(1500));
    assert_eq!(config.delivery.in_flight_per_endpoint, 32);
}

#[test]
fn profiles_differ_in_what_may_be_dialled() {
    let serve = Config::defaults(Profile::Serve).delivery;
    let dev = Config::defaults(Profile::Dev).delivery;
    assert!(serve.require_https && serve.allow_cidrs.is_empty());
    assert!(!dev.require_https);
    assert_eq!(format!("{:?}", dev.allow_cidrs), "[127.0.0.0/8, ::1/128]");
}

#[test]
fn the_default_schedule_is_ten_attempts_over_three_days() {
    let schedule = Config::default().delivery.retry_schedule;
    assert_eq!(schedule.len() + 1, 10);
    assert_eq!(schedule.iter().sum::<Duration>().as_secs() / 3600, 75);
}

#[test]
fn variables_are_read() {
    fn check(variable: &str, shown: &str) {
        let loaded = load("", &[variable], &[]).unwrap();
        let line = format!("{shown} # {}", variable.split('=').next().unwrap());
        let dump = loaded.dump();
        assert!(dump.lines().any(|candidate| candidate == line), "{line:?} is not in\n{dump}");
    }
    check("RINGBACK_LISTEN=[::1]:0", r#"listen = "[::1]:0""#);
    check("RINGBACK_DATA=/srv/ringback", r#"data = "/srv/ringback""#);
    check("RINGBACK_DELIVERY_RETRY_SCHEDULE=1, 2,0.5", "retry_schedule = [1, 2, 0.5]");
    check("RINGBACK_DELIVERY_RETRY_SCHEDULE=", "retry_schedule = []");
    check("RINGBACK_DELIVERY_REQUIRE_HTTPS=false", "require_https = false");
    check(
        "RINGBACK_DELIVERY_ALLOW_CIDRS=10.0.0.0/8,::1",
        r#"allow_cidrs = ["10.0.0.0/8", "::1/128"]"#,
    );
    check(
        "RINGBACK_DELIVERY_NAME_SERVERS=127.0.0.1:5353,9.9.9.9",
        r#"name_servers = ["127.0.0.1:5353", "9.9.9.9:53"]"#,
    );
    check("RINGBACK_DELIVERY_ALLOWED_PORTS=443,8000-9000", r#"allowed_ports = [443, "8000-9000"]"#);
    check(
        "RINGBACK_DELIVERY_DESTINATION_HOSTS=DB.example.com:5432,[::1]:*",
        r#"destination_hosts = ["db.example.com:5432", "[::1]:*"]"#,
    );
    check("RINGBACK_DELIVERY_MAX_CONNECTIONS=100", "max_connections = 100");
    check("RINGBACK_DELIVERY_MAX_CONNECTIONS=", "# max_connections is unset");
    check("RINGBACK_BOOTSTRAP_TOKEN=made-up-0123456789", "# bootstrap_token is not shown");
    check("RINGBACK_STORE=postgres://made:up@db/ringback", "# url is not shown");
    check("RINGBACK_STORE=", "# url is unset");
    check("RINGBACK_LOG_FORMAT=json", r#"format = "json""#);
    check("RINGBACK_LOG_LEVEL=info,ringback=debug", r#"level = "info,ringback=debug""#);
}

#[test]
fn wrong_settings_are_named() {
    fn check(file: &str, env: &[&str], expected: &str) {
        let error = load(file, env, &[]).expect_err("must be refused");
        assert_eq!(error.to_string(), format!("wrong setting: {expected}"));
    }
    let variable = |name_and_value: &str, expected: &str| check("", &[name_and_value], expected);

    variable(
        "RINGBACK_DELIVERY_TIMEOUT=soon",
        "RINGBACK_DELIVERY_TIMEOUT: delivery.timeout must be a number of seconds, found \"soon\"",
    );
    variable(
        "RINGBACK_DELIVERY_TIMEOUT=-1",
        "RINGBACK_DELIVERY_TIMEOUT: delivery.timeout must be a number of seconds from 0 on, \
         found -1",
    );
    variable(
        "RINGBACK_DELIVERY_TIMEOUT=301",
        "RINGBACK_DELIVERY_TIMEOUT: delivery.timeout must be 0.1 s to 300 s, found 301 s",
    );
    variable("RINGBACK_DATA=", "RINGBACK_DATA: data is empty");
    variable(
        "RINGBACK_DELIVERY_TIMOUT=1",
        "RINGBACK_DELIVERY_TIMOUT: is no known variable, did you mean RINGBACK_DELIVERY_TIMEOUT?",
    );
    variable("RINGBACK_ENTIRELY_ELSE=1", "RINGBACK_ENTIRELY_ELSE: is no known variable");
    variable(
        "RINGBACK_BOOTSTRAP_TOKEN=short",
        "RINGBACK_BOOTSTRAP_TOKEN: bootstrap_token must be 16 to 256 visible ASCII characters",
    );
    variable(
        "RINGBACK_BOOTSTRAP_TOKEN=a space is not allowed",
        "RINGBACK_BOOTSTRAP_TOKEN: bootstrap_token must be 16 to 256 visible ASCII characters",
    );
    variable(
        "RINGBACK_STORE=mysql://made-up:made-up@db/ringback",
        "RINGBACK_STORE: store.url must be a URL such as \
         postgres://USER:PASSWORD@HOST:PORT/DATABASE",
    );
    variable(
        "RINGBACK_STORE_URL=postgres://db/ringback",
        "RINGBACK_STORE_URL: is no known variable, did you mean RINGBACK_STORE?",
    );
    variable(
        "RINGBACK_SECRETS_KEY=made-up",
        "RINGBACK_SECRETS_KEY: secrets.key must be 32 bytes as base64 or 64 hexadecimal digits",
    );
    variable(
        "RINGBACK_DELIVERY_ALLOW_CIDRS=10.0.0.0/8,10.0.0.0/64",
        "RINGBACK_DELIVERY_ALLOW_CIDRS: delivery.allow_cidrs must be a network such as \
         10.1.0.0/16, found \"10.0.0.0/64\"",
    );
    variable(
        "RINGBACK_DELIVERY_NAT64_PREFIXES=2001:db8::/33",
        "RINGBACK_DELIVERY_NAT64_PREFIXES: delivery.nat64_prefixes must have a length of 32, 40, \
         48, 56, 64 or 96, found 2001:db8::/33",
    );
    variable(
        "RINGBACK_DELIVERY_ALLOWED_PORTS=9000-8000",
        "RINGBACK_DELIVERY_ALLOWED_PORTS: delivery.allowed_ports must be ports such as 443 or \
         1024-65535, found \"9000-8000\"",
    );
    variable(
        "RINGBACK_LISTEN=localhost",
        "RINGBACK_LISTEN: listen must be ADDRESS:PORT with a numeric address, such as \
         127.0.0.1:8071, found \"localhost\"",
    );
    variable(
        "RINGBACK_LOG_LEVEL=loud",
        "RINGBACK_LOG_LEVEL: log.level must be error, warn, info, debug, trace or directives \
         such as \"info,ringback::deliver=debug\", found \"loud\"",
    );

    check(
        "\n[delivery]\ntimeouts = 3\n",
        &[],
        "ringback.toml:3: delivery.timeouts is no known setting, did you mean delivery.timeout?",
    );
    check("listen = [1]", &[], "ringback.toml:1: listen must be a single value, found a list");
    check(
        "[delivery]\n\nretry_schedule = [1, \"x\"]",
        &[],
        "ringback.toml:3: delivery.retry_schedule must be a number of seconds, found \"x\"",
    );
    check(
        "[secrets]\nkey_file = \"/run/key\"",
        &["RINGBACK_SECRETS_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="],
        "ringback.toml:2: secrets.key_file cannot stand beside secrets.key: give one of them",
    );
    check(
        "delivery.response_kept = 100_000",
        &[],
        "ringback.toml:1: delivery.response_kept cannot be more than delivery.response_read",
    );
}

#[test]
fn all_problems_are_told_at_once_and_no_secret_with_them() {
    let file = "lissten = 1\n[limits]\njson_depth = 0\n[secrets]\nkey = \"made-up-secret\"";
    let error = load(file, &["RINGBACK_BOOTSTRAP_TOKEN=made-up"], &[]).unwrap_err();
    assert_eq!(error.problems.len(), 4);
    let text = error.to_string();
    assert!(text.starts_with("4 wrong settings:\n  ringback.toml:1: lissten "), "{text}");
    assert!(!text.contains("made-up"), "{text}");
}

#[test]
fn broken_toml_names_the_line_without_showing_it() {
    let error = load("\nbootstrap_token = \"made-up-secret", &[], &[]).unwrap_err().to_string();
    assert!(error.starts_with("wrong setting: ringback.toml:2: "), "{error}");
    assert!(!error.contains("made-up"), "{error}");
}

#[test]
fn variables_of_the_command_line_are_no_settings() {
    let env = ["RINGBACK_URL=x", "RINGBACK_TOKEN=x", "RINGBACK_CONFIG=x", "RINGBACKX=1", "HOME=/"];
    load("", &env, &[]).unwrap();
}

#[test]
fn a_dump_loads_again_to_the_same() {
    let env = [
        "RINGBACK_DELIVERY_RETRY_SCHEDULE=1,0.5",
        "RINGBACK_DELIVERY_ALLOWED_PORTS=443,1-79",
        "RINGBACK_DATA=/a \"quoted\" path",
        "RINGBACK_DELIVERY_EXTRA_ROOTS=/etc/roots.pem",
    ];
    let first = load("", &env, &[]).unwrap();
    let again = load(&first.dump(), &[], &[]).unwrap();
    assert_eq!(format!("{:?}", first.config), format!("{:?}", again.config));
}

#[test]
fn every_setting_is_documented() {
    Config::default().visit(&mut |at, _| assert!(at.doc.len() > 20, "{}", at.path()));
}

#[test]
fn secrets_are_not_formatted() {
    let mut config = Config { bootstrap_token: Some(Secret::new("made-up")), ..Config::default() };
    config.store.url = Some(Secret::new("postgres://made-up:made-up@db/ringback"));
    config.secrets.key = SecretKey::parse(&"2a".repeat(32));
    assert!(config.secrets.key.is_some());
    let shown = format!("{config:?}");
    assert!(!shown.contains("made-up") && !shown.contains("42"), "{shown}");
    assert!(!shown.contains("postgres://"), "{shown}");
}
