//! The recipes of `docs/cookbook`, done as a reader does them: their blocks of shell commands in one
//! shell, against real software or stand-ins, and what they show against what happens.
//!
//! | block | is |
//! |---|---|
//! | `sh` | run, in order, in one shell that stops at the first failure; twice under "Set it up" |
//! | `sh` of nothing but `export` | the reader's own values: exactly those that the test gives |
//! | `text`, `json` after an `sh` | what that printed; before the first, a picture |
//! | `http` | a request that arrived at a stand-in: its first line, these headers, its body |
//!
//! In what is shown, `…` is whatever differs each time, and `$NAME` in an `http` block is the value.
//! A request that arrived and is not shown is a failure, too.

mod page;
mod shell;
mod stand_in;

#[path = "../../../connect/tests/it/broker.rs"]
mod broker;
#[expect(dead_code, reason = "not all that the destinations' own tests need is needed here")]
#[path = "../../../connect/tests/it/server.rs"]
mod server;

use std::{collections::BTreeMap, fs, path::PathBuf};

use ringback_pg_cluster::Database;

use self::{
    page::{Block, Page},
    shell::Shell,
};
use crate::support::{Receipt, Receiver, Server, Settings, TOKEN};

/// What a reader has to have, by the names of the variables.
type Own = BTreeMap<&'static str, String>;

fn cookbook() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cookbook"))
}

/// Where the libraries are.
const SOURCES: (&str, &str) = ("RINGBACK_SOURCES", concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));

/// Does what the page says, after what the cookbook's own page says about all.
fn follow(name: &str, own: &[(&'static str, &str)], services: &Receiver) {
    let targets = [
        "shop.example.com/paid",
        "shop.example.com/sorry",
        "shop.example.com/moment",
        "app.example.com/connected",
    ]
    .map(|page| format!("https://{page}"));
    let settings = Settings::default()
        .env("RINGBACK_DELIVERY_DESTINATION_HOSTS", "127.0.0.1:*")
        .env("RINGBACK_CALLBACK_REDIRECT_TARGETS", &targets.join(","));
    let server = Server::start(settings);
    let reach = [("RINGBACK_URL", &*server.url), ("RINGBACK_TOKEN", TOKEN)];
    let text = |own: &[(&'static str, &str)]| -> Own {
        own.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    let mut shell = Shell::start(&[&reach[..], own].concat());
    for (name, own) in [("README.md", text(&reach)), (name, text(own))] {
        let page = Page::read(&cookbook().join(name));
        assert_eq!(page.exported(), own.keys().copied().collect::<Vec<_>>(), "{name}");
        go_through(&page, &own, &mut shell, services);
    }
}

fn go_through(page: &Page, own: &Own, shell: &mut Shell, services: &Receiver) {
    let mut printed = String::new();
    let mut shown = Vec::new();
    for block in &page.blocks {
        match block {
            Block::Export(_) | Block::Picture => {}
            Block::Run(commands, repeatable) => {
                printed = shell.run(commands);
                if *repeatable {
                    assert_eq!(shell.run(commands), printed, "it may be run again");
                }
            }
            Block::Printed(expect) => {
                assert!(
                    page::fits(expect, printed.trim_end()),
                    "{expect}\n--- printed:\n{printed}"
                );
            }
            Block::Arrived(expect) => {
                let expect = page::Request::read(expect, own);
                let arrived = |receipts: &[Receipt]| {
                    (0..receipts.len()).find(|at| {
                        !shown.contains(at) && expect.fits(services.address, &receipts[*at])
                    })
                };
                println!("waiting for {expect:?}");
                services.wait_until(|receipts, _| arrived(receipts).is_some());
                let arrived = arrived(&services.receipts());
                shown.extend(arrived);
            }
        }
    }
    assert_eq!(services.count(), shown.len(), "{:#?}", services.receipts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripe_payments() {
    let services = stand_in::services();
    let database = Database::create().unwrap();
    let (url, password) = without_password(&database.dsn());
    let own = [
        ("DATABASE_URL", &*url),
        ("PGPASSWORD", &*password),
        ("SLACK_URL", &*stand_in::url(&services, "/services/T0/B0/made-up")),
        ("STRIPE_SECRET", "whsec_made_up"),
    ];
    follow("stripe-payments.md", &own, &services);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn github_push() {
    let services = stand_in::services();
    let own = [
        ("JENKINS_JOB", &*stand_in::url(&services, "/job/deploy")),
        ("JENKINS_USER", "ringback"),
        ("JENKINS_API_TOKEN", "made-up-jenkins-token"),
        ("DISPATCH_REPOSITORY", "acme/site"),
        ("GITHUB_TOKEN", "made-up-github-token"),
        ("GITHUB_API_URL", &*stand_in::url(&services, "")),
        ("GITHUB_WEBHOOK_SECRET", "made-up"),
    ];
    follow("github-push.md", &own, &services);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hubspot_lead() {
    let services = stand_in::services();
    let own = [
        ("HUBSPOT_SECRET", "made-up"),
        ("MAILCHIMP_API_KEY", "made-up-us21"),
        ("MAILCHIMP_URL", &*stand_in::url(&services, "/mailchimp")),
        ("MAILCHIMP_AUDIENCE", "a1b2c3d4e5"),
        ("BREVO_API_KEY", "made-up"),
        ("BREVO_URL", &*stand_in::url(&services, "/brevo")),
        ("BREVO_LIST", "3"),
    ];
    follow("hubspot-lead.md", &own, &services);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typeform_lead() {
    let services = stand_in::services();
    let own = [
        ("TYPEFORM_SECRET", "made-up"),
        ("HUBSPOT_TOKEN", "made-up"),
        ("HUBSPOT_URL", &*stand_in::url(&services, "")),
    ];
    follow("typeform-lead.md", &own, &services);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_command() {
    let own =
        [("SLACK_SIGNING_SECRET", "made-up"), SOURCES, ("PORT", &*server::free_port().to_string())];
    follow("slack-command.md", &own, &stand_in::services());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shopify_queue() {
    let services = stand_in::services();
    let management = server::free_port();
    let configuration =
        format!("management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n");
    let broker = broker::Broker::start("rabbitmq_management", &configuration, &[]);
    let own = [
        ("SHOPIFY_SECRET", "made-up"),
        ("RABBITMQ_URI", &*format!("amqp://guest:guest@127.0.0.1:{}", broker.server.port)),
        ("RABBITMQ_MANAGEMENT", &*format!("http://guest:guest@127.0.0.1:{management}")),
        ("SQS_QUEUE_URL", &*stand_in::url(&services, "/123456789012/orders")),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "made-up"),
    ];
    follow("shopify-queue.md", &own, &services);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_api() {
    let port = server::free_port().to_string();
    follow("async-api.md", &[("PORT", &*port)], &stand_in::services());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approve_by_link() {
    follow("approve-by-link.md", &[SOURCES], &stand_in::services());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_render() {
    let own = [SOURCES, ("PORT", &*server::free_port().to_string())];
    follow("long-render.md", &own, &stand_in::services());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_two_ways() {
    follow("payment-two-ways.md", &[("STRIPE_SECRET", "whsec_made_up")], &stand_in::services());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connect_an_account() {
    let authority = stand_in::authority();
    let own = [
        ("ISSUER", &*stand_in::url(&authority, "")),
        ("CLIENT_ID", "made-up"),
        ("CLIENT_SECRET", "made-up"),
    ];
    follow("connect-an-account.md", &own, &stand_in::services());
}

/// A database's URL as a destination wants it, and the password.
fn without_password(dsn: &str) -> (String, String) {
    let (user, rest) = dsn.split_once('@').unwrap();
    let (user, password) = user.rsplit_once(':').unwrap();
    (format!("{user}@{rest}"), password.to_owned())
}

#[test]
fn every_recipe_is_followed_and_in_the_index() {
    let index = fs::read_to_string(cookbook().join("README.md")).unwrap();
    for page in fs::read_dir(cookbook()).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        if name != "README.md" {
            assert!(index.contains(&format!("]({name})")), "{name} is not in the index");
            let followed = include_str!("cookbook.rs").contains(&format!("follow(\"{name}\""));
            assert!(followed, "nothing follows {name}");
        }
    }
}
