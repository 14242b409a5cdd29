//! RabbitMQ from the distribution's packages.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::server::{Server, free_port};

/// The server itself: what is on the `PATH` of a distribution runs it as another user.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A running broker.
pub(crate) struct Broker {
    pub(crate) server: Server,
    /// Erlang's daemon of names; it would outlive the server that starts one.
    names: Child,
}

impl Broker {
    /// Starts one with these plugins, between commas, this `rabbitmq.conf`, and these files beside it.
    pub(crate) fn start(plugins: &str, configuration: &str, files: &[(&str, String)]) -> Broker {
        let (names_port, cluster_port) = (free_port(), free_port());
        let names = Command::new("epmd")
            .args(["-address", "127.0.0.1", "-port", &names_port.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let own = [
            ("enabled_plugins", format!("[{plugins}].")),
            ("rabbitmq.conf", configuration.to_owned()),
        ];
        let owned = |(name, content): &(&str, String)| ((*name).to_owned(), content.clone());
        let files: Vec<(String, String)> = own.iter().chain(files).map(owned).collect();
        let server = Server::start(move |directory, port| {
            for (name, content) in &files {
                fs::write(directory.join(name), content).unwrap();
            }
            let mut broker = Command::new(PROGRAM);
            broker
                .env("HOME", directory)
                .env("ERL_EPMD_PORT", names_port.to_string())
                .env("RABBITMQ_NODENAME", format!("ringback{port}@localhost"))
                .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
                .env("RABBITMQ_NODE_PORT", port.to_string())
                .env("RABBITMQ_DIST_PORT", cluster_port.to_string())
                .env("RABBITMQ_MNESIA_BASE", directory.join("data"))
                .env("RABBITMQ_LOG_BASE", directory.join("logs"))
                .env("RABBITMQ_CONFIG_FILE", directory.join("rabbitmq.conf"))
                .env("RABBITMQ_CONF_ENV_FILE", directory.join("no-other-settings"))
                .env("RABBITMQ_ENABLED_PLUGINS_FILE", directory.join("enabled_plugins"))
                .env("RABBITMQ_GENERATED_CONFIG_DIR", directory.join("config"));
            broker
        });
        Broker { server, names }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.names.kill().unwrap();
        self.names.wait().unwrap();
    }
}
