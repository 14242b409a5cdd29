//! A small authorization server: code grant with PKCE, refresh tokens that are good once, flow for
//! devices, client credentials, revocation. It refuses what is not as it has to be, and counts.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use ringback_domain::oauth::pkce;
use serde_json::{Value, json};

use super::{Answer, Receipt, Receiver};

/// What the one client proves itself with.
const BASIC: &str = "made-up-client:made-up-client-secret";
/// Grants that a token endpoint knows, by their short names here.
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What a person does about a code that is to be typed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Typed {
    #[default]
    NotYet,
    Granted,
    Denied,
}

/// What is told to it, and what it knows.
#[derive(Default)]
struct Known {
    /// Whoever is asked says no.
    denies: bool,
    /// Tokens are answered as a form, as GitHub does.
    forms: bool,
    typed: Typed,
    /// Whoever asks about a code that is to be typed is asked to do so more seldom.
    slows: bool,
    /// How long codes of devices are good, in seconds.
    patience: u64,
    minted: usize,
    /// The challenge and the redirect URI of each code that can be exchanged.
    codes: HashMap<String, (String, String)>,
    /// Tokens that are good.
    access: HashSet<String>,
    refresh: HashSet<String>,
}

/// A running authorization server.
pub(crate) struct Authority {
    receiver: Receiver,
    known: Arc<Mutex<Known>>,
}

impl Authority {
    pub(crate) fn start() -> Authority {
        let known = Arc::new(Mutex::new(Known { patience: 600, ..Known::default() }));
        let shared = Arc::clone(&known);
        let receiver = Receiver::with(move |receipt, _| shared.lock().unwrap().answer(receipt));
        Authority { receiver, known }
    }

    /// Where it is.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.receiver.address)
    }

    /// The body that makes its client an application's.
    pub(crate) fn client(&self, application: &str) -> Value {
        let url = |path: &str| self.url(path);
        json!({
            "application": application,
            "provider": "oauth2",
            "clientId": "made-up-client",
            "clientSecret": "made-up-client-secret",
            "scopes": ["read"],
            "settings": {
                "authorizationUrl": url("/authorize"),
                "tokenUrl": url("/token"),
                "deviceAuthorizationUrl": url("/device"),
                "revocationUrl": url("/revoke"),
                "userinfoUrl": url("/me"),
            },
        })
    }

    /// The same without a flow for devices.
    pub(crate) fn client_without_devices(&self, application: &str) -> Value {
        let mut client = self.client(application);
        client["settings"].as_object_mut().unwrap().remove("deviceAuthorizationUrl");
        client
    }

    /// From now on people say no.
    pub(crate) fn deny(&self) {
        self.known.lock().unwrap().denies = true;
    }

    /// From now on tokens are answered as forms.
    pub(crate) fn answer_forms(&self) {
        self.known.lock().unwrap().forms = true;
    }

    /// Somebody types the code of the device, and says yes or no.
    pub(crate) fn type_code(&self, granted: bool) {
        let typed = if granted { Typed::Granted } else { Typed::Denied };
        self.known.lock().unwrap().typed = typed;
    }

    /// Whoever asks is asked to do so more seldom.
    pub(crate) fn slow_down(&self) {
        self.known.lock().unwrap().slows = true;
    }

    /// From now on codes of devices end after this many seconds.
    pub(crate) fn hurry(&self, seconds: u64) {
        self.known.lock().unwrap().patience = seconds;
    }

    /// Everything that was granted is over.
    pub(crate) fn end_grants(&self) {
        let mut known = self.known.lock().unwrap();
        known.access.clear();
        known.refresh.clear();
    }

    /// Whether this access token is good here.
    pub(crate) fn knows(&self, access_token: &str) -> bool {
        self.known.lock().unwrap().access.contains(access_token)
    }

    /// How often the token endpoint was asked for this grant.
    pub(crate) fn count(&self, grant: &str) -> usize {
        grants(&self.receiver.receipts(), grant)
    }

    /// Waits until it was asked so often for a device's tokens.
    pub(crate) async fn polled(&self, times: usize) {
        self.receiver.arrived_until(move |receipts| grants(receipts, DEVICE) >= times).await;
    }

    /// Every secret that it has given or been given, as far as a server could keep it.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let known = self.known.lock().unwrap();
        let (codes, tokens) = (known.codes.keys(), known.access.iter().chain(&known.refresh));
        let given = self.receiver.receipts();
        let given = given.iter().flat_map(|receipt| fields(&receipt.body));
        let given = given.filter(|(name, _)| name == "code" || name == "code_verifier");
        codes.chain(tokens).cloned().chain(given.map(|(_, value)| value)).collect()
    }
}

fn grants(receipts: &[Receipt], grant: &str) -> usize {
    let asks = receipts.iter().filter(|receipt| receipt.path == "/token");
    asks.filter(|receipt| field(&receipt.body, "grant_type") == grant).count()
}

impl Known {
    fn answer(&mut self, receipt: &Receipt) -> Answer {
        match &*receipt.path {
            "/authorize" => self.authorize(receipt.query.as_bytes()),
            "/me" => self.who(receipt),
            _ if !is_client(receipt) => said(401, &json!({ "error": "invalid_client" })),
            "/token" => self.token(&receipt.body),
            "/device" => said(
                200,
                &json!({
                    "device_code": "made-up-device-code",
                    "user_code": "MADE-UPCD",
                    "verification_uri": "https://auth.example.com/device",
                    "verification_uri_complete": "https://auth.example.com/device?code=MADE-UPCD",
                    "expires_in": self.patience,
                    "interval": 1,
                }),
            ),
            "/revoke" => {
                let token = field(&receipt.body, "token");
                self.access.remove(&token);
                self.refresh.remove(&token);
                Answer::status(200)
            }
            _ => Answer::status(404),
        }
    }

    /// A person says yes or no at once, and the browser goes back.
    fn authorize(&mut self, query: &[u8]) -> Answer {
        let [redirect_uri, state, challenge] =
            ["redirect_uri", "state", "code_challenge"].map(|name| field(query, name));
        if field(query, "code_challenge_method") != "S256" || state.is_empty() {
            return Answer::status(400);
        }
        let (name, value) = match self.denies {
            true => ("error", "access_denied".to_owned()),
            false => {
                let code = self.mint("code");
                self.codes.insert(code.clone(), (challenge, redirect_uri.clone()));
                ("code", code)
            }
        };
        let mut back = url::Url::parse(&redirect_uri).unwrap();
        back.query_pairs_mut().append_pair(name, &value).append_pair("state", &state);
        Answer::Status(303, vec![("location", back.into())])
    }

    fn token(&mut self, body: &[u8]) -> Answer {
        let refused = |error: &str| said(400, &json!({ "error": error }));
        match &*field(body, "grant_type") {
            "authorization_code" => {
                let verifier = pkce::challenge(&field(body, "code_verifier"));
                let expected = self.codes.remove(&field(body, "code"));
                match expected {
                    Some((challenge, redirect_uri))
                        if verifier.is_ok_and(|verifier| verifier == challenge)
                            && redirect_uri == field(body, "redirect_uri") =>
                    {
                        self.tokens(true)
                    }
                    _ => refused("invalid_grant"),
                }
            }
            "refresh_token" => match self.refresh.remove(&field(body, "refresh_token")) {
                true => self.tokens(true),
                false => refused("invalid_grant"),
            },
            "client_credentials" => self.tokens(false),
            DEVICE => match self.typed {
                Typed::NotYet if self.slows => refused("slow_down"),
                Typed::NotYet => refused("authorization_pending"),
                Typed::Granted => self.tokens(true),
                Typed::Denied => refused("access_denied"),
            },
            _ => refused("unsupported_grant_type"),
        }
    }

    fn tokens(&mut self, refreshable: bool) -> Answer {
        let access = self.mint("access");
        self.access.insert(access.clone());
        let mut fields = vec![("access_token", access), ("token_type", "bearer".to_owned())];
        if refreshable {
            let refresh = self.mint("refresh");
            self.refresh.insert(refresh.clone());
            fields.push(("refresh_token", refresh));
        }
        if self.forms {
            fields.push(("expires_in", "3600".to_owned()));
            let form =
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
            let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
            return Answer::Whole(200, headers, form.into());
        }
        let mut tokens = json!({ "expires_in": 3_600 });
        for (name, value) in fields {
            tokens[name] = value.into();
        }
        said(200, &tokens)
    }

    fn who(&self, receipt: &Receipt) -> Answer {
        match receipt.header("authorization").strip_prefix("Bearer ") {
            Some(token) if self.access.contains(token) => {
                said(200, &json!({ "sub": "42", "name": "Some One" }))
            }
            _ => Answer::status(401),
        }
    }

    /// What was never given before.
    fn mint(&mut self, what: &str) -> String {
        self.minted += 1;
        format!("made-up-{what}-{:04}", self.minted)
    }
}

fn is_client(receipt: &Receipt) -> bool {
    let proof = receipt.header("authorization").strip_prefix("Basic ");
    proof == Some(&data_encoding::BASE64.encode(BASIC.as_bytes()))
}

fn said(status: u16, json: &Value) -> Answer {
    let headers = vec![("content-type", "application/json".to_owned())];
    Answer::Whole(status, headers, json.to_string().into())
}

fn fields(form: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(form).into_owned().collect()
}

/// The field of a form or a query, empty if there is none.
fn field(form: &[u8], name: &str) -> String {
    let found = fields(form).into_iter().find(|(field, _)| field == name);
    found.map(|(_, value)| value).unwrap_or_default()
}
