//! Every setting: its documentation, unit, default and bounds.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};

use super::secret::{
    Secret, SecretKey, SecretKeys, UrlKeys, database_shape, proxy_shape, token_shape,
};
use super::setting::settings;
use super::value::{
    HostPort, Ports, at_least, between, bytes, list_of, nat64_length, origin_shape,
    payload_store_shape, public_url_shape, redirect_target_shape, secs, within,
};

settings! {
    /// Everything an operator can set.
    pub struct Config in "" {
        /// Address and port of the HTTP API; port 0 takes a free one. Default 127.0.0.1:8071.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8071));
        /// Where this server is reached from outside, such as
        /// `https://hooks.example.com`: what the URLs of sources begin with. Default: `http://` and `listen`.
        public_url: Option<String> = None, public_url_shape;
        /// Directory that holds the store; created if missing. Default ./ringback-data.
        data: PathBuf = PathBuf::from("./ringback-data");
        /// An API token of the environment `default`, valid from the start: 16 to 256 visible
        /// ASCII characters. Default: none.
        bootstrap_token: Option<Secret> = None, token_shape;
        /// Directory of providers of your own, read beside those that are built in, and again when
        /// a file changes. Default: none.
        providers: Option<PathBuf> = None;
    }
    sections {
        /// How messages are delivered.
        delivery: Delivery;
        /// What is accepted, and how much of it is held at once.
        limits: Limits;
        /// What each application may use, unless something else is set for it.
        quota: Quota;
        /// How long things are kept.
        retention: Retention;
        /// How secrets are encrypted at rest.
        secrets: Secrets;
        /// Callback URLs.
        callback: Callback;
        /// Accounts elsewhere that applications connect.
        oauth: Oauth;
        /// Payloads that are too large for a request.
        payloads: Payloads;
        /// What is logged.
        log: Log;
        /// Where everything is kept.
        store: Store;
    }
}

settings! {
    /// How messages are delivered.
    pub struct Delivery in "delivery" {
        /// Gaps after the immediate first attempt, in seconds: ten attempts over about 75 hours.
        /// An empty list means a single attempt.
        retry_schedule: Vec<Duration> =
            [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].map(secs).to_vec(),
            list_of(50, between(Duration::ZERO, secs(30 * 86_400)));
        /// Each gap is lengthened by a random share of up to this fraction, never shortened.
        /// Default 0.2.
        retry_jitter: f64 = 0.2, between(0.0, 1.0);
        /// Total time of one attempt, in seconds: name lookup, connect, TLS, request and response
        /// body together. Default 15.
        timeout: Duration = secs(15), between(Duration::from_millis(100), secs(300));
        /// The longest total that an endpoint may ask for itself, in seconds; never less than
        /// `timeout`. Default 60.
        timeout_limit: Duration = secs(60), between(Duration::from_millis(100), secs(300));
        /// Time to establish a connection, in seconds, within the total. Default 5.
        connect_timeout: Duration = secs(5), between(Duration::from_millis(10), secs(300));
        /// Only https targets are accepted and dialled. Default true in `serve`, false in `dev`.
        require_https: bool = true;
        /// Private networks that may be dialled all the same, such as 10.1.0.0/16.
        /// Default: none in `serve`, loopback in `dev`.
        allow_cidrs: Vec<IpNet> = Vec::new(), list_of(1_000, |_| Ok(()));
        /// Public networks that may not be dialled, whatever `allow_cidrs` says. Default: none.
        deny_cidrs: Vec<IpNet> = Vec::new(), list_of(1_000, |_| Ok(()));
        /// Prefixes beyond `64:ff9b::/96` under which this network reaches IPv4 (RFC 6052); what is
        /// embedded in them is judged as that IPv4 address. Default: none.
        nat64_prefixes: Vec<Ipv6Net> = Vec::new(), list_of(100, nat64_length);
        /// Ports a target may have; ranges as `1024-65535`. Default 80, 443, 1024-65535.
        allowed_ports: Ports = Ports::default();
        /// Hosts that destinations with a protocol of their own may dial, such as databases, brokers
        /// and mail servers: `db.example.com:5432`, or `host:*` for any port.
        /// Default: none in `serve`, this machine in `dev`.
        destination_hosts: Vec<HostPort> = Vec::new(), list_of(1_000, |_| Ok(()));
        /// Requests under way to one endpoint at a time. Default 32.
        in_flight_per_endpoint: u32 = 32, between(1, 10_000);
        /// Connections to targets open at a time; unset: derived from the limit of open files.
        max_connections: Option<u32> = None, within(1, 1_000_000);
        /// An endpoint that fails for this long without a success is disabled, in seconds.
        /// Default 432000 (5 days).
        disable_after: Duration = secs(5 * 86_400), between(secs(60), secs(365 * 86_400));
        /// An endpoint that fails ten times in a row, or half of at least 20 times in a minute, is
        /// left alone for a while. Default true.
        breaker: bool = true;
        /// For how long, in seconds; twice as long after each probe that fails. Default 30.
        breaker_wait: Duration = secs(30), between(Duration::from_millis(100), secs(3_600));
        /// The longest of these waits, in seconds. Default 900.
        breaker_longest_wait: Duration = secs(900), between(Duration::from_millis(100), secs(86_400));
        /// After a secret's rotation the old one signs too for this long, in seconds, unless the
        /// request says otherwise. Default 86400 (24 h).
        rotation_overlap: Duration = secs(86_400), between(Duration::ZERO, secs(7 * 86_400));
        /// Name servers to ask, as ADDRESS or ADDRESS:PORT. Default: the system's.
        name_servers: Vec<SocketAddr> = Vec::new(), list_of(10, |_| Ok(()));
        /// PEM file of certificate authorities trusted beside the system's. Default: none.
        extra_roots: Option<PathBuf> = None;
        /// HTTP proxy through which targets are reached, as http://USER:PASSWORD@HOST:PORT. Names are
        /// looked up and judged here all the same. Default: none.
        proxy: Option<Secret> = None, proxy_shape;
        /// Networks whose addresses are dialled without it. Default: none.
        proxy_except_cidrs: Vec<IpNet> = Vec::new(), list_of(1_000, |_| Ok(()));
        /// Bytes of an answer that are kept with the attempt. Default 16384.
        response_kept: usize = bytes(16 * 1024), between(0, bytes(1024 * 1024));
        /// Bytes of an answer that are read at most before the connection is given up.
        /// Default 65536.
        response_read: usize = bytes(64 * 1024), between(0, bytes(16 * 1024 * 1024));
    }
}

impl Delivery {
    /// The longest total time of an attempt that an endpoint may ask for.
    pub fn longest_timeout(&self) -> Duration {
        self.timeout_limit.max(self.timeout)
    }
}

settings! {
    /// What is accepted, and how much of it is held at once.
    pub struct Limits in "limits" {
        /// Size of a request's body, in bytes; more is answered 413. Default 1048576.
        body_bytes: usize = bytes(1024 * 1024), between(1024, bytes(64 * 1024 * 1024));
        /// Nesting of JSON; deeper is answered 422. Default 64.
        json_depth: usize = 64, between(4, 120);
        /// Time for a request's headers to arrive, in seconds. Default 10.
        header_timeout: Duration = secs(10), between(Duration::from_millis(100), secs(600));
        /// Time for a request's body to arrive, in seconds. Default 30.
        read_timeout: Duration = secs(30), between(Duration::from_millis(100), secs(3_600));
        /// Client connections open at a time. Default 10000.
        connections: usize = 10_000, between(1, 1_000_000);
        /// Accepted requests that wait for their commit; beyond it the answer is 503.
        /// Default 8192.
        intake_queue: usize = 8_192, between(1, 1_000_000);
        /// Bytes of payload that wait for their commit; beyond it the answer is 503.
        /// Default 67108864.
        intake_bytes: usize = bytes(64 * 1024 * 1024), at_least(1024 * 1024);
        /// Deliveries of one endpoint held in memory; the rest waits in the store. Default 1024.
        lane_head: usize = 1_024, between(1, 100_000);
        /// Deliveries of all endpoints held in memory. Default 20000.
        lane_heads: usize = 20_000, between(1, 10_000_000);
        /// Bytes of payload of those deliveries. Default 67108864.
        lane_bytes: usize = bytes(64 * 1024 * 1024), at_least(1024 * 1024);
        /// Attempts begun whose result is not committed, all endpoints together: what may be sent
        /// twice after a crash. Default 10000.
        in_flight: usize = 10_000, between(1, 1_000_000);
        /// Idempotency keys whose fingerprint is held in memory. Default 2000000 (about 48 MB
        /// when full).
        idempotency_entries: usize = 2_000_000, between(1_000, 100_000_000);
        /// Time that attempts under way get to finish after SIGTERM, in seconds. Default 20.
        shutdown: Duration = secs(20), between(Duration::ZERO, secs(3_600));
    }
}

settings! {
    /// What each application may use, unless something else is set for it. What is unset is
    /// without limit.
    pub struct Quota in "quota" {
        /// Messages that one application may create a second; more are answered 429.
        /// Default: none.
        messages_per_second: Option<u32> = None, within(1, 10_000_000);
        /// Messages that it may create at once. Default: what it may create in a second.
        messages_burst: Option<u32> = None, within(1, 10_000_000);
        /// Bytes of requests that create messages, a second; more are answered 429. Default: none.
        bytes_per_second: Option<u32> = None, within(1, u32::MAX);
        /// Endpoints of one application; more are answered 400. Default: none.
        endpoints: Option<u32> = None, within(1, 10_000_000);
        /// Pending deliveries of one application; while there are as many, its messages are
        /// answered 429. Default: none.
        pending: Option<u32> = None, within(1, 10_000_000);
    }
}

settings! {
    /// How long things are kept.
    pub struct Retention in "retention" {
        /// Days a message, its attempts and its event id are kept. Default 90.
        messages: u32 = 90, between(1, 3_650);
        /// Days an entry of the audit log is kept. Default 365.
        audit: u32 = 365, between(1, 36_500);
    }
}

settings! {
    /// How secrets are encrypted at rest.
    ///
    /// Without either setting a key is created beside the data, which protects nothing that a
    /// thief of the whole directory takes: the server says so at every start.
    pub struct Secrets in "secrets" {
        /// The key itself: 32 bytes as base64 or 64 hexadecimal digits. Default: none.
        key: Option<SecretKey> = None;
        /// File outside the data directory that holds the key; of several, one a line, the first
        /// encrypts and the others only decrypt. Default: none.
        key_file: Option<PathBuf> = None;
        /// Keys that encrypted before and still have to decrypt. What they encrypted is encrypted
        /// anew. Default: none.
        previous_keys: SecretKeys = SecretKeys::default();
    }
}

settings! {
    /// Callback URLs: what makes them, who may follow them, and how often they may be called.
    ///
    /// Without keys one is created beside the data. A copy of the store opens no URL without them.
    pub struct Callback in "callback" {
        /// Keys that make the URLs, as VERSION:KEY, each 32 bytes as base64 or 64 hexadecimal
        /// digits; the newest version makes the URLs of new callbacks. Default: none.
        url_keys: UrlKeys = UrlKeys::default();
        /// File outside the data directory that holds such keys, one a line. Default: none.
        url_keys_file: Option<PathBuf> = None;
        /// Origins whose pages may follow callbacks with a wait token, such as
        /// `https://shop.example.com`. Default: none.
        allowed_origins: Vec<String> = Vec::new(), list_of(100, origin_shape);
        /// Pages that browsers may be sent on to that come back to a redirect callback, each exactly
        /// as callbacks name it. Default: none.
        redirect_targets: Vec<String> = Vec::new(), list_of(1_000, redirect_target_shape);
        /// Requests a second to one URL; more are answered 429. Default 100.
        requests_per_url: u32 = 100, between(1, 1_000_000);
        /// Requests a second from one address to all URLs; more are answered 429. Behind a proxy
        /// all come from its address. Default 1000.
        requests_per_address: u32 = 1_000, between(1, 10_000_000);
    }
}

settings! {
    /// Accounts elsewhere that applications connect: how their tokens stay fresh.
    pub struct Oauth in "oauth" {
        /// An access token is refreshed this long before it ends, in seconds; of one that lives
        /// shortly, the last quarter of its life. Default 60.
        refresh_before: Duration = secs(60), between(Duration::ZERO, secs(3_600));
        /// How long other processes wait for one that refreshes and says nothing, in seconds, before
        /// they take over. Default 30.
        refresh_lease: Duration = secs(30), between(secs(1), secs(600));
        /// Directory of providers of OAuth of your own, read beside those that are built in, and again
        /// when a file changes. Default: none.
        providers: Option<PathBuf> = None;
    }
}

settings! {
    /// Payloads that are too large for a request: where they are kept instead, for receivers to fetch.
    pub struct Payloads in "payloads" {
        /// Where they are kept: `file:///var/lib/ringback/payloads`, or
        /// `s3://BUCKET/PREFIX?endpoint=URL&region=REGION` with the credentials in `AWS_ACCESS_KEY_ID`
        /// and `AWS_SECRET_ACCESS_KEY`. Default: none, and every payload goes with its request.
        store: Option<String> = None, payload_store_shape;
        /// A payload with more bytes is kept there, unless its endpoint says otherwise.
        /// Default: none, and only endpoints that ask for it.
        inline_limit: Option<u32> = None, within(0, 64 * 1024 * 1024);
        /// How long a URL opens it, in seconds. Default 900.
        url_lifetime: Duration = secs(900), between(secs(1), secs(7 * 86_400));
    }
}

settings! {
    /// What is logged, to the standard error output.
    pub struct Log in "log" {
        /// `json`, `pretty`, or `auto`: pretty on a terminal, else json. Default auto.
        format: LogFormat = LogFormat::Auto;
        /// Least severe level: error, warn, info, debug, trace, or directives such as
        /// `info,ringback::deliver=debug`. Default info.
        level: String = "info".to_owned(), crate::telemetry::logs::check_level;
    }
}

settings! {
    /// Where everything is kept: a file in the data directory, or a PostgreSQL database.
    pub struct Store in "store" {
        /// A PostgreSQL database, as postgres://USER:PASSWORD@HOST:PORT/DATABASE, which is never
        /// shown. Default: none, and everything is kept in the data directory.
        url: Option<Secret> = None, database_shape;
        /// Connections to the database beside those that write batches. Default 8.
        connections: usize = 8, between(1, 1_000);
        /// Page cache of the writer, in MiB, in the data directory's store. Default 16.
        cache_mib: u32 = 16, between(1, 65_536);
        /// Threads that read beside the one that writes, in the data directory's store. Default 2.
        readers: usize = 2, between(1, 64);
        /// Size of the write-ahead log, in MiB, from which a checkpoint also resets it, in the data
        /// directory's store. Default 8.
        checkpoint_mib: u32 = 8, between(1, 4_096);
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, else JSON.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}
