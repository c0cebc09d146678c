//! Three sentinels that watch a master and its replicas.

use super::server::Server;
use super::{Engine, Link, until};

/// The name of the master, for a configuration.
pub const MASTER: &str = "mymaster";

/// A master, its replicas, and three sentinels.
pub struct Sentinels {
    /// In any role.
    pub servers: Vec<Server>,
    pub sentinels: Vec<Server>,
}

impl Sentinels {
    /// Starts them; the first server is the master.
    pub fn start(engine: Engine, replicas: usize) -> Self {
        Self::with(engine, replicas, |builder| builder)
    }

    /// The same, with servers from `set_up`.
    pub fn with(
        engine: Engine,
        replicas: usize,
        set_up: impl Fn(super::server::Builder) -> super::server::Builder,
    ) -> Self {
        let servers = replicated(engine, replicas, set_up);
        let port = servers[0].port();
        let sentinels: Vec<Server> = (0..3)
            .map(|_| {
                Server::sentinel(engine)
                    .set(&format!("sentinel monitor {MASTER} 127.0.0.1 {port} 2"))
                    // Sentinels send the first PING to a new master after a second. If it counted as
                    // down before that, another one would be elected, and take writes with it.
                    .set(&format!("sentinel down-after-milliseconds {MASTER} 1500"))
                    .set(&format!("sentinel failover-timeout {MASTER} 3000"))
                    .start()
            })
            .collect();
        for sentinel in &sentinels {
            until("sentinels that know each other", || {
                let known = state(sentinel);
                known("num-other-sentinels") == "2"
                    && known("num-slaves") == replicas.to_string()
                    && known("flags") == "master"
            });
        }
        Self { servers, sentinels }
    }

    /// The URL of each sentinel, for a configuration.
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Server::url).collect()
    }

    /// The port of the master that most of the sentinels name.
    pub fn master(&self) -> u16 {
        let mut named: Vec<u16> = self.sentinels.iter().filter_map(named_by).collect();
        named.sort_unstable();
        named[named.len() / 2]
    }

    /// The server on this port.
    pub fn server(&self, port: u16) -> &Server {
        let server = self.servers.iter().find(|server| server.port() == port);
        server.expect("a server at that port")
    }

    /// Kills the master, and waits for a new one: the ports of both. The old one is not restarted.
    pub fn fail_over(&self) -> (u16, u16) {
        let old = self.master();
        self.server(old).kill();
        (old, self.wait_for_another(old))
    }

    /// Waits until a majority names another master, and it accepts writes.
    pub fn wait_for_another(&self, old: u16) -> u16 {
        until("another master", || self.master() != old && role(self.master()) == "master");
        self.master()
    }

    /// Restarts the server, and waits until it is a replica with the master's data. The sentinels
    /// would also make it one, but only after 8 s.
    pub fn bring_back(&self, port: u16) {
        let replicas = self.servers.len() - 1;
        let master = self.master().to_string();
        let server = self.server(port);
        server.start();
        server.ask(&["REPLICAOF", "127.0.0.1", &master]);
        // Each of them, because the next failover may be to another one.
        until("replicas with the master's data", || {
            let others = self.servers.iter().filter(|server| server.port().to_string() != master);
            others.into_iter().all(|server| {
                server.info("role") == "slave"
                    && server.info("master_port") == master
                    && server.info("master_link_status") == "up"
            })
        });
        for sentinel in &self.sentinels {
            until("sentinels that are content", || {
                let known = state(sentinel);
                known("flags") == "master" && known("num-slaves") == replicas.to_string()
            });
        }
    }
}

/// A master and its replicas, synchronized.
pub fn replicated(
    engine: Engine,
    replicas: usize,
    set_up: impl Fn(super::server::Builder) -> super::server::Builder,
) -> Vec<Server> {
    // Send copies of the data at once; by default the master waits 5 s for further replicas.
    let builder = || set_up(Server::of(engine)).set("repl-diskless-sync-delay 0");
    let mut servers = vec![builder().start()];
    let port = servers[0].port();
    for _ in 0..replicas {
        servers.push(builder().set(&format!("replicaof 127.0.0.1 {port}")).start());
    }
    for replica in &servers[1..] {
        until("a replica in step", || replica.info("master_link_status") == "up");
    }
    servers
}

fn role(port: u16) -> String {
    let asked = Link::to(port).and_then(|mut link| link.ask(&["ROLE"]));
    asked.map_or_else(
        |_| String::new(),
        |reply| match reply {
            super::Reply::List(members) => members[0].text(),
            _ => String::new(),
        },
    )
}

fn named_by(sentinel: &Server) -> Option<u16> {
    let asked = sentinel.try_ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]).ok()?;
    asked.list()[1].text().parse().ok()
}

/// A sentinel's information about the master.
fn state(sentinel: &Server) -> impl Fn(&str) -> String {
    let reply = sentinel.ask(&["SENTINEL", "MASTER", MASTER]);
    move |name| {
        let mut pairs = reply.list().chunks(2);
        pairs.find(|pair| pair[0].text() == name).map_or_else(String::new, |pair| pair[1].text())
    }
}
