//! A cluster of three masters, each with a replica.

use std::process::Command;
use std::thread;

use super::port::Port;
use super::server::Server;
use super::{Engine, until};

/// The initial slots of each master.
const SLOTS: [(u16, u16); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];

/// Six servers. The first three are the initial masters.
pub struct Cluster {
    pub servers: Vec<Server>,
    /// The ports of the cluster bus.
    _buses: Vec<Port>,
}

impl Cluster {
    pub fn start(engine: Engine) -> Self {
        Self::with(engine, |builder| builder)
    }

    /// The same, with servers from `set_up`.
    pub fn with(
        engine: Engine,
        set_up: impl Fn(super::server::Builder) -> super::server::Builder,
    ) -> Self {
        let buses: Vec<Port> = (0..6).map(|_| Port::free()).collect();
        let servers: Vec<Server> = buses
            .iter()
            .map(|bus| {
                set_up(Server::of(engine))
                    .set("cluster-enabled yes\ncluster-config-file nodes\nrepl-diskless-sync-delay 0")
                    // A master that is unreachable for this long is replaced.
                    .set("cluster-node-timeout 1000")
                    .set(&format!("cluster-port {}", bus.number()))
                    .start()
            })
            .collect();
        let cluster = Self { servers, _buses: buses };
        cluster.meet();
        cluster
    }

    fn meet(&self) {
        let told = |server: &Server, words: &[&str]| {
            let reply = server.ask(words);
            assert_eq!(reply.text(), "OK", "{words:?}");
        };
        for (server, (first, last)) in self.servers.iter().zip(SLOTS) {
            told(server, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        for (index, server) in self.servers.iter().enumerate() {
            // If two masters had the same epoch, one would take the other's slots.
            told(server, &["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
        }
        let (first, others) = self.servers.split_first().expect("six of them");
        for (server, bus) in others.iter().zip(&self._buses[1..]) {
            let (port, bus) = (server.port().to_string(), bus.number().to_string());
            told(first, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        self.agree();
        for (master, replica) in self.servers[..3].iter().zip(&self.servers[3..]) {
            let master = master.ask(&["CLUSTER", "MYID"]).text();
            told(replica, &["CLUSTER", "REPLICATE", &master]);
        }
        for replica in &self.servers[3..] {
            until("a replica in step", || replica.info("master_link_status") == "up");
        }
        until("a cluster whose nodes all know who is what", || {
            self.servers.iter().all(|server| {
                let nodes = server.ask(&["CLUSTER", "NODES"]).text();
                nodes.matches("slave").count() == 3
            })
        });
    }

    /// Waits until all nodes know each other and the slots of each master.
    fn agree(&self) {
        until("a cluster whose nodes all know each other", || {
            self.servers.iter().all(|server| {
                let info = server.ask(&["CLUSTER", "INFO"]).text();
                let nodes = server.ask(&["CLUSTER", "NODES"]).text();
                info.contains("cluster_state:ok")
                    && info.contains("cluster_known_nodes:6")
                    && !nodes.contains("handshake")
            })
        });
    }

    /// The URLs of the initial masters, for a configuration.
    pub fn urls(&self) -> Vec<String> {
        self.servers[..3].iter().map(Server::url).collect()
    }

    /// Moves slots from one initial master to another, while the cluster is in use.
    pub fn reshard(&self, from: usize, to: usize, slots: usize) {
        let id = |index: usize| self.servers[index].ask(&["CLUSTER", "MYID"]).text();
        let output = Command::new("redis-cli")
            .args(["--cluster", "reshard", &format!("127.0.0.1:{}", self.servers[to].port())])
            .args(["--cluster-from", &id(from), "--cluster-to", &id(to)])
            .args(["--cluster-slots", &slots.to_string(), "--cluster-yes"])
            .output()
            .expect("redis-cli is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    /// Kills a master, and waits until all nodes see its replica in its place.
    pub fn fail_over(&self, index: usize) {
        assert_eq!(self.servers[index].info("role"), "master");
        self.servers[index].kill();
        self.wait_for_replacement(index);
    }

    /// Waits until all nodes see the replica of a failed master in its place.
    pub fn wait_for_replacement(&self, index: usize) {
        let replica = &self.servers[(index + 3) % 6];
        until("a replica that took over", || {
            let is_ok = |server: &Server| {
                let info = server.try_ask(&["CLUSTER", "INFO"]);
                info.is_ok_and(|info| info.text().contains("cluster_state:ok"))
            };
            let others = self.servers.iter().enumerate().filter(|(other, _)| *other != index);
            replica.info("role") == "master" && others.map(|(_, server)| server).all(is_ok)
        });
    }

    /// All key names.
    pub fn keys(&self) -> Vec<String> {
        let masters = self.servers.iter().filter(|server| server.info("role") == "master");
        masters.flat_map(Server::keys).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            let nodes =
                self.servers.iter().find_map(|server| server.try_ask(&["CLUSTER", "NODES"]).ok());
            eprintln!(
                "--- the cluster ---\n{}",
                nodes.map_or_else(String::new, |nodes| nodes.text())
            );
        }
    }
}
