//! A Redis Cluster of three servers.

use super::{RedisServer, free_port, wait_for};

/// Three servers of a Redis Cluster, each with a third of the slots, and no replicas.
#[derive(Debug)]
pub struct RedisCluster {
    /// The servers. The first has the lowest slots.
    pub servers: Vec<RedisServer>,
}

/// How many slots there are.
const SLOTS: usize = 16384;

impl RedisCluster {
    /// Starts one, and waits until its servers agree.
    pub fn start() -> Self {
        let mut servers = Vec::new();
        let mut bus_ports = Vec::new();
        for _ in 0..3 {
            // By default it is 10,000 above the other one, which may be none.
            let bus_port = free_port().to_string();
            servers.push(RedisServer::start_with(&[
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus_port,
                "--cluster-node-timeout",
                "2000",
                "--cluster-require-full-coverage",
                "no",
            ]));
            bus_ports.push(bus_port);
        }
        for (number, server) in servers.iter().enumerate() {
            let (first, last) = (number * SLOTS / 3, (number + 1) * SLOTS / 3 - 1);
            let slots = ["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()];
            assert_eq!(server.command(&slots), "+OK\r\n");
            let epoch = ["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()];
            assert_eq!(server.command(&epoch), "+OK\r\n");
        }
        for (other, bus_port) in servers.iter().zip(&bus_ports).skip(1) {
            let meet = ["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string(), bus_port];
            assert_eq!(servers[0].command(&meet), "+OK\r\n");
        }
        let cluster = Self { servers };
        cluster.wait_until_complete();
        cluster
    }

    /// Waits until each server knows all slots and all servers.
    pub fn wait_until_complete(&self) {
        for server in &self.servers {
            wait_for("a complete cluster", || {
                let info = server.command(&["CLUSTER", "INFO"]);
                let has = |line: &str| info.lines().any(|other| other == line);
                (has("cluster_state:ok") && has("cluster_slots_ok:16384") && has("cluster_known_nodes:3"))
                    .then_some(())
            });
        }
    }

    /// Its URL: all servers.
    pub fn url(&self) -> String {
        let servers: Vec<_> =
            self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        format!("redis+cluster://{}", servers.join(","))
    }

    /// The slot of a channel.
    pub fn slot(&self, channel: &str) -> usize {
        let answer = self.servers[0].command(&["CLUSTER", "KEYSLOT", channel]);
        answer.trim_start_matches(':').trim().parse().unwrap()
    }

    /// Which server has a slot.
    pub fn owner(&self, slot: usize) -> usize {
        (0..3).find(|number| slot < (number + 1) * SLOTS / 3).unwrap()
    }

    /// Gives a slot, which has no keys, to another server.
    pub fn move_slot(&self, slot: usize, to: usize) {
        let id = self.servers[to].command(&["CLUSTER", "MYID"]);
        let id = id.lines().nth(1).unwrap();
        // The new owner first, so that no server points to one that does not know.
        for number in [to, (to + 1) % 3, (to + 2) % 3] {
            let command = ["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", id];
            assert_eq!(self.servers[number].command(&command), "+OK\r\n");
        }
    }
}
